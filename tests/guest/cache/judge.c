// SPDX-License-Identifier: BSD-3-Clause
// judge.c: programs with their own flushes, right and wrong, to see whether the simulated caches (cache.c) tell them apart.
//
//   judge run WAY...         in the guest: each way in a process of its own, until the power goes
//   judge wait WAY...        says "ready" when each has operations behind it
//   judge stop IMAGE WAY     on the host: a way ends, and others have its time
//   judge check IMAGE WAY... on the host, behind `cut`: a line for each way
//
// An operation stores a record into a line of its own on device DAX, makes it durable in its way, and then notes that it
// is done where that is durable at once. Those whose name begins with daxsync leave it to msync, and are the same program:
// the name says which build of the library it runs under. There a second thread stores the next record meanwhile.
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE 64
#define NR_LINES 4096U
#define DEVICE_OFFSET (2UL << 20) // of device DAX in its NVDIMM: what the namespace keeps is in front
#define NOTES 8192UL              // bytes at the device's begin that are durable at once (run.sh)
#define AREA (2UL << 20)          // a way's own: a page of device DAX
#define FIRST_AREA (64UL << 20)   // behind what the power cuts' workloads have
#define MAPPED (FIRST_AREA + NR_WAYS * AREA)
#define NR_STORED 8U              // lines, of an operation of the library's
#define SPREAD (AREA / NR_STORED) // from one to the next
#define ENOUGH 20                 // operations, when the power may go

enum way {
	RIGHT,
	LOCKED,
	NON_TEMPORAL,
	NO_FENCE,
	FENCE_FIRST,
	OTHER_LINE,
	NO_FLUSH,
	NON_TEMPORAL_NO_FENCE,
	DAXSYNC, // and what follows
	DAXSYNC_NO_FLUSH,
	DAXSYNC_FLUSH_FIRST,
	NR_WAYS
};
static const char *const names[NR_WAYS] = {
	"right",
	"right-locked",
	"right-non-temporal",
	"no-fence",
	"fence-first",
	"other-line",
	"no-flush",
	"non-temporal-no-fence",
	"daxsync",
	"daxsync-no-flush",
	"daxsync-flush-first",
};

static enum way way_of(const char *name)
{
	unsigned way;

	for (way = 0; way < NR_WAYS; way++)
		if (!strcmp(name, names[way]))
			return (enum way)way;
	fprintf(stderr, "judge: no way \"%s\"\n", name);
	exit(2);
}

static uint64_t *line_of(void *device, enum way way, uint64_t nr)
{
	return (uint64_t *)((char *)device + FIRST_AREA + way * AREA + nr % NR_LINES * LINE);
}

static _Atomic uint64_t *note_of(void *device, enum way way)
{
	return (_Atomic uint64_t *)((char *)device + NOTES - (way + 1) * LINE);
}

static _Atomic uint64_t *stop_of(void *device, enum way way)
{
	return note_of(device, way) + 1;
}

static void write_back(const void *line)
{
	__asm__ volatile("clwb %0" : : "m"(*(const char *)line) : "memory");
}

static void fence(void)
{
	__asm__ volatile("sfence" : : : "memory");
}

static void locked(void)
{
	uint64_t word = 0;

	__asm__ volatile("lock incq %0" : "+m"(word) : : "memory");
}

static void store(uint64_t *line, uint64_t nr, int non_temporal)
{
	if (non_temporal) {
		__asm__ volatile("movnti %1, %0" : "=m"(line[0]) : "r"(nr) : "memory");
		__asm__ volatile("movnti %1, %0" : "=m"(line[7]) : "r"(nr) : "memory");
	} else {
		line[0] = line[7] = nr;
	}
}

// Without a locked instruction, which would be a fence too. What is not fenced is so until a context switch, or the next
// operation; to see it, most of the time goes behind the note.
static void note(void *device, enum way way, uint64_t nr)
{
	unsigned i;

	atomic_store_explicit(note_of(device, way), nr, memory_order_release);
	for (i = 0; i < 2000; i++)
		__asm__ volatile("" : : : "memory");
}

static void operate(void *device, enum way way, uint64_t nr)
{
	int non_temporal = way == NON_TEMPORAL || way == NON_TEMPORAL_NO_FENCE;
	uint64_t *line = line_of(device, way, nr);

	store(line, nr, non_temporal);
	if (way == FENCE_FIRST)
		fence();
	if (way != NO_FLUSH && !non_temporal)
		write_back(way == OTHER_LINE ? line_of(device, way, nr + NR_LINES / 2) : line);
	if (way == LOCKED)
		locked();
	else if (way != NO_FENCE && way != FENCE_FIRST && way != NON_TEMPORAL_NO_FENCE)
		fence();
	note(device, way, nr);
}

// Behind the library's back. What it is to track must not be in it.
static void *map(const char *path, size_t len, off_t off, int prot)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *addr = fd < 0 ? MAP_FAILED : (void *)syscall(SYS_mmap, 0, len, prot, MAP_SHARED, fd, off);

	if (addr == MAP_FAILED) {
		perror(path);
		exit(2);
	}
	close(fd);
	return addr;
}

// The library's: the main thread syncs as long as the other one stores a record, and once more. What was stored behind the
// flush of a sync and in front of its close is lost if that is the wrong order: most of what is first in the page and last
// stored.
struct area {
	char *addr;
	uint64_t first;
	_Atomic uint64_t synced, stored; // records
};

static uint64_t *stored_line(char *area, unsigned i)
{
	return (uint64_t *)(area + i * SPREAD);
}

static void *store_all(void *arg)
{
	struct area *area = arg;
	uint64_t nr;
	unsigned i;

	for (nr = area->first;; nr++) {
		while (atomic_load(&area->synced) + 1 < nr)
			usleep(20);
		for (i = NR_STORED; i-- > 0;) {
			stored_line(area->addr, i)[0] = nr;
			usleep(100);
		}
		atomic_store(&area->stored, nr);
	}
	return NULL;
}

static void sync_record(struct area *area, uint64_t nr)
{
	int is_last;

	do {
		is_last = atomic_load(&area->stored) >= nr;
		if (msync(area->addr, AREA, MS_SYNC)) {
			perror("judge: msync");
			exit(2);
		}
	} while (!is_last);
}

static void sync_all(void *device, enum way way, uint64_t nr)
{
	int fd = open("/dev/dax", O_RDWR | O_CLOEXEC);
	off_t off = (off_t)(FIRST_AREA + way * AREA);
	struct area area = {.first = nr, .synced = nr - 1};
	pthread_t storing;

	area.addr = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_SHARED, fd, off);
	if (area.addr == MAP_FAILED || pthread_create(&storing, NULL, store_all, &area)) {
		perror("judge: /dev/dax");
		exit(2);
	}
	for (; !atomic_load(stop_of(device, way)); nr++) {
		sync_record(&area, nr);
		note(device, way, nr);
		atomic_store(&area.synced, nr);
	}
	exit(0);
}

static void run(const char *name)
{
	enum way way = way_of(name);
	void *device = map("/dev/dax", way >= DAXSYNC ? AREA : MAPPED, 0, PROT_READ | PROT_WRITE);
	uint64_t nr = atomic_load(note_of(device, way));

	if (way >= DAXSYNC)
		sync_all(device, way, nr + 1);
	while (!atomic_load(stop_of(device, way)))
		operate(device, way, ++nr);
}

static void wait_for(const char *name)
{
	void *device = map("/dev/dax", AREA, 0, PROT_READ | PROT_WRITE);

	while (atomic_load(note_of(device, way_of(name))) < ENOUGH)
		usleep(1000);
	munmap(device, AREA);
}

static uint64_t nr_lost(void *device, enum way way, uint64_t done)
{
	uint64_t nr, lost = 0;
	unsigned i;

	if (way >= DAXSYNC) {
		for (i = 0; i < NR_STORED; i++)
			lost += *stored_line((char *)device + FIRST_AREA + way * AREA, i) < done;
		return lost;
	}
	for (nr = done > NR_LINES ? done - NR_LINES + 1 : 1; nr <= done; nr++) {
		const uint64_t *line = line_of(device, way, nr);

		// The next operation may have begun.
		lost += (line[0] != nr || line[7] != nr) && nr + NR_LINES != done + 1;
	}
	return lost;
}

static void check(void *device, const char *name)
{
	enum way way = way_of(name);
	uint64_t done = atomic_load(note_of(device, way));

	printf("%s: %" PRIu64 " operations done, %" PRIu64 " lost\n", name, done, nr_lost(device, way, done));
}

int main(int argc, char **argv)
{
	void *device;
	int i;

	if (argc > 2 && !strcmp(argv[1], "run")) {
		for (i = 2; i < argc; i++)
			if (i + 1 == argc || !fork())
				run(argv[i]);
	} else if (argc > 2 && !strcmp(argv[1], "wait")) {
		for (i = 2; i < argc; i++)
			wait_for(argv[i]);
		puts("ready");
	} else if (argc == 4 && !strcmp(argv[1], "stop")) {
		device = map(argv[2], AREA, (off_t)DEVICE_OFFSET, PROT_READ | PROT_WRITE);
		atomic_store(stop_of(device, way_of(argv[3])), 1);
	} else if (argc > 3 && !strcmp(argv[1], "check")) {
		device = map(argv[2], MAPPED, (off_t)DEVICE_OFFSET, PROT_READ);
		for (i = 3; i < argc; i++)
			check(device, argv[i]);
	} else {
		fputs("usage: judge run WAY... | judge wait WAY... | judge stop IMAGE WAY | judge check IMAGE WAY...\n",
		      stderr);
		return 2;
	}
	return 0;
}
