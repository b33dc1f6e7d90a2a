// SPDX-License-Identifier: BSD-3-Clause
// test_handover.c: when a file is handed over to the kernel, and what that costs. It is asked for every sync of a trace,
// without a kernel: a flush costs 1, a trap and its close DXS_POLICY_WORTH, a page that the kernel syncs KERNEL.
#include <criterion/criterion.h>

#include "base/config.h"
#include "base/kernel.h"
#include "core/engine.h"
#include "core/handover.h"
#include "core/policy.h"
#include "file/file.h"
#include "report/stats.h"

#define PAGES 4096
#define KERNEL ((uint64_t)10)
#define T ((uint64_t)DXS_POLICY_WORTH)

static struct dxs_file *file;
static bool small_entries;
static uint64_t cost, kernel_cost;

static bool fake_is_small(const struct dxs_map *map)
{
	(void)map;
	return small_entries;
}

static const struct dxs_engine fake = {.name = "fake", .is_small = fake_is_small};
static struct dxs_map map = {.addr = 1 << 20, .len = PAGES * DXS_PAGE_SIZE, .prot = 3, .engine = &fake};

static void begin(int policy)
{
	struct dxs_map *made = &map;

	dxs_kernel_init();
	dxs_config.policy = policy;
	small_entries = true;
	cost = kernel_cost = 0;
	file = dxs_file_new(1, 2, 12);
	cr_assert_not_null(file);
	atomic_store(&file->mode, DXS_MODE_DIRECT);
	atomic_store(&file->reason, "a test");
	map.file = file;
	cr_assert_eq(dxs_maps_replace(NULL, 0, &made, 1), 0);
	cr_assert_eq(file->nr_mapped, PAGES);
}

static bool is_over(void)
{
	return atomic_load(&file->handover.is_over);
}

// What dxs_sync_range() does. A file that is taken back is looked at first: a flush of each page.
static void decide(void)
{
	bool was_over = is_over();

	if (!dxs_handover_is_due(file))
		return;
	dxs_handover_set(file, dxs_handover_decide(file));
	if (was_over && !is_over())
		cost += PAGES;
}

// A sync of all, before which there were traps for pages that had been closed long ago, and stores to pages that are open.
static void sync_all(unsigned nr_cold, unsigned nr_hot)
{
	unsigned i;

	kernel_cost += KERNEL * (nr_cold + nr_hot);
	for (i = 0; !is_over() && i < nr_cold; i++)
		dxs_handover_trapped(file, 1);
	cost += is_over() ? KERNEL * (nr_cold + nr_hot) : T * nr_cold + nr_hot;
	decide();
	dxs_policy_sync(file, 0, PAGES - 1);
	if (!is_over())
		dxs_handover_left_open(file, nr_hot);
}

static void syncs(unsigned nr, unsigned nr_cold, unsigned nr_hot)
{
	while (nr-- > 0)
		sync_all(nr_cold, nr_hot);
}

Test(handover, cold_pages_cost_hardly_more_than_in_the_kernel)
{
	for (unsigned nr_cold = 1; nr_cold <= 256; nr_cold *= 4) {
		begin(DXS_POLICY_ADAPTIVE);
		syncs(80, nr_cold, 0);
		cr_expect(is_over(), "%u pages", nr_cold);
		cost = kernel_cost = 0;
		syncs(400000, nr_cold, 0);
		cr_expect_lt((double)cost, 1.1 * (double)kernel_cost, "%u pages: %f", nr_cold,
			     (double)cost / (double)kernel_cost);
		cr_expect_gt(dxs_counter_get(DXS_taken_back), 1, "or nobody has looked");
		dxs_stats_reset();
	}
}

Test(handover, hot_pages_stay_with_us)
{
	begin(DXS_POLICY_ADAPTIVE);
	syncs(2, 64, 0); // each page traps once when nothing is known, and once more
	syncs(1000, 0, 64);
	cr_expect_eq(dxs_counter_get(DXS_handed_over), 0);
}

// As a file that is loaded: each page traps a few times until it is known that it comes back.
Test(handover, pages_that_are_new_first_stay_with_us)
{
	begin(DXS_POLICY_ADAPTIVE);
	syncs(30, 6, 2);
	syncs(10000, 1, 7);
	cr_expect_eq(dxs_counter_get(DXS_handed_over), 0);
}

// A cold page costs 22 flushes more than in the kernel, a hot one 9 less.
Test(handover, enough_hot_pages_keep_cold_ones_with_us)
{
	begin(DXS_POLICY_ADAPTIVE);
	syncs(1000, 10, 22);
	cr_expect_eq(dxs_counter_get(DXS_handed_over), 0);
	syncs(1000, 10, 16);
	cr_expect(is_over());
}

// Of the pages that are open one in ten is stored to: the others' flushes are in vain.
Test(handover, open_pages_that_are_rarely_stored_to_keep_nothing_with_us)
{
	begin(DXS_POLICY_ADAPTIVE);
	for (unsigned i = 0; i < 1000; i++) {
		sync_all(10, 100);
		dxs_handover_aged(file, 100);
		dxs_handover_in_time(file, i < 500 ? 100 : 10);
		if (i == 499)
			cr_expect_eq(dxs_counter_get(DXS_handed_over), 0);
	}
	cr_expect(is_over());
}

// With the change comes a trial, and then it is as if it had never been away.
Test(handover, it_comes_back_when_pages_do)
{
	uint64_t nr = 0;

	begin(DXS_POLICY_ADAPTIVE);
	syncs(80, 16, 0);
	cr_assert(is_over());
	for (; is_over() && nr < 100000; nr++)
		sync_all(0, 16);
	cr_expect_lt(nr, 10000, "%d", (int)nr);
	syncs(10000, 0, 16);
	cr_expect_not(is_over());
	cr_expect_eq(dxs_counter_get(DXS_handed_over), 1);
}

Test(handover, each_vain_trial_makes_the_next_stay_longer)
{
	uint64_t nr[8] = {0};

	begin(DXS_POLICY_ADAPTIVE);
	for (unsigned i = 0; i < 8; i++) {
		while (!is_over())
			sync_all(16, 0);
		for (; is_over(); nr[i]++)
			sync_all(16, 0);
	}
	for (unsigned i = 1; i < 4; i++)
		cr_expect(nr[i] > nr[i - 1] * 19 / 10 && nr[i] < nr[i - 1] * 21 / 10, "%u: %d, %d", i, (int)nr[i - 1],
			  (int)nr[i]);
	cr_expect_eq(nr[5], nr[4], "and no further");
}

Test(handover, stores_one_after_the_other_stay_with_us)
{
	begin(DXS_POLICY_ADAPTIVE);
	for (unsigned i = 0; i < 1000; i++) {
		dxs_handover_trapped(file, 1);
		dxs_handover_trapped(file, 8);
		sync_all(0, 0);
	}
	cr_expect_eq(dxs_counter_get(DXS_handed_over), 0);
}

Test(handover, what_may_have_huge_pages_is_never_handed_over)
{
	begin(DXS_POLICY_ADAPTIVE);
	small_entries = false;
	syncs(1000, 16, 0);
	cr_expect_eq(dxs_counter_get(DXS_handed_over), 0);
}

Test(handover, fixed_policies)
{
	begin(DXS_POLICY_ALWAYS_CLOSE);
	syncs(1000, 16, 0);
	cr_expect_not(is_over());
	dxs_config.policy = DXS_POLICY_NEVER_CLOSE;
	syncs(1000, 16, 0);
	cr_expect_not(is_over());
	dxs_config.policy = DXS_POLICY_KERNEL;
	syncs(1, 0, 16);
	cr_expect(is_over());
	syncs(100000, 0, 16);
	cr_expect_eq(dxs_counter_get(DXS_taken_back), 0);
}

Test(handover, what_needs_our_marks_takes_it_back)
{
	begin(DXS_POLICY_KERNEL);
	syncs(1, 1, 0);
	cr_assert(is_over());
	dxs_handover_bar(file);
	cr_expect_not(is_over());
	syncs(100, 1, 0);
	cr_expect_not(is_over(), "a call is under way");
	dxs_handover_unbar(file);
	syncs(1, 1, 0);
	cr_expect(is_over());
	dxs_file_to_kernel(file, "a test");
	syncs(1, 1, 0);
	cr_expect_not(is_over(), "the kernel has it anyway");
}
