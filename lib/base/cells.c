// SPDX-License-Identifier: BSD-3-Clause
// cells.c: pieces of one size, cut from ever larger mappings; what is larger is a mapping of its own.
//
// A cell is taken and given back by one store to `cells`, so a child that was cloned in the middle finds a list that is
// whole; it lacks one cell at most.
#include "base/cells.h"

#include <string.h>
#include <sys/mman.h>

#include "base/space.h"
#include "base/sys.h"

#define CELL ((size_t)128)
#define SLAB_MIN ((size_t)64 << 10)
#define SLAB_MAX ((size_t)8 << 20)

struct cell {
	struct cell *next;
};

static struct cell *cells;
static size_t slab = SLAB_MIN;

static void *pages_new(size_t size)
{
	void *pages = dxs_space_map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	if (dxs_is_err(pages))
		return NULL;
	dxs_sys6(SYS_madvise, (long)pages, (long)size, MADV_NOHUGEPAGE, 0, 0, 0); // a huge page for one bit is waste
	return pages;
}

// Doubled each time: with 65,000 mappings there are ten, which leaves the program its VMAs.
static void slab_add(void)
{
	char *pages = pages_new(slab);
	size_t at;

	if (!pages)
		return;
	for (at = slab; at; at -= CELL) {
		void *begin = pages + at - CELL;
		struct cell *cell = begin;

		cell->next = cells;
		cells = cell;
	}
	slab = slab < SLAB_MAX ? 2 * slab : slab;
}

void *dxs_cell_new(size_t size)
{
	struct cell *cell;

	if (size > CELL)
		return pages_new(size);
	if (!cells)
		slab_add();
	cell = cells;
	if (!cell)
		return NULL;
	cells = cell->next;
	memset(cell, 0, CELL);
	return cell;
}

void dxs_cell_free(void *cell, size_t size)
{
	struct cell *it = cell;

	if (size > CELL) {
		dxs_sys_munmap(cell, size);
		return;
	}
	it->next = cells;
	cells = it;
}
