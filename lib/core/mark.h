// SPDX-License-Identifier: BSD-3-Clause
// mark.h: marking pages of a mapping that may have been stored to.
#ifndef DXS_MARK_H
#define DXS_MARK_H

#include <stdint.h>

struct dxs_map;

// Marks all pages of [start, end) DIRTY, in the file's tree. A mark for which there is no memory sends the file to the
// kernel. Page locks are taken.
void dxs_mark_range(struct dxs_map *map, uintptr_t start, uintptr_t end);

#endif
