// SPDX-License-Identifier: BSD-3-Clause
// tree_stress.c: markers against collectors on one dirty tree.
//
//   tree_stress [-s SECONDS] [-m MARKERS] [-c COLLECTORS]     (TEST_SEED repeats the random choices)
//
// Markers do what a trap and the store behind it do: under the page lock they set DIRTY, then give the page a new
// version. Collectors do what lib/core/sync.c does: walk over DIRTY and FLUSHING, claim, unmark some, copy, release. Checked:
//   - every version that was there before a collector began is durable when it returns, whoever made it so (T.2, M4);
//   - a marker that holds its page's lock finds its own mark by a walk, whatever is pruned around it (T.2);
//   - nobody sleeps for ever (T.3): the time limit of the test finds that;
//   - who takes no lock finds whole what it finds: a leaf that another has made, what was stored before a mark that is seen.
//     Only ThreadSanitizer sees that fail, where an order is weakened: page locks, taken first, would hide it.
// Few entries in few leaves that lie far apart: leaves become empty, and are pruned up to the root, all the time.
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "../unit/random.h"
#include "stress.h"
#include "tree/tree.h"

#define BASES 8
#define EACH 6 // entries around each base: half of them in the leaf before it
#define ENTRIES (BASES * EACH)
#define BATCH 5
#define THREADS_MAX 64
#define KINDS (1U << DXS_DIRTY | 1U << DXS_FLUSHING)

static const uint64_t base[BASES] = {
	3, 4096, 1ULL << 18, (1ULL << 18) + 4096, 1ULL << 24, 1ULL << 30, (1ULL << 35) + 64, DXS_TREE_PAGES - EACH / 2,
};

struct taken {
	struct dxs_leaf *leaf;
	uint64_t pages;
	bool in_tree;
	uint64_t copy[DXS_LEAF_PAGES]; // flushed, not durable before the fence
};

struct collector {
	uint64_t first, last;
	uint64_t state; // of the random choices
	bool all;       // unmark everything
	unsigned nr;
	struct taken taken[BATCH];
};

static struct dxs_tree tree;
static _Atomic uint64_t version[ENTRIES]; // what is in the page
static _Atomic uint64_t durable[ENTRIES]; // what a power cut would leave
static _Atomic bool stop;
static _Atomic unsigned markers_on = 1, collectors_on = 1;
static _Atomic uint64_t nr_marks, nr_walks, nr_collects, nr_waits;
static uint64_t seed;
static unsigned seconds = 5, nr_markers = 4, nr_collectors = 3;

static uint64_t index_of(unsigned entry)
{
	return base[entry / EACH] + entry % EACH - EACH / 2;
}

// The entry of a page; ENTRIES: none.
static unsigned entry_of(uint64_t pgoff)
{
	unsigned entry = 0;

	while (entry < ENTRIES && index_of(entry) != pgoff)
		entry++;
	return entry;
}

// Whether thread `nr` of its kind has to go on; it rests while fewer are wanted. With as many threads as CPUs races are
// a few instructions wide, with more they are cut by the scheduler: both find mistakes that the other does not.
static bool goes_on(uintptr_t nr, _Atomic unsigned *wanted)
{
	while (!atomic_load(&stop) && nr >= atomic_load(wanted))
		usleep(2000);
	return !atomic_load(&stop);
}

static void fail(const char *what, unsigned entry, uint64_t want)
{
	struct dxs_leaf *leaf = dxs_tree_leaf(&tree, index_of(entry), false);
	unsigned bit = index_of(entry) % DXS_LEAF_PAGES;

	fprintf(stderr, "FAIL: %s: entry %llx: version %llu, durable %llu, wanted %llu; marks", what,
		(unsigned long long)index_of(entry), (unsigned long long)version[entry],
		(unsigned long long)durable[entry], (unsigned long long)want);
	for (int mark = 0; mark < DXS_NR_MARKS; mark++)
		fprintf(stderr, " %d", (int)(dxs_leaf_get(leaf, (enum dxs_mark)mark) >> bit & 1));
	fprintf(stderr, "\n");
	_exit(1);
}

static void *marker(void *arg)
{
	uint64_t state = seed + 1 + (uintptr_t)arg;

	while (goes_on((uintptr_t)arg, &markers_on)) {
		uint64_t r = random_next(&state);
		unsigned entry = (unsigned)(r % ENTRIES);
		uint64_t at = index_of(entry), bit = 1ULL << at % DXS_LEAF_PAGES;
		struct dxs_leaf *leaf = dxs_tree_leaf(&tree, at, true);

		dxs_leaf_lock(leaf, bit);
		dxs_tree_mark(&tree, leaf, DXS_DIRTY, bit);
		atomic_fetch_add(&version[entry], 1);
		if (r & 1ULL << 40) { // nobody can take the mark away while its page is locked
			if (dxs_tree_next(&tree, at, at, 1U << DXS_DIRTY) != leaf)
				fail("a marker does not find its own mark", entry, 0);
			atomic_fetch_add(&nr_walks, 1);
		}
		dxs_leaf_unlock(leaf, bit);
		atomic_fetch_add(&nr_marks, 1);
	}
	return NULL;
}

static void flush(struct taken *taken)
{
	for (uint64_t rest = taken->pages; rest; rest &= rest - 1) {
		unsigned i = (unsigned)__builtin_ctzll(rest);

		taken->copy[i] = atomic_load(&version[entry_of(taken->leaf->first + i)]);
	}
}

// The fence, then the release of what was taken up.
static void complete(struct collector *collector)
{
	for (unsigned k = 0; k < collector->nr; k++) {
		struct taken *taken = &collector->taken[k];

		for (uint64_t rest = taken->pages; rest; rest &= rest - 1) {
			unsigned i = (unsigned)__builtin_ctzll(rest), entry = entry_of(taken->leaf->first + i);

			// FLUSHING pages are one collector's, so versions never go back.
			if (atomic_exchange(&durable[entry], taken->copy[i]) > taken->copy[i])
				fail("two collectors had a page FLUSHING", entry, taken->copy[i]);
		}
	}
	for (unsigned k = 0; k < collector->nr; k++) {
		struct taken *taken = &collector->taken[k];

		if (taken->in_tree) {
			dxs_tree_unmark(&tree, taken->leaf, DXS_FLUSHING, taken->pages);
			dxs_leaf_wake(taken->leaf);
		} else {
			dxs_leaf_release(taken->leaf, taken->pages);
		}
	}
	collector->nr = 0;
}

// Unmarks pages, as whoever has closed them, under their locks.
static void unmark(struct taken *taken, uint64_t pages)
{
	dxs_tree_mark(&tree, taken->leaf, DXS_FLUSHING, pages);
	taken->in_tree = true;
	dxs_leaf_lock(taken->leaf, pages);
	dxs_tree_unmark(&tree, taken->leaf, DXS_DIRTY, pages);
	dxs_leaf_unlock(taken->leaf, pages);
}

static void take(struct collector *collector, struct dxs_leaf *leaf, uint64_t claimed)
{
	uint64_t dirty = claimed & dxs_leaf_get(leaf, DXS_DIRTY);
	uint64_t closing = collector->all ? dirty : dirty & random_next(&collector->state);
	struct taken *taken = &collector->taken[collector->nr];

	if (claimed & ~dirty)
		dxs_leaf_release(leaf, claimed & ~dirty);
	if (!dirty)
		return;
	collector->nr++;
	taken->leaf = leaf;
	taken->pages = dirty;
	taken->in_tree = false;
	if (closing)
		unmark(taken, closing);
	flush(taken);
}

static void collect_leaf(struct collector *collector, struct dxs_leaf *leaf)
{
	uint64_t range = dxs_leaf_mask(leaf, collector->first, collector->last);

	for (;;) {
		uint64_t want = dxs_leaf_get(leaf, DXS_DIRTY) & range; // before FLUSHING, as in sync.c
		uint64_t busy = dxs_leaf_get(leaf, DXS_FLUSHING) & range;

		if (busy) {
			complete(collector);
			dxs_leaf_wait_flushed(leaf, busy);
			atomic_fetch_add(&nr_waits, 1);
			continue;
		}
		if (!want)
			return;
		if (collector->nr == BATCH)
			complete(collector);
		if (dxs_leaf_claim(leaf, want)) {
			take(collector, leaf, want);
			return;
		}
	}
}

static void collect(struct collector *collector)
{
	struct dxs_cursor cursor = {0};
	struct dxs_leaf *leaf;

	while ((leaf = dxs_tree_walk(&tree, &cursor, collector->first, collector->last, KINDS)))
		collect_leaf(collector, leaf);
	if (atomic_load(&nr_collects) % 4096 == 0)
		sched_yield(); // others meet our FLUSHING pages and wait
	complete(collector);
}

// One call and its check, for entries [from, to]. random: 0 unmarks all, else the seed of what is.
static void collect_checked(unsigned from, unsigned to, uint64_t random)
{
	struct collector collector = {.first = index_of(from), .last = index_of(to), .state = random, .all = !random};
	uint64_t before[ENTRIES];
	unsigned entry;

	for (entry = from; entry <= to; entry++)
		before[entry] = atomic_load(&version[entry]);
	collect(&collector);
	for (entry = from; entry <= to; entry++)
		if (atomic_load(&durable[entry]) < before[entry])
			fail("lost: stored before a sync began, not durable after it", entry, before[entry]);
	atomic_fetch_add(&nr_collects, 1);
}

static void *collector_body(void *arg)
{
	uint64_t state = seed + 1000 + (uintptr_t)arg;

	while (goes_on((uintptr_t)arg, &collectors_on)) {
		unsigned from = (unsigned)random_below(&state, ENTRIES);
		unsigned span = random_below(&state, 2) ? EACH : ENTRIES;
		unsigned to = from + (unsigned)random_below(&state, span);

		collect_checked(from, to < ENTRIES ? to : ENTRIES - 1, random_next(&state) | 1);
	}
	return NULL;
}

#define ROUNDS 300

static struct dxs_tree fresh[ROUNDS];
static uint64_t content[ROUNDS];

static void *maker(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct dxs_leaf *leaf = dxs_tree_leaf(&fresh[i], base[1], true);

		content[i] = i + 1;
		dxs_tree_mark(&fresh[i], leaf, DXS_DIRTY, 1);
	}
	return arg;
}

static void *looker(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct dxs_leaf *leaf;
		bool whole;

		while (!(leaf = dxs_tree_leaf(&fresh[i], base[1], false)))
			sched_yield();
		whole = leaf->first == base[1];
		while (!dxs_leaf_get(leaf, DXS_DIRTY))
			sched_yield();
		if (!whole || content[i] != i + 1) {
			fprintf(stderr, "FAIL: round %u: a leaf that is not finished, or a mark too early\n", i);
			_exit(1);
		}
	}
	return arg;
}

static const struct stress_option option[] = {
	{'s', &seconds, 0, UINT_MAX},
	{'m', &nr_markers, 1, THREADS_MAX},
	{'c', &nr_collectors, 1, THREADS_MAX},
};

static void thread_start(pthread_t *thread, void *(*body)(void *), unsigned nr)
{
	if (pthread_create(thread, NULL, body, (void *)(uintptr_t)nr))
		_exit(1);
}

static void without_locks(void)
{
	pthread_t thread[2];

	for (unsigned i = 0; i < ROUNDS; i++)
		if (dxs_tree_reserve(&fresh[i], base[1], base[1]))
			_exit(1);
	thread_start(&thread[0], looker, 0);
	thread_start(&thread[1], maker, 0);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	for (unsigned i = 0; i < ROUNDS; i++)
		dxs_tree_destroy(&fresh[i]);
}

static void threads_run(void)
{
	pthread_t thread[2 * THREADS_MAX];
	unsigned i, nr = 0;

	for (i = 0; i < nr_markers; i++)
		thread_start(&thread[nr++], marker, i);
	for (i = 0; i < nr_collectors; i++)
		thread_start(&thread[nr++], collector_body, i);
	for (i = 0; i < seconds * 20; i++) {
		atomic_store(&markers_on, 1 + i % nr_markers);
		atomic_store(&collectors_on, 1 + i / nr_markers % nr_collectors);
		usleep(50000);
	}
	atomic_store(&stop, true);
	while (nr)
		pthread_join(thread[--nr], NULL);
}

int main(int argc, char **argv)
{
	stress_options(argc, argv, option, sizeof(option) / sizeof(option[0]));
	seed = random_seed("tree_stress");
	dxs_tree_init(&tree);
	for (unsigned entry = 0; entry < ENTRIES; entry++)
		if (dxs_tree_reserve(&tree, index_of(entry), index_of(entry)))
			return 1;
	without_locks();
	threads_run();
	collect_checked(0, ENTRIES - 1, 0);
	if (dxs_tree_next(&tree, 0, DXS_TREE_PAGES - 1, (1U << DXS_NR_MARKS) - 1)) {
		fprintf(stderr, "FAIL: marks are left after the last sync\n");
		return 1;
	}
	printf("%llu marks, %llu own walks, %llu collects, %llu waits\n", (unsigned long long)nr_marks,
	       (unsigned long long)nr_walks, (unsigned long long)nr_collects, (unsigned long long)nr_waits);
	dxs_tree_destroy(&tree);
	return 0;
}
