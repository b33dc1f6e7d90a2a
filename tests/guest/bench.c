// SPDX-License-Identifier: BSD-3-Clause
// bench.c: how long stores and a sync take, on files of a DAX file system. It knows nothing of daxsync but its counters,
// and is run with and without it.
//
//   bench prepare DIR                  makes the two files, all of whose blocks are written
//   bench cells DIR ROUNDS PAGES...    one line for each kind of mapping, number of pages, and hot or cold:
//                                      cell MAPPING PAGES TEMPERATURE STORE-NS SYNC-NS TRAPS FLUSHED
//   bench rate COMMITS COMMAND...      runs lmdb_unicode, and tells from its lines how many commits a second it made:
//                                      rate FIRST-COMMITS ALL-OTHERS
//
// A cell is a new mapping, each of whose pages is read; then ROUNDS times a store to each of so many pages, scattered over
// the file, and an msync of the whole mapping. The times are medians, of a round; traps and flushed pages means. Hot: the
// same pages each time. Cold: others each time. Mappings: `small`, of 32 MiB, which by its place cannot have huge pages;
// `huge`, of 128 MiB. What the mapping has of these, in MiB, is said after the cell: huge MAPPING MIB.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <daxsync/daxsync.h>

#define PAGE ((size_t)4096)
#define HUGE ((size_t)2 << 20)
#define MAX_ROUNDS 64
#define SETTLED 80 // rounds before those that are measured

static const struct kind {
	const char *name;
	size_t size, shift; // of the mapping, behind a boundary of huge pages
} kinds[] = {{"small", 16 * HUGE, PAGE}, {"huge", 64 * HUGE, 0}};

struct counters {
	uint64_t traps, flushed;
};

static int (*stats_get)(struct daxsync_stats *);

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int file_open(const char *dir, const struct kind *kind)
{
	char name[4096];
	int fd;

	snprintf(name, sizeof(name), "%s/bench.%s", dir, kind->name);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		fail(name);
	return fd;
}

static void prepare(const char *dir, const struct kind *kind)
{
	static const char zeros[1 << 16];
	int fd = file_open(dir, kind);
	size_t at;

	if (posix_fallocate(fd, 0, (off_t)kind->size))
		fail("posix_fallocate");
	for (at = 0; at < kind->size; at += sizeof(zeros))
		if (pwrite(fd, zeros, sizeof(zeros), (off_t)at) != sizeof(zeros))
			fail("pwrite");
	if (fsync(fd) || close(fd))
		fail("fsync");
}

static char *map_file(const char *dir, const struct kind *kind)
{
	char *place = mmap(NULL, kind->size + 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *addr = (char *)(((uintptr_t)place + HUGE - 1) & ~(HUGE - 1)) + kind->shift;
	int fd = file_open(dir, kind);
	size_t at;

	if (place == MAP_FAILED ||
	    mmap(addr, kind->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != addr || close(fd))
		fail("mmap");
	for (at = 0; at < kind->size; at += PAGE)
		(void)*(volatile char *)(addr + at);
	return addr;
}

// How much of it is mapped as huge pages (PAGEMAP_SCAN, Linux 6.7), in MiB; -1: the kernel does not tell.
static long huge_mib(const char *addr, size_t size)
{
	struct {
		uint64_t start, end, categories;
	} found[128];
	struct scan {
		uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
		uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
	} scan = {.size = sizeof(scan),
		  .start = (uintptr_t)addr,
		  .end = (uintptr_t)addr + size,
		  .vec = (uintptr_t)found,
		  .vec_len = 128,
		  .category_mask = 1 << 6, // PAGE_IS_HUGE
		  .return_mask = 1 << 6};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int i, nr = fd < 0 ? -1 : ioctl(fd, _IOWR('f', 16, struct scan), &scan);
	uint64_t bytes = 0;

	if (fd >= 0)
		close(fd);
	for (i = 0; i < nr; i++)
		bytes += found[i].end - found[i].start;
	return nr < 0 ? -1 : (long)(bytes >> 20);
}

// The pages of the mapping in an order that scatters them.
static size_t *pages_scattered(size_t nr)
{
	size_t *page = malloc(nr * sizeof(*page)), i, other, kept;
	uint64_t state = 1;

	if (!page)
		fail("malloc");
	for (i = 0; i < nr; i++)
		page[i] = i;
	for (i = nr - 1; i > 0; i--) {
		state = state * 6364136223846793005 + 1442695040888963407;
		other = (size_t)(state >> 33) % (i + 1);
		kept = page[i];
		page[i] = page[other];
		page[other] = kept;
	}
	return page;
}

static struct counters counters_get(void)
{
	struct daxsync_stats stats = {.size = sizeof(stats)};

	if (!stats_get || stats_get(&stats))
		return (struct counters){0};
	return (struct counters){stats.traps, stats.pages_flushed};
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *value, size_t nr)
{
	qsort(value, nr, sizeof(*value), compare);
	return (value[(nr - 1) / 2] + value[nr / 2]) / 2;
}

// Stores to the pages and syncs; returns where the next round's pages begin.
static size_t round_run(char *map, const struct kind *kind, const size_t *order, size_t at, size_t pages,
			uint64_t *store, uint64_t *sync)
{
	size_t i, nr = kind->size / PAGE;
	uint64_t begin = now();

	for (i = 0; i < pages; i++)
		map[order[(at + i) % nr] * PAGE + 128]++;
	*store = now();
	if (msync(map, kind->size, MS_SYNC))
		fail("msync");
	*sync = now() - *store;
	*store -= begin;
	return at + pages;
}

static void cell(const char *dir, const struct kind *kind, const size_t *order, size_t pages, unsigned rounds, bool hot)
{
	uint64_t store[MAX_ROUNDS], sync[MAX_ROUNDS];
	struct counters before, after;
	char *map = map_file(dir, kind);
	size_t at = 0;
	unsigned i;

	// A first sync has more to do, pages are hot only then, and cold ones have to be noticed.
	for (i = 0; i < SETTLED; i++)
		at = round_run(map, kind, order, hot ? 0 : at, pages, &store[0], &sync[0]);
	before = counters_get();
	for (i = 0; i < rounds; i++)
		at = round_run(map, kind, order, hot ? 0 : at, pages, &store[i], &sync[i]);
	after = counters_get();
	printf("cell %s %zu %s %lu %lu %.1f %.1f\n", kind->name, pages, hot ? "hot" : "cold",
	       (unsigned long)median(store, rounds), (unsigned long)median(sync, rounds),
	       (double)(after.traps - before.traps) / rounds, (double)(after.flushed - before.flushed) / rounds);
	printf("huge %s %ld\n", kind->name, huge_mib(map, kind->size));
	munmap(map, kind->size);
}

static void cells(const char *dir, const struct kind *kind, unsigned rounds, char **pages)
{
	size_t *order = pages_scattered(kind->size / PAGE);

	for (; *pages; pages++) {
		cell(dir, kind, order, strtoul(*pages, NULL, 10), rounds, false);
		cell(dir, kind, order, strtoul(*pages, NULL, 10), rounds, true);
	}
	free(order);
}

static pid_t child_start(char **command, int *out)
{
	int ends[2];
	pid_t pid;

	if (pipe(ends))
		fail("pipe");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execvp(command[0], command);
		_exit(127);
	}
	close(ends[1]);
	*out = ends[0];
	return pid;
}

static int rate(unsigned long first, char **command)
{
	uint64_t begin = 0, middle = 0, end = 0;
	unsigned long nr = 0;
	int out, status;
	pid_t pid = child_start(command, &out);
	FILE *lines = fdopen(out, "r");
	char line[256];

	while (lines && fgets(line, sizeof(line), lines)) { // "committed 0" is before the first
		end = now();
		if (nr == 0)
			begin = end;
		if (nr == first)
			middle = end;
		nr++;
	}
	if (waitpid(pid, &status, 0) != pid || status || nr < first + 2)
		return 1;
	printf("rate %.1f %.1f\n", (double)first * 1e9 / (double)(middle - begin),
	       (double)(nr - 1 - first) * 1e9 / (double)(end - middle));
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	unsigned rounds;
	size_t k;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "rate") && argc > 3)
		return rate(strtoul(argv[2], NULL, 10), argv + 3);
	*(void **)&stats_get = dlsym(RTLD_DEFAULT, "daxsync_stats_get");
	rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	if (strcmp(what, "prepare") && (strcmp(what, "cells") || argc < 5 || !rounds || rounds > MAX_ROUNDS)) {
		fputs("usage: bench prepare DIR | cells DIR ROUNDS PAGES... | rate COMMITS COMMAND...\n", stderr);
		return 2;
	}
	for (k = 0; k < 2; k++) {
		if (!strcmp(what, "prepare"))
			prepare(argv[2], &kinds[k]);
		else
			cells(argv[2], &kinds[k], rounds, argv + 4);
	}
	return 0;
}
