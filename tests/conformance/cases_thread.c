// SPDX-License-Identifier: BSD-3-Clause
// cases_thread.c: threads that store, sync, map, unmap and are cancelled at the same time.
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conformance.h"

static char *shared;
static atomic_bool stop;
static atomic_ulong rounds;

static void *store_and_sync(void *arg)
{
	unsigned long round;

	(void)arg;
	for (round = 0; !stop; round++) {
		store_pages(shared, NR_PAGES, (char)round);
		sync_all(shared, FILE_SIZE);
		CHECK(pages_are(shared, NR_PAGES, (char)round));
		atomic_fetch_add(&rounds, 1);
	}
	return NULL;
}

// M10: a trap never opens memory that is somebody else's meanwhile, and mappings that come and go disturb nobody.
static void neighbours_unmap_while_storing(void)
{
	int fd[4], i;
	double end;

	for (i = 0; i < 4; i++)
		fd[i] = file_new(FILE_SIZE / 4);
	shared = map_closed(file_new(FILE_SIZE));
	thread_start(store_and_sync, NULL);
	for (i = 0, end = now() + 2; now() < end; i++) {
		char *map = map_new(fd[i % 4], 0, FILE_SIZE / 4);

		store_pages(map, NR_PAGES / 4, (char)i);
		if (i % 2)
			sync_all(map, FILE_SIZE / 4);
		store_pages(map, NR_PAGES / 4, (char)(i + 1));
		CHECK(!munmap(map, FILE_SIZE / 4));
	}
	stop = true;
	threads_join();
	CHECK(rounds > 10);
	sync_all(shared, FILE_SIZE);
}

static void *store_to_alias(void *arg)
{
	char *alias = arg;

	while (!stop) {
		store_pages(alias, NR_PAGES, 'A');
		atomic_fetch_add(&rounds, 1);
	}
	return NULL;
}

// Aliases of the file that is being stored to and synced come and go.
static void aliases_come_and_go_while_storing(void)
{
	int fd = file_new(FILE_SIZE);
	double end;

	shared = map_closed(fd);
	thread_start(store_to_alias, map_new(fd, 0, FILE_SIZE));
	for (end = now() + 2; now() < end;) {
		char *alias = map_new(fd, 0, FILE_SIZE);

		store_pages(alias, NR_PAGES, 'B');
		sync_all(shared, FILE_SIZE);
		store_pages(alias, NR_PAGES, 'C');
		CHECK(!munmap(alias, FILE_SIZE));
	}
	stop = true;
	threads_join();
	sync_all(shared, FILE_SIZE);
}

// The mapping moves to and fro while threads store to another mapping of the same file. M10.
static void mremap_while_storing(void)
{
	int fd = file_new(FILE_SIZE);
	char *map, *room;
	double end;

	shared = map_closed(fd);
	thread_start(store_to_alias, shared);
	map = map_new(fd, 0, FILE_SIZE);
	for (end = now() + 2; now() < end;) {
		room = mmap(NULL, FILE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(room != MAP_FAILED);
		store_pages(map, NR_PAGES, 'M');
		room = mremap(map, FILE_SIZE, FILE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, room);
		CHECK(room != MAP_FAILED);
		map = room;
		sync_all(map, FILE_SIZE);
	}
	stop = true;
	threads_join();
	sync_all(shared, FILE_SIZE);
}

static void *sync_until_cancelled(void *arg)
{
	unsigned i;

	for (i = 0;; i++) {
		store_pages(shared, NR_PAGES, (char)i);
		CHECK(!msync(shared, FILE_SIZE, MS_SYNC));
		if (arg)
			CHECK(!fsync(*(int *)arg));
	}
	return NULL;
}

// msync is a cancellation point; cancellation acts before it or after it, never in the middle.
static void cancel_in_msync(void)
{
	int fd = file_new(FILE_SIZE), i;
	pthread_t thread;
	void *result;

	shared = map_closed(fd);
	for (i = 0; i < 200; i++) {
		CHECK(!pthread_create(&thread, NULL, sync_until_cancelled, i % 2 ? &fd : NULL));
		usleep((useconds_t)(i * 37 % 1000));
		CHECK(!pthread_cancel(thread));
		CHECK(!pthread_join(thread, &result) && result == PTHREAD_CANCELED);
		store_pages(shared, NR_PAGES, 'n');
		sync_all(shared, FILE_SIZE);
	}
	CHECK(!fsync(fd));
}

static pthread_barrier_t all_ready;

static void *sync_one_page(void *arg)
{
	size_t id = (size_t)(uintptr_t)arg, i;

	pthread_barrier_wait(&all_ready);
	for (i = 0; i < (page > 4096 ? 20 : 100); i++) {
		((volatile char *)shared)[page + id] = (char)i;
		sync_all(shared + page, page);
		CHECK(shared[page + id] == (char)i);
	}
	return NULL;
}

// M3, M4: many syncs of one page: no store is lost, none returns before the flush it relies on has been fenced.
static void hundred_threads_sync_one_page(void)
{
	uintptr_t i;

	shared = map_closed(file_new(FILE_SIZE));
	CHECK(!pthread_barrier_init(&all_ready, NULL, 100));
	for (i = 0; i < 100; i++)
		thread_start(sync_one_page, (void *)i);
	threads_join();
	sync_all(shared, FILE_SIZE);
}

static void *store_and_end(void *arg)
{
	store_pages(arg, NR_PAGES, 'e');
	return NULL;
}

// Stores of a thread that has ended are covered like any others.
static void stores_of_ended_threads_are_synced(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	int i;

	for (i = 0; i < 50; i++) {
		uint64_t before = nr_flushed();

		thread_start(store_and_end, map);
		threads_join();
		sync_all(map, FILE_SIZE);
		COUNTED(nr_flushed() >= before + NR_PAGES);
	}
}

static void *truncate_in_a_loop(void *arg)
{
	int fd = *(int *)arg;

	while (!stop) {
		CHECK(!ftruncate(fd, (off_t)FILE_SIZE / 2));
		CHECK(!ftruncate(fd, (off_t)FILE_SIZE));
	}
	return NULL;
}

// M7: the file is cut off between the look and the flush; the half that stays is stored to.
static void truncate_while_syncing(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);
	double end;
	int i = 0;

	thread_start(truncate_in_a_loop, &fd);
	for (end = now() + 2; now() < end; i++) {
		store_pages(map, NR_PAGES / 2, (char)i);
		sync_all(map, FILE_SIZE);
		CHECK(pages_are(map, NR_PAGES / 2, (char)i));
	}
	stop = true;
	threads_join();
	store_pages(map, NR_PAGES, 'e');
	sync_all(map, FILE_SIZE);
}

const struct test_case cases_thread[] = {
	CASE(neighbours_unmap_while_storing, ALL), CASE(aliases_come_and_go_while_storing, ALL),
	CASE(mremap_while_storing, SMALL),         CASE(cancel_in_msync, SMALL),
	CASE(hundred_threads_sync_one_page, ALL),  CASE(stores_of_ended_threads_are_synced, ALL),
	CASE(truncate_while_syncing, ALL),         END_OF_CASES,
};
