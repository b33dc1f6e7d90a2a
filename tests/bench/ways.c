// SPDX-License-Identifier: BSD-3-Clause
// ways.c: how what was stored is made durable.
#include <dlfcn.h>
#include <libpmem2.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

static pmem2_flush_fn pmem2_flush;
static pmem2_drain_fn pmem2_drain;
static int (*daxsync_sync)(const void *addr, size_t len); // NULL without the shim

void lines_flush(const void *addr, size_t len)
{
	pmem2_flush(addr, len);
}

void lines_drain(void)
{
	pmem2_drain();
}

// The functions hold for any address; the map that they are asked from stays.
static void pmem2_begin(char *map, size_t len)
{
	struct pmem2_source *source;
	struct pmem2_map *page;
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)map;
	(void)len;
	if (at == MAP_FAILED || pmem2_source_from_anon(&source, PAGE) ||
	    pmem2_map_from_existing(&page, source, at, PAGE, PMEM2_GRANULARITY_CACHE_LINE))
		fail("libpmem2");
	pmem2_source_delete(&source);
	pmem2_flush = pmem2_get_flush_fn(page);
	pmem2_drain = pmem2_get_drain_fn(page);
}

static void shim_find(char *map, size_t len)
{
	(void)map;
	(void)len;
	*(void **)&daxsync_sync = dlsym(RTLD_DEFAULT, "daxsync_sync");
}

static char *line_of(const struct stored *stored, size_t i)
{
	return stored->map + stored->page[i] * PAGE + LINE_AT;
}

// msync(2), whoever serves it. Exact ranges are what daxsync's own call is for.
static void msync_sync(const struct stored *stored)
{
	size_t i;
	int err = 0;

	if (stored->unit == WHOLE)
		err = msync(stored->map + stored->from, stored->len, MS_SYNC);
	for (i = 0; stored->unit != WHOLE && !err && i < stored->nr; i++) {
		if (stored->unit == EXACT && daxsync_sync)
			err = daxsync_sync(line_of(stored, i), LINE);
		else
			err = msync(stored->map + stored->page[i] * PAGE, LINE_AT + LINE, MS_SYNC);
	}
	if (err)
		fail("msync");
}

static void oracle_sync(const struct stored *stored)
{
	size_t i;

	for (i = 0; i < stored->nr; i++) {
		if (stored->unit == WHOLE) {
			lines_flush(stored->map + stored->page[i] * PAGE, PAGE);
		} else {
			lines_flush(line_of(stored, i), LINE);
			lines_drain();
		}
	}
	if (stored->unit == WHOLE)
		lines_drain();
}

static void blind_sync(const struct stored *stored)
{
	if (stored->unit != WHOLE) {
		oracle_sync(stored);
		return;
	}
	lines_flush(stored->map + stored->from, stored->len);
	lines_drain();
}

static void tracker_start(char *map, size_t len)
{
	pmem2_begin(map, len);
	tracker_begin(map, len);
}

static void tracked_sync(const struct stored *stored)
{
	size_t i;

	if (stored->unit == WHOLE)
		tracker_sync(stored->map + stored->from, stored->len);
	for (i = 0; stored->unit != WHOLE && i < stored->nr; i++)
		tracker_sync(line_of(stored, i), LINE);
}

static const struct way ways[] = {
	{"msync", shim_find, msync_sync},
	{"oracle", pmem2_begin, oracle_sync},
	{"blind", pmem2_begin, blind_sync},
	{"tracker", tracker_start, tracked_sync},
};

const struct way *way_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(ways[i].name, name))
			return &ways[i];
	return NULL;
}
