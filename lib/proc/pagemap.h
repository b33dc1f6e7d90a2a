// SPDX-License-Identifier: BSD-3-Clause
// pagemap.h: what the process's own page tables say (/proc/self/pagemap).
#ifndef DXS_PAGEMAP_H
#define DXS_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bits of an entry (Documentation/admin-guide/mm/pagemap.rst).
#define DXS_PM_UFFD_WP (1ULL << 57)
#define DXS_PM_FILE (1ULL << 61)
#define DXS_PM_SWAP (1ULL << 62)
#define DXS_PM_PRESENT (1ULL << 63)

// Opens the file once; its descriptor is close-on-exec and high. 0 or -errno. Context: init.
int dxs_pagemap_open(void);

// Reads the entries of nr pages from addr on. 0 or -errno. Async-signal-safe.
int dxs_pagemap_read(uintptr_t addr, uint64_t *entry, size_t nr);

// Whether the kernel can scan page tables for us (PAGEMAP_SCAN, 6.7).
bool dxs_pagemap_can_scan(void);

// Whether the page at an address is part of a huge one in the page tables (PAGE_IS_HUGE, 6.7; before: false).
// Async-signal-safe.
bool dxs_pagemap_is_huge(uintptr_t addr);

struct dxs_region {
	uintptr_t start, end;
};

#pragma GCC visibility push(default) // the emulator uses it
// Finds pages that are mapped in [start, end): up to nr regions, in order. Returns how many and sets *next to where to
// go on (end when all was seen), or -errno. Nothing is changed. Costs microseconds per TiB of address space that was
// never touched if the kernel can scan, else 8 bytes read per page.
//   DXS_PM_PRESENT: pages that are mapped now. A page that the kernel is just moving to other memory is not.
//   DXS_PM_PRESENT | DXS_PM_FILE: that one too.
//   DXS_PM_PRESENT | DXS_PM_SWAP: those as well, and write-protect markers of userfaultfd, which look the same.
int dxs_pagemap_populated(uintptr_t start, uintptr_t end, uint64_t kinds, struct dxs_region *region, size_t nr,
			  uintptr_t *next);
#pragma GCC visibility pop

// Whether the machine has swap space, asked once: a page that is swapped out leaves no trace in the page tables.
bool dxs_has_swap(void);

// In a forked child: the descriptor is of the parent's address space.
void dxs_pagemap_reset(void);

#endif
