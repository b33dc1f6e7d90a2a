// SPDX-License-Identifier: BSD-3-Clause
// look.c: finding the pages of a mapping that can have been stored to while it was open.
#include "look.h"

#include "file.h"
#include "pagemap.h"
#include "sys.h"

#define CHUNK ((uintptr_t)2 << 20)

void dxs_mark_range(struct dxs_map *map, uintptr_t start, uintptr_t end)
{
	uint64_t first = dxs_map_pgoff(map, start), last = dxs_map_pgoff(map, end - 1);

	while (first <= last) {
		struct dxs_leaf *leaf = dxs_tree_leaf(&map->file->tree, first, true);

		if (!leaf) {
			dxs_file_to_kernel(map->file, "no memory to mark pages");
			return;
		}
		dxs_tree_mark(&map->file->tree, leaf, DXS_DIRTY, dxs_leaf_mask(leaf, first, last));
		first = leaf->first + DXS_LEAF_PAGES;
	}
}

// Marks the pages of [start, end) that are mapped now.
int dxs_mark_mapped(struct dxs_map *map, uintptr_t start, uintptr_t end)
{
	struct dxs_region region[32];

	while (start < end) {
		int i, nr = dxs_pagemap_populated(start, end, DXS_PM_PRESENT, region, 32, &start);

		if (nr < 0)
			return nr;
		for (i = 0; i < nr; i++)
			dxs_mark_range(map, region[i].start, region[i].end);
	}
	return 0;
}

// Marks every page of [start, end) that the file has in memory: also one that is mapped no more because the kernel is
// moving it, or was told to drop it (MADV_DONTNEED).
int dxs_mark_resident(struct dxs_map *map, uintptr_t start, uintptr_t end)
{
	unsigned char vec[512];

	while (start < end) {
		size_t i, len = dxs_min64(end - start, sizeof(vec) * DXS_PAGE_SIZE);
		int err = (int)dxs_sys6(SYS_mincore, (long)start, (long)len, (long)vec, 0, 0, 0);

		if (err)
			return err;
		for (i = 0; i < len; i += DXS_PAGE_SIZE)
			if (vec[i / DXS_PAGE_SIZE] & 1)
				dxs_mark_range(map, start + i, start + i + DXS_PAGE_SIZE);
		start += len;
	}
	return 0;
}

bool dxs_leaves_trace(void)
{
	return dxs_pagemap_can_scan() && !dxs_has_swap();
}

int dxs_each_touched(struct dxs_map *map, uintptr_t start, uintptr_t end,
		     int (*fn)(struct dxs_map *map, uintptr_t start, uintptr_t end))
{
	while (start < end) {
		struct dxs_region region;
		int nr = dxs_pagemap_populated(start, end, DXS_PM_PRESENT | DXS_PM_SWAP, &region, 1, &start);
		int err;

		if (nr <= 0)
			return nr;
		start = dxs_min64(((region.end - 1) | (CHUNK - 1)) + 1, dxs_map_end(map));
		err = fn(map, dxs_max64(region.start & ~(CHUNK - 1), map->addr), start);
		if (err)
			return err;
	}
	return 0;
}

// Huge pages that the kernel makes of small ones, and reclaim of what a disk has too, empty page tables without a trace:
// where that can be, the whole mapping is asked for, page by page.
int dxs_mark_touched(struct dxs_map *map)
{
	if (atomic_load(&map->file->is_plain_memory) && dxs_leaves_trace())
		return dxs_each_touched(map, map->addr, dxs_map_end(map), dxs_mark_resident);
	return dxs_mark_resident(map, map->addr, dxs_map_end(map));
}

int dxs_is_touched(const struct dxs_map *map)
{
	struct dxs_region region;
	uintptr_t next;

	return dxs_pagemap_populated(map->addr, dxs_map_end(map), DXS_PM_PRESENT | DXS_PM_SWAP, &region, 1, &next);
}

size_t dxs_hole_stretch(struct dxs_file *file, uintptr_t addr, size_t len, bool *is_hole)
{
	unsigned char vec[DXS_LEAF_PAGES];
	uintptr_t page = addr & ~(DXS_PAGE_SIZE - 1), end = addr + len;
	size_t i = 0, nr = dxs_min64((end - page + DXS_PAGE_SIZE - 1) / DXS_PAGE_SIZE, DXS_LEAF_PAGES);

	*is_hole = false;
	if (!atomic_load(&file->widened) || !file->in_memory || dxs_has_swap() ||
	    dxs_sys6(SYS_mincore, (long)page, (long)(nr * DXS_PAGE_SIZE), (long)vec, 0, 0, 0))
		return len;
	*is_hole = !(vec[0] & 1);
	while (i < nr && !(vec[i] & 1) == *is_hole)
		i++;
	return dxs_min64(len, page + i * DXS_PAGE_SIZE - addr);
}
