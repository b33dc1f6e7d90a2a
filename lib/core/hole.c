// SPDX-License-Identifier: BSD-3-Clause
// hole.c: marked pages that are holes of their file.
#include "core/hole.h"

#include "base/filter.h"
#include "base/sys.h"
#include "file/file.h"
#include "proc/pagemap.h"

static void mapped_read(struct dxs_mapped *mapped, uintptr_t page)
{
	uint64_t entry[DXS_LEAF_PAGES];
	size_t i;

	*mapped = (struct dxs_mapped){.page = page};
	if (dxs_pagemap_read(page, entry, DXS_LEAF_PAGES)) // of addresses where nothing is mapped too
		return;
	for (i = 0; i < DXS_LEAF_PAGES; i++)
		if (entry[i] & DXS_PM_PRESENT)
			mapped->pages |= 1ULL << i;
}

// How many of nr pages, from the first on, are mapped, and so no holes. Not more than it knows without asking again.
static size_t nr_mapped(struct dxs_mapped *mapped, uintptr_t page, size_t nr)
{
	uint64_t at = (page - mapped->page) / DXS_PAGE_SIZE, not_mapped;

	if (page < mapped->page || at >= DXS_LEAF_PAGES) {
		mapped_read(mapped, page);
		at = 0;
	}
	not_mapped = ~(mapped->pages >> at);
	return dxs_min64(nr, not_mapped ? (uint64_t)__builtin_ctzll(not_mapped) : DXS_LEAF_PAGES);
}

bool dxs_may_be_holes(struct dxs_file *file)
{
	return atomic_load(&file->may_have_holes) && file->in_memory && !dxs_has_swap();
}

size_t dxs_hole_stretch(struct dxs_file *file, struct dxs_mapped *mapped, uintptr_t addr, size_t len, bool *is_hole)
{
	unsigned char vec[DXS_LEAF_PAGES];
	uintptr_t page = addr & ~(DXS_PAGE_SIZE - 1), end = addr + len;
	size_t i = 0, nr = dxs_min64((end - page + DXS_PAGE_SIZE - 1) / DXS_PAGE_SIZE, DXS_LEAF_PAGES);

	*is_hole = false;
	if (!dxs_may_be_holes(file))
		return len;
	i = nr_mapped(mapped, page, nr);
	if (i)
		return dxs_min64(len, page + i * DXS_PAGE_SIZE - addr);
	if (dxs_in_core(page, nr, vec))
		return len;
	*is_hole = !(vec[0] & 1);
	while (i < nr && !(vec[i] & 1) == *is_hole)
		i++;
	return dxs_min64(len, page + i * DXS_PAGE_SIZE - addr);
}
