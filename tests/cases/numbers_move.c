// SPDX-License-Identifier: BSD-3-Clause
// numbers_move.c: A thread takes every descriptor number for itself, again and again, while others store and sync:
// the library's descriptors are moved out of the way under the threads that use them. No store is missed.
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGE 4096
#define NR_PAGES 32
#define NR_THREADS 3
#define NR_SWEEPS 40
#define LIMIT 100

static atomic_bool stop;
static atomic_int nr_syncs[NR_THREADS], nr_failed;
static char *map;

static void *storer(void *arg)
{
	long nr = (long)arg, i;

	while (!atomic_load(&stop)) {
		for (i = nr; i < NR_PAGES; i += NR_THREADS) {
			map[i * PAGE + nr]++;
			if (msync(map + i * PAGE, PAGE, MS_SYNC))
				atomic_fetch_add(&nr_failed, 1);
		}
		atomic_fetch_add(&nr_syncs[nr], 1);
	}
	return NULL;
}

static void sweep(int fd)
{
	int i;

	for (i = LIMIT / 2; i < LIMIT - 10; i++) // the library needs some
		if (dup2(fd, i) == i && i % 2)
			close(i);
	for (i = LIMIT / 2; i < LIMIT - 10; i++)
		close(i);
}

int main(int argc, char **argv)
{
	struct rlimit limit = {LIMIT, LIMIT};
	pthread_t thread[NR_THREADS];
	int fd, i, before;
	long nr;

	(void)argc;
	setrlimit(RLIMIT_NOFILE, &limit);
	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, NR_PAGES * PAGE))
		return 1;
	map = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 1;
	for (nr = 0; nr < NR_THREADS; nr++)
		pthread_create(&thread[nr], NULL, storer, (void *)nr);
	for (i = 0; i < NR_SWEEPS; i++) {
		before = atomic_load(&nr_syncs[0]);
		while (atomic_load(&nr_syncs[0]) == before) // some have to come in between
			sweep(fd);
	}
	atomic_store(&stop, true);
	for (nr = 0; nr < NR_THREADS; nr++)
		pthread_join(thread[nr], NULL);
	printf("failed syncs: %d\n", atomic_load(&nr_failed));
	return 0;
}
