// SPDX-License-Identifier: BSD-3-Clause
// bench.c: how long stores and a sync take, on files of a DAX file system. It knows nothing of daxsync but its counters,
// and is run with and without it.
//
//   bench prepare DIR                     makes the two files, all of whose blocks are written
//   bench cells DIR WORKLOAD PAGES...     one line for each kind of mapping and number of pages:
//                                         CELL<tab>STORE<tab>SYNC<tab>TRAPS<tab>FLUSHED<tab>KERNEL-SYNCS<tab>ROUNDS<tab>HUGE
//   bench rate COMMITS COMMAND...         runs lmdb_unicode, and tells from its lines how many commits a second it made:
//                                         lmdb-holes:10:8M:in:1<tab>RATE of the first so many, and lmdb-over... of all others
//
// A cell is a new mapping, each of whose pages is read, but for the holes of a file that grows; then a round is stores to so
// many pages and an msync. All figures but HUGE are means of the rounds: ns, pages, calls. The first rounds are not counted.
// HUGE is how much of the mapping is huge pages in the end, in MiB; -1 if the kernel does not tell.
//
//   CELL      WORKLOAD:PAGES:SIZE:STEP:1, as in tests/bench/workloads.c. STEP: `in` step with 2 MiB; `out` of it, where by its
//             place the mapping cannot have huge pages. SIZE is 32M where it is out of step, otherwise, and where pages come in
//             their order, 128M.
//   hot       the same pages each time, scattered over the file; of each a byte
//   cold      other pages each time
//   zipf      pages by Zipf's law, of which a few come often (tests/bench/zipf.h)
//   phases    rounds of hot pages, then as many of cold ones, and so on
//   ranges    hot, but each store is synced by an msync of its own, from the beginning of its page to its end
//   fsync     hot, with fsync in the place of msync
//   fill      page after page, each written as a whole
//   refill    the same, of a mapping all of whose pages were stored to and synced before
//   append    fill, at the end of a file that grows, into holes
//   entry     all of 2 MiB, other ones each time (PAGES is not heeded)
#include <dlfcn.h>
#include <err.h>
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

#include "../bench/zipf.h"
#include "../mix.h"

#define PAGE ((size_t)4096)
#define HUGE ((size_t)2 << 20)
#define FILE_SIZE (64 * HUGE)
#define MAX_PAGES (HUGE / PAGE)
#define SETTLED 80 // rounds before those that are measured
#define PHASE 16   // rounds
#define STORED_AT 128
#define NR(array) (sizeof(array) / sizeof((array)[0]))

static const struct kind {
	const char *step;
	size_t size, shift; // of the mapping, behind a boundary of huge pages
} kinds[] = {{"out", 16 * HUGE, PAGE}, {"in", FILE_SIZE, 0}};

struct cell;

struct workload {
	const char *name;
	size_t (*page)(const struct cell *cell, unsigned round, size_t i);
	size_t pages; // 0: as many as one likes
	bool in_order;
	bool fills; // whole pages
	bool grows; // the file, with the stores
	bool again; // all pages were stored to and synced before
	bool exact; // what is synced
	bool fsync; // by which call
};

struct cell {
	const struct workload *workload;
	const struct kind *kind;
	size_t pages, size, nr; // of a round; bytes and pages of the mapping
	size_t *order;          // of the pages
	int fd;
	char *map;
};

struct figures { // sums
	uint64_t store, sync, traps, flushed, kernel_syncs;
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

static int file_open(const char *dir, const char *name, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/bench.%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
	if (fd < 0)
		fail(path);
	return fd;
}

// One for each kind: an entry of 2 MiB that the kernel has of a file stays, and is flushed as a whole also where another
// mapping has small ones.
static void prepare(const char *dir, const struct kind *kind)
{
	static const char zeros[1 << 16];
	int fd = file_open(dir, kind->step, 0);
	size_t at;

	if (posix_fallocate(fd, 0, (off_t)FILE_SIZE))
		fail("posix_fallocate");
	for (at = 0; at < FILE_SIZE; at += sizeof(zeros))
		if (pwrite(fd, zeros, sizeof(zeros), (off_t)at) != sizeof(zeros))
			fail("pwrite");
	if (fsync(fd) || close(fd))
		fail("fsync");
}

static void cell_map(struct cell *cell, const char *dir)
{
	char *place = mmap(NULL, cell->size + 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at = (char *)(((uintptr_t)place + HUGE - 1) & ~(HUGE - 1)) + cell->kind->shift;
	bool grows = cell->workload->grows;
	size_t i;

	cell->fd = file_open(dir, grows ? "grows" : cell->kind->step, grows ? O_TRUNC : 0);
	if (place == MAP_FAILED)
		fail("mmap");
	cell->map = mmap(at, cell->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, cell->fd, 0);
	if (cell->map != at)
		fail("mmap");
	for (i = 0; !grows && i < cell->size; i += PAGE)
		(void)*(volatile char *)(cell->map + i);
}

// All of it, so that the page tables have it as stored to. The first sync of a mapping may be the kernel's, which undoes that.
static void fill_twice(const struct cell *cell)
{
	unsigned pass;

	for (pass = 0; pass < 2; pass++) {
		memset(cell->map, 0, cell->size);
		if (msync(cell->map, cell->size, MS_SYNC))
			fail("msync");
	}
}

// PAGEMAP_SCAN, Linux 6.7
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

// Which page of the mapping a round stores to.

static size_t page_hot(const struct cell *cell, unsigned round, size_t i)
{
	(void)round;
	return cell->order[i];
}

static size_t page_cold(const struct cell *cell, unsigned round, size_t i)
{
	return cell->order[(round * cell->pages + i) % cell->nr];
}

static size_t page_zipf(const struct cell *cell, unsigned round, size_t i)
{
	return cell->order[zipf_rank(cell->nr, mix(((uint64_t)round << 32 | i) + DXS_MIX_STEP))];
}

static size_t page_phases(const struct cell *cell, unsigned round, size_t i)
{
	return round / PHASE % 2 ? page_cold(cell, round, i) : page_hot(cell, round, i);
}

static size_t page_next(const struct cell *cell, unsigned round, size_t i)
{
	return (round * cell->pages + i) % cell->nr;
}

// Of 64 entries, each once and none behind its neighbour.
static size_t page_entry(const struct cell *cell, unsigned round, size_t i)
{
	return page_next(cell, round * 37, i);
}

static const struct workload workloads[] = {
	{"hot", page_hot, .pages = 0},
	{"cold", page_cold, .pages = 0},
	{"zipf", page_zipf, .pages = 0},
	{"phases", page_phases, .pages = 0},
	{"ranges", page_hot, .exact = true},
	{"fsync", page_hot, .fsync = true},
	{"fill", page_next, .in_order = true, .fills = true},
	{"refill", page_next, .in_order = true, .fills = true, .again = true},
	{"append", page_next, .in_order = true, .fills = true, .grows = true},
	{"entry", page_entry, .pages = HUGE / PAGE, .in_order = true, .fills = true},
};

static void pages_store(const struct cell *cell, unsigned round, const size_t *page)
{
	size_t i;

	if (cell->workload->grows && ftruncate(cell->fd, (off_t)((round + 1) * cell->pages * PAGE)))
		fail("ftruncate");
	for (i = 0; i < cell->pages; i++) {
		if (cell->workload->fills)
			memset(cell->map + page[i] * PAGE, (int)round + 1, PAGE);
		else
			cell->map[page[i] * PAGE + STORED_AT]++;
	}
}

static void pages_sync(const struct cell *cell, const size_t *page)
{
	int err = 0;
	size_t i;

	if (cell->workload->fsync)
		err = fsync(cell->fd);
	else if (!cell->workload->exact)
		err = msync(cell->map, cell->size, MS_SYNC);
	for (i = 0; cell->workload->exact && !err && i < cell->pages; i++)
		err = msync(cell->map + page[i] * PAGE, STORED_AT + 1, MS_SYNC);
	if (err)
		fail(cell->workload->fsync ? "fsync" : "msync");
}

static void round_run(const struct cell *cell, unsigned round, struct figures *sum)
{
	uint64_t begin, middle;
	size_t page[MAX_PAGES] = {0}, i;

	for (i = 0; i < cell->pages; i++)
		page[i] = cell->workload->page(cell, round, i);
	begin = now();
	pages_store(cell, round, page);
	middle = now();
	pages_sync(cell, page);
	sum->sync += now() - middle;
	sum->store += middle - begin;
}

static void counters_add(struct figures *sum, int sign)
{
	struct daxsync_stats stats = {.size = sizeof(stats)};

	if (!stats_get || stats_get(&stats))
		return;
	sum->traps += (uint64_t)sign * stats.traps;
	sum->flushed += (uint64_t)sign * stats.pages_flushed;
	sum->kernel_syncs += (uint64_t)sign * stats.kernel_syncs;
}

static void cell_report(const struct cell *cell, const struct figures *sum, unsigned rounds)
{
	printf("%s:%zu:%zuM:%s:1\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%u\t%ld\n", cell->workload->name, cell->pages,
	       cell->size >> 20, cell->kind->step, (double)sum->store / rounds, (double)sum->sync / rounds,
	       (double)sum->traps / rounds, (double)sum->flushed / rounds, (double)sum->kernel_syncs / rounds, rounds,
	       huge_mib(cell->map, cell->size));
}

// Not so few that they are all of a kind, also where few pages come.
static unsigned rounds_of(size_t pages)
{
	return pages < 16 ? 128 : 2 * PHASE;
}

static void cell_run(const char *dir, const struct workload *workload, const struct kind *kind, size_t pages)
{
	struct cell cell = {.workload = workload, .kind = kind, .pages = pages};
	struct figures settling = {0}, sum = {0};
	unsigned round, rounds = rounds_of(pages);

	cell.size = workload->in_order ? FILE_SIZE : kind->size;
	cell.nr = cell.size / PAGE;
	if (workload->grows && (SETTLED + rounds) * pages > cell.nr)
		errx(2, "the file cannot grow by so many pages");
	cell.order = pages_scattered(cell.nr);
	cell_map(&cell, dir);
	if (workload->again)
		fill_twice(&cell);
	// A first sync has more to do, pages are hot only then, and cold ones have to be noticed.
	for (round = 0; round < SETTLED; round++)
		round_run(&cell, round, &settling);
	counters_add(&sum, -1);
	for (; round < SETTLED + rounds; round++)
		round_run(&cell, round, &sum);
	counters_add(&sum, 1);
	cell_report(&cell, &sum, rounds);
	munmap(cell.map, cell.size);
	if (workload->grows && ftruncate(cell.fd, 0))
		fail("ftruncate");
	close(cell.fd);
	free(cell.order);
}

// One with a number of pages of its own once, however many numbers are asked for.
static void cells(const char *dir, const struct workload *workload, const struct kind *kind, char **pages)
{
	if (workload->pages)
		cell_run(dir, workload, kind, workload->pages);
	for (; !workload->pages && *pages; pages++)
		cell_run(dir, workload, kind, strtoul(*pages, NULL, 10));
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
	printf("lmdb-holes:10:8M:in:1\t%.1f\n", (double)first * 1e9 / (double)(middle - begin));
	printf("lmdb-over:10:8M:in:1\t%.1f\n", (double)(nr - 1 - first) * 1e9 / (double)(end - middle));
	return 0;
}

// NULL: there is none, or it cannot have so many pages.
static const struct workload *workload_find(const char *name, char **pages)
{
	size_t i;

	for (; *pages; pages++)
		if (strtoul(*pages, NULL, 10) - 1 >= MAX_PAGES)
			return NULL;
	for (i = 0; i < NR(workloads); i++)
		if (!strcmp(workloads[i].name, name))
			return &workloads[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	const struct workload *workload = NULL;
	size_t k;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "rate") && argc > 3)
		return rate(strtoul(argv[2], NULL, 10), argv + 3);
	for (k = 0; !strcmp(what, "prepare") && k < NR(kinds); k++)
		prepare(argv[2], &kinds[k]);
	if (k)
		return 0;
	if (!strcmp(what, "cells") && argc > 4)
		workload = workload_find(argv[3], argv + 4);
	if (!workload) {
		fputs("usage: bench prepare DIR | cells DIR WORKLOAD PAGES... | rate COMMITS COMMAND...\n", stderr);
		return 2;
	}
	*(void **)&stats_get = dlsym(RTLD_DEFAULT, "daxsync_stats_get");
	for (k = 0; k < NR(kinds); k++)
		cells(argv[2], workload, &kinds[k], argv + 4);
	return 0;
}
