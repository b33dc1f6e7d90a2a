// SPDX-License-Identifier: BSD-3-Clause
// look.h: finding the pages of a mapping that can have been stored to while it was open (E.4).
#ifndef DXS_LOOK_H
#define DXS_LOOK_H

#include <stdbool.h>
#include <stdint.h>

struct dxs_map;

// Mark DIRTY, in the file's tree: the pages of [start, end) that are mapped now; or every page that the file has in
// memory, also one that is mapped no more because the kernel is moving it, or was told to drop it (MADV_DONTNEED).
// 0 or -errno. A mark for which there is no memory sends the file to the kernel.
int dxs_mark_mapped(struct dxs_map *map, uintptr_t start, uintptr_t end);
int dxs_mark_resident(struct dxs_map *map, uintptr_t start, uintptr_t end);

// Whether any page of the mapping is mapped: 1, 0 or -errno.
int dxs_is_touched(const struct dxs_map *map);

#endif
