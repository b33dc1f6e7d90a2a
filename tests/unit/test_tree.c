// SPDX-License-Identifier: BSD-3-Clause
// test_tree.c: the dirty tree: marks, summaries, memory, page locks.
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "random.h"
#include "tree/tree.h"

#define NR(array) (sizeof(array) / sizeof((array)[0]))
#define LAST (DXS_TREE_PAGES - 1)
#define ANY ((1U << DXS_NR_MARKS) - 1)
#define DIRTY (1U << DXS_DIRTY)

// The first and the last entry of nodes of every size, and their neighbours.
static const uint64_t edges[] = {
	0,
	1,
	63,
	64,
	4095,
	4096,
	(1ULL << 18) - 1,
	1ULL << 18,
	(1ULL << 24) - 1,
	1ULL << 24,
	(1ULL << 30) - 1,
	1ULL << 30,
	(1ULL << 35) + 12345,
	(1ULL << 36) - 65,
	(1ULL << 36) - 1,
};

static struct dxs_tree tree;

static void setup(void)
{
	dxs_tree_init(&tree);
}

static void teardown(void)
{
	dxs_tree_destroy(&tree);
}

TestSuite(tree, .init = setup, .fini = teardown);

static uint64_t bit_of(uint64_t pgoff)
{
	return 1ULL << (pgoff % DXS_LEAF_PAGES);
}

// The leaf of an entry, reserved and made.
static struct dxs_leaf *leaf_at(uint64_t pgoff)
{
	struct dxs_leaf *leaf;

	cr_assert_eq(dxs_tree_reserve(&tree, pgoff, pgoff), 0);
	leaf = dxs_tree_leaf(&tree, pgoff, true);
	cr_assert_not_null(leaf, "entry %llu", (unsigned long long)pgoff);
	return leaf;
}

static struct dxs_leaf *mark_at(uint64_t pgoff, enum dxs_mark mark)
{
	struct dxs_leaf *leaf = leaf_at(pgoff);

	dxs_tree_mark(&tree, leaf, mark, bit_of(pgoff));
	return leaf;
}

// The summaries of the topmost node: its first words, two for each kind of mark (tree.c, STRUCTURE). While all are
// zero a walk ends there, having visited nothing below.
static bool root_is_clear(void)
{
	static const uint64_t none[2 * DXS_NR_MARKS];
	const void *root = atomic_load(&tree.root);

	return !root || !memcmp(root, none, sizeof(none));
}

Test(tree, an_empty_tree_has_nothing_and_costs_nothing)
{
	cr_expect_null(dxs_tree_next(&tree, 0, LAST, ANY));
	cr_expect_null(dxs_tree_leaf(&tree, 0, false));
	cr_expect_eq(dxs_tree_bytes(&tree), 0);
}

Test(tree, every_edge_has_its_own_leaf_that_stays)
{
	for (size_t i = 0; i < NR(edges); i++) {
		if (!i || edges[i] / 64 != edges[i - 1] / 64)
			cr_expect_null(dxs_tree_leaf(&tree, edges[i], false));
		cr_expect_eq(leaf_at(edges[i])->first, edges[i] & ~63ULL);
	}
	for (size_t i = 0; i < NR(edges); i++) {
		struct dxs_leaf *leaf = dxs_tree_leaf(&tree, edges[i], false);

		cr_assert_not_null(leaf);
		cr_expect_eq(leaf->first, edges[i] & ~63ULL);
		cr_expect_eq(leaf, dxs_tree_leaf(&tree, edges[i], true), "made twice");
	}
}

Test(tree, every_edge_is_found_alone_and_only_there)
{
	for (size_t i = 0; i < NR(edges); i++) {
		uint64_t at = edges[i];
		struct dxs_leaf *leaf = mark_at(at, DXS_DIRTY);

		cr_expect_eq(dxs_tree_next(&tree, at, at, DIRTY), leaf);
		cr_expect_eq(dxs_tree_next(&tree, 0, LAST, DIRTY), leaf);
		cr_expect_eq(dxs_tree_next(&tree, 0, UINT64_MAX, DIRTY), leaf);
		cr_expect_eq(dxs_tree_next(&tree, 0, at, DIRTY), leaf);
		cr_expect_eq(dxs_tree_next(&tree, at, LAST, DIRTY), leaf);
		cr_expect_null(dxs_tree_next(&tree, at, at, ANY & ~DIRTY));
		cr_expect_null(dxs_tree_next(&tree, at + 1, LAST, DIRTY));
		if (at)
			cr_expect_null(dxs_tree_next(&tree, 0, at - 1, DIRTY));
		dxs_tree_unmark(&tree, leaf, DXS_DIRTY, bit_of(at));
		cr_expect_null(dxs_tree_next(&tree, 0, LAST, ANY));
	}
}

Test(tree, a_walk_meets_all_edges_in_ascending_order)
{
	uint64_t at = 0;
	size_t i = 0;
	struct dxs_leaf *leaf;

	for (size_t k = 0; k < NR(edges); k++)
		mark_at(edges[k], DXS_FLUSHING);
	while ((leaf = dxs_tree_next(&tree, at, LAST, 1U << DXS_FLUSHING))) {
		cr_assert_lt(i, NR(edges));
		cr_expect_eq(leaf->first, edges[i] & ~63ULL);
		while (i < NR(edges) && edges[i] / 64 == leaf->first / 64)
			i++;
		at = leaf->first + DXS_LEAF_PAGES;
	}
	cr_expect_eq(i, NR(edges));
}

Test(tree, entries_beyond_the_largest_index_are_refused)
{
	cr_expect_eq(dxs_tree_reserve(&tree, DXS_TREE_PAGES, DXS_TREE_PAGES), -EFBIG);
	cr_expect_eq(dxs_tree_reserve(&tree, 0, DXS_TREE_PAGES), -EFBIG);
	cr_expect_eq(dxs_tree_reserve(&tree, 0, UINT64_MAX), -EFBIG);
	cr_expect_eq(tree.promised, 0);
	mark_at(LAST, DXS_DIRTY);
	cr_expect_null(dxs_tree_leaf(&tree, DXS_TREE_PAGES, true));
	cr_expect_null(dxs_tree_leaf(&tree, UINT64_MAX, true));
	cr_expect_null(dxs_tree_next(&tree, DXS_TREE_PAGES, UINT64_MAX, ANY));
	cr_expect_null(dxs_tree_next(&tree, 5, 4, ANY));
}

Test(tree, an_unreserved_range_gives_no_leaf)
{
	cr_expect_null(dxs_tree_leaf(&tree, 0, true));
	cr_expect_null(dxs_tree_leaf(&tree, LAST, true));
	cr_expect_null(dxs_tree_next(&tree, 0, LAST, ANY));
	cr_expect_eq(dxs_tree_bytes(&tree), 0);
}

Test(tree, memory_that_runs_out_gives_no_leaf_and_harms_no_other)
{
	uint64_t i, made = 0;

	mark_at(0, DXS_DIRTY);
	// Nothing of this was reserved: sooner or later there is no leaf, and then there is none for ever.
	for (i = 1; i < 4096; i++)
		made += dxs_tree_leaf(&tree, i << 18, true) != NULL;
	cr_expect_lt(made, 4095);
	cr_expect_null(dxs_tree_leaf(&tree, 4095ULL << 18, true));
	cr_expect_eq(dxs_tree_next(&tree, 0, LAST, DIRTY), dxs_tree_leaf(&tree, 0, false));
	// A reservation helps at once.
	mark_at(4095ULL << 18, DXS_DIRTY);
	cr_expect_eq(dxs_tree_next(&tree, 64, LAST, DIRTY)->first, 4095ULL << 18);
}

Test(tree, kinds_of_marks_are_independent)
{
	struct dxs_leaf *leaf = leaf_at(100);

	for (int mark = 0; mark < DXS_NR_MARKS; mark++) {
		dxs_tree_mark(&tree, leaf, (enum dxs_mark)mark, bit_of(100));
		for (int other = 0; other < DXS_NR_MARKS; other++)
			cr_expect_eq(dxs_leaf_get(leaf, (enum dxs_mark)other), other == mark ? bit_of(100) : 0);
		cr_expect_eq(dxs_tree_next(&tree, 0, LAST, 1U << mark), leaf);
		cr_expect_null(dxs_tree_next(&tree, 0, LAST, ANY & ~(1U << mark)));
		dxs_tree_unmark(&tree, leaf, (enum dxs_mark)mark, bit_of(100));
	}
	cr_expect(root_is_clear());
}

Test(tree, unmark_takes_only_the_entries_of_its_mask)
{
	struct dxs_leaf *leaf = leaf_at(64);

	dxs_tree_mark(&tree, leaf, DXS_DIRTY, ~0ULL);
	dxs_tree_mark(&tree, leaf, DXS_DIRTY, 0xff); // again: no difference
	dxs_tree_unmark(&tree, leaf, DXS_DIRTY, ~(1ULL << 63));
	cr_expect_eq(dxs_leaf_get(leaf, DXS_DIRTY), 1ULL << 63);
	cr_expect_eq(dxs_tree_next(&tree, 127, 127, DIRTY), leaf);
	cr_expect_null(dxs_tree_next(&tree, 64, 126, DIRTY));
	dxs_tree_unmark(&tree, leaf, DXS_DIRTY, 1ULL << 63);
	dxs_tree_unmark(&tree, leaf, DXS_DIRTY, 1ULL << 63);
	cr_expect(root_is_clear());
}

Test(tree, a_walk_visits_nothing_once_all_is_unmarked)
{
	for (int mark = 0; mark < DXS_NR_MARKS; mark++)
		for (size_t i = 0; i < NR(edges); i++)
			mark_at(edges[i], (enum dxs_mark)mark);
	cr_expect_not(root_is_clear());
	for (int mark = 0; mark < DXS_NR_MARKS; mark++)
		for (size_t i = 0; i < NR(edges); i++)
			dxs_tree_unmark(&tree, dxs_tree_leaf(&tree, edges[i], false), (enum dxs_mark)mark,
					bit_of(edges[i]));
	cr_expect_null(dxs_tree_next(&tree, 0, LAST, ANY));
	cr_expect(root_is_clear());
}

Test(tree, unmarking_one_of_two_neighbours_keeps_the_way_to_the_other)
{
	// Neighbours that share nodes up to a different height each.
	for (size_t i = 0; i + 1 < NR(edges); i++) {
		struct dxs_leaf *low = mark_at(edges[i], DXS_DIRTY);
		struct dxs_leaf *high = mark_at(edges[i + 1], DXS_DIRTY);

		dxs_tree_unmark(&tree, low, DXS_DIRTY, bit_of(edges[i]));
		cr_expect_eq(dxs_tree_next(&tree, 0, LAST, DIRTY), high);
		dxs_tree_mark(&tree, low, DXS_DIRTY, bit_of(edges[i]));
		dxs_tree_unmark(&tree, high, DXS_DIRTY, bit_of(edges[i + 1]));
		cr_expect_eq(dxs_tree_next(&tree, 0, LAST, DIRTY), low);
		dxs_tree_unmark(&tree, low, DXS_DIRTY, bit_of(edges[i]));
		cr_expect(root_is_clear());
	}
}

Test(tree, a_mask_is_the_part_of_the_range_in_the_leaf)
{
	struct dxs_leaf leaf = {.first = 128};

	cr_expect_eq(dxs_leaf_mask(&leaf, 0, LAST), ~0ULL);
	cr_expect_eq(dxs_leaf_mask(&leaf, 128, 191), ~0ULL);
	cr_expect_eq(dxs_leaf_mask(&leaf, 128, 128), 1);
	cr_expect_eq(dxs_leaf_mask(&leaf, 191, 191), 1ULL << 63);
	cr_expect_eq(dxs_leaf_mask(&leaf, 0, 129), 3);
	cr_expect_eq(dxs_leaf_mask(&leaf, 190, 1000), 3ULL << 62);
}

Test(tree, all_of_a_gibibyte_dirty_costs_a_thousandth)
{
	uint64_t pages = 1ULL << (30 - 12);
	uint64_t before = 0;

	cr_assert_eq(dxs_tree_reserve(&tree, 7, 7 + pages - 1), 0);
	before = dxs_tree_bytes(&tree);
	cr_expect_eq(before, 0, "a reservation is address space");
	for (uint64_t i = 7; i < 7 + pages; i++)
		dxs_tree_mark(&tree, dxs_tree_leaf(&tree, i, true), DXS_DIRTY, bit_of(i));
	cr_expect_leq(dxs_tree_bytes(&tree), (1ULL << 30) / 1000);
	cr_expect_leq(dxs_tree_bytes(&tree), tree.promised, "more was needed than reserved");
}

Test(tree, one_dirty_page_in_a_huge_reservation_costs_one_path)
{
	cr_assert_eq(dxs_tree_reserve(&tree, 0, (1ULL << 30) - 1), 0);
	dxs_tree_mark(&tree, dxs_tree_leaf(&tree, 1 << 20, true), DXS_DIRTY, 1);
	cr_expect_leq(dxs_tree_bytes(&tree), 4096);
}

// The bound for memory: what is used, what may still be promised, and one chunk's rounding: a quarter of all there is.
#define ROOM(tree) (((uint64_t)128 << 10) + (tree)->capacity / 4)

Test(tree, reserving_the_same_windows_again_and_again_does_not_grow)
{
	uint64_t state = random_seed("windows"), most = 0;

	for (int i = 0; i < 50000; i++) {
		uint64_t first = random_below(&state, 1 << 16), last = first + random_below(&state, 1 << 10);
		uint64_t at = first + random_below(&state, last - first + 1);

		cr_assert_eq(dxs_tree_reserve(&tree, first, last), 0);
		most = tree.promised > most ? tree.promised : most;
		cr_assert_not_null(dxs_tree_leaf(&tree, at, true));
		dxs_tree_unreserve(&tree, first, last);
	}
	cr_expect_eq(tree.promised, 0);
	cr_expect_leq(tree.capacity, dxs_tree_bytes(&tree) + most + ROOM(&tree));
}

Test(tree, overlapping_windows_that_live_together_are_accounted_each)
{
	enum { WINDOWS = 64, ROUNDS = 20000 };
	uint64_t window[WINDOWS][2] = {{0}};
	uint64_t state = random_seed("overlaps"), most = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t *w = window[random_below(&state, WINDOWS)];

		if (w[1]) {
			dxs_tree_unreserve(&tree, w[0], w[1]);
			w[1] = 0;
			continue;
		}
		w[0] = random_below(&state, 1 << 18);
		w[1] = w[0] + 1 + random_below(&state, 1 << 12);
		cr_assert_eq(dxs_tree_reserve(&tree, w[0], w[1]), 0);
		most = tree.promised > most ? tree.promised : most;
		for (uint64_t at = w[0]; at <= w[1]; at += DXS_LEAF_PAGES)
			cr_assert_not_null(dxs_tree_leaf(&tree, at, true));
	}
	for (int i = 0; i < WINDOWS; i++)
		if (window[i][1])
			dxs_tree_unreserve(&tree, window[i][0], window[i][1]);
	cr_expect_eq(tree.promised, 0);
	cr_expect_leq(tree.capacity, dxs_tree_bytes(&tree) + most + ROOM(&tree));
}

// The end of each chunk of memory, smaller than a node, was counted as free though no node fits there. After some
// 1500 windows that came and went far from each other the ends added up to more than a reservation asks for: reserve
// returned 0 without adding memory, and the next mark found none (here: leaf of window 1485 is NULL).
Test(tree, reserved_memory_is_there_after_many_far_windows)
{
	for (uint64_t i = 0; i < 20000; i++) {
		uint64_t at = i << 18;

		cr_assert_eq(dxs_tree_reserve(&tree, at, at), 0);
		cr_assert_not_null(dxs_tree_leaf(&tree, at, true), "window %llu", (unsigned long long)i);
		dxs_tree_unreserve(&tree, at, at);
	}
}

// A plain model of some ranges of the tree.
enum { RANGES = 5, ENTRIES = 384 };
static const uint64_t range_first[RANGES] = {0, 4096 - 192, (1ULL << 24) - 192, (1ULL << 30) - 192, LAST + 1 - ENTRIES};
static bool model[RANGES][ENTRIES][DXS_NR_MARKS];

static bool model_has(int range, int entry, unsigned kinds)
{
	for (int mark = 0; mark < DXS_NR_MARKS; mark++)
		if (kinds & 1U << mark && model[range][entry][mark])
			return true;
	return false;
}

// The leaf that next should find, as its first entry; UINT64_MAX: none.
static uint64_t model_next(uint64_t first, uint64_t last, unsigned kinds)
{
	for (int r = 0; r < RANGES; r++)
		for (int e = 0; e < ENTRIES; e++) {
			uint64_t at = range_first[r] + (uint64_t)e;

			if (at >= first && at <= last && model_has(r, e, kinds))
				return at & ~63ULL;
		}
	return UINT64_MAX;
}

static void model_set(int range, uint64_t leaf_first, uint64_t mask, int mark, bool value)
{
	for (uint64_t i = 0; i < DXS_LEAF_PAGES; i++)
		if (mask & 1ULL << i)
			model[range][leaf_first + i - range_first[range]][mark] = value;
}

static void compare_next(uint64_t *state)
{
	uint64_t first = range_first[random_below(state, RANGES)] + random_below(state, ENTRIES);
	uint64_t last = range_first[random_below(state, RANGES)] + random_below(state, ENTRIES);
	unsigned kinds = 1 + (unsigned)random_below(state, ANY);
	struct dxs_leaf *leaf = dxs_tree_next(&tree, first, last, kinds);

	cr_assert_eq(leaf ? leaf->first : UINT64_MAX, first > last ? UINT64_MAX : model_next(first, last, kinds));
}

static void compare_walk(uint64_t *state)
{
	uint64_t first = range_first[random_below(state, RANGES)] + random_below(state, ENTRIES), at = first;
	uint64_t last = range_first[random_below(state, RANGES)] + random_below(state, ENTRIES);
	unsigned kinds = 1 + (unsigned)random_below(state, ANY);
	struct dxs_cursor cursor = {0};
	struct dxs_leaf *leaf;

	while (first <= last && (leaf = dxs_tree_walk(&tree, &cursor, first, last, kinds))) {
		cr_assert_eq(leaf->first, model_next(at, last, kinds));
		at = leaf->first + DXS_LEAF_PAGES;
	}
	cr_assert(at > last || model_next(at, last, kinds) == UINT64_MAX);
}

static void compare_leaves(void)
{
	for (int r = 0; r < RANGES; r++)
		for (int e = 0; e < ENTRIES; e++) {
			uint64_t at = range_first[r] + (uint64_t)e;
			struct dxs_leaf *leaf = dxs_tree_leaf(&tree, at, false);

			for (int mark = 0; mark < DXS_NR_MARKS; mark++)
				cr_assert_eq(leaf && dxs_leaf_get(leaf, (enum dxs_mark)mark) & bit_of(at),
					     model[r][e][mark]);
		}
}

static void random_step(uint64_t *state)
{
	int range = (int)random_below(state, RANGES), mark = (int)random_below(state, DXS_NR_MARKS);
	struct dxs_leaf *leaf = dxs_tree_leaf(&tree, range_first[range] + random_below(state, ENTRIES), true);
	uint64_t mask = random_next(state);

	// Few bits or many, so that leaves become empty and full.
	mask &= random_below(state, 2) ? random_next(state) & random_next(state) & random_next(state) : ~0ULL;
	switch (random_below(state, 16)) {
	case 0 ... 5:
		dxs_tree_mark(&tree, leaf, (enum dxs_mark)mark, mask);
		model_set(range, leaf->first, mask, mark, true);
		break;
	case 6 ... 12:
		mask = random_below(state, 2) ? ~0ULL : mask;
		dxs_tree_unmark(&tree, leaf, (enum dxs_mark)mark, mask);
		model_set(range, leaf->first, mask, mark, false);
		break;
	case 13:
		compare_walk(state);
		break;
	default:
		compare_next(state);
	}
}

Test(tree, random_operations_agree_with_a_plain_array)
{
	uint64_t state = random_seed("operations");

	for (int r = 0; r < RANGES; r++)
		cr_assert_eq(dxs_tree_reserve(&tree, range_first[r], range_first[r] + ENTRIES - 1), 0);
	for (int i = 0; i < 40000; i++) {
		random_step(&state);
		if (i % 1000 == 0)
			compare_leaves();
	}
	for (int r = 0; r < RANGES; r++)
		for (uint64_t at = range_first[r]; at < range_first[r] + ENTRIES; at += DXS_LEAF_PAGES)
			for (int mark = 0; mark < DXS_NR_MARKS; mark++)
				dxs_tree_unmark(&tree, dxs_tree_leaf(&tree, at, true), (enum dxs_mark)mark, ~0ULL);
	cr_expect(root_is_clear());
}

// A thread that waits for something of a leaf.
struct waiter {
	pthread_t thread;
	struct dxs_leaf *leaf;
	uint64_t mask;
	atomic_bool over;
};

static void *lock_body(void *arg)
{
	struct waiter *waiter = arg;

	dxs_leaf_lock(waiter->leaf, waiter->mask);
	atomic_store(&waiter->over, true);
	dxs_leaf_unlock(waiter->leaf, waiter->mask);
	return NULL;
}

static void *flushed_body(void *arg)
{
	struct waiter *waiter = arg;

	dxs_leaf_wait_flushed(waiter->leaf, waiter->mask);
	atomic_store(&waiter->over, true);
	return NULL;
}

// Starts a waiter and gives it time to sleep.
static void waiter_start(struct waiter *waiter, void *(*body)(void *), struct dxs_leaf *leaf, uint64_t mask)
{
	*waiter = (struct waiter){.leaf = leaf, .mask = mask};
	cr_assert_eq(pthread_create(&waiter->thread, NULL, body, waiter), 0);
	while (!atomic_load(&leaf->waiters))
		usleep(1000);
	cr_expect_eq(atomic_load(&leaf->waiters), 1);
	usleep(10000);
	cr_expect_not(atomic_load(&waiter->over));
}

Test(tree, a_page_lock_waits_for_all_of_its_pages)
{
	struct dxs_leaf *leaf = leaf_at(0);
	struct waiter waiter;

	dxs_leaf_lock(leaf, 1);
	dxs_leaf_lock(leaf, 2); // pages have a lock each: this does not wait
	waiter_start(&waiter, lock_body, leaf, 7);
	dxs_leaf_unlock(leaf, 1);
	usleep(10000);
	cr_expect_not(atomic_load(&waiter.over));
	dxs_leaf_unlock(leaf, 2);
	pthread_join(waiter.thread, NULL);
	cr_expect_eq(atomic_load(&leaf->locks), 0);
	cr_expect_eq(atomic_load(&leaf->waiters), 0);
}

enum { LOCKERS = 4, LOCK_ROUNDS = 20000 };
static uint64_t guarded; // by the lock of entry 5

static void *guarded_body(void *arg)
{
	struct waiter *locker = arg;

	for (int i = 0; i < LOCK_ROUNDS; i++) {
		dxs_leaf_lock(locker->leaf, locker->mask);
		guarded++;
		dxs_leaf_unlock(locker->leaf, locker->mask);
	}
	return NULL;
}

Test(tree, page_locks_exclude)
{
	struct waiter locker[LOCKERS];

	for (int i = 0; i < LOCKERS; i++) {
		locker[i] = (struct waiter){.leaf = leaf_at(0), .mask = 1ULL << 5 | 1ULL << (5 + i)};
		cr_assert_eq(pthread_create(&locker[i].thread, NULL, guarded_body, &locker[i]), 0);
	}
	for (int i = 0; i < LOCKERS; i++)
		pthread_join(locker[i].thread, NULL);
	cr_expect_eq(guarded, LOCKERS * LOCK_ROUNDS);
}

Test(tree, a_wait_for_flushing_ends_when_the_last_page_is_released)
{
	struct dxs_leaf *leaf = leaf_at(0);
	struct waiter waiter;

	dxs_tree_mark(&tree, leaf, DXS_FLUSHING, 7);
	waiter_start(&waiter, flushed_body, leaf, 3);
	dxs_tree_unmark(&tree, leaf, DXS_FLUSHING, 1);
	dxs_leaf_wake(leaf);
	usleep(10000);
	cr_expect_not(atomic_load(&waiter.over));
	dxs_tree_unmark(&tree, leaf, DXS_FLUSHING, 2);
	dxs_leaf_wake(leaf);
	pthread_join(waiter.thread, NULL);
	cr_expect_eq(dxs_leaf_get(leaf, DXS_FLUSHING), 4, "a page that nobody waited for");
}

// Others release the page and have it again before the waiter runs. It returns, so that it can do something about it.
Test(tree, a_wait_for_what_is_flushing_whenever_it_looks_ends)
{
	struct dxs_leaf *leaf = leaf_at(0);
	struct waiter waiter;

	dxs_tree_mark(&tree, leaf, DXS_FLUSHING, 1);
	waiter_start(&waiter, flushed_body, leaf, 1);
	while (!atomic_load(&waiter.over))
		dxs_leaf_wake(leaf);
	pthread_join(waiter.thread, NULL);
	cr_expect_eq(leaf->waiters, 0);
}

Test(tree, a_wait_for_nothing_returns_at_once)
{
	struct dxs_leaf *leaf = leaf_at(0);

	dxs_tree_mark(&tree, leaf, DXS_FLUSHING, 2);
	dxs_leaf_wait_flushed(leaf, 1);
	dxs_leaf_wait_flushed(leaf, 0);
	dxs_leaf_wake(leaf); // with nobody waiting
	cr_expect_eq(atomic_load(&leaf->event), 0);
}

Test(tree, a_claim_is_of_all_or_none_and_of_one_only)
{
	struct dxs_leaf *leaf = leaf_at(0);

	cr_expect(dxs_leaf_claim(leaf, 3));
	cr_expect_not(dxs_leaf_claim(leaf, 6));
	cr_expect_eq(dxs_leaf_get(leaf, DXS_FLUSHING), 3);
	cr_expect(dxs_leaf_claim(leaf, 4));
	dxs_leaf_release(leaf, 3);
	cr_expect_eq(dxs_leaf_get(leaf, DXS_FLUSHING), 4);
	cr_expect(root_is_clear(), "in the leaf only");
}

// What is in the leaf only and what is in the summaries may be of one leaf.
Test(tree, a_claim_leaves_the_summaries_of_others)
{
	struct dxs_leaf *leaf = leaf_at(0);

	cr_expect(dxs_leaf_claim(leaf, 3));
	dxs_tree_mark(&tree, leaf, DXS_FLUSHING, 2);
	dxs_leaf_release(leaf, 1);
	cr_expect_eq(dxs_tree_next(&tree, 0, LAST, 1U << DXS_FLUSHING), leaf);
	cr_expect(dxs_leaf_claim(leaf, 1));
	dxs_tree_unmark(&tree, leaf, DXS_FLUSHING, 2);
	cr_expect_eq(dxs_leaf_get(leaf, DXS_FLUSHING), 1);
	dxs_leaf_release(leaf, 1);
	cr_expect_null(dxs_tree_next(&tree, 0, LAST, ANY));
}

Test(tree, a_release_wakes_who_waits)
{
	struct dxs_leaf *leaf = leaf_at(0);
	struct waiter waiter;

	cr_expect(dxs_leaf_claim(leaf, 1));
	waiter_start(&waiter, flushed_body, leaf, 1);
	dxs_leaf_release(leaf, 1);
	pthread_join(waiter.thread, NULL);
}
