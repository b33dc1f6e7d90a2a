// SPDX-License-Identifier: BSD-3-Clause
// test_policy.c: what the policy costs. It is asked for every store and sync of a trace, without mappings or an engine:
// a flush costs 1, the write fault and the close of a page DXS_POLICY_WORTH.
#include <criterion/criterion.h>
#include <string.h>

#include "base/config.h"
#include "core/engine.h"
#include "core/policy.h"
#include "file/file.h"
#include "random.h"
#include "report/stats.h"

#define PAGES 4096
#define T ((uint64_t)DXS_POLICY_WORTH)

static struct dxs_file *file;
static uint64_t open_pages[PAGES / DXS_LEAF_PAGES];
static uint64_t cost;
static uint64_t dice;

static void begin(int policy)
{
	dxs_config.policy = policy;
	memset(open_pages, 0, sizeof(open_pages));
	cost = 0;
	dice = 1;
	file = dxs_file_new(1, 2, 12);
	cr_assert_not_null(file);
	cr_assert_eq(dxs_tree_reserve(&file->tree, 0, PAGES - 1), 0);
	file->nr_mapped = PAGES;
}

static void end(void)
{
	dxs_file_destroy(file);
}

static struct dxs_leaf *leaf_of(uint64_t page)
{
	return dxs_tree_leaf(&file->tree, page, true);
}

static uint64_t bit_of(uint64_t page)
{
	return 1ULL << (page % DXS_LEAF_PAGES);
}

static bool is_open(uint64_t page)
{
	return open_pages[page / DXS_LEAF_PAGES] & bit_of(page);
}

static void store(uint64_t page)
{
	if (is_open(page))
		return;
	dxs_policy_opened(file, leaf_of(page), bit_of(page), bit_of(page), 1);
	open_pages[page / DXS_LEAF_PAGES] |= bit_of(page);
	cost += T;
}

static void sync_range(uint64_t first, uint64_t last)
{
	dxs_policy_sync(file, first, last);
	for (uint64_t at = first & ~(uint64_t)(DXS_LEAF_PAGES - 1); at <= last; at += DXS_LEAF_PAGES) {
		struct dxs_leaf *leaf = leaf_of(at);
		uint64_t *open = &open_pages[at / DXS_LEAF_PAGES];
		uint64_t flushed = *open & dxs_leaf_mask(leaf, first, last);
		uint64_t closing = flushed ? dxs_policy_close(file, leaf, flushed) : 0;

		cr_assert_eq(closing & ~flushed, 0);
		if (closing)
			dxs_policy_closed(file, leaf, closing);
		*open &= ~closing;
		cost += (uint64_t)__builtin_popcountll(flushed);
	}
}

static void sync_all(void)
{
	sync_range(0, PAGES - 1);
}

static void hot(unsigned nr_pages, unsigned nr_syncs)
{
	for (; nr_syncs; nr_syncs--) {
		for (uint64_t page = 0; page < nr_pages; page++)
			store(page * 7);
		sync_all();
	}
}

static void scattered(unsigned nr_pages, unsigned nr_syncs)
{
	for (; nr_syncs; nr_syncs--) {
		for (unsigned i = 0; i < nr_pages; i++)
			store(random_below(&dice, PAGES));
		sync_all();
	}
}

// The cost of a trace with each policy, [DXS_POLICY_...].
struct costs {
	double of[3];
};

static struct costs run(void (*trace)(unsigned nr_pages, unsigned nr_syncs), unsigned nr_pages, unsigned nr_syncs)
{
	struct costs costs;

	for (int policy = DXS_POLICY_ADAPTIVE; policy <= DXS_POLICY_NEVER_CLOSE; policy++) {
		begin(policy);
		trace(nr_pages, nr_syncs);
		costs.of[policy] = (double)cost;
		end();
	}
	return costs;
}

static double best(const struct costs *costs)
{
	return costs->of[DXS_POLICY_ALWAYS_CLOSE] < costs->of[DXS_POLICY_NEVER_CLOSE]
		       ? costs->of[DXS_POLICY_ALWAYS_CLOSE]
		       : costs->of[DXS_POLICY_NEVER_CLOSE];
}

Test(policy, hot_pages_stay_open)
{
	struct costs costs = run(hot, 64, 4000);

	cr_expect_lt(costs.of[DXS_POLICY_ADAPTIVE], 1.15 * best(&costs));
	cr_expect_gt(costs.of[DXS_POLICY_ALWAYS_CLOSE], 30 * best(&costs), "or it was not hard");
}

Test(policy, pages_that_hardly_come_back_are_closed_at_once)
{
	struct costs costs = run(scattered, 8, 4000);

	cr_expect_lt(costs.of[DXS_POLICY_ADAPTIVE], 1.1 * best(&costs));
	cr_expect_gt(costs.of[DXS_POLICY_NEVER_CLOSE], 4 * best(&costs), "or it was not hard");
}

Test(policy, random_pages_cost_little_more_than_with_the_better_fixed_policy)
{
	for (unsigned nr = 1; nr <= 2 * PAGES; nr *= 2) {
		struct costs costs = run(scattered, nr, nr < 64 ? 4000 : 1000);

		cr_expect_lt(costs.of[DXS_POLICY_ADAPTIVE], 1.25 * best(&costs), "%u pages: %f", nr,
			     costs.of[DXS_POLICY_ADAPTIVE] / best(&costs));
	}
}

static void phases(unsigned nr_pages, unsigned nr_syncs)
{
	for (unsigned i = 0; i < 6; i++)
		(i & 1 ? scattered : hot)(i & 1 ? 8 : nr_pages, nr_syncs);
}

// The best for each phase: never closing in the hot ones, always in the others.
Test(policy, it_changes_with_the_program_both_ways)
{
	struct costs all = run(phases, 64, 1000);
	struct costs hot_only = run(hot, 64, 1000), scattered_only = run(scattered, 8, 1000);
	double better = 3 * (best(&hot_only) + best(&scattered_only));

	cr_expect_lt(all.of[DXS_POLICY_ADAPTIVE], 1.5 * better, "%f", all.of[DXS_POLICY_ADAPTIVE] / better);
	cr_expect_gt(best(&all), 2 * better, "neither fixed policy does it");
}

// Whoever knows what the policy does: the page is stored to when it has just been closed, and at no other time.
Test(policy, the_worst_program_costs_nine_times_as_much)
{
	uint64_t gap = 0, best_cost = 0;

	begin(DXS_POLICY_ADAPTIVE);
	for (unsigned i = 0; i < 100000; i++) {
		if (!is_open(5)) {
			best_cost += dxs_min64(gap, T);
			gap = 0;
			store(5);
		}
		gap++;
		sync_all();
	}
	cr_expect_lt(cost, 9 * best_cost + 20 * T);
	cr_expect_gt(cost, 5 * best_cost, "or it was not the worst");
	end();
}

Test(policy, a_page_that_comes_back_late_is_not_left_open)
{
	begin(DXS_POLICY_ADAPTIVE);
	for (unsigned i = 0; i < 1000; i++) {
		if (i % (2 * T) == 0)
			store(5);
		sync_all();
		cr_assert_not(is_open(5));
	}
	end();
}

// Closed at once, then after K, 4 K and 8 K flushes, less what the age was by chance.
Test(policy, each_return_that_is_soon_makes_the_stay_longer)
{
	static const uint64_t stay[] = {1, 1 * T, 4 * T, 8 * T, 8 * T};

	begin(DXS_POLICY_ADAPTIVE);
	for (unsigned i = 0; i < sizeof(stay) / sizeof(stay[0]); i++) {
		uint64_t nr = 0;

		store(5);
		for (; is_open(5) && nr < 1000; nr++)
			sync_all();
		cr_expect(nr <= stay[i] && nr + T / 2 > stay[i], "%d: %d", (int)i, (int)nr);
	}
	cr_expect_eq(dxs_counter_get(DXS_pages_back_soon), 4);
	cr_expect_eq(dxs_counter_get(DXS_pages_closed_cold), 1);
	cr_expect_eq(dxs_counter_get(DXS_pages_closed_aged), 4);
	for (unsigned i = 0; i < 2 * T; i++)
		sync_all();
	store(5);
	sync_all();
	cr_expect_not(is_open(5), "late, and forgotten");
	end();
}

// A library's log of 100 pages, each synced by itself: other pages' syncs are no reason to close one.
Test(policy, syncs_of_other_pages_do_not_make_a_return_late)
{
	begin(DXS_POLICY_ADAPTIVE);
	for (unsigned round = 0; round < T / 2; round++) { // less than any stay
		for (uint64_t page = 0; page < 100; page++) {
			store(page);
			sync_range(page, page);
		}
	}
	cr_expect_leq(cost, 100 * (2 * T + T / 2), "two faults each");
	end();
}

// The header of a file, say: all syncs cover it, few of them the other pages. By the clock it is always back soon.
static void one_page_only(unsigned nr_pages, unsigned nr_syncs)
{
	for (; nr_syncs; nr_syncs--) {
		if (nr_syncs % (10 * T) == 0)
			store(5);
		sync_range(5, 4 + nr_pages);
	}
}

Test(policy, a_page_that_is_synced_more_often_than_others_costs_nine_times_as_much_at_most)
{
	struct costs costs = run(one_page_only, 1, 100000);

	cr_expect_lt(costs.of[DXS_POLICY_ADAPTIVE], 9 * best(&costs), "%f",
		     costs.of[DXS_POLICY_ADAPTIVE] / best(&costs));
	cr_expect_gt(costs.of[DXS_POLICY_ADAPTIVE], 2 * best(&costs), "or it was not hard");
}

Test(policy, neighbours_that_are_more_than_half_way_are_closed_together)
{
	struct dxs_leaf *leaf;

	begin(DXS_POLICY_ADAPTIVE);
	leaf = leaf_of(0);
	for (unsigned i = 0; i < 2; i++) { // to a stay of K
		for (uint64_t page = 10; page < 20; page++)
			store(page);
		for (unsigned nr = 0; nr < (i ? T / 2 : 1); nr++)
			sync_all();
	}
	for (unsigned bit = 0; bit < DXS_AGE_BITS; bit++)
		leaf->age[bit] = bit == 4 ? 0x3ffULL << 10 : 0; // half way
	leaf->age[0] ^= 0x3 << 12;                              // 12 and 13 are one ahead
	leaf->age[4] ^= 0x1 << 15;                              // 15 is far behind
	for (unsigned nr = 0; nr < T / 2 - 1; nr++)
		sync_all();
	cr_expect_eq(open_pages[0], 1ULL << 15 | 0xfULL << 16, "%lx", open_pages[0]);
	cr_expect_eq(dxs_counter_get(DXS_pages_closed_early), 3);
	end();
}

static void opened_by_one_trap(uint64_t hit, uint64_t nr)
{
	dxs_policy_opened(file, leaf_of(0), 0xff, bit_of(hit), nr);
	open_pages[0] |= 0xff;
}

Test(policy, only_what_is_stored_to_is_left_open)
{
	begin(DXS_POLICY_ADAPTIVE);
	opened_by_one_trap(3, 8);
	sync_all();
	opened_by_one_trap(3, 8);
	sync_all();
	cr_expect_eq(open_pages[0], bit_of(3));
	end();
}

// Each trap opens the next page as well. It is closed, and stored to in the next round: the first store to it ever.
Test(policy, a_sequence_that_goes_on_leaves_nothing_open)
{
	begin(DXS_POLICY_ADAPTIVE);
	for (uint64_t page = 0; page < DXS_LEAF_PAGES - 1; page++) {
		uint64_t both = bit_of(page) | bit_of(page + 1);

		dxs_policy_opened(file, leaf_of(0), both, bit_of(page), 2);
		open_pages[0] |= both;
		sync_all();
		cr_assert_eq(open_pages[0], 0, "page %d", (int)page);
	}
	end();
}

Test(policy, a_run_that_is_stored_to_again_is_left_open)
{
	begin(DXS_POLICY_ADAPTIVE);
	opened_by_one_trap(0, 8);
	sync_all();
	for (uint64_t page = 0; page < 8; page++)
		store(page);
	sync_all();
	cr_expect_eq(open_pages[0], 0xff);
	end();
}

// The part of those that come back before the next sync says what part of the flushes was needed.
Test(policy, pages_whose_stay_was_over_tell_whether_they_were_stored_to)
{
	begin(DXS_POLICY_ADAPTIVE);
	hot(1, 3000);
	cr_expect_gt(file->handover.aged, 0);
	cr_expect_gt(file->handover.in_time, file->handover.aged * 9 / 10);
	end();
	begin(DXS_POLICY_ADAPTIVE);
	scattered(400, 300);
	cr_expect_gt(file->handover.aged, 0);
	cr_expect_lt(file->handover.in_time, file->handover.aged / 4);
	end();
}

// Pages that come back after as many syncs as their stay has. Closed right before each store they would look as if each of
// their flushes had been needed.
Test(policy, an_interval_that_divides_the_stay_says_nothing_else)
{
	begin(DXS_POLICY_ADAPTIVE);
	for (unsigned i = 0; i < 3000; i++) {
		store(i % T * 7);
		sync_all();
	}
	cr_expect_gt(file->handover.aged, 0);
	cr_expect_lt(file->handover.in_time, file->handover.aged / 4);
	end();
}

Test(policy, pages_that_are_opened_by_the_dozen_are_closed_by_the_dozen)
{
	begin(DXS_POLICY_ADAPTIVE);
	for (unsigned i = 0; i < 10; i++) {
		opened_by_one_trap(3, 64);
		sync_all();
		cr_expect_eq(open_pages[0], 0);
	}
	end();
}

Test(policy, huge_pages_are_always_closed)
{
	begin(DXS_POLICY_ADAPTIVE);
	file->page_shift = 21;
	for (unsigned i = 0; i < 10; i++) {
		store(3);
		sync_all();
		cr_expect_not(is_open(3));
	}
	end();
}

static bool is_short;

static bool fake_is_short(void)
{
	return is_short;
}

Test(policy, when_the_engine_is_short_no_further_page_is_left_open)
{
	static const struct dxs_engine fake = {.is_short = fake_is_short};

	begin(DXS_POLICY_ADAPTIVE);
	atomic_store(&file->engine, &fake);
	store(3);
	sync_all();
	store(3);
	sync_all();
	cr_expect(is_open(3));
	is_short = true;
	for (unsigned i = 0; i < 10; i++) {
		store(100);
		sync_all();
		cr_expect(is_open(3), "it was before");
		cr_expect_not(is_open(100));
	}
	cr_expect_eq(atomic_load(&file->nr_left_open), 1);
	is_short = false;
	store(100);
	sync_all();
	cr_expect_eq(atomic_load(&file->nr_left_open), 2);
	dxs_policy_closed(file, leaf_of(3), bit_of(3)); // its mapping goes
	cr_expect_eq(atomic_load(&file->nr_left_open), 1);
	end();
}
