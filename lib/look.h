// SPDX-License-Identifier: BSD-3-Clause
// look.h: finding the pages of a mapping that can have been stored to while it was open (E.4).
#ifndef DXS_LOOK_H
#define DXS_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dxs_file;
struct dxs_map;

// Mark DIRTY, in the file's tree: the pages of [start, end) that are mapped now; or every page that the file has in
// memory, also one that is mapped no more because the kernel is moving it, or was told to drop it (MADV_DONTNEED).
// 0 or -errno. A mark for which there is no memory sends the file to the kernel.
void dxs_mark_range(struct dxs_map *map, uintptr_t start, uintptr_t end); // all of them
int dxs_mark_mapped(struct dxs_map *map, uintptr_t start, uintptr_t end);
int dxs_mark_resident(struct dxs_map *map, uintptr_t start, uintptr_t end);

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

// How many of len bytes from addr on are a hole of the file, or are none: *is_hole. A trap may have opened pages that
// nobody has stored to. Where the file system keeps pages in memory (emulation), reading or flushing a hole would fill it;
// on DAX it does not, and nothing is called a hole.
size_t dxs_hole_stretch(struct dxs_file *file, uintptr_t addr, size_t len, bool *is_hole);

#endif
