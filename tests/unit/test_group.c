// SPDX-License-Identifier: BSD-3-Clause
// test_group.c: which calls a run serves, and who gets its error.
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../asleep.h"
#include "file/group.h"
#include "report/stats.h"

#define RUNS_MAX 32
#define CALLERS 3
#define BAD 500 // runs over it fail

static struct dxs_group group;
static struct {
	uint64_t first, last;
} ran[RUNS_MAX];
static atomic_uint nr_runs, nr_inside;
static atomic_bool hold, hold_all; // the first run waits while this is set; each

static int run(struct dxs_file *file, uint64_t first, uint64_t last)
{
	unsigned nr = atomic_fetch_add(&nr_runs, 1);

	cr_expect_eq((void *)file, &group);
	if (nr < RUNS_MAX) {
		ran[nr].first = first;
		ran[nr].last = last;
	}
	atomic_fetch_add(&nr_inside, 1);
	while ((nr == 0 && atomic_load(&hold)) || atomic_load(&hold_all))
		usleep(100);
	atomic_fetch_sub(&nr_inside, 1);
	return first <= BAD && BAD <= last ? -EIO : 0;
}

static int sync_range(uint64_t first, uint64_t last)
{
	return dxs_group_sync(&group, (struct dxs_file *)&group, first, last, run);
}

struct caller {
	pthread_t thread;
	uint64_t first, last;
	_Atomic pid_t tid;
	int err;
};

static void *caller_body(void *arg)
{
	struct caller *caller = arg;

	caller->tid = (pid_t)syscall(SYS_gettid);
	caller->err = sync_range(caller->first, caller->last);
	return NULL;
}

static void caller_start(struct caller *caller, uint64_t first, uint64_t last)
{
	*caller = (struct caller){.first = first, .last = last, .err = 1};
	cr_assert_eq(pthread_create(&caller->thread, NULL, caller_body, caller), 0);
}

// One call runs and is held, and its range, which is all, has the error; the others come meanwhile and wait. `range` has their
// first and last entries.
static void run_together(struct caller *caller, uint64_t range[CALLERS][2])
{
	struct caller runner;

	atomic_store(&hold, true);
	caller_start(&runner, 0, 2000);
	while (!atomic_load(&nr_inside))
		usleep(100);
	for (int i = 0; i < CALLERS; i++)
		caller_start(&caller[i], range[i][0], range[i][1]);
	for (int i = 0; i < CALLERS; i++) {
		while (!caller[i].tid)
			usleep(100);
		until_asleep(caller[i].tid, SYS_futex, (uintptr_t)&group.lane[0].event);
	}
	cr_expect_eq(nr_runs, 1, "nobody is served, and nobody runs, while a round runs");
	atomic_store(&hold, false);
	for (int i = 0; i < CALLERS; i++)
		pthread_join(caller[i].thread, NULL);
	pthread_join(runner.thread, NULL);
	cr_expect_eq(runner.err, -EIO);
}

Test(group, a_call_alone_runs_its_own_range)
{
	cr_expect_eq(sync_range(3, 7), 0);
	cr_expect_eq(sync_range(9, 9), 0);
	cr_assert_eq(nr_runs, 2);
	cr_expect(ran[0].first == 3 && ran[0].last == 7);
	cr_expect(ran[1].first == 9 && ran[1].last == 9);
	cr_expect_eq(dxs_counter_get(DXS_syncs_grouped), 0);
}

Test(group, ranges_that_do_not_overlap_are_served_side_by_side)
{
	struct caller runner, waiting;

	atomic_store(&hold, true);
	caller_start(&runner, 1000, 1001);
	while (!atomic_load(&nr_inside))
		usleep(100);
	cr_expect_eq(sync_range(20, 30), 0, "it waits for nobody");
	cr_expect_eq(sync_range(BAD, BAD), -EIO, "and has its own error");
	caller_start(&waiting, 1001, 1002);
	while (!waiting.tid)
		usleep(100);
	until_asleep(waiting.tid, SYS_futex, (uintptr_t)&group.lane[0].event);
	cr_expect_eq(nr_runs, 3);
	atomic_store(&hold, false);
	pthread_join(runner.thread, NULL);
	pthread_join(waiting.thread, NULL);
	cr_expect_eq(nr_runs, 4);
	cr_expect(ran[3].first == 1001 && ran[3].last == 1002);
	cr_expect_eq(dxs_counter_get(DXS_syncs_grouped), 1);
}

// What comes when all lanes are taken waits for the first.
Test(group, there_are_so_many_lanes)
{
	struct caller caller[DXS_GROUP_LANES + 1];

	atomic_store(&hold_all, true);
	for (unsigned i = 0; i < DXS_GROUP_LANES; i++) {
		caller_start(&caller[i], 10 * i, 10 * i + 1);
		while (atomic_load(&nr_inside) <= i)
			usleep(100);
	}
	caller_start(&caller[DXS_GROUP_LANES], 900, 901);
	while (!caller[DXS_GROUP_LANES].tid)
		usleep(100);
	until_asleep(caller[DXS_GROUP_LANES].tid, SYS_futex, (uintptr_t)&group.lane[0].event);
	atomic_store(&hold_all, false);
	for (unsigned i = 0; i <= DXS_GROUP_LANES; i++) {
		pthread_join(caller[i].thread, NULL);
		cr_expect_eq(caller[i].err, 0);
	}
	cr_expect_eq(nr_runs, DXS_GROUP_LANES + 1);
	cr_expect_eq(dxs_counter_get(DXS_syncs_grouped), 1);
}

static atomic_uint nr_futex_calls;

static long futex_counted(long nr)
{
	if (nr == SYS_futex)
		atomic_fetch_add(&nr_futex_calls, 1);
	return 0;
}

Test(group, a_call_alone_wakes_nobody)
{
	dxs_sys_injected = futex_counted;
	cr_expect_eq(sync_range(3, 7), 0);
	cr_expect_eq(nr_futex_calls, 0);
}

Test(group, a_call_alone_gets_its_error_from_one_run)
{
	cr_expect_eq(sync_range(BAD, BAD), -EIO);
	cr_expect_eq(nr_runs, 1);
	cr_expect_eq(sync_range(3, 7), 0);
}

Test(group, who_comes_during_a_round_is_served_by_the_next_one_together)
{
	uint64_t range[CALLERS][2] = {{20, 30}, {5, 6}, {25, 40}};
	struct caller caller[CALLERS];

	run_together(caller, range);
	for (int i = 0; i < CALLERS; i++)
		cr_expect_eq(caller[i].err, 0);
	cr_assert_eq(nr_runs, 2);
	cr_expect(ran[1].first == 5 && ran[1].last == 40, "the union");
	cr_expect_eq(dxs_counter_get(DXS_syncs_grouped), CALLERS);
}

Test(group, an_error_of_a_round_reaches_only_those_whose_range_has_it)
{
	uint64_t range[CALLERS][2] = {{0, 10}, {400, BAD}, {600, 700}};
	struct caller caller[CALLERS];

	run_together(caller, range);
	cr_expect_eq(caller[0].err, 0);
	cr_expect_eq(caller[1].err, -EIO);
	cr_expect_eq(caller[2].err, 0);
	cr_expect_eq(nr_runs, 2 + CALLERS, "each ran its own range");
}

Test(group, an_error_between_the_ranges_reaches_nobody)
{
	uint64_t range[CALLERS][2] = {{0, 10}, {BAD + 1, BAD + 2}, {BAD - 2, BAD - 1}};
	struct caller caller[CALLERS];

	run_together(caller, range);
	for (int i = 0; i < CALLERS; i++)
		cr_expect_eq(caller[i].err, 0);
	cr_expect_eq(sync_range(1, 2), 0, "and later calls know nothing of it");
}

Test(group, a_round_does_not_keep_the_range_of_the_one_before)
{
	uint64_t range[CALLERS][2] = {{0, 10}, {2000, 3000}, {600, 700}};
	struct caller caller[CALLERS];
	unsigned nr;

	run_together(caller, range);
	nr = nr_runs;
	cr_expect_eq(sync_range(8, 9), 0);
	cr_expect(ran[nr].first == 8 && ran[nr].last == 9);
}
