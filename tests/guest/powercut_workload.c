// SPDX-License-Identifier: BSD-3-Clause
// powercut_workload: work that can prove, after a power cut, what it had been told is durable.
//
//   powercut_workload prepare KIND FS SEED   makes the first files
//   powercut_workload run     KIND FS SEED   works until it is killed
//   powercut_workload check   KIND FS SEED   what is there now?
//   powercut_workload kinds   FS             which kinds there are for a file system
//
// How far a workload is, it stores in a slot of its own on the device of device DAX, when the sync has returned. The
// device is a file of the host's that the guest's stores go straight to, without any file system: what is there was
// acknowledged. The next boot reads it, checks, and goes on from there; the operation that was under way is repeated.
//
// "check" prints one line, "ok ..." or "LOST ...", and up to five that say what is wrong. Exit status: 0; 1 if a promise
// was not kept; 2 if something else failed.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "powercut_workload.h"

#define MAGIC 0x64726f6365725843ULL

int fail(const struct work *work, const char *what)
{
	fprintf(stderr, "powercut_workload: %s %s: %s: %s\n", work->fs, work->kind->name, what, strerror(errno));
	return -1;
}

void wrong(const struct work *work, struct report *report, const char *format, ...)
{
	va_list args;

	if (report->nr_wrong++ >= 5)
		return;
	printf("  %s %s: ", work->fs, work->kind->name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

struct header {
	uint64_t magic;
	uint32_t slot, gen, cell, nr;
	uint64_t checksum; // of what follows
};

static uint64_t checksum(const void *record, size_t size)
{
	uint64_t word, sum = 0;
	size_t at;

	for (at = sizeof(struct header); at < size; at += sizeof(word)) {
		memcpy(&word, (const char *)record + at, sizeof(word));
		sum = (sum << 7 | sum >> 57) ^ word;
	}
	return sum;
}

void record_make(const struct work *work, uint32_t cell, uint32_t nr, void *to, size_t size)
{
	struct header header = {.magic = MAGIC, .slot = work->slot, .gen = work->gen, .cell = cell, .nr = nr};
	uint64_t word = mix(work->seed + mix((uint64_t)work->slot << 32 | work->gen) + mix((uint64_t)cell << 32 | nr));
	size_t at;

	for (at = sizeof(header); at < size; at += sizeof(word)) {
		word = word * 6364136223846793005ULL + 1442695040888963407ULL;
		memcpy((char *)to + at, &word, sizeof(word));
	}
	header.checksum = checksum(to, size);
	memcpy(to, &header, sizeof(header));
}

bool is_zero(const char *from, size_t size)
{
	return !from[0] && !memcmp(from, from + 1, size - 1);
}

void record_describe(const struct work *work, uint32_t cell, const void *from, size_t size, char *text,
		     size_t text_size)
{
	struct header header;

	memcpy(&header, from, sizeof(header));
	if (is_zero(from, size))
		snprintf(text, text_size, "zeros");
	else if (header.magic != MAGIC)
		snprintf(text, text_size, "no record");
	else if (header.checksum != checksum(from, size))
		snprintf(text, text_size, "a torn record");
	else if (header.slot != work->slot || header.gen != work->gen || header.cell != cell)
		snprintf(text, text_size, "the record of workload %u, generation %u, cell %u", header.slot, header.gen,
			 header.cell);
	else
		snprintf(text, text_size, "the record of operation %u", header.nr);
}

void op_plan(const struct work *work, uint32_t nr, struct op *op)
{
	*op = (struct op){.nr = nr};
	op->random = mix(work->seed ^ mix((uint64_t)work->gen << 32 | nr) ^ mix(work->slot + 1));
	work->kind->plan(work, op);
}

int sync_directory(const struct work *work, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = fd < 0 || fsync(fd);

	if (fd >= 0)
		close(fd);
	return ret ? fail(work, path) : 0;
}

static const struct kind *const kinds[] = {
	&kind_hole, &kind_grow,     &kind_pwrite, &kind_change, &kind_fresh, &kind_fsync,
#ifdef HAVE_LMDB
	&kind_lmdb,
#endif
	&kind_race, &kind_prealloc, &kind_device,
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

// Without a journal nothing but the data of preallocated files is promised.
static const struct {
	const char *name;
	uint32_t kinds;
} systems[] = {
	{"ext4", (1U << (NR_KINDS - 1)) - 1},
	{"xfs", (1U << (NR_KINDS - 1)) - 1},
	{"ext2", 1U << (NR_KINDS - 2)},
	{"dax", 1U << (NR_KINDS - 1)},
};

#define NR_SYSTEMS (sizeof(systems) / sizeof(systems[0]))

// The slot: the generation in the upper half; in the lower 1 + the number of operations acknowledged, or 0 while the
// generation's file is not made yet. It is mapped behind the library's back, so that saying how far one is depends on
// nothing that is tested.
static _Atomic uint64_t *slot_map(const struct work *work)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	long addr = syscall(SYS_mmap, 0, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	return addr == -1 ? NULL : (void *)(addr + 64L * work->slot);
}

// Not a locked instruction, which would be a fence to what the sync had flushed.
static void slot_set(_Atomic uint64_t *slot, uint32_t gen, uint32_t done)
{
	atomic_store_explicit(slot, (uint64_t)gen << 32 | done, memory_order_release);
}

static void path_set(struct work *work, uint32_t gen)
{
	work->gen = gen;
	snprintf(work->path, sizeof(work->path), "/mnt/%s/%s.%u", work->fs, work->kind->name, gen);
}

static int make(struct work *work, uint32_t gen, _Atomic uint64_t *slot)
{
	if (gen) {
		path_set(work, gen - 1);
		work->kind->remove(work);
	}
	path_set(work, gen);
	if (work->kind->prepare(work))
		return -1;
	slot_set(slot, gen, 1);
	return 0;
}

static int generation_run(struct work *work, uint32_t nr, _Atomic uint64_t *slot)
{
	static bool said;

	if (work->kind->begin(work))
		return -1;
	for (; nr < work->kind->nr_ops; nr++) {
		struct op op;

		op_plan(work, nr, &op);
		if (work->kind->apply(work, &op))
			return -1;
		slot_set(slot, work->gen, nr + 2);
		if (!said && printf("working\n") > 0 && !fflush(stdout))
			said = true;
	}
	work->kind->end(work);
	return 0;
}

static int run(struct work *work, _Atomic uint64_t *slot)
{
	for (;;) {
		uint64_t word = atomic_load(slot);
		uint32_t gen = (uint32_t)(word >> 32), done = (uint32_t)word;

		path_set(work, gen);
		if (!done && make(work, gen, slot))
			return 2;
		if (generation_run(work, done ? done - 1 : 0, slot))
			return 2;
		slot_set(slot, gen + 1, 0);
	}
}

static int prepare(struct work *work, _Atomic uint64_t *slot)
{
	uint64_t word = atomic_load(slot);
	uint32_t gen = (uint32_t)(word >> 32);
	bool is_made = (uint32_t)word;

	if (is_made && work->kind->begins_anew) {
		slot_set(slot, ++gen, 0);
		is_made = false;
	}
	return is_made || !make(work, gen, slot) ? 0 : 2;
}

static int check(struct work *work, uint64_t word)
{
	struct report report = {0};
	uint32_t done = (uint32_t)word;

	path_set(work, (uint32_t)(word >> 32));
	if (done && work->kind->check(work, done - 1, &report))
		return 2;
	printf("%s %s %s: generation %u, %u operations acknowledged, %u records right, %u wrong\n",
	       report.nr_wrong ? "LOST" : "ok", work->fs, work->kind->name, work->gen, done ? done - 1 : 0,
	       report.nr_right, report.nr_wrong);
	return report.nr_wrong ? 1 : 0;
}

static int usage(void)
{
	fputs("usage: powercut_workload prepare|run|check KIND FS SEED\n"
	      "       powercut_workload kinds FS\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	bool lists = !strcmp(command, "kinds");
	size_t kind = 0, system = 0;
	struct work work;
	_Atomic uint64_t *slot;

	if (argc != (lists ? 3 : 5))
		return usage();
	while (system < NR_SYSTEMS && strcmp(systems[system].name, argv[lists ? 2 : 3]) != 0)
		system++;
	for (; kind < NR_KINDS && system < NR_SYSTEMS; kind++)
		if (systems[system].kinds >> kind & 1) {
			if (lists)
				printf("%s\n", kinds[kind]->name);
			else if (!strcmp(kinds[kind]->name, argv[2]))
				break;
		}
	if (lists)
		return 0;
	if (kind == NR_KINDS || system == NR_SYSTEMS)
		return usage();
	work = (struct work){.kind = kinds[kind], .fs = systems[system].name, .fd = -1};
	work.slot = (unsigned)(system * 32 + kind);
	work.seed = strtoull(argv[4], NULL, 10);
	slot = slot_map(&work);
	if (!slot)
		return fail(&work, DEVICE) + 3;
	if (!strcmp(command, "prepare"))
		return prepare(&work, slot);
	if (!strcmp(command, "run"))
		return run(&work, slot);
	return strcmp(command, "check") ? usage() : check(&work, atomic_load(slot));
}
