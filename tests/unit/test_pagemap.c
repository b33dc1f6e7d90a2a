// SPDX-License-Identifier: BSD-3-Clause
// test_pagemap.c: what the page tables say about memory that was touched, and memory that was not.
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "proc/pagemap.h"

#define PAGES 200
#define PAGE 4096UL

static char *memory;

static void setup(void)
{
	cr_assert_eq(dxs_pagemap_open(), 0);
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(memory, MAP_FAILED);
	madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE);
}

TestSuite(pagemap, .init = setup);

static uintptr_t page(size_t i)
{
	return (uintptr_t)memory + i * PAGE;
}

static void touch(size_t first, size_t last)
{
	for (size_t i = first; i <= last; i++)
		((volatile char *)memory)[i * PAGE] = 1;
}

static int populated(struct dxs_region *region, size_t nr, size_t from, uintptr_t *next)
{
	return dxs_pagemap_populated(page(from), page(PAGES), DXS_PM_PRESENT, region, nr, next);
}

static void expect_region(const struct dxs_region *region, size_t first, size_t last)
{
	cr_expect_eq(region->start, page(first));
	cr_expect_eq(region->end, page(last + 1));
}

Test(pagemap, its_descriptor_is_one_of_ours_and_opened_once)
{
	int fd = dxs_fd_next(0);

	cr_expect_geq(fd, 0);
	cr_expect_eq(dxs_pagemap_open(), 0);
	cr_expect_eq(dxs_fd_next(fd + 1), -1);
	dxs_pagemap_reset();
	cr_expect_eq(dxs_fd_next(0), -1);
	cr_expect_eq(dxs_pagemap_open(), 0);
}

Test(pagemap, entries_tell_touched_from_untouched)
{
	uint64_t entry[PAGES];

	touch(3, 4);
	touch(PAGES - 1, PAGES - 1);
	cr_assert_eq(dxs_pagemap_read(page(0), entry, PAGES), 0);
	for (size_t i = 0; i < PAGES; i++)
		cr_expect_eq(!!(entry[i] & DXS_PM_PRESENT), i == 3 || i == 4 || i == PAGES - 1, "page %zu", i);
}

Test(pagemap, reading_beyond_the_address_space_is_an_error)
{
	uint64_t entry;

	cr_expect_lt(dxs_pagemap_read((uintptr_t)1 << 63, &entry, 1), 0);
}

Test(pagemap, nothing_touched_gives_no_region)
{
	struct dxs_region region[4];
	uintptr_t next = 0;

	cr_expect_eq(populated(region, 4, 0, &next), 0);
	cr_expect_eq(next, page(PAGES));
}

Test(pagemap, touched_neighbours_are_one_region)
{
	struct dxs_region region[4];
	uintptr_t next = 0;

	touch(0, 0);
	touch(60, 130); // more than one read of entries
	touch(PAGES - 1, PAGES - 1);
	cr_assert_eq(populated(region, 4, 0, &next), 3);
	expect_region(&region[0], 0, 0);
	expect_region(&region[1], 60, 130);
	expect_region(&region[2], PAGES - 1, PAGES - 1);
	cr_expect_eq(next, page(PAGES));
}

Test(pagemap, a_walk_in_small_steps_finds_the_same)
{
	struct dxs_region region;
	uintptr_t next = page(0);
	size_t nr = 0;

	for (size_t i = 10; i < PAGES; i += 10)
		touch(i, i);
	while (next < page(PAGES)) {
		int found = dxs_pagemap_populated(next, page(PAGES), DXS_PM_PRESENT, &region, 1, &next);

		cr_assert(found == 0 || found == 1);
		if (!found)
			continue;
		nr++;
		expect_region(&region, 10 * nr, 10 * nr);
	}
	cr_expect_eq(nr, PAGES / 10 - 1);
}

Test(pagemap, many_regions_are_found_in_one_call)
{
	struct dxs_region region[100];
	uintptr_t next;
	int nr = 0, found;

	for (size_t i = 0; i < PAGES; i += 2)
		touch(i, i);
	for (next = page(0); next < page(PAGES); nr += found) {
		size_t from = (next - page(0)) / PAGE;

		found = populated(region + nr, 100 - (size_t)nr, from, &next);
		cr_assert_geq(found, 0);
	}
	cr_expect_eq(nr, PAGES / 2);
	for (int i = 0; i < nr; i++)
		expect_region(&region[i], 2 * (size_t)i, 2 * (size_t)i);
}

Test(pagemap, memory_given_back_is_not_populated_any_more)
{
	struct dxs_region region[4];
	uintptr_t next;

	touch(3, 9);
	cr_assert_eq(madvise((void *)page(3), 7 * PAGE, MADV_REMOVE), 0);
	cr_expect_eq(populated(region, 4, 0, &next), 0);
}
