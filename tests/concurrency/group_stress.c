// SPDX-License-Identifier: BSD-3-Clause
// group_stress.c: grouped syncs: whom a round may serve.
//
//   group_stress [-s SECONDS] [-t THREADS]     (TEST_SEED repeats the random choices)
//
// A clock ticks at every call and at every begin of a run. Checked, for each call that returns 0: every entry of its
// range was covered by a run that began after the call did and was over when it returned. A round that began before
// may have passed by an entry that was stored to since. One entry is bad: runs over it fail. The error has to reach
// exactly those callers whose range has it (M6).
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "../unit/random.h"
#include "file/group.h"
#include "report/stats.h"
#include "stress.h"

#define ENTRIES 128
#define BAD (ENTRIES - 1) // at the end, so that a union of ranges has it only if one of them has
#define THREADS_MAX 64

static struct dxs_group group;
static _Atomic uint64_t ticks;
static _Atomic uint64_t served[ENTRIES]; // the begin of the latest good run over an entry that is over
static _Atomic bool stop;
static _Atomic uint64_t nr_calls, nr_runs, nr_errors;
static uint64_t seed;
static unsigned seconds = 5, nr_threads = 8;

static void fail(const char *what, uint64_t first, uint64_t last)
{
	fprintf(stderr, "FAIL: %s: entries %llu to %llu\n", what, (unsigned long long)first, (unsigned long long)last);
	_exit(1);
}

static void served_raise(uint64_t entry, uint64_t begin)
{
	uint64_t old = atomic_load(&served[entry]);

	while (old < begin && !atomic_compare_exchange_weak(&served[entry], &old, begin))
		;
}

static int run(struct dxs_file *file, uint64_t first, uint64_t last)
{
	uint64_t begin = atomic_fetch_add(&ticks, 1);

	if (file != (struct dxs_file *)&group)
		fail("a run got another file", first, last);
	if (first > last || last >= ENTRIES)
		fail("a run beyond all ranges that were asked for", first, last);
	if (atomic_fetch_add(&nr_runs, 1) % 8 == 0)
		usleep(20); // others come meanwhile
	for (uint64_t entry = first; entry <= last; entry++)
		if (entry != BAD)
			served_raise(entry, begin);
	return first <= BAD && BAD <= last ? -EIO : 0;
}

static void call_checked(uint64_t first, uint64_t last)
{
	bool bad = first <= BAD && BAD <= last;
	uint64_t called = atomic_fetch_add(&ticks, 1);
	int err = dxs_group_sync(&group, (struct dxs_file *)&group, first, last, run);

	if (err != (bad ? -EIO : 0))
		fail(bad ? "an error is lost" : "an error of another range", first, last);
	for (uint64_t entry = first; !bad && entry <= last; entry++)
		if (atomic_load(&served[entry]) < called)
			fail("served by a round that began before the call", first, last);
	atomic_fetch_add(&nr_calls, 1);
	atomic_fetch_add(&nr_errors, err != 0);
}

static void *caller(void *arg)
{
	uint64_t state = seed + 1 + (uintptr_t)arg;

	while (!atomic_load(&stop)) {
		uint64_t first = random_below(&state, ENTRIES), last = first + random_below(&state, 16);

		last = dxs_min64(last, ENTRIES - 1);
		// Few with the bad entry: each failed round makes all of its callers run alone.
		if (first <= BAD && BAD <= last && random_below(&state, 64))
			continue;
		call_checked(first, last);
	}
	return NULL;
}

static const struct stress_option option[] = {
	{'s', &seconds, 0, UINT_MAX},
	{'t', &nr_threads, 0, THREADS_MAX},
};

int main(int argc, char **argv)
{
	pthread_t thread[THREADS_MAX];
	unsigned nr;

	stress_options(argc, argv, option, sizeof(option) / sizeof(option[0]));
	seed = random_seed("group_stress");
	for (nr = 0; nr < nr_threads; nr++)
		if (pthread_create(&thread[nr], NULL, caller, (void *)(uintptr_t)nr))
			return 1;
	sleep(seconds);
	atomic_store(&stop, true);
	while (nr)
		pthread_join(thread[--nr], NULL);
	printf("%llu calls (%llu with an error), %llu runs, %llu calls grouped\n", (unsigned long long)nr_calls,
	       (unsigned long long)nr_errors, (unsigned long long)nr_runs,
	       (unsigned long long)dxs_counter_get(DXS_syncs_grouped));
	if (!dxs_counter_get(DXS_syncs_grouped) || !nr_errors)
		fail("nothing was grouped, or nothing failed: the test has shown nothing", 0, 0);
	return 0;
}
