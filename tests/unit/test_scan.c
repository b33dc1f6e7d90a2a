// SPDX-License-Identifier: BSD-3-Clause
// test_scan.c: what can have been stored to is found, without looking at what was never touched.
#include <criterion/criterion.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/config.h"
#include "engine/scan.h"
#include "file/file.h"
#include "init.h"
#include "proc/pagemap.h"
#include "space/track.h"

#define PAGE 4096UL
#define CHUNK (2UL << 20)
#define SKEW (3 * PAGE) // out of step with 2 MiB

static struct dxs_file *file;
static struct dxs_map map;
static uint64_t nr_calls, nr_bytes;

static void make(size_t len)
{
	int fd = memfd_create("scan", MFD_CLOEXEC);
	char *room = mmap(NULL, len + 2 * CHUNK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uintptr_t addr = (((uintptr_t)room + CHUNK - 1) & ~(CHUNK - 1)) + SKEW;

	cr_assert_eq(dxs_pagemap_open(), 0);
	cr_assert_neq(room, MAP_FAILED);
	cr_assert_eq(ftruncate(fd, (off_t)len), 0);
	cr_assert_neq(mmap((void *)addr, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0),
		      MAP_FAILED);
	madvise((void *)addr, len, MADV_NOHUGEPAGE);
	close(fd);
	file = dxs_file_new(1, 1, DXS_PAGE_SHIFT);
	cr_assert_not_null(file);
	map = (struct dxs_map){.addr = addr, .len = len, .prot = PROT_READ | PROT_WRITE, .file = file};
	cr_assert_eq(dxs_tree_reserve(&file->tree, 0, dxs_map_last(&map)), 0);
	atomic_store(&file->mode, DXS_MODE_EMULATED);
	atomic_store(&file->is_plain_memory, true);
}

static void store(uint64_t pgoff)
{
	*(volatile char *)dxs_map_addr(&map, pgoff) = 1;
}

static bool is_dirty(uint64_t pgoff)
{
	struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, pgoff, false);

	return leaf && dxs_leaf_get(leaf, DXS_DIRTY) & dxs_leaf_mask(leaf, pgoff, pgoff);
}

static uint64_t nr_dirty(void)
{
	uint64_t nr = 0, at = 0;
	struct dxs_leaf *leaf;

	while ((leaf = dxs_tree_next(&file->tree, at, DXS_TREE_PAGES - 1, 1U << DXS_DIRTY))) {
		nr += (uint64_t)__builtin_popcountll(dxs_leaf_get(leaf, DXS_DIRTY));
		at = leaf->first + DXS_LEAF_PAGES;
	}
	return nr;
}

static int count(struct dxs_map *at, uintptr_t start, uintptr_t end)
{
	cr_expect_geq(start, at->addr);
	cr_expect_leq(end, dxs_map_end(at));
	cr_expect(start == at->addr || start % CHUNK == 0);
	cr_expect(end == dxs_map_end(at) || end % CHUNK == 0);
	nr_calls++;
	nr_bytes += end - start;
	return dxs_mark_resident(at, start, end);
}

// Before, all of the mapping was asked for: 14 s for 1 TiB, whatever was in it.
Test(scan, only_chunks_in_which_something_is_mapped_are_looked_at)
{
	uint64_t last;

	make(dxs_pagemap_can_scan() ? 1UL << 40 : 1UL << 30);
	last = dxs_map_last(&map);
	store(0);
	store(last / 2);
	store(last / 2 + 1);
	store(last);
	cr_expect_eq(dxs_each_touched(&map, map.addr, dxs_map_end(&map), count), 0);
	cr_expect_geq(nr_calls, 3);
	cr_expect_leq(nr_calls, 4, "%lu calls", nr_calls);
	cr_expect_leq(nr_bytes, 4 * CHUNK, "%lu bytes", nr_bytes);
	cr_expect(is_dirty(0) && is_dirty(last / 2) && is_dirty(last / 2 + 1) && is_dirty(last));
	cr_expect_eq(nr_dirty(), 4);
}

Test(scan, the_first_and_the_last_page_of_a_chunk_belong_to_it)
{
	uint64_t edge = (CHUNK - SKEW) / PAGE; // the first chunk that is whole begins there

	make(16 * CHUNK);
	store(edge + 511);
	store(edge + 512); // the next chunk: a neighbour
	store(edge + 3 * 512);
	cr_expect_eq(dxs_each_touched(&map, map.addr, dxs_map_end(&map), count), 0);
	cr_expect_eq(nr_bytes, 3 * CHUNK);
	cr_expect_eq(nr_dirty(), 3);
}

Test(scan, an_error_ends_it)
{
	make(4 * CHUNK);
	store(0);
	map.addr = 1; // not a page: mincore refuses it
	cr_expect_lt(dxs_mark_touched(&map), 0);
}

// Pages in a chunk that has others are found although they are not mapped any more.
Test(scan, a_page_that_is_not_mapped_any_more_is_found)
{
	make(8 * CHUNK);
	store(1000);
	store(1001);
	madvise((void *)dxs_map_addr(&map, 1000), PAGE, MADV_DONTNEED);
	cr_expect_eq(dxs_mark_touched(&map), 0);
	cr_expect(is_dirty(1000) && is_dirty(1001));
	cr_expect_eq(nr_dirty(), 2);
}

// As after small pages were made a huge one: nothing of the chunk is mapped. Where that can be, all is looked at.
Test(scan, a_chunk_that_is_not_mapped_any_more_is_found_where_that_can_be)
{
	make(8 * CHUNK);
	atomic_store(&file->is_plain_memory, false);
	store(100);
	store(2000);
	madvise((void *)dxs_map_addr(&map, 1900), 600 * PAGE, MADV_DONTNEED);
	cr_expect_eq(dxs_mark_touched(&map), 0);
	cr_expect(is_dirty(100) && is_dirty(2000));
	cr_expect_eq(nr_dirty(), 2);
}

static struct dxs_file *mapped_file(char **addr)
{
	int fd = memfd_create("scan", MFD_CLOEXEC);

	dxs_init();
	dxs_config.emulate = true;
	dxs_load();
	cr_assert_eq(ftruncate(fd, CHUNK), 0);
	*addr = dxs_mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, NULL);
	cr_assert_not(dxs_is_err(*addr));
	close(fd);
	if (!dxs_maps_find((uintptr_t)*addr)->engine)
		cr_skip_test("no engine can track tmpfs on this machine");
	return dxs_maps_find((uintptr_t)*addr)->file;
}

Test(scan, huge_pages_that_the_program_asks_for_end_the_narrow_scan)
{
	const int advice[] = {MADV_HUGEPAGE, 25}; // MADV_COLLAPSE

	for (int i = 0; i < 2; i++) {
		char *addr;
		struct dxs_file *mapped = mapped_file(&addr);

		if (!atomic_load(&mapped->is_plain_memory))
			cr_skip_test("tmpfs makes huge pages unasked on this machine");
		dxs_madvise(-1, addr, CHUNK, MADV_RANDOM, 0);
		cr_expect(atomic_load(&mapped->is_plain_memory));
		dxs_madvise(-1, addr, CHUNK, advice[i], 0);
		cr_expect_not(atomic_load(&mapped->is_plain_memory));
		cr_expect_eq(dxs_munmap(addr, CHUNK), 0);
	}
}
