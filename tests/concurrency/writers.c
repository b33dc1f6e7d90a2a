// SPDX-License-Identifier: BSD-3-Clause
// writers.c: threads that store to one mapping while others sync it, with the verifier on.
//
//   writers [-s SECONDS] [-w WRITERS] [-y SYNCERS] [-p PAGES] [-a] [-e] [-m MEMORY]
//
// Every store puts a growing number into a slot that belongs to one writer. -a: every other writer uses a second
// mapping of the same pages (an alias); the syncers use the first. -e: goes on after syncs that fail with EIO. MEMORY: tmpfs, memfd, hugetlbfs. Runs under the shim
// (`daxsync run --emulate --verify -- writers`), which finds missed pages; itself it fails when a sync does.
// After the last sync nothing may be unsynced: the shim's verifier compares everything.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../mix.h"

#define SKIP 77

static unsigned nr_writers = 8, nr_syncers = 2, seconds = 5;
static size_t nr_pages = 512, page = 4096;
static bool alias, go_on;
static const char *memory = "tmpfs";
static char *store_at, *sync_at;
static int fd;
static atomic_bool stop;
static atomic_ulong nr_stores, nr_syncs;

static uint64_t next_random(uint64_t *state)
{
	return mix(*state += DXS_MIX_STEP);
}

static void *writer(void *arg)
{
	uint64_t id = (uint64_t)(uintptr_t)arg, state = id, value = 0;
	char *base = id % 2 ? store_at : sync_at;

	while (!stop) {
		uint64_t r = next_random(&state);
		// Half of the stores go to a few hot pages.
		size_t at = (r & 1 ? r >> 8 : (r >> 8) % 16) % nr_pages;

		((volatile uint64_t *)(base + at * page))[id * 8 + (r >> 40) % 8] = ++value;
		if (!(value % 64))
			atomic_fetch_add(&nr_stores, 64);
	}
	return NULL;
}

static void sync_check(int ret, const char *what)
{
	if (!ret || (go_on && errno == EIO))
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(1);
}

static void *syncer(void *arg)
{
	uint64_t state = 1000 + (uint64_t)(uintptr_t)arg;

	while (!stop) {
		uint64_t r = next_random(&state);
		size_t first = (r >> 8) % nr_pages, nr = 1 + (r >> 32) % 8;

		if (r % 4 == 0)
			sync_check(msync(sync_at, nr_pages * page, MS_SYNC), "msync of all");
		else if (r % 4 == 1)
			sync_check(fdatasync(fd), "fdatasync");
		else
			sync_check(msync(sync_at + first * page, (first + nr > nr_pages ? nr_pages - first : nr) * page,
					 MS_SYNC),
				   "msync");
		atomic_fetch_add(&nr_syncs, 1);
	}
	return NULL;
}

static int memory_open(void)
{
	char path[] = "/dev/shm/daxsync-writers.XXXXXX";
	int file;

	if (!strcmp(memory, "memfd"))
		return memfd_create("writers", MFD_CLOEXEC);
	if (!strcmp(memory, "hugetlbfs")) {
		page = (size_t)2 << 20;
		nr_pages = 8;
		return memfd_create("writers", MFD_CLOEXEC | MFD_HUGETLB);
	}
	file = mkstemp(path);
	if (file >= 0)
		unlink(path);
	return file;
}

static void *map(void)
{
	return mmap(NULL, nr_pages * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:w:y:p:aem:")) != -1) {
		if (c == 's')
			seconds = (unsigned)atoi(optarg);
		else if (c == 'w')
			nr_writers = (unsigned)atoi(optarg);
		else if (c == 'y')
			nr_syncers = (unsigned)atoi(optarg);
		else if (c == 'p')
			nr_pages = (size_t)atoi(optarg);
		else if (c == 'a')
			alias = true;
		else if (c == 'e')
			go_on = true;
		else if (c == 'm')
			memory = optarg;
		else
			exit(2);
	}
	if (nr_writers + nr_syncers > 60)
		exit(2);
}

int main(int argc, char **argv)
{
	pthread_t thread[64];
	unsigned i, nr = 0;

	options(argc, argv);
	fd = memory_open();
	if (fd < 0 || ftruncate(fd, (off_t)(nr_pages * page))) {
		printf("SKIP: no memory of kind %s: %s\n", memory, strerror(errno));
		return SKIP;
	}
	sync_at = map();
	store_at = alias ? map() : sync_at;
	if (sync_at == MAP_FAILED || store_at == MAP_FAILED) {
		printf("SKIP: %s cannot be mapped: %s\n", memory, strerror(errno));
		return SKIP;
	}
	for (i = 0; i < nr_writers; i++)
		pthread_create(&thread[nr++], NULL, writer, (void *)(uintptr_t)i);
	for (i = 0; i < nr_syncers; i++)
		pthread_create(&thread[nr++], NULL, syncer, (void *)(uintptr_t)i);
	sleep(seconds);
	stop = true;
	for (i = 0; i < nr; i++)
		pthread_join(thread[i], NULL);
	sync_check(msync(sync_at, nr_pages * page, MS_SYNC), "last msync");
	printf("%lu stores, %lu syncs\n", nr_stores, nr_syncs);
	return 0;
}
