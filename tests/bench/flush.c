// SPDX-License-Identifier: BSD-3-Clause
// flush.c: how long the flush of many pages takes that were just stored to, by one thread and by several.
//
//   bench_flush THREADS ROUNDS PAGES...    for each PAGES: PAGES<tab>ns, the median of the rounds, fence included
//
// The threads are there before, and spin for their share: what is measured is the best that a library with threads of its
// own could do. PMEM_NO_CLWB=1 has libpmem2 take CLFLUSHOPT. The memory is tmpfs's.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define MAX_THREADS 64

static char *map;
static unsigned nr_threads;
static size_t nr_pages;
static _Atomic unsigned turn,
	nr_done; // release, acquire: the pages are stored before the turn begins, and flushed when it ends

void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void share_flush(unsigned nr)
{
	size_t first = nr_pages * nr / nr_threads, beyond = nr_pages * (nr + 1) / nr_threads;

	lines_flush(map + first * PAGE, (beyond - first) * PAGE);
	lines_drain();
}

static void *helper_run(void *arg)
{
	unsigned nr = (unsigned)(size_t)arg, seen = 0;

	for (;;) {
		while (atomic_load_explicit(&turn, memory_order_acquire) == seen)
			;
		seen++;
		share_flush(nr);
		atomic_fetch_add_explicit(&nr_done, 1, memory_order_release);
	}
	return NULL;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double round_run(unsigned round)
{
	double begin;

	memset(map, (int)round, nr_pages * PAGE);
	atomic_store_explicit(&nr_done, 0, memory_order_relaxed); // relaxed: before `turn`
	begin = now();
	atomic_fetch_add_explicit(&turn, 1, memory_order_release);
	share_flush(0);
	while (atomic_load_explicit(&nr_done, memory_order_acquire) < nr_threads - 1)
		;
	return now() - begin;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(size_t pages, unsigned rounds)
{
	double *took = calloc(rounds, sizeof(*took));

	if (!took)
		fail("calloc");
	nr_pages = pages;
	for (unsigned i = 0; i < rounds; i++)
		took[i] = round_run(i);
	qsort(took, rounds, sizeof(*took), by_size);
	printf("%zu\t%.0f\n", pages, took[rounds / 2]);
	free(took);
}

int main(int argc, char **argv)
{
	size_t most = 0;
	int fd = memfd_create("bench-flush", MFD_CLOEXEC);

	if (argc < 4)
		return 2;
	nr_threads = (unsigned)atoi(argv[1]);
	if (!nr_threads || nr_threads > MAX_THREADS)
		return 2;
	for (int i = 3; i < argc; i++)
		most = (size_t)atol(argv[i]) > most ? (size_t)atol(argv[i]) : most;
	if (fd < 0 || ftruncate(fd, (off_t)(most * PAGE)))
		fail("memory");
	map = mmap(NULL, most * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		fail("mmap");
	way_find("oracle")->begin(map, most * PAGE);
	for (unsigned i = 1; i < nr_threads; i++) {
		pthread_t id;

		if (pthread_create(&id, NULL, helper_run, (void *)(size_t)i))
			fail("pthread_create");
	}
	for (int i = 3; i < argc; i++)
		measure((size_t)atol(argv[i]), (unsigned)atoi(argv[2]));
	return 0;
}
