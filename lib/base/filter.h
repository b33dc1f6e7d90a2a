// SPDX-License-Identifier: BSD-3-Clause
// filter.h: system calls that a filter may end the process for (seccomp(2)): those in no usual list, systemd's
// @system-service above all. doc/using.md has the calls that the library makes.
#ifndef DXS_FILTER_H
#define DXS_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sys.h"

#pragma GCC visibility push(default) // the emulator uses it
// Whether a filter decides about the calling thread's system calls. True where nobody can say. It may be there from the
// start or be the program's own, at any time; so this is asked before each such call. Some 10 us.
bool dxs_is_filtered(void);
#pragma GCC visibility pop

// mincore(2): whether the file has each of nr pages from addr on in memory (vec[i] & 1). 0 or -errno; -EPERM, without the
// call, under a filter.
static inline int dxs_in_core(uintptr_t addr, size_t nr, unsigned char *vec)
{
	if (dxs_is_filtered())
		return -EPERM;
	return (int)dxs_sys6(SYS_mincore, (long)addr, (long)(nr * DXS_PAGE_SIZE), (long)vec, 0, 0, 0);
}

#endif
