// SPDX-License-Identifier: BSD-3-Clause
// scan.c: finding the pages of a mapping that can have been stored to while it was open.
#include "engine/scan.h"

#include <time.h>

#include "base/failure.h"
#include "base/filter.h"
#include "base/sys.h"
#include "core/mark.h"
#include "file/file.h"
#include "proc/pagemap.h"

#define CHUNK ((uintptr_t)2 << 20)

// Marks the pages of [start, end) that are mapped now, or just being moved.
int dxs_mark_mapped(struct dxs_map *map, uintptr_t start, uintptr_t end)
{
	struct dxs_region region[32];

	while (start < end) {
		int i, nr = dxs_pagemap_populated(start, end, DXS_PM_PRESENT | DXS_PM_FILE, region, 32, &start);

		if (nr < 0)
			return nr;
		for (i = 0; i < nr; i++)
			dxs_mark_range(map, region[i].start, region[i].end);
	}
	return 0;
}

// Whether a page that was stored to stays mapped, whatever the kernel does of its own accord: what mincore would find
// besides is only what the program itself has told it to drop, while the mapping could not be closed because of a pin.
static bool stays_mapped(const struct dxs_file *file)
{
	bool is_huge_tlb = file->in_memory && file->page_shift != DXS_PAGE_SHIFT;

	return is_huge_tlb || (atomic_load(&file->is_plain_memory) && !dxs_has_swap());
}

// Marks every page of [start, end) that the file has in memory: also one that is mapped no more because the kernel is
// moving it, or was told to drop it (MADV_DONTNEED).
int dxs_mark_resident(struct dxs_map *map, uintptr_t start, uintptr_t end)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	unsigned char vec[512];

	while (start < end) {
		size_t i, run, len = dxs_min64(end - start, sizeof(vec) * DXS_PAGE_SIZE);
		int err = dxs_in_core(start, len / DXS_PAGE_SIZE, vec);

		if (err == -EPERM && stays_mapped(map->file))
			return dxs_mark_mapped(map, start, end);
		if (err)
			return err;
		for (i = 0; i < len; i = run) {
			for (run = i; run < len && vec[run / DXS_PAGE_SIZE] & 1; run += DXS_PAGE_SIZE)
				;
			if (run > i)
				dxs_mark_range(map, start + i, start + run);
			else
				run += DXS_PAGE_SIZE;
		}
		start += len;
	}
	if (dxs_injected(DXS_FAIL_SLOW_SCAN))
		dxs_sys6(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
	return 0;
}

uint64_t dxs_scan_begin(struct dxs_map *map)
{
	uint64_t reopened;

	dxs_mutex_lock(&map->mutex); // not while all of it is being opened: what comes after is closed again
	reopened = map->nr_reopened;
	dxs_mutex_unlock(&map->mutex);
	return reopened;
}

// The first leaf of [*at, last] that is pinned; moves *at behind it. A leaf has a mark from before it is pinned until after:
// only those with one are asked, whole leaves, so that the answer depends on nothing else. NULL: none.
static struct dxs_leaf *pinned_next(struct dxs_file *file, uint64_t *at, uint64_t last)
{
	struct dxs_leaf *leaf;

	while ((leaf = dxs_tree_next(&file->tree, *at, last, 1U << DXS_DIRTY))) {
		*at = leaf->first + DXS_LEAF_PAGES;
		if (atomic_load(&leaf->pins))
			return leaf;
	}
	return NULL;
}

uintptr_t dxs_pinned_run(struct dxs_map *map, uintptr_t *start, uintptr_t end)
{
	struct dxs_leaf *leaf = NULL;
	uint64_t at, last, stop;

	if (map->file->nr_pins && *start < end) {
		at = dxs_map_pgoff(map, *start) & ~(uint64_t)(DXS_LEAF_PAGES - 1);
		last = dxs_map_pgoff(map, end - 1) | (DXS_LEAF_PAGES - 1);
		leaf = pinned_next(map->file, &at, last);
	}
	if (!leaf) {
		*start = end;
		return end;
	}
	*start = dxs_max64(*start, dxs_map_addr(map, dxs_max64(leaf->first, map->first)));
	do
		stop = at;
	while ((leaf = pinned_next(map->file, &at, last)) && leaf->first == stop);
	return stop <= dxs_map_last(map) ? dxs_min64(dxs_map_addr(map, stop), end) : end;
}

void dxs_mark_pinned(struct dxs_map *map, uintptr_t start, uintptr_t end)
{
	uintptr_t stop;

	for (; (stop = dxs_pinned_run(map, &start, end)) > start; start = stop) {
		atomic_store(&map->file->may_have_holes, true); // before the marks; partner: dxs_may_be_holes
		dxs_mark_range(map, start, stop);
	}
}

int dxs_each_unpinned(struct dxs_map *map, uintptr_t start, uintptr_t end,
		      int (*fn)(struct dxs_map *map, uintptr_t start, uintptr_t end))
{
	uintptr_t at, stop;
	int err = 0;

	for (; !err && start < end; start = stop) {
		at = start;
		stop = dxs_pinned_run(map, &at, end);
		if (start < at)
			err = fn(map, start, at);
	}
	return err;
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
