// SPDX-License-Identifier: BSD-3-Clause
// scan.h: finding the pages of a mapping that can have been stored to while it was open (E.4).
#ifndef DXS_SCAN_H
#define DXS_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dxs_file;
struct dxs_map;

// Mark DIRTY, in the file's tree: the pages of [start, end) that are mapped now, or just being moved; or every page that the
// file has in memory, also one that is mapped no more because the kernel was told to drop it (MADV_DONTNEED). 0 or -errno.
// The second is the first where mincore cannot be asked and pages stay mapped; where they do not, it is -EPERM. A mark for
// which there is no memory sends the file to the kernel. Page locks are taken.
int dxs_mark_mapped(struct dxs_map *map, uintptr_t start, uintptr_t end);
int dxs_mark_resident(struct dxs_map *map, uintptr_t start, uintptr_t end);

// E.4, before the close: how often all of the mapping was opened until now. The scan counts only if it is still as often
// when the engine says, under map->mutex, that the mapping is known.
uint64_t dxs_scan_begin(struct dxs_map *map);

// M9: marks all of the leaves of [start, end) that are pinned, before they are left open. Caller holds pin_mutex, from here
// to the end of dxs_each_unpinned(): no leaf comes to be pinned meanwhile.
void dxs_mark_pinned(struct dxs_map *map, uintptr_t start, uintptr_t end);

// Calls fn for the parts of [start, end) that lie between pinned leaves. 0, or the first error. Caller holds pin_mutex.
int dxs_each_unpinned(struct dxs_map *map, uintptr_t start, uintptr_t end,
		      int (*fn)(struct dxs_map *map, uintptr_t start, uintptr_t end));

// The first stretch of [*start, end) in leaves that are pinned: sets *start, returns its end (*start: none). Caller holds
// pin_mutex.
uintptr_t dxs_pinned_run(struct dxs_map *map, uintptr_t *start, uintptr_t end);

// Whether a page that lies in memory and nowhere else leaves a trace in the page tables once it was stored to, which can be
// looked for: not where it may be swapped out, and not before Linux 6.7.
bool dxs_leaves_trace(void);

// Calls fn for the 2 MiB chunks (what one page table maps) of [start, end) in which the page tables hold anything, as far
// as the mapping goes: pages, and what stands for a page that the kernel is just moving. Neighbours are given together. 0,
// or the first error.
int dxs_each_touched(struct dxs_map *map, uintptr_t start, uintptr_t end,
		     int (*fn)(struct dxs_map *map, uintptr_t start, uintptr_t end));

// Marks DIRTY what can have been stored to in a mapping in which something was mapped. 0 or -errno.
int dxs_mark_touched(struct dxs_map *map);

// Whether any page of the mapping is mapped: 1, 0 or -errno.
int dxs_is_touched(const struct dxs_map *map);

#endif
