// SPDX-License-Identifier: BSD-3-Clause
// sync_stress.c: the sync point and the trap, with a fake engine and a fake flush.
//
//   sync_stress [-s SECONDS] [-t THREADS]     (TEST_SEED repeats the random choices)
//
// Each thread stores to pages and syncs ranges of them. A page is a number that each store raises. Whether it is open, the
// store, the close and the flush are one step each, as in hardware; a flush is durable at its thread's next fence (M4).
// Checked, after each sync: whatever the thread has stored to a page of its range is durable. No memory is protected, so
// that ThreadSanitizer sees all there is.
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../unit/random.h"
#include "core/engine.h"
#include "core/sync.h"
#include "core/trap.h"
#include "file/file.h"
#include "flush/flush.h"
#include "report/stats.h"
#include "signal/signals.h"
#include "stress.h"

#define PAGES (4 * DXS_LEAF_PAGES)
#define STORES 8 // between two syncs
#define THREADS_MAX 16

struct page {
	pthread_mutex_t step;
	bool is_open;
	uint64_t value;
	_Atomic uint64_t durable; // seq_cst, the default: raised at a fence; partner: checked
};

struct flushed {
	uint64_t pgoff, value;
};

static struct page page[PAGES];
static struct dxs_file *file;
static struct dxs_map map;
static _Thread_local struct flushed flushed[4 * PAGES]; // and not fenced
static _Thread_local unsigned nr_flushed;
static _Atomic bool stop;
static _Atomic uint64_t nr_stores, nr_syncs;
static uint64_t seed;
static unsigned seconds = 5, nr_threads = 4;

static void fail(const char *what, uint64_t pgoff, uint64_t value, uint64_t durable)
{
	fprintf(stderr, "FAIL: %s: page %llu: %llu, durable %llu (TEST_SEED=%llu)\n", what, (unsigned long long)pgoff,
		(unsigned long long)value, (unsigned long long)durable, (unsigned long long)seed);
	_exit(1);
}

static void open_set(uintptr_t addr, size_t len, bool is_open)
{
	uint64_t first = dxs_map_pgoff(&map, addr);

	for (uint64_t i = first; i < first + len / DXS_PAGE_SIZE; i++) {
		pthread_mutex_lock(&page[i].step);
		page[i].is_open = is_open;
		pthread_mutex_unlock(&page[i].step);
	}
}

static int fake_write_protect(struct dxs_map *at, uintptr_t addr, size_t len)
{
	(void)at;
	dxs_trap_protect_begin();
	open_set(addr, len, false);
	dxs_trap_protect_end();
	return 0;
}

static int fake_make_writable(struct dxs_map *at, uintptr_t addr, size_t len)
{
	(void)at;
	open_set(addr, len, true);
	return 0;
}

static bool fake_extent(struct dxs_map *at, uintptr_t addr, uintptr_t *start, uintptr_t *end)
{
	(void)at;
	*start = addr;
	*end = addr + DXS_PAGE_SIZE;
	return true;
}

static int fake_discover(struct dxs_map *at, uint64_t first, uint64_t last)
{
	(void)at;
	(void)first;
	(void)last;
	return 0;
}

static int fake_writable(struct dxs_map *at, uintptr_t addr, unsigned nr, uint64_t *mask)
{
	uint64_t first = dxs_map_pgoff(at, addr);

	*mask = 0;
	for (unsigned i = 0; i < nr; i++) {
		pthread_mutex_lock(&page[first + i].step);
		*mask |= (uint64_t)page[first + i].is_open << i;
		pthread_mutex_unlock(&page[first + i].step);
	}
	return 0;
}

static bool yes(void)
{
	return true;
}

static bool no(void)
{
	return false;
}

static bool is_small(const struct dxs_map *at)
{
	(void)at;
	return false;
}

static const struct dxs_engine fake = {
	.name = "fake",
	.write_protect = fake_write_protect,
	.make_writable = fake_make_writable,
	.extent = fake_extent,
	.discover = fake_discover,
	.writable = fake_writable,
	.is_alive = yes,
	.is_short = no,
	.is_small = is_small,
};

// The linker lets the library call these in the place of its own.
unsigned __wrap_dxs_flush_ranges(const struct dxs_range *range, unsigned nr, size_t *done, int *err);
void __wrap_dxs_flush_drain(void);

unsigned __wrap_dxs_flush_ranges(const struct dxs_range *range, unsigned nr, size_t *done, int *err)
{
	(void)done;
	(void)err;
	for (unsigned i = 0; i < nr; i++) {
		uint64_t first = dxs_map_pgoff(&map, range[i].addr);

		for (uint64_t at = first; at < first + range[i].len / DXS_PAGE_SIZE; at++) {
			pthread_mutex_lock(&page[at].step);
			flushed[nr_flushed++] = (struct flushed){at, page[at].value};
			pthread_mutex_unlock(&page[at].step);
		}
	}
	return nr;
}

void __wrap_dxs_flush_drain(void)
{
	for (; nr_flushed; nr_flushed--) {
		struct flushed *last = &flushed[nr_flushed - 1];
		uint64_t old = atomic_load(&page[last->pgoff].durable);

		while (old < last->value &&
		       !atomic_compare_exchange_weak(&page[last->pgoff].durable, &old, last->value))
			;
	}
}

static uint64_t store(uint64_t pgoff)
{
	struct page *at = &page[pgoff];

	for (;;) {
		uint64_t value = 0;

		pthread_mutex_lock(&at->step);
		if (at->is_open)
			value = ++at->value;
		pthread_mutex_unlock(&at->step);
		if (value)
			return value;
		if (dxs_trap_signal(dxs_map_addr(&map, pgoff)) == DXS_TRAP_FOREIGN)
			sched_yield(); // it is open: somebody else's trap was quicker
	}
}

static void *thread_run(void *arg)
{
	uint64_t state = seed + 1 + (uintptr_t)arg, stored[PAGES] = {0};

	while (!atomic_load(&stop)) {
		uint64_t first = random_below(&state, PAGES), last = first + random_below(&state, PAGES - first);

		for (unsigned i = 0; i < STORES; i++) {
			uint64_t pgoff = random_below(&state, 2) ? random_below(&state, PAGES) : first;

			stored[pgoff] = store(pgoff);
		}
		if (dxs_sync_range(file, first * DXS_PAGE_SIZE, (last + 1) * DXS_PAGE_SIZE))
			fail("a sync failed", first, 0, 0);
		for (; first <= last; first++)
			if (atomic_load(&page[first].durable) < stored[first])
				fail("not durable", first, stored[first], atomic_load(&page[first].durable));
		atomic_fetch_add(&nr_stores, STORES);
		atomic_fetch_add(&nr_syncs, 1);
	}
	return NULL;
}

static void file_make(void)
{
	struct dxs_map *made = &map;
	void *addr = mmap(NULL, PAGES * DXS_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	file = dxs_file_new(1, 1, DXS_PAGE_SHIFT);
	if (addr == MAP_FAILED || !file || dxs_signals_install(DXS_TRAP_SEGV))
		fail("no mapping", 0, 0, 0);
	atomic_store(&file->mode, DXS_MODE_DIRECT);
	atomic_store(&file->size, PAGES * DXS_PAGE_SIZE);
	map = (struct dxs_map){.addr = (uintptr_t)addr,
			       .len = PAGES * DXS_PAGE_SIZE,
			       .prot = PROT_READ | PROT_WRITE,
			       .file = file,
			       .engine = &fake};
	if (dxs_tree_reserve(&file->tree, 0, PAGES - 1) || dxs_maps_replace(NULL, 0, &made, 1))
		fail("no memory", 0, 0, 0);
	for (unsigned i = 0; i < PAGES; i++)
		pthread_mutex_init(&page[i].step, NULL);
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
	seed = random_seed("sync_stress");
	file_make();
	for (nr = 0; nr < nr_threads; nr++)
		if (pthread_create(&thread[nr], NULL, thread_run, (void *)(uintptr_t)nr))
			return 1;
	sleep(seconds);
	atomic_store(&stop, true);
	while (nr)
		pthread_join(thread[--nr], NULL);
	printf("%llu stores, %llu syncs, %llu traps, %llu pages closed\n", (unsigned long long)nr_stores,
	       (unsigned long long)nr_syncs, (unsigned long long)dxs_counter_get(DXS_traps),
	       (unsigned long long)dxs_counter_get(DXS_pages_closed));
	if (!dxs_counter_get(DXS_traps) || !dxs_counter_get(DXS_pages_closed))
		fail("no trap, or nothing was closed: the test has shown nothing", 0, 0, 0);
	return 0;
}
