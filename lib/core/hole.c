// SPDX-License-Identifier: BSD-3-Clause
// hole.c: marked pages that are holes of their file.
#include "core/hole.h"

#include "base/filter.h"
#include "base/sys.h"
#include "file/file.h"
#include "proc/pagemap.h"

// How many pages from the first on are mapped, and so no holes.
static size_t nr_mapped(uintptr_t page, size_t nr)
{
	uint64_t entry[DXS_LEAF_PAGES];
	size_t i = 0;

	if (dxs_pagemap_read(page, entry, nr))
		return 0;
	while (i < nr && entry[i] & DXS_PM_PRESENT)
		i++;
	return i;
}

bool dxs_may_be_holes(struct dxs_file *file)
{
	return atomic_load(&file->may_have_holes) && file->in_memory && !dxs_has_swap();
}

size_t dxs_hole_stretch(struct dxs_file *file, uintptr_t addr, size_t len, bool *is_hole)
{
	unsigned char vec[DXS_LEAF_PAGES];
	uintptr_t page = addr & ~(DXS_PAGE_SIZE - 1), end = addr + len;
	size_t i = 0, nr = dxs_min64((end - page + DXS_PAGE_SIZE - 1) / DXS_PAGE_SIZE, DXS_LEAF_PAGES);

	*is_hole = false;
	if (!dxs_may_be_holes(file))
		return len;
	i = nr_mapped(page, nr);
	if (i)
		return dxs_min64(len, page + i * DXS_PAGE_SIZE - addr);
	if (dxs_in_core(page, nr, vec))
		return len;
	*is_hole = !(vec[0] & 1);
	while (i < nr && !(vec[i] & 1) == *is_hole)
		i++;
	return dxs_min64(len, page + i * DXS_PAGE_SIZE - addr);
}
