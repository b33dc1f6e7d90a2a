// SPDX-License-Identifier: BSD-3-Clause
// test_sync.c: the sync point, on a file with a counting engine: what is closed, flushed and unmarked, in which order.
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "call/dirty.h"
#include "core/engine.h"
#include "core/sync.h"
#include "file/file.h"
#include "file/observer.h"
#include "flush/flush.h"
#include "inject.h"
#include "proc/pagemap.h"
#include "report/stats.h"
#include "signal/signals.h"

#define PAGES 2560
#define BYTES ((size_t)PAGES * 4096)
#define CALLS_MAX 64
#define WHOLE 0, BYTES

// One call of write_protect(), and what was true when it came.
struct call {
	const struct dxs_map *map;
	uint64_t first, nr;
	uint64_t bytes_flushed, fences; // before it
	uint64_t dirty, flushing, locks;
};

static struct dxs_file *file;
static struct dxs_map map[2]; // both of the same bytes
static int fd;
static struct call call[CALLS_MAX];
static atomic_uint nr_calls;
static int close_error;                        // what write_protect() of map[1] returns
static void (*on_close)(uint64_t first);       // called by write_protect() of map[0]
static int (*on_discover)(struct dxs_map *at); // called by discover()
static bool alive = true;
static unsigned nr_asked; // is_alive()

// The linker lets sync.c call this in the place of dxs_flush_ranges(): what is flushed counts when it happens.
unsigned __real_dxs_flush_ranges(const struct dxs_range *range, unsigned nr, size_t *done, int *err);
unsigned __wrap_dxs_flush_ranges(const struct dxs_range *range, unsigned nr, size_t *done, int *err);

static _Atomic uint64_t nr_bytes_flushed;
static struct dxs_range flushed[8]; // the first ones
static unsigned nr_flushed;
static void (*on_flush)(void);

unsigned __wrap_dxs_flush_ranges(const struct dxs_range *range, unsigned nr, size_t *done, int *err)
{
	unsigned whole = __real_dxs_flush_ranges(range, nr, done, err);

	if (on_flush)
		on_flush();
	for (unsigned i = 0; i < whole; i++) {
		nr_bytes_flushed += range[i].len;
		if (nr_flushed < 8)
			flushed[nr_flushed++] = range[i];
	}
	return whole;
}

static uint64_t bit_of(uint64_t pgoff)
{
	return 1ULL << (pgoff % DXS_LEAF_PAGES);
}

static struct dxs_leaf *leaf_of(uint64_t pgoff)
{
	struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, pgoff, true);

	cr_assert_not_null(leaf);
	return leaf;
}

static int fake_write_protect(struct dxs_map *at, uintptr_t addr, size_t len)
{
	uint64_t first = dxs_map_pgoff(at, addr);
	struct dxs_leaf *leaf = leaf_of(first);
	unsigned nr = atomic_fetch_add(&nr_calls, 1);

	if (nr < CALLS_MAX)
		call[nr] = (struct call){
			.map = at,
			.first = first,
			.nr = len / 4096,
			.bytes_flushed = nr_bytes_flushed,
			.fences = dxs_counter_get(DXS_fences),
			.dirty = dxs_leaf_get(leaf, DXS_DIRTY),
			.flushing = dxs_leaf_get(leaf, DXS_FLUSHING),
			.locks = atomic_load(&leaf->locks),
		};
	if (on_close && at == &map[0])
		on_close(first);
	return at == &map[1] ? close_error : 0;
}

static int fake_discover(struct dxs_map *at, uint64_t first, uint64_t last)
{
	(void)first;
	(void)last;
	return on_discover ? on_discover(at) : 0;
}

static bool fake_is_alive(void)
{
	nr_asked++;
	return alive;
}

static uint64_t nr_unknown[2]; // of the first entries of a mapping
static void (*on_known)(void); // called by known()

static uintptr_t fake_known(const struct dxs_map *at, uintptr_t *start, uintptr_t end)
{
	if (on_known)
		on_known();
	*start = dxs_min64(end, dxs_max64(*start, at->addr + nr_unknown[at == &map[1]] * 4096));
	return end;
}

static bool fake_is_short(void)
{
	return false;
}

static const struct dxs_engine fake = {
	.write_protect = fake_write_protect,
	.discover = fake_discover,
	.known = fake_known,
	.is_alive = fake_is_alive,
	.is_short = fake_is_short,
};

// Of two that begin at the same place of the file, the one at the lower address comes first.
static void map_make(struct dxs_map *at, char *addr)
{
	cr_assert_eq(mmap(addr, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), addr);
	at->addr = (uintptr_t)addr;
	at->len = BYTES;
	at->prot = PROT_READ | PROT_WRITE;
	at->file = file;
	at->engine = &fake;
	cr_assert_eq(dxs_maps_replace(NULL, 0, &at, 1), 0);
}

static void setup(void)
{
	const char *why = "";
	char *room = mmap(NULL, 2 * BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct stat st;

	cr_assert_neq(room, MAP_FAILED);
	cr_assert_eq(dxs_flush_init(&why), 0, "%s", why);
	cr_assert_eq(dxs_signals_install(0), 0);
	fd = memfd_create("test_sync", MFD_CLOEXEC);
	cr_assert(fd >= 0 && !ftruncate(fd, (off_t)BYTES) && !fstat(fd, &st));
	file = dxs_file_new(st.st_dev, st.st_ino, 12);
	cr_assert_not_null(file);
	snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", fd);
	atomic_store(&file->size, BYTES);
	atomic_store(&file->mode, DXS_MODE_EMULATED);
	cr_assert_eq(dxs_tree_reserve(&file->tree, 0, PAGES - 1), 0);
	map_make(&map[1], room + BYTES);
	map_make(&map[0], room);
}

static void fault(const char *spec)
{
	char why[64];

	cr_assert_eq(inject_parse(spec, why, sizeof(why)), 0, "%s", why);
}

static void teardown(void)
{
	fault("");
	dxs_file_put(file);
	munmap((void *)map[0].addr, BYTES);
	munmap((void *)map[1].addr, BYTES);
	close(fd);
}

TestSuite(sync, .init = setup, .fini = teardown);

static void dirty(uint64_t first, uint64_t last)
{
	for (uint64_t at = first; at <= last; at++) {
		((volatile char *)map[0].addr)[at * 4096] = 1;
		dxs_tree_mark(&file->tree, leaf_of(at), DXS_DIRTY, bit_of(at));
	}
}

static bool has(enum dxs_mark mark, uint64_t pgoff)
{
	return dxs_leaf_get(leaf_of(pgoff), mark) & bit_of(pgoff);
}

static bool is_clean(uint64_t first, uint64_t last)
{
	return !dxs_tree_next(&file->tree, first, last, (1U << DXS_NR_MARKS) - 1);
}

static uint64_t bytes_flushed(void)
{
	return nr_bytes_flushed;
}

Test(sync, a_clean_file_costs_neither_close_nor_flush_nor_fence)
{
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(dxs_sync_range(file, 5, 5), 0);
	cr_expect_eq(nr_calls, 0);
	cr_expect_eq(bytes_flushed(), 0);
	cr_expect_eq(dxs_counter_get(DXS_fences), 0);
}

Test(sync, pages_are_closed_before_they_are_flushed_and_fenced_after)
{
	dirty(3, 5);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_assert_eq(nr_calls, 2);
	cr_expect_eq(call[0].bytes_flushed, 0);
	cr_expect_eq(call[1].bytes_flushed, 0);
	cr_expect_eq(bytes_flushed(), 3 * 4096);
	cr_expect_eq(dxs_counter_get(DXS_bytes_flushed), 3 * 4096);
	cr_expect_eq(call[1].fences, 0);
	cr_expect_eq(dxs_counter_get(DXS_fences), 1);
}

Test(sync, the_first_of_many_syncs_is_timed_and_then_one_in_so_many)
{
	struct dxs_sync_ns ns;

	for (unsigned i = 0; i < DXS_STATS_SYNCS_TIMED; i++)
		cr_assert_eq(dxs_sync_range(file, WHOLE), 0);
	dxs_stats_sync_ns_get(&ns);
	cr_expect_eq(ns.count, 1);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	dxs_stats_sync_ns_get(&ns);
	cr_expect_eq(ns.count, 2);
}

Test(sync, pages_are_closed_in_both_mappings)
{
	dirty(3, 5);
	dirty(9, 9);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_assert_eq(nr_calls, 4);
	for (unsigned i = 0; i < 4; i++) {
		cr_expect_eq(call[i].map, &map[i % 2]);
		cr_expect_eq(call[i].first, i < 2 ? 3 : 9);
		cr_expect_eq(call[i].nr, i < 2 ? 3 : 1);
	}
	cr_expect_eq(bytes_flushed(), 4 * 4096, "once, through one of the mappings");
}

Test(sync, the_mark_goes_only_after_the_last_close)
{
	uint64_t both = bit_of(70) | bit_of(127);

	dirty(70, 70);
	dirty(127, 127);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_assert_eq(nr_calls, 4);
	for (unsigned i = 0; i < 4; i++) {
		cr_expect_eq(call[i].dirty, both);
		cr_expect_eq(call[i].flushing, both, "taken up before it is closed");
		cr_expect_eq(call[i].locks & both, both, "closed under its lock");
	}
	cr_expect(is_clean(0, PAGES - 1));
	cr_expect_eq(atomic_load(&leaf_of(70)->locks), 0);
}

Test(sync, a_close_that_fails_in_one_mapping_keeps_the_marks)
{
	close_error = -ENOMEM;
	dirty(3, 5);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0, "flushed all the same");
	cr_expect_eq(bytes_flushed(), 3 * 4096);
	for (uint64_t at = 3; at <= 5; at++) {
		cr_expect(has(DXS_DIRTY, at));
		cr_expect_not(has(DXS_FLUSHING, at));
	}
	close_error = 0;
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect(is_clean(0, PAGES - 1));
}

Test(sync, an_injected_close_error_keeps_the_marks)
{
	fault("close-error");
	dirty(3, 3);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(nr_calls, 0);
	cr_expect(has(DXS_DIRTY, 3));
	cr_expect_eq(bytes_flushed(), 4096);
}

Test(sync, a_page_that_is_covered_in_part_is_flushed_in_part_and_keeps_its_mark)
{
	dirty(1, 3);
	cr_expect_eq(dxs_sync_range(file, 4096 + 128, 3 * 4096 + 64), 0);
	cr_expect_eq(bytes_flushed(), 2 * 4096 - 128 + 64);
	cr_assert_eq(nr_calls, 2);
	cr_expect_eq(call[0].first, 2);
	cr_expect_eq(call[0].nr, 1);
	cr_expect(has(DXS_DIRTY, 1));
	cr_expect_not(has(DXS_DIRTY, 2));
	cr_expect(has(DXS_DIRTY, 3));
	cr_expect_eq(dxs_sync_range(file, 4096 + 1, 4096 + 2), 0);
	cr_expect_eq(nr_calls, 2);
	cr_expect(has(DXS_DIRTY, 1));
}

Test(sync, only_the_range_is_dealt_with)
{
	dirty(0, 200);
	cr_expect_eq(dxs_sync_range(file, 60 * 4096, 70 * 4096), 0);
	cr_expect_eq(bytes_flushed(), 10 * 4096);
	for (uint64_t at = 0; at <= 200; at++) {
		cr_expect_eq(has(DXS_DIRTY, at), at < 60 || at >= 70, "page %d", (int)at);
	}
}

// Entries of 1 GiB: 2^36 of them are more bytes than can be counted.
Test(sync, the_largest_pages_are_flushed_as_well)
{
	file->page_shift = 30;
	dxs_tree_mark(&file->tree, leaf_of(0), DXS_DIRTY, 1);
	map[0].len = map[1].len = (size_t)1 << 30;
	cr_expect_eq(dxs_sync_range(file, 100, 300), 0);
	cr_expect_eq(bytes_flushed(), 200);
	cr_expect_eq(dxs_sync_range(file, (uint64_t)1 << 30, UINT64_MAX), 0, "all that follows, as fsync does");
	cr_expect_eq(bytes_flushed(), 200);
	file->page_shift = 12;
	map[0].len = map[1].len = BYTES;
}

static void dirty_behind(uint64_t first)
{
	if (first == 100)
		dirty(3, 3);
}

// Or a sync would never end while others store.
Test(sync, what_is_dirtied_behind_the_walk_stays_for_the_next)
{
	on_close = dirty_behind;
	dirty(3, 3);
	dirty(100, 100);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(bytes_flushed(), 2 * 4096);
	cr_expect(has(DXS_DIRTY, 3));
	cr_expect_not(has(DXS_DIRTY, 100));
}

Test(sync, a_pinned_leaf_is_flushed_and_left_open)
{
	dirty(3, 3);
	dirty(64, 64);
	atomic_fetch_add(&leaf_of(3)->pins, 1);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(bytes_flushed(), 2 * 4096);
	cr_expect(has(DXS_DIRTY, 3));
	cr_expect_not(has(DXS_FLUSHING, 3));
	cr_expect_not(has(DXS_DIRTY, 64));
	cr_assert_eq(nr_calls, 2);
	cr_expect_eq(call[0].first, 64);
	atomic_fetch_sub(&leaf_of(3)->pins, 1);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect(is_clean(0, PAGES - 1));
}

Test(sync, never_close_flushes_and_keeps_the_marks)
{
	dxs_config.policy = DXS_POLICY_NEVER_CLOSE;
	dirty(3, 3);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(nr_calls, 0);
	cr_expect_eq(bytes_flushed(), 2 * 4096);
	cr_expect(has(DXS_DIRTY, 3));
	cr_expect_not(has(DXS_FLUSHING, 3));
}

Test(sync, before_a_mapping_goes_all_is_closed_whatever_the_policy_says)
{
	int err;

	dxs_config.policy = DXS_POLICY_NEVER_CLOSE;
	dirty(3, 3);
	dxs_exclusive_lock(&file->maps_lock);
	err = dxs_sync_range_locked(file, WHOLE);
	dxs_exclusive_unlock(&file->maps_lock);
	cr_expect_eq(err, 0);
	cr_expect_eq(nr_calls, 2);
	cr_expect(is_clean(0, PAGES - 1));
}

Test(sync, an_untracked_mapping_is_not_closed_but_can_be_flushed_through)
{
	map[0].engine = NULL;
	map[1].prot = PROT_NONE;
	dirty(3, 3);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_assert_eq(nr_calls, 1);
	cr_expect_eq(call[0].map, &map[1]);
	cr_expect_eq(bytes_flushed(), 4096);
	cr_expect(is_clean(0, PAGES - 1));
}

// map[0] becomes one of the first 70 pages, map[1] one of those behind.
static void maps_part(void)
{
	struct dxs_map *both[] = {&map[0], &map[1]};

	cr_assert_eq(dxs_maps_replace(both, 2, NULL, 0), 0);
	map[0].len = 70 * 4096;
	map[1].len = BYTES - map[0].len;
	map[1].addr += map[0].len;
	map[1].first = 70;
	cr_assert_eq(dxs_maps_replace(NULL, 0, both, 2), 0);
}

static void maps_join(void)
{
	map[1].addr -= map[0].len;
	map[0].len = map[1].len = BYTES;
}

static void expect_flushed(unsigned i, unsigned at, uint64_t pgoff, uint64_t nr)
{
	cr_assert_gt(nr_flushed, i);
	cr_expect_eq(flushed[i].addr, map[at].addr + (pgoff - map[at].first) * 4096, "range %u", i);
	cr_expect_eq(flushed[i].len, nr * 4096, "range %u", i);
}

Test(sync, each_part_is_flushed_through_a_mapping_of_it)
{
	maps_part();
	dirty(3, 3);
	dirty(68, 72); // on both sides
	dirty(75, 75);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_assert_eq(nr_flushed, 4);
	expect_flushed(0, 0, 3, 1);
	expect_flushed(1, 0, 68, 2);
	expect_flushed(2, 1, 70, 3);
	expect_flushed(3, 1, 75, 1);
	maps_join();
}

// Only where no other mapping can have it is a huge page that is in no page table a hole.
Test(sync, a_huge_page_that_another_mapping_may_have_is_no_hole)
{
	struct dxs_map *other = &map[1];

	if (dxs_has_swap())
		cr_skip_test("with swap space nothing is called a hole");
	cr_assert_eq(dxs_pagemap_open(), 0);
	file->page_shift = 21;
	file->in_memory = true;
	atomic_store(&file->may_have_holes, true);
	dxs_tree_mark(&file->tree, leaf_of(0), DXS_DIRTY, bit_of(1));
	cr_expect_eq(dxs_sync_range(file, 0, BYTES), 0);
	cr_expect_eq(bytes_flushed(), 2 << 20);
	cr_assert_eq(dxs_maps_replace(&other, 1, NULL, 0), 0);
	dxs_tree_mark(&file->tree, leaf_of(0), DXS_DIRTY, bit_of(2));
	cr_expect_eq(dxs_sync_range(file, 0, BYTES), 0);
	cr_expect_eq(bytes_flushed(), 2 << 20);
	dxs_tree_mark(&file->tree, leaf_of(0), DXS_DIRTY, bit_of(2));
	atomic_store(&file->nr_failed, 1);
	cr_expect_eq(dxs_sync_range(file, 0, BYTES), 0);
	cr_expect_eq(bytes_flushed(), 4 << 20);
	file->page_shift = 12;
}

static void fails_elsewhere(uint64_t first)
{
	if (first != 65)
		return;
	on_close = NULL;
	dirty(3, 3); // taken up already
	atomic_fetch_add(&file->nr_failed, 1);
}

Test(sync, a_sync_that_begins_again_flushes_through_the_first_mapping_again)
{
	maps_part();
	dirty(3, 3);
	dirty(65, 65);
	dirty(75, 75);
	on_close = fails_elsewhere;
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_assert_eq(nr_flushed, 4);
	expect_flushed(2, 1, 75, 1);
	expect_flushed(3, 0, 3, 1);
	maps_join();
}

// The writeback index that did not advance (kernel series v3): a walk that begins at the front again meets what it has
// FLUSHING itself, lets go of it, flushes it again, and has no end.
Test(sync, the_walk_goes_on_behind_each_batch)
{
	dxs_config.policy = DXS_POLICY_NEVER_CLOSE;
	dirty(0, PAGES - 1);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(bytes_flushed(), BYTES);
	cr_expect_eq(dxs_counter_get(DXS_pages_flushed), PAGES);
	cr_expect_eq(dxs_counter_get(DXS_fences), (PAGES + 1023) / 1024);
}

Test(sync, more_pages_than_a_batch_are_all_flushed)
{
	dirty(0, PAGES - 1);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(bytes_flushed(), BYTES);
	cr_expect_eq(nr_calls, 2 * PAGES / DXS_LEAF_PAGES);
	cr_expect(is_clean(0, PAGES - 1));
}

Test(sync, an_entry_is_dirty_while_it_is_marked_or_flushing_or_unknown)
{
	uint64_t fences = dxs_counter_get(DXS_fences);

	cr_expect_eq(dxs_dirty(file, 64, 127), 0);
	dirty(66, 66);
	dxs_leaf_claim(leaf_of(64), bit_of(70));
	cr_expect_eq(dxs_dirty(file, 64, 127), 1 << 2 | 1 << 6);
	cr_expect_eq(dxs_dirty(file, 67, 69), 0, "in the range only");
	dxs_leaf_release(leaf_of(64), bit_of(70));
	for (int i = 0; i < 2; i++) {
		nr_unknown[i] = 67;
		cr_expect_eq(dxs_dirty(file, 65, 127), 1 << 1 | 1 << 2, "in mapping %d", i);
		nr_unknown[i] = 0;
	}
	cr_expect_eq(nr_calls, 0);
	cr_expect_eq(dxs_counter_get(DXS_fences), fences);
}

static void fail_one(void)
{
	atomic_fetch_add(&file->nr_failed, 1);
}

Test(sync, nothing_is_known_clean_while_a_flush_fails_or_a_kernel_sync_is_pending)
{
	on_known = fail_one;
	cr_expect_eq(dxs_dirty(file, 1, 2), 6, "a mark may have been put back after it was looked for");
	on_known = NULL;
	alive = false;
	cr_expect_eq(dxs_dirty(file, 1, 2), 6);
	alive = true;
	cr_expect_eq(dxs_dirty(file, 1, 2), 0);
	dxs_file_changed(file, DXS_CAUSE_WRITE);
	cr_expect_eq(dxs_dirty(file, 1, 2), 6);
	atomic_store(&file->kernel_synced, atomic_load(&file->kernel_changes));
	cr_expect_eq(dxs_dirty(file, 1, 2), 0);
	atomic_store(&file->mode, DXS_MODE_KERNEL);
	cr_expect_eq(dxs_dirty(file, 0, 63), ~0ULL);
	atomic_store(&file->mode, DXS_MODE_BYTE);
	dirty(1, 1);
	cr_expect_eq(dxs_dirty(file, 0, 63), 0, "what is in the caches is durable");
}

Test(sync, several_ranges_are_flushed_before_one_fence)
{
	struct dxs_bytes range[] = {{8, 16}, {4096UL * 5, 4096UL * 6}, {4096UL * 200 + 1, 4096UL * 203}};
	uint64_t fences = dxs_counter_get(DXS_fences), syncs = dxs_counter_get(DXS_syncs);

	dirty(0, 300);
	cr_expect_eq(dxs_sync_ranges(file, range, 3), 0);
	cr_expect_eq(dxs_counter_get(DXS_fences) - fences, 1);
	cr_expect_eq(dxs_counter_get(DXS_syncs) - syncs, 1);
	cr_expect_eq(bytes_flushed(), 8 + 4096 + 3 * 4096 - 1, "no byte but theirs");
	cr_expect(has(DXS_DIRTY, 0), "covered in part");
	cr_expect(has(DXS_DIRTY, 200), "covered in part");
	cr_expect_not(has(DXS_DIRTY, 5));
	cr_expect_not(has(DXS_DIRTY, 201) || has(DXS_DIRTY, 202));
	cr_expect(has(DXS_DIRTY, 4) && has(DXS_DIRTY, 6) && has(DXS_DIRTY, 203));
	for (uint64_t at = 0; at < 300; at++)
		cr_assert_not(has(DXS_FLUSHING, at));
}

Test(sync, ranges_that_share_a_page_do_not_wait_for_each_other)
{
	struct dxs_bytes range[] = {{0, 8}, {64, 72}, {128, 136}, {4096, 8192}};

	dirty(0, 1);
	cr_expect_eq(dxs_sync_ranges(file, range, 4), 0);
	cr_expect_eq(bytes_flushed(), 3 * 8 + 4096);
	cr_expect_not(has(DXS_FLUSHING, 0) || has(DXS_FLUSHING, 1));
}

Test(sync, large_ranges_among_several_are_flushed_too)
{
	struct dxs_bytes range[] = {{8, 16}, {4096UL * 64, 4096UL * 1024}, {4096UL * 2000, 4096UL * 2001}};

	dirty(0, PAGES - 1);
	cr_expect_eq(dxs_sync_ranges(file, range, 3), 0);
	cr_expect_eq(bytes_flushed(), 8 + 4096UL * (1024 - 64) + 4096);
	cr_expect(is_clean(64, 1023) && is_clean(2000, 2000));
}

Test(sync, an_error_in_one_of_several_ranges_is_returned_and_the_others_are_clean)
{
	struct dxs_bytes range[] = {{0, 4096}, {4096UL * 100, 4096UL * 101}};

	dirty(0, 0);
	dirty(100, 100);
	fault("flush-error@1");
	cr_expect_eq(dxs_sync_ranges(file, range, 2), -EIO);
	cr_expect(has(DXS_DIRTY, 0));
	cr_expect(is_clean(100, 100));
	fault("");
	cr_expect_eq(dxs_sync_ranges(file, range, 2), 0);
	cr_expect(is_clean(0, 100));
}

Test(sync, an_error_of_the_flush_is_returned_and_puts_the_marks_back)
{
	fault("flush-error");
	dirty(3, 5);
	cr_expect_eq(dxs_sync_range(file, WHOLE), -EIO);
	for (uint64_t at = 3; at <= 5; at++) {
		cr_expect(has(DXS_DIRTY, at));
		cr_expect_not(has(DXS_FLUSHING, at));
	}
	cr_expect_eq(bytes_flushed(), 0);
	cr_expect_eq(dxs_counter_get(DXS_sync_errors), 1);
	fault("");
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(bytes_flushed(), 3 * 4096);
	cr_expect(is_clean(0, PAGES - 1));
}

// Marks were once put back for a part of the batch only.
Test(sync, an_error_in_many_leaves_puts_all_their_marks_back)
{
	uint64_t at;

	fault("flush-error");
	for (at = 0; at < PAGES; at += DXS_LEAF_PAGES)
		dirty(at, at);
	cr_expect_eq(dxs_sync_range(file, WHOLE), -EIO);
	for (at = 0; at < PAGES; at += DXS_LEAF_PAGES)
		cr_expect(has(DXS_DIRTY, at), "page %d", (int)at);
	cr_expect_eq(atomic_load(&file->nr_failed), PAGES / DXS_LEAF_PAGES);
}

Test(sync, only_the_pages_that_failed_are_marked_again)
{
	uint64_t nr = 0;

	fault("flush-error:3");
	dirty(0, 199);
	cr_expect_eq(dxs_sync_range(file, WHOLE), -EIO);
	for (uint64_t at = 0; at < 200; at++)
		nr += has(DXS_DIRTY, at);
	cr_expect_gt(nr, 0);
	cr_expect_lt(nr, 200);
	cr_expect_eq(nr, inject_count());
	cr_expect_eq(bytes_flushed(), (200 - nr) * 4096);
}

Test(sync, an_error_is_of_its_range_only)
{
	fault("flush-error");
	dirty(3, 3);
	dirty(100, 100);
	cr_expect_eq(dxs_sync_range(file, 0, 10 * 4096), -EIO);
	fault("");
	cr_expect(has(DXS_DIRTY, 100));
	cr_expect_eq(dxs_sync_range(file, 50 * 4096, BYTES), 0, "the other range knows nothing of it");
	cr_expect_not(has(DXS_DIRTY, 100));
	cr_expect(has(DXS_DIRTY, 3), "and does not make up for it");
}

Test(sync, pages_beyond_the_end_of_the_file_are_no_error)
{
	dirty(3, 3);
	dirty(98, 102); // one run across the end
	dirty(200, 200);
	cr_assert_eq(ftruncate(fd, 100 * 4096), 0);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(bytes_flushed(), 1 * 4096); // a run that ends in a fault is not counted
	cr_expect_gt(dxs_counter_get(DXS_flush_faults), 0);
	cr_expect(is_clean(0, PAGES - 1));
	cr_expect_eq((atomic_load(&file->kernel_changes) != atomic_load(&file->kernel_synced)), 0);
}

// The policy had left them open for many flushes more, each of which would be a fault.
Test(sync, pages_beyond_the_end_of_the_file_are_closed_by_the_next_sync)
{
	dirty(98, 102);
	atomic_store(&leaf_of(98)->stay[1], ~0ULL);
	cr_assert_eq(ftruncate(fd, 100 * 4096), 0);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(nr_calls, 0);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(nr_calls, 2);
	cr_expect_eq(call[0].first, 100);
	cr_expect_eq(call[0].nr, 3);
	cr_expect(has(DXS_DIRTY, 98) && has(DXS_DIRTY, 99), "these are there");
}

// Linux before 6.5 tells of a bad block of a DAX file system by the signal that it has for the end of the file.
static void bad_block(uint64_t pgoff)
{
	int empty = memfd_create("empty", MFD_CLOEXEC);

	dirty(pgoff, pgoff);
	cr_assert_neq(mmap((char *)map[0].addr + pgoff * 4096, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			   empty, 0),
		      MAP_FAILED);
	close(empty);
}

Test(sync, a_bad_block_that_is_told_like_the_end_of_the_file_is_an_error)
{
	dirty(3, 3);
	bad_block(5);
	atomic_store(&file->size, 0); // as a hook saw it, before another process made the file larger
	cr_expect_eq(dxs_sync_range(file, WHOLE), -EIO);
	cr_expect(has(DXS_DIRTY, 5));
	cr_expect_not(has(DXS_DIRTY, 3));
	cr_expect_eq(dxs_sync_range(file, 5 * 4096 + 100, 5 * 4096 + 200), -EIO);
}

// The runs of a leaf are flushed with one place to come back to.
Test(sync, a_fault_in_one_run_keeps_no_other_from_being_flushed)
{
	for (uint64_t at = 1; at < 16; at += 2)
		dirty(at, at);
	bad_block(5);
	bad_block(9);
	cr_expect_eq(dxs_sync_range(file, WHOLE), -EIO);
	cr_expect_eq(bytes_flushed(), 6 * 4096);
	cr_expect_eq(dxs_counter_get(DXS_flush_faults), 2);
	for (uint64_t at = 1; at < 16; at += 2)
		cr_expect_eq(has(DXS_DIRTY, at), at == 5 || at == 9, "page %d", (int)at);
}

// A range that begins inside a page has less of it than a page.
Test(sync, behind_a_fault_in_a_part_of_a_page_all_is_flushed)
{
	dirty(6, 7);
	bad_block(5);
	file->in_memory = true; // no error
	cr_expect_eq(dxs_sync_range(file, 5 * 4096 + 100, 8 * 4096), 0);
	cr_expect_eq(bytes_flushed(), 2 * 4096);
	cr_expect_eq(dxs_counter_get(DXS_bytes_flushed), 2 * 4096);
	file->in_memory = false;
	dirty(6, 7);
	cr_expect_eq(dxs_sync_range(file, 5 * 4096 + 100, 8 * 4096), -EIO);
	cr_expect_eq(bytes_flushed(), 4 * 4096);
	cr_expect(has(DXS_DIRTY, 5));
	cr_expect(is_clean(6, 7), "no error of theirs");
}

Test(sync, without_a_name_the_size_is_what_hooks_have_seen)
{
	file->path[0] = 0;
	bad_block(5);
	cr_expect_eq(dxs_sync_range(file, WHOLE), -EIO);
	atomic_store(&file->size, 5 * 4096);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect(is_clean(0, PAGES - 1));
}

Test(sync, in_memory_a_page_that_cannot_be_had_is_a_hole)
{
	file->in_memory = true;
	bad_block(5);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
}

Test(sync, a_device_has_no_end_but_bad_blocks)
{
	file->is_device = true;
	bad_block(5);
	cr_expect_eq(dxs_sync_range(file, WHOLE), -EIO);
	cr_expect(has(DXS_DIRTY, 5));
}

Test(sync, a_page_in_no_readable_mapping_is_left_to_the_kernel)
{
	dirty(3, 3);
	map[0].prot = map[1].prot = PROT_NONE;
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect(has(DXS_DIRTY, 3));
	cr_expect_not(has(DXS_FLUSHING, 3));
	cr_expect(dxs_file_kernel_sync_pending(file));
}

Test(sync, a_device_has_no_kernel_to_leave_a_page_to)
{
	file->is_device = true;
	dirty(3, 3);
	map[0].prot = map[1].prot = PROT_NONE;
	cr_expect_eq(dxs_sync_range(file, WHOLE), -EIO);
	cr_expect(has(DXS_DIRTY, 3));
	map[0].prot = map[1].prot = PROT_READ;
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(bytes_flushed(), 4096);
}

Test(sync, a_fault_for_lack_of_permission_is_left_to_the_kernel)
{
	dirty(3, 3);
	dirty(5, 5);
	// Behind the library's back: it still takes the mapping for readable.
	cr_assert_eq(mprotect((char *)map[0].addr + 3 * 4096, 4096, PROT_NONE), 0);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect(has(DXS_DIRTY, 3));
	cr_expect_not(has(DXS_DIRTY, 5));
	cr_expect_eq(bytes_flushed(), 4096);
	cr_expect(dxs_file_kernel_sync_pending(file));
}

static int discover_marks(struct dxs_map *at)
{
	if (at == &map[1])
		dirty(7, 7);
	return 0;
}

Test(sync, what_discovery_marks_is_flushed_by_the_same_sync)
{
	on_discover = discover_marks;
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(bytes_flushed(), 4096);
	cr_expect(is_clean(0, PAGES - 1));
	cr_expect_not(dxs_file_kernel_sync_pending(file));
}

Test(sync, while_a_mapping_is_not_known_all_of_them_are_looked_at)
{
	atomic_store(&file->engine, &fake);
	atomic_store(&file->nr_unscanned, 1);
	on_discover = discover_marks;
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(nr_asked, 2);
	cr_expect_eq(bytes_flushed(), 4096);
	atomic_store(&file->nr_unscanned, 0);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(nr_asked, 3, "one speaks for all");
}

static int discover_fails(struct dxs_map *at)
{
	(void)at;
	return -EFAULT;
}

Test(sync, a_discovery_that_fails_makes_the_kernel_follow)
{
	on_discover = discover_fails;
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(dxs_file_mode(file), DXS_MODE_KERNEL);
	cr_expect(dxs_file_kernel_sync_pending(file));
}

Test(sync, an_engine_that_lost_its_hold_makes_the_kernel_follow)
{
	alive = false;
	dirty(3, 3);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(dxs_file_mode(file), DXS_MODE_KERNEL);
	cr_expect_eq(bytes_flushed(), 4096, "what is marked is flushed all the same");
}

Test(sync, where_all_is_marked_the_engine_need_not_be_alive)
{
	dirty(3, 5);
	dirty(64, 64);
	cr_expect_eq(dxs_sync_range(file, 3 * 4096, 6 * 4096), 0);
	cr_expect_eq(nr_asked, 0);
	cr_expect_eq(bytes_flushed(), 3 * 4096);
	cr_expect_eq(dxs_sync_range(file, 3 * 4096, 6 * 4096), 0);
	cr_expect_eq(nr_asked, 2, "now they are clean, on its word, in both mappings");
	dirty(4, 5);
	cr_expect_eq(dxs_sync_range(file, 3 * 4096, 6 * 4096), 0);
	cr_expect_eq(nr_asked, 4, "page 3 is");
	dirty(63, 63);
	cr_expect_eq(dxs_sync_range(file, 63 * 4096, 65 * 4096), 0);
	cr_expect_eq(nr_asked, 6, "two leaves are not looked at");
}

// Two syncs at once. `first_sync` runs in a thread of its own, started from within the other one.
static pthread_t thread;
static atomic_bool taken; // the first sync has taken up its pages
static uint64_t sync_off;
static int sync_err;

static void *sync_body(void *arg)
{
	sync_err = dxs_sync_range(file, sync_off, (uint64_t)(uintptr_t)arg);
	return NULL;
}

static void sync_start(uint64_t off, uint64_t end)
{
	sync_off = off;
	cr_assert_eq(pthread_create(&thread, NULL, sync_body, (void *)(uintptr_t)end), 0);
}

// Returns when a thread sleeps on the leaf; one that never does is ended by the time-out.
static bool is_waited_for(struct dxs_leaf *leaf)
{
	while (!atomic_load(&leaf->waiters))
		usleep(1000);
	return true;
}

static void *release_body(void *arg)
{
	struct dxs_leaf *leaf = arg;

	taken = is_waited_for(leaf);
	usleep(10000);
	dxs_tree_unmark(&file->tree, leaf, DXS_FLUSHING, bit_of(3));
	dxs_leaf_wake(leaf);
	return NULL;
}

Test(sync, a_page_that_another_sync_has_flushing_is_waited_for)
{
	dxs_tree_mark(&file->tree, leaf_of(3), DXS_FLUSHING, bit_of(3));
	cr_assert_eq(pthread_create(&thread, NULL, release_body, leaf_of(3)), 0);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_not(has(DXS_FLUSHING, 3), "returned before it was released");
	cr_expect(taken);
	pthread_join(thread, NULL);
	cr_expect_eq(bytes_flushed(), 0, "it was the other's to flush");
}

static void *release_if_nothing_is_kept(void *arg)
{
	taken = is_waited_for(arg);
	cr_expect_not(has(DXS_FLUSHING, 3), "S.2: the sync waits and has a page FLUSHING that others wait for");
	cr_expect_eq(dxs_counter_get(DXS_fences), 1);
	dxs_tree_unmark(&file->tree, arg, DXS_FLUSHING, bit_of(64));
	dxs_leaf_wake(arg);
	return NULL;
}

Test(sync, who_waits_has_let_go_of_its_own_pages)
{
	dirty(3, 3);
	dxs_tree_mark(&file->tree, leaf_of(64), DXS_FLUSHING, bit_of(64));
	cr_assert_eq(pthread_create(&thread, NULL, release_if_nothing_is_kept, leaf_of(64)), 0);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	pthread_join(thread, NULL);
	cr_expect(taken);
	cr_expect_eq(bytes_flushed(), 4096);
}

// The linker lets sync.c call this in the place of dxs_tree_unmark().
void __real_dxs_tree_unmark(struct dxs_tree *tree, struct dxs_leaf *leaf, enum dxs_mark mark, uint64_t mask);
void __wrap_dxs_tree_unmark(struct dxs_tree *tree, struct dxs_leaf *leaf, enum dxs_mark mark, uint64_t mask);

static unsigned nr_unmarked;

void __wrap_dxs_tree_unmark(struct dxs_tree *tree, struct dxs_leaf *leaf, enum dxs_mark mark, uint64_t mask)
{
	if (mark == DXS_DIRTY) {
		struct dxs_leaf *found = dxs_tree_next(tree, leaf->first, PAGES - 1, 1U << DXS_FLUSHING);

		nr_unmarked++;
		cr_expect_eq(mask & ~dxs_leaf_get(leaf, DXS_FLUSHING), 0, "M4: neither DIRTY nor FLUSHING");
		cr_expect_eq(found, leaf, "M4: no walk finds it");
	}
	__real_dxs_tree_unmark(tree, leaf, mark, mask);
}

// M4: another sync that looks in between would pass the page over.
Test(sync, a_walk_finds_a_page_flushing_before_its_mark_goes)
{
	dirty(3, 5);
	dirty(100, 100);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(nr_unmarked, 2);
	cr_expect(is_clean(0, PAGES - 1));
	cr_expect_null(dxs_tree_next(&file->tree, 0, PAGES - 1, 1U << DXS_FLUSHING));
}

static unsigned nr_found_flushing;

static void find_flushing(void)
{
	nr_found_flushing += has(DXS_FLUSHING, 3) && has(DXS_DIRTY, 3);
}

// M4 holds for it as well. The lock is held by somebody who never lets go.
Test(sync, a_page_that_stays_open_is_flushing_and_needs_no_lock)
{
	dxs_config.policy = DXS_POLICY_NEVER_CLOSE;
	dirty(3, 3);
	atomic_fetch_or(&leaf_of(3)->locks, bit_of(3));
	on_flush = find_flushing;
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	on_flush = NULL;
	cr_expect_eq(nr_found_flushing, 1);
	cr_expect_not(has(DXS_FLUSHING, 3));
	cr_expect_eq(bytes_flushed(), 4096);
}

// The linker lets sync.c call this in the place of dxs_leaf_claim().
bool __real_dxs_leaf_claim(struct dxs_leaf *leaf, uint64_t mask);
bool __wrap_dxs_leaf_claim(struct dxs_leaf *leaf, uint64_t mask);

static uint64_t closed_by_another;
static bool others_are_quicker; // unless they are kept out

static bool is_exclusive(void)
{
	return atomic_load(&file->sync_lock.word) & DXS_EXCLUSIVE;
}

bool __wrap_dxs_leaf_claim(struct dxs_leaf *leaf, uint64_t mask)
{
	if (others_are_quicker && !is_exclusive())
		return false;
	if (closed_by_another)
		__real_dxs_tree_unmark(&file->tree, leaf, DXS_DIRTY, closed_by_another);
	return __real_dxs_leaf_claim(leaf, mask);
}

Test(sync, a_page_that_another_sync_closes_between_the_look_and_the_claim_is_let_go)
{
	dirty(3, 4);
	closed_by_another = bit_of(3);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	closed_by_another = 0;
	cr_expect_eq(bytes_flushed(), 4096);
	cr_expect_not(has(DXS_FLUSHING, 3));
	cr_expect(is_clean(0, PAGES - 1));
}

// Syncs of others in a loop: whenever this one looks, one of them has the page, or claims it before this one does.
static void *flush_again_and_again(void *arg)
{
	while (!is_exclusive())
		dxs_leaf_wake(arg);
	dxs_tree_unmark(&file->tree, arg, DXS_FLUSHING, bit_of(3));
	dxs_leaf_wake(arg);
	return NULL;
}

Test(sync, who_waits_in_vain_again_and_again_runs_exclusively)
{
	dirty(3, 3);
	dxs_tree_mark(&file->tree, leaf_of(3), DXS_FLUSHING, bit_of(3));
	cr_assert_eq(pthread_create(&thread, NULL, flush_again_and_again, leaf_of(3)), 0);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	pthread_join(thread, NULL);
	cr_expect_eq(bytes_flushed(), 4096);
	cr_expect(is_clean(0, PAGES - 1));
}

Test(sync, who_is_too_late_again_and_again_runs_exclusively)
{
	dirty(3, 3);
	others_are_quicker = true;
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(bytes_flushed(), 4096);
	cr_expect(is_clean(0, PAGES - 1));
}

static struct dxs_due *begin_without_memory(struct dxs_file *of, const struct dxs_stretch *stretch, unsigned nr)
{
	(void)of;
	(void)stretch;
	(void)nr;
	return NULL;
}

// The mapping may be taken away next, and with it what only its open pages know.
Test(sync, a_sync_that_cannot_be_observed_fails_and_leaves_the_file_to_the_kernel)
{
	static const struct dxs_observer deaf = {.sync_begin = begin_without_memory};

	dxs_observer = &deaf;
	file->observed = file;
	dirty(3, 3);
	cr_expect_eq(dxs_sync_range(file, WHOLE), -ENOMEM);
	cr_expect(has(DXS_DIRTY, 3));
	cr_expect_eq(dxs_file_mode(file), DXS_MODE_KERNEL);
	file->observed = NULL;
	dxs_observer = NULL;
}

static uint64_t bytes_flushed_when_seen;

static struct dxs_due *nothing_due(struct dxs_file *of, const struct dxs_stretch *stretch, unsigned nr)
{
	(void)of;
	(void)stretch;
	(void)nr;
	return (struct dxs_due *)&nr_asked; // not NULL
}

static void not_checked(struct dxs_file *of, struct dxs_due *due, const struct dxs_stretch *stretch, unsigned nr,
			bool complete)
{
	(void)of;
	(void)due;
	(void)stretch;
	(void)nr;
	(void)complete;
}

static void not_taken(struct dxs_file *of, struct dxs_due *due, struct dxs_leaf *leaf, uint64_t pages)
{
	(void)of;
	(void)due;
	(void)leaf;
	(void)pages;
}

static void no_event(const struct dxs_file *of, enum dxs_event event, uint64_t first, uint64_t mask)
{
	(void)of;
	(void)event;
	(void)first;
	(void)mask;
}

static void see(struct dxs_file *of, uintptr_t addr, uint64_t off, size_t len)
{
	(void)of;
	cr_expect_eq(addr, map[0].addr + off);
	cr_expect_eq(len, 2 * 4096);
	bytes_flushed_when_seen = bytes_flushed();
}

static void no_fence(void)
{
}

// Or the observer would take for durable what was stored between the flush and its look.
Test(sync, what_the_observer_has_seen_is_flushed_after_that)
{
	static const struct dxs_observer seer = {
		.sync_begin = nothing_due,
		.sync_end = not_checked,
		.flushed = see,
		.taken = not_taken,
		.event = no_event,
		.fenced = no_fence,
	};

	dxs_observer = &seer;
	file->observed = file;
	atomic_store(&file->mode, DXS_MODE_DIRECT);
	dirty(3, 4);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	cr_expect_eq(bytes_flushed_when_seen, 2 * 4096);
	cr_expect_eq(bytes_flushed(), 4 * 4096);
	cr_expect_eq(dxs_counter_get(DXS_bytes_flushed), 2 * 4096, "as without it");
	file->observed = NULL;
	dxs_observer = NULL;
}

// The scene of the next tests: pages 0, 64 and 65 are DIRTY. Sync B is closing page 0, in the leaf before, when
// sync A starts, takes up 64 and 65, and stays in its close until B waits for them.
static void (*when_both)(void);

static void meet(uint64_t first)
{
	if (first == 0) { // B
		sync_start(sync_off, 66 * 4096);
		while (!taken)
			usleep(100);
	} else if (!taken) { // A
		taken = true;
		cr_expect(is_waited_for(leaf_of(64)));
		if (when_both)
			when_both();
	}
}

// A covers page 64 in part, and flushes that. If B, who has waited, took this for the whole page, the first half of it would
// be flushed by nobody. What would be lost is a store that happened long before B was called.
Test(sync, who_waits_for_a_partial_sync_flushes_the_whole_page)
{
	on_close = meet;
	sync_off = 64 * 4096 + 2048;
	dirty(0, 0);
	dirty(64, 65);
	cr_expect_eq(dxs_sync_range(file, WHOLE), 0);
	pthread_join(thread, NULL);
	cr_expect_eq(sync_err, 0);
	// A: half of 64, and 65. B: 0, and 64, which is still open.
	cr_expect_geq(bytes_flushed(), 2048 + 4096 + 4096 + 4096);
	cr_expect_not(has(DXS_DIRTY, 64), "B covers all of page 64");
}

static void break_flush(void)
{
	fault("flush-error");
}

// A fails to flush and puts the marks back. B has waited for A's pages, and A's error is about stores that happened before B
// was called too.
Test(sync, who_waits_for_a_sync_that_fails_does_not_succeed_by_it)
{
	on_close = meet;
	when_both = break_flush;
	sync_off = 64 * 4096;
	dirty(0, 0);
	dirty(64, 65);
	cr_expect(dxs_sync_range(file, WHOLE) != 0 || is_clean(64, 65), "B says durable, and it is not");
	pthread_join(thread, NULL);
	cr_expect_eq(sync_err, -EIO);
}
