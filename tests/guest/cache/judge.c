// SPDX-License-Identifier: BSD-3-Clause
// judge.c: programs with their own flushes, right and wrong, to see whether the simulated caches (cache.c) tell them apart.
//
//   judge run WAY...         in the guest: each way in a process of its own, until the power goes
//   judge check IMAGE WAY    on the host, behind `cut`: exit status 0, or 1 if something acknowledged is lost
//
// An operation stores a record into a line of its own on device DAX, makes it durable in its way, and then notes that it
// is done where that is durable at once.
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINE 64
#define NR_LINES 4096U
#define DEVICE_OFFSET (2UL << 20) // of device DAX in its NVDIMM: what the namespace keeps is in front
#define NOTES 8192UL              // bytes at the device's begin that are durable at once (run.sh)
#define AREA (1UL << 20)          // a way's own, behind 16 MiB, where the power cuts' workloads have nothing
#define FIRST_AREA (16UL << 20)
#define MAPPED (32UL << 20)

enum way { RIGHT, NO_FENCE, FENCE_FIRST, OTHER_LINE, NO_FLUSH, NR_WAYS };
static const char *const names[NR_WAYS] = {"right", "no-fence", "fence-first", "other-line", "no-flush"};

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

static void write_back(const void *line)
{
	__asm__ volatile("clwb %0" : : "m"(*(const char *)line) : "memory");
}

static void fence(void)
{
	__asm__ volatile("sfence" : : : "memory");
}

// Without a locked instruction, which would be a fence too.
static void operate(void *device, enum way way, uint64_t nr)
{
	uint64_t *line = line_of(device, way, nr);

	line[0] = line[7] = nr;
	if (way == FENCE_FIRST)
		fence();
	if (way != NO_FLUSH)
		write_back(way == OTHER_LINE ? line_of(device, way, nr + NR_LINES / 2) : line);
	if (way != NO_FENCE && way != FENCE_FIRST)
		fence();
	atomic_store_explicit(note_of(device, way), nr, memory_order_release);
}

static void *map(const char *path, off_t off, int prot)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *addr = fd < 0 ? MAP_FAILED : mmap(NULL, MAPPED, prot, MAP_SHARED, fd, off);

	if (addr == MAP_FAILED) {
		perror(path);
		exit(2);
	}
	close(fd);
	return addr;
}

static void run(const char *name)
{
	void *device = map("/dev/dax", 0, PROT_READ | PROT_WRITE);
	enum way way = way_of(name);
	uint64_t nr = atomic_load(note_of(device, way));

	for (;;)
		operate(device, way, ++nr);
}

static int check(const char *path, const char *name)
{
	void *device = map(path, (off_t)DEVICE_OFFSET, PROT_READ);
	enum way way = way_of(name);
	uint64_t done = atomic_load(note_of(device, way)), nr, lost = 0;

	for (nr = done > NR_LINES ? done - NR_LINES + 1 : 1; nr <= done; nr++) {
		const uint64_t *line = line_of(device, way, nr);

		// The next operation may have begun.
		lost += (line[0] != nr || line[7] != nr) && !(nr + NR_LINES == done + 1);
	}
	printf("judge: %s: %" PRIu64 " operations done, %" PRIu64 " lost\n", name, done, lost);
	return !done ? 2 : lost > 0;
}

int main(int argc, char **argv)
{
	int i;

	if (argc == 4 && !strcmp(argv[1], "check"))
		return check(argv[2], argv[3]);
	if (argc < 3 || strcmp(argv[1], "run")) {
		fprintf(stderr, "usage: judge run WAY... | judge check IMAGE WAY\n");
		return 2;
	}
	for (i = 2; i < argc; i++)
		if (!fork())
			run(argv[i]);
	pause();
	return 0;
}
