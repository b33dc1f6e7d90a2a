// SPDX-License-Identifier: BSD-3-Clause
// mapping_stress.c: readers in sections against changes of the table of mappings.
//
//   mapping_stress [-s SECONDS] [-r READERS] [-w WRITERS]     (TEST_SEED repeats the random choices)
//
// Every window of addresses has a kind: some mappings stay for ever, some are replaced by another in one step, some
// come and go. What is gone is poisoned as soon as dxs_maps_replace() has returned. Checked by each reader, inside one
// section:
//   - a window that always has a mapping is never seen without one (a change is one step);
//   - what a lookup returns covers the address, and stays unpoisoned to the end of the section (R.1);
//   - the same holds for files found by identity.
// ThreadSanitizer sees poisoning that is not ordered behind the reads, also where the values look right.
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "../unit/random.h"
#include "file/file.h"
#include "file/mapping.h"
#include "stress.h"

#define WINDOWS 48
#define WINDOW_SIZE ((uintptr_t)1 << 21)
#define WINDOW_BASE ((uintptr_t)1 << 40)
#define BATCH 6
#define THREADS_MAX 64
#define DEV 77

enum kind { STAYS, REPLACED, COMES_AND_GOES };

// A mapping and its file in one piece, so that both go together.
struct object {
	struct dxs_map map;
	struct dxs_file file;
};

static struct object *now[WINDOWS]; // under the registry's lock
static _Atomic bool stop;
static _Atomic uint64_t nr_reads, nr_changes;
static uint64_t seed;
static unsigned seconds = 5, nr_readers = 3, nr_writers = 2;

static enum kind kind_of(unsigned window)
{
	return (enum kind)(window % 3);
}

static uintptr_t addr_of(unsigned window)
{
	return WINDOW_BASE + window * WINDOW_SIZE;
}

static struct object *object_new(unsigned window)
{
	struct object *object = calloc(1, sizeof(*object));

	if (!object)
		_exit(1);
	object->map = (struct dxs_map){
		.addr = addr_of(window),
		.len = WINDOW_SIZE,
		.first = window,
		.file = &object->file,
	};
	object->file.dev = DEV;
	object->file.ino = window;
	return object;
}

static void fail(const char *what, unsigned window)
{
	fprintf(stderr, "FAIL: %s: window %u\n", what, window);
	_exit(1);
}

static void check_map(const struct dxs_map *map, unsigned window)
{
	if (map->addr != addr_of(window) || map->len != WINDOW_SIZE || map->first != window)
		fail("a lookup returned what is not there, or not any more", window);
	if (map->file->dev != DEV || map->file->ino != window)
		fail("the file of a mapping is not there any more", window);
}

static void read_window(unsigned window, uint64_t r)
{
	struct dxs_map *map = dxs_maps_find(addr_of(window) + r % WINDOW_SIZE);
	struct dxs_file *file = dxs_maps_file(DEV, window);

	if ((!map || !file) && kind_of(window) != COMES_AND_GOES)
		fail("a window is seen without its mapping", window);
	for (unsigned i = 0; i < (r >> 32) % 8; i++) { // for some time
		if (map)
			check_map(map, window);
		if (file && (file->dev != DEV || file->ino != window))
			fail("a file is not there any more", window);
	}
}

// The first mapping from one window to another: the STAYS window among any three bounds how far away it may be.
static void read_range(unsigned from, unsigned to)
{
	struct dxs_map *map = dxs_maps_first(addr_of(from) + 1, addr_of(to));

	if (!map) {
		if (to - from >= 3)
			fail("no mapping is found in a range that has one", from);
		return;
	}
	if (map->addr < addr_of(from) || map->addr >= addr_of(to))
		fail("a mapping outside of the range is found", from);
	check_map(map, (unsigned)((map->addr - WINDOW_BASE) / WINDOW_SIZE));
}

static void *reader(void *arg)
{
	uint64_t state = seed + 1 + (uintptr_t)arg;

	while (!atomic_load(&stop)) {
		uint64_t r = random_next(&state);
		unsigned window = (unsigned)(r % WINDOWS), other = (unsigned)((r >> 20) % WINDOWS);
		unsigned section = dxs_maps_enter();

		if (!dxs_maps_any())
			fail("the table is seen empty", window);
		read_window(window, r);
		if (window < other)
			read_range(window, other);
		dxs_maps_exit(section);
		atomic_fetch_add(&nr_reads, 1);
	}
	return NULL;
}

// Replaces the mappings of some windows in one step. Caller holds the registry's lock.
static void change(uint64_t *state)
{
	struct dxs_map *gone[BATCH], *made[BATCH];
	unsigned first = (unsigned)random_below(state, WINDOWS - BATCH), i, nr_gone = 0, nr_made = 0;

	for (i = first; i < first + BATCH; i++) {
		struct object *old = now[i];

		if (kind_of(i) == STAYS || random_below(state, 3) == 0)
			continue;
		if (old)
			gone[nr_gone++] = &old->map;
		now[i] = old && kind_of(i) == COMES_AND_GOES ? NULL : object_new(i);
		if (now[i])
			made[nr_made++] = &now[i]->map;
	}
	if (dxs_maps_replace(gone, nr_gone, made, nr_made))
		fail("no memory", first);
	for (i = 0; i < nr_gone; i++) {
		struct object *object = (struct object *)gone[i]; // its first member

		memset(object, 0xdb, sizeof(*object));
		free(object);
	}
}

static void *writer(void *arg)
{
	uint64_t state = seed + 1000 + (uintptr_t)arg;

	while (!atomic_load(&stop)) {
		dxs_registry_lock();
		change(&state);
		dxs_registry_unlock();
		atomic_fetch_add(&nr_changes, 1);
	}
	return NULL;
}

static const struct stress_option option[] = {
	{'s', &seconds, 0, UINT_MAX},
	{'r', &nr_readers, 0, THREADS_MAX},
	{'w', &nr_writers, 0, THREADS_MAX},
};

static void threads_run(void)
{
	pthread_t thread[2 * THREADS_MAX];
	unsigned nr;

	for (nr = 0; nr < nr_readers + nr_writers; nr++)
		if (pthread_create(&thread[nr], NULL, nr < nr_readers ? reader : writer, (void *)(uintptr_t)nr))
			_exit(1);
	sleep(seconds);
	atomic_store(&stop, true);
	while (nr)
		pthread_join(thread[--nr], NULL);
}

// All mappings come, or go, in one step.
static void fill(bool come)
{
	struct dxs_map *list[WINDOWS] = {NULL};
	size_t nr = 0;

	for (unsigned i = 0; i < WINDOWS; i++) {
		if (come)
			now[i] = object_new(i);
		if (now[i])
			list[nr++] = &now[i]->map;
	}
	dxs_registry_lock();
	if (come ? dxs_maps_replace(NULL, 0, list, nr) : dxs_maps_replace(list, nr, NULL, 0))
		fail("no memory", 0);
	dxs_registry_unlock();
	for (unsigned i = 0; !come && i < WINDOWS; i++)
		free(now[i]);
}

int main(int argc, char **argv)
{
	stress_options(argc, argv, option, sizeof(option) / sizeof(option[0]));
	seed = random_seed("mapping_stress");
	fill(true);
	threads_run();
	fill(false);
	if (dxs_maps_any() || dxs_maps_find(addr_of(0)) || dxs_maps_file(DEV, 0))
		fail("mappings are left", 0);
	printf("%llu sections, %llu changes\n", (unsigned long long)nr_reads, (unsigned long long)nr_changes);
	return 0;
}
