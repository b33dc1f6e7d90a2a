// SPDX-License-Identifier: BSD-3-Clause
// workloads.c: how long stores to a mapped file and syncs take, for many kinds of programs. It knows nothing of daxsync but
// the name of one call (ways.c), and is run with and without it.
//
//   bench_workloads WAY ROUNDS CELL...    for each cell: CELL<tab>STORE<tab>SYNC<tab>RATE<tab>ROUNDS<tab>DROPPED
//
//   WAY      msync (the kernel's, or the shim's if that is there); oracle: the program is told which pages it has stored to,
//            and flushes them itself; blind: flushes all; tracker: mprotect and a bitmap
//   ROUNDS   of each thread; 0: as many as make 8192 pages, at least 8 and at most 1000. Blind ones are always alike: 5
//   CELL     WORKLOAD:PAGES:SIZE:STEP:THREADS, as hot:16:1G:in:1
//   STEP     `in` step with 2 MiB, or `out` of it, where no huge pages can be
//
// A round stores to so many pages and syncs. STORE and SYNC are means of a round, in ns, of those rounds in which the thread
// was not driven from its CPU by others (DROPPED: how many it was), if that was true of at least one in eight; of all
// otherwise. RATE: syncs a second, of all threads. Each thread has a part of the file of its own to store to, and syncs the
// whole mapping, or that part (own). The first rounds are not counted: the first sync has more to do. All pages that will be stored to are there
// and have been stored to before, as in a program that has run for a while; but for workloads that write into holes. The
// rest of a file of up to 64 MiB is allocated, of larger ones not.
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../mix.h"
#include "bench.h"
#include "zipf.h"

#define HUGE ((size_t)2 << 20)
#define WARM_UP 3
#define NR_READ 1024 // pages a round
#define PHASE 16     // rounds
#define MAX_THREADS 64
#define MAX_FILLED ((size_t)64 << 20) // files that are larger are sparse

struct thread;

struct workload {
	const char *name;
	size_t (*page)(const struct thread *thread, unsigned round, size_t i); // of the thread's own
	enum unit unit;
	bool fills;   // whole pages, into holes
	bool grows;   // the file ends where the stores of the round end
	bool reads;   // and one thread only stores, others read
	bool repeats; // a page may come more than once in a round
	bool own;     // a thread syncs its own part only
};

struct cell {
	const char *name;
	const struct workload *workload;
	const struct way *way;
	size_t pages, size, shift;
	unsigned threads, rounds;
	int fd;
	char *map;
	pthread_barrier_t start;
	atomic_bool over; // for readers
};

struct thread {
	struct cell *cell;
	size_t first, nr; // its pages
	unsigned *seen;   // of each: the round, plus 1, in which it was last stored to
	size_t *page;
	uint64_t reads;
	double store, sync, begin, end; // sums, ns
	double kept_store, kept_sync;
	unsigned kept;
	pthread_t id;
};

void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static uint64_t random_of(uint64_t x)
{
	return mix(x + DXS_MIX_STEP);
}

// A permutation of the first nr numbers, a power of two, that scatters neighbours: each step can be undone.
static size_t scattered(size_t nr, size_t k)
{
	unsigned half = (unsigned)__builtin_ctzll(nr) / 2 + 1;

	k = (k & (nr - 1)) * 0x9e3779b1 & (nr - 1);
	k ^= k >> half;
	k = k * 0x85ebca6b & (nr - 1);
	return k ^ k >> half;
}

// Which page a round stores to.

static size_t page_hot(const struct thread *thread, unsigned round, size_t i)
{
	(void)round;
	return scattered(thread->nr, i);
}

static size_t page_cold(const struct thread *thread, unsigned round, size_t i)
{
	return scattered(thread->nr, round * thread->cell->pages + i);
}

static size_t page_phases(const struct thread *thread, unsigned round, size_t i)
{
	return page_cold(thread, round / PHASE, i);
}

static size_t page_next(const struct thread *thread, unsigned round, size_t i)
{
	return (round * thread->cell->pages + i) & (thread->nr - 1);
}

static size_t page_zipf(const struct thread *thread, unsigned round, size_t i)
{
	return scattered(thread->nr, zipf_rank(thread->nr, random_of((uint64_t)round << 32 | i)));
}

static const struct workload workloads[] = {
	{"hot", page_hot, WHOLE, .fills = false},       {"own", page_hot, WHOLE, .own = true},
	{"cold", page_cold, WHOLE, .fills = false},     {"zipf", page_zipf, WHOLE, .repeats = true},
	{"fill", page_next, WHOLE, .fills = true},      {"append", page_next, WHOLE, .fills = true, .grows = true},
	{"ranges", page_hot, EXACT, .fills = false},    {"rounded", page_hot, ROUNDED, .fills = false},
	{"phases", page_phases, WHOLE, .fills = false}, {"readers", page_hot, WHOLE, .reads = true},
};

// The pages of a round, each once.
static size_t pages_pick(struct thread *thread, unsigned round)
{
	const struct cell *cell = thread->cell;
	size_t i, nr = 0;

	for (i = 0; i < cell->pages; i++) {
		size_t page = cell->workload->page(thread, round, i);

		if (cell->workload->repeats) {
			if (thread->seen[page] == round + 1)
				continue;
			thread->seen[page] = round + 1;
		}
		thread->page[nr++] = thread->first + page;
	}
	return nr;
}

static void pages_read(struct thread *thread)
{
	size_t i, nr = thread->cell->size / PAGE;

	for (i = 0; i < NR_READ; i++)
		(void)*(volatile char *)(thread->cell->map + (random_of(thread->reads++) & (nr - 1)) * PAGE);
}

// Returns how much of the mapping the file fills.
static size_t pages_store(struct thread *thread, unsigned round, size_t nr)
{
	const struct cell *cell = thread->cell;
	size_t i, len = cell->size;

	if (cell->workload->grows) {
		len = (round + 1) * cell->pages * PAGE;
		if (ftruncate(cell->fd, (off_t)(cell->shift + len)))
			fail("ftruncate");
	}
	if (cell->workload->reads && cell->threads == 1)
		pages_read(thread);
	for (i = 0; i < nr; i++) {
		char *at = cell->map + thread->page[i] * PAGE;

		if (cell->workload->fills)
			memset(at, (int)round + 1, PAGE);
		else
			memset(at + LINE_AT, (int)round + 1, LINE);
	}
	return len;
}

static long driven_away(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

static void round_run(struct thread *thread, unsigned round, bool counts)
{
	const struct cell *cell = thread->cell;
	struct stored stored = {
		.map = cell->map, .unit = cell->workload->unit, .page = thread->page, .nr = pages_pick(thread, round)};
	long before = driven_away();
	double begin = now(), middle, end;

	stored.len = pages_store(thread, round, stored.nr);
	if (cell->workload->own) {
		stored.from = thread->first * PAGE;
		stored.len = thread->nr * PAGE;
	}
	middle = now();
	cell->way->sync(&stored);
	end = now();
	if (!counts)
		return;
	thread->store += middle - begin;
	thread->sync += end - middle;
	if (driven_away() != before)
		return;
	thread->kept_store += middle - begin;
	thread->kept_sync += end - middle;
	thread->kept++;
}

static void *writer_run(void *arg)
{
	struct thread *thread = arg;
	unsigned round;

	for (round = 0; round < WARM_UP; round++)
		round_run(thread, round, false);
	pthread_barrier_wait(&thread->cell->start);
	thread->begin = now();
	for (; round < WARM_UP + thread->cell->rounds; round++)
		round_run(thread, round, true);
	thread->end = now();
	atomic_store(&thread->cell->over, true);
	return NULL;
}

static void *reader_run(void *arg)
{
	struct thread *thread = arg;

	pthread_barrier_wait(&thread->cell->start);
	while (!atomic_load(&thread->cell->over))
		pages_read(thread);
	return NULL;
}

static void report(const struct cell *cell, const struct thread *thread, unsigned writers)
{
	double store = 0, sync = 0, begin = thread->begin, end = thread->end;
	unsigned i, dropped = 0, all = cell->rounds * writers;

	for (i = 0; i < writers; i++) {
		bool few = thread[i].kept < (cell->rounds + 7) / 8;

		store += few ? thread[i].store / cell->rounds : thread[i].kept_store / thread[i].kept;
		sync += few ? thread[i].sync / cell->rounds : thread[i].kept_sync / thread[i].kept;
		dropped += cell->rounds - thread[i].kept;
		begin = fmin(begin, thread[i].begin);
		end = fmax(end, thread[i].end);
	}
	printf("%s\t%.0f\t%.0f\t%.0f\t%u\t%u\n", cell->name, store / writers, sync / writers, all / (end - begin) * 1e9,
	       all, dropped);
}

// A file of its own, without a name, mapped in step with 2 MiB or a page behind; with holes if it is large. Grows from nothing
// if the workload does.
static void cell_map(struct cell *cell)
{
	char path[] = "/dev/shm/daxsync-bench.XXXXXX";
	char *place = mmap(NULL, cell->size + 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at = (char *)(((uintptr_t)place + HUGE - 1) & ~(HUGE - 1)) + cell->shift;

	cell->fd = mkstemp(path);
	if (cell->fd < 0 || unlink(path) || place == MAP_FAILED)
		fail(path);
	if (!cell->workload->grows && ftruncate(cell->fd, (off_t)cell->size))
		fail("ftruncate");
	if (!cell->workload->fills && cell->size <= MAX_FILLED && posix_fallocate(cell->fd, 0, (off_t)cell->size))
		fail("posix_fallocate");
	cell->map = mmap(at, cell->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, cell->fd, 0);
	if (cell->map != at)
		fail("mmap");
}

// Sees to it that a round finds its pages in the file and in the page tables, and the entries dirty: on a virtual machine the
// first store after loads alone may cost microseconds, though the kernel has nothing to do.
static void pages_prepare(struct thread *thread)
{
	struct cell *cell = thread->cell;
	unsigned round;
	size_t i, nr;

	for (round = 0; !cell->workload->fills && round < WARM_UP + cell->rounds; round++) {
		nr = pages_pick(thread, round);
		for (i = 0; i < nr; i++)
			*(volatile char *)(cell->map + thread->page[i] * PAGE) = 0;
	}
	for (i = 0; cell->workload->reads && i < cell->size; i += PAGE)
		(void)*(volatile char *)(cell->map + i);
	for (i = 0; cell->workload->repeats && i < thread->nr; i++)
		thread->seen[i] = 0;
}

static void threads_make(struct cell *cell, struct thread *thread, unsigned writers)
{
	unsigned i;

	for (i = 0; i < cell->threads; i++) {
		size_t nr = cell->size / PAGE / writers;

		thread[i] = (struct thread){.cell = cell, .first = i * nr, .nr = nr, .reads = (uint64_t)i << 32};
		if (i >= writers)
			continue;
		thread[i].seen = calloc(nr, sizeof(*thread->seen));
		thread[i].page = calloc(cell->pages, sizeof(*thread->page));
		if (!thread[i].seen || !thread[i].page)
			fail("calloc");
		pages_prepare(&thread[i]);
	}
}

static void cell_run(struct cell *cell)
{
	unsigned i, writers = cell->workload->reads ? 1 : cell->threads;
	struct thread thread[MAX_THREADS];

	cell_map(cell);
	threads_make(cell, thread, writers);
	if (cell->way->begin)
		cell->way->begin(cell->map, cell->size);
	pthread_barrier_init(&cell->start, NULL, cell->threads);
	for (i = 0; i < cell->threads; i++)
		if (pthread_create(&thread[i].id, NULL, i < writers ? writer_run : reader_run, &thread[i]))
			fail("pthread_create");
	for (i = 0; i < cell->threads; i++)
		pthread_join(thread[i].id, NULL);
	report(cell, thread, writers);
	for (i = 0; i < writers; i++) {
		free(thread[i].seen);
		free(thread[i].page);
	}
	pthread_barrier_destroy(&cell->start);
	munmap(cell->map, cell->size);
	close(cell->fd);
}

static bool cell_parse(struct cell *cell, const char *text)
{
	char name[16], step[4], unit;
	size_t i;

	if (sscanf(text, "%15[^:]:%zu:%zu%c:%3[^:]:%u", name, &cell->pages, &cell->size, &unit, step, &cell->threads) !=
	    6)
		return false;
	cell->name = text;
	cell->size <<= unit == 'G' ? 30 : 20;
	cell->shift = strcmp(step, "in") ? PAGE : 0;
	for (i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (!strcmp(workloads[i].name, name))
			cell->workload = &workloads[i];
	return cell->workload && (unit == 'M' || unit == 'G') && cell->pages && cell->size &&
	       !(cell->size & (cell->size - 1)) && cell->threads && cell->threads <= MAX_THREADS &&
	       cell->pages <= cell->size / PAGE / cell->threads && (!cell->workload->grows || cell->threads == 1);
}

static unsigned rounds_of(const struct cell *cell, unsigned wanted)
{
	size_t rounds = wanted ? wanted : 8192 / cell->pages, fit = cell->size / PAGE / cell->pages;

	if (!wanted)
		rounds = rounds < 8 ? 8 : rounds > 1000 ? 1000 : rounds;
	if (!strcmp(cell->way->name, "blind") && rounds > 5)
		rounds = 5;
	if (!cell->workload->grows || rounds + WARM_UP <= fit)
		return (unsigned)rounds;
	return fit > WARM_UP ? (unsigned)fit - WARM_UP : 0;
}

int main(int argc, char **argv)
{
	const struct way *way = argc > 3 ? way_find(argv[1]) : NULL;
	int i;

	if (!way) {
		fputs("usage: bench_workloads msync|oracle|blind|tracker ROUNDS WORKLOAD:PAGES:SIZE:STEP:THREADS...\n",
		      stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 3; i < argc; i++) {
		struct cell cell = {.way = way};

		if (cell_parse(&cell, argv[i]))
			cell.rounds = rounds_of(&cell, (unsigned)strtoul(argv[2], NULL, 10));
		if (!cell.rounds) {
			fprintf(stderr, "bench_workloads: there is no such cell: %s\n", argv[i]);
			return 2;
		}
		cell_run(&cell);
	}
	return 0;
}
