// SPDX-License-Identifier: BSD-3-Clause
// promises.h: judges what syncs of the guest's programs have promised. See promise.h.
#ifndef CACHE_PROMISES_H
#define CACHE_PROMISES_H

#include <stdint.h>

// The instruction of promise.h was executed. The CPU's registers can be read.
void promises_told(void);

// A line was to be written back at an address that is in no page table. The CPU's registers can be read.
void promises_unmapped(uint64_t vaddr);

// Says on standard error what was judged. Nothing if no promise was made.
void promises_sum_up(void);

#endif
