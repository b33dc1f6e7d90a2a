// SPDX-License-Identifier: BSD-3-Clause
// powercut_files.c: the kinds of work that have their records in files, and on device DAX.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "powercut_workload.h"

#define PAGE ((size_t)4096)
#define LINE ((size_t)64)
#define FOR_EVER UINT32_MAX
#define DEVICE_DATA ((off_t)16 << 20) // before it: the slots

static bool is_device(const struct work *work)
{
	return !strcmp(work->fs, "dax");
}

static size_t file_size(const struct work *work)
{
	return work->kind->cell_size * work->kind->nr_cells;
}

static off_t cell_offset(const struct work *work, uint32_t cell)
{
	return (off_t)(work->kind->cell_size * cell);
}

static int file_create(struct work *work)
{
	work->fd = open(work->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return work->fd < 0 ? fail(work, work->path) : 0;
}

static int file_created(struct work *work)
{
	char directory[32];
	int ret = fsync(work->fd) ? fail(work, "fsync") : 0;

	snprintf(directory, sizeof(directory), "/mnt/%s", work->fs);
	close(work->fd);
	return ret ? ret : sync_directory(work, directory);
}

static int prepare_empty(struct work *work)
{
	return file_create(work) ? -1 : file_created(work);
}

static int prepare_sparse(struct work *work)
{
	if (file_create(work))
		return -1;
	if (ftruncate(work->fd, (off_t)file_size(work)))
		return fail(work, "ftruncate");
	return file_created(work);
}

static int prepare_allocated(struct work *work)
{
	static const char zeros[1 << 16];
	size_t at;

	if (file_create(work))
		return -1;
	if (fallocate(work->fd, 0, 0, (off_t)file_size(work)) && errno != EOPNOTSUPP) // the ext2 format: no
		return fail(work, "fallocate");
	for (at = 0; at < file_size(work); at += sizeof(zeros))
		if (pwrite(work->fd, zeros, sizeof(zeros), (off_t)at) != (ssize_t)sizeof(zeros))
			return fail(work, "pwrite");
	return file_created(work);
}

static int prepare_device(struct work *work)
{
	(void)work; // it is there, and reads as zeros
	return 0;
}

static void file_remove(struct work *work)
{
	unlink(work->path);
}

// The address is one of a room that stays ours, as programs have it that keep a map at its place. Generations alternate
// between a mapping that the file system can give 2 MiB entries and blocks to at once, and one that is out of step with
// the file by a page, in which each page has a fault, an entry and a block of its own.
static int file_map(struct work *work)
{
	char *addr = (char *)(((uintptr_t)work->room + HUGE - 1) & ~(HUGE - 1)) + (work->gen % 2 ? 0 : PAGE);

	work->map = mmap(addr, file_size(work), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, work->fd, 0);
	return work->map == MAP_FAILED ? fail(work, "mmap") : 0;
}

static int file_begin(struct work *work)
{
	work->fd = open(work->path, O_RDWR | O_CLOEXEC);
	work->room = mmap(NULL, file_size(work) + 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (work->fd < 0 || work->room == MAP_FAILED)
		return fail(work, work->path);
	return file_map(work);
}

static void file_end(struct work *work)
{
	munmap(work->room, file_size(work) + 2 * HUGE);
	close(work->fd);
}

static int device_begin(struct work *work)
{
	work->fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	work->map = mmap(NULL, file_size(work), PROT_READ | PROT_WRITE, MAP_SHARED, work->fd, DEVICE_DATA);
	return work->map == MAP_FAILED ? fail(work, DEVICE) : 0;
}

// A table of cells in a file: first what is planned, then what is done.

static uint32_t random_cell(const struct work *work, const struct op *op)
{
	return (uint32_t)(mix(op->random + op->nr_cells) % work->kind->nr_cells);
}

static void plan_scattered(const struct work *work, struct op *op)
{
	unsigned nr = 1 + (unsigned)(op->random % 3);

	while (op->nr_cells < nr) {
		op->cell[op->nr_cells] = random_cell(work, op);
		op->nr_cells++;
	}
}

static void plan_next(const struct work *work, struct op *op)
{
	(void)work;
	op->cell[0] = op->nr;
	op->nr_cells = 1;
}

// In turn four that append a record and four that only make the file longer: a store to a new page makes the file
// system commit the size as well, and only without one the sync has to see to it.
static void plan_grow(const struct work *work, struct op *op)
{
	plan_next(work, op);
	op->nr_cells = op->nr % 8 < 4;
}

enum change { PLAIN, CUT, PUNCH, ALLOCATE };

// Most operations change the file; a cut empties a large part of it, so it is rare.
static enum change change_of(const struct op *op)
{
	unsigned dice = op->random >> 8 & 15;

	return dice < 2 ? CUT : dice < 6 ? PUNCH : dice < 10 ? ALLOCATE : PLAIN;
}

// Half of them change it after the stores. A store to a closed page makes the file system commit what it has done to the
// file before; so only there the sync has to see to it.
static bool stores_first(const struct op *op)
{
	return op->random >> 13 & 1;
}

static void plan_change(const struct work *work, struct op *op)
{
	uint32_t from = (uint32_t)(mix(~op->random) % work->kind->nr_cells), len = 0;
	uint32_t kept = 0, i;

	plan_scattered(work, op);
	if (change_of(op) == CUT)
		len = work->kind->nr_cells;
	else if (change_of(op) == PUNCH)
		len = 1 + (uint32_t)(op->random >> 16 & 31);
	op->clear_from = from;
	op->clear_to = len < work->kind->nr_cells - from ? from + len : work->kind->nr_cells;
	if (!stores_first(op)) {
		op->cell[0] = from;
		return;
	}
	for (i = 0; i < op->nr_cells; i++)
		if (op->cell[i] < from || op->cell[i] >= op->clear_to)
			op->cell[kept++] = op->cell[i];
	op->nr_cells = kept;
}

static void store_cell(struct work *work, const struct op *op, unsigned i)
{
	char record[RECORD_MAX];

	record_make(work, op->cell[i], op->nr, record, work->kind->cell_size);
	memcpy(work->map + cell_offset(work, op->cell[i]), record, work->kind->cell_size);
}

static void store(struct work *work, const struct op *op)
{
	unsigned i;

	for (i = 0; i < op->nr_cells; i++)
		store_cell(work, op, i);
}

// Exactly the pages of the cells.
static int sync_cells(struct work *work, const struct op *op)
{
	unsigned i;

	for (i = 0; i < op->nr_cells; i++) {
		size_t from = (size_t)cell_offset(work, op->cell[i]);
		size_t page = from & ~(PAGE - 1);

		if (msync(work->map + page, from + work->kind->cell_size - page, MS_SYNC))
			return fail(work, "msync");
	}
	return 0;
}

struct storing {
	struct work *work;
	const struct op *op;
	_Atomic bool is_done;
};

// Line by line, so that syncs come in between.
static void *store_slowly(void *arg)
{
	struct storing *storing = arg;
	struct work *work = storing->work;
	char record[RECORD_MAX];
	size_t at;
	unsigned i;

	for (i = 0; i < storing->op->nr_cells; i++) {
		uint32_t cell = storing->op->cell[i];

		record_make(work, cell, storing->op->nr, record, work->kind->cell_size);
		for (at = 0; at < work->kind->cell_size; at += LINE) {
			memcpy(work->map + cell_offset(work, cell) + at, record + at, LINE);
			sched_yield();
		}
	}
	atomic_store(&storing->is_done, true);
	return NULL;
}

// What is stored while other syncs run, the last sync must make durable all the same.
static int apply_race(struct work *work, const struct op *op)
{
	struct storing storing = {.work = work, .op = op};
	pthread_t thread;
	bool is_last;

	if (pthread_create(&thread, NULL, store_slowly, &storing))
		return fail(work, "pthread_create");
	do {
		is_last = atomic_load(&storing.is_done);
		if (msync(work->map, file_size(work), MS_SYNC))
			return fail(work, "msync");
	} while (!is_last);
	pthread_join(thread, NULL);
	return 0;
}

static int apply_store(struct work *work, const struct op *op)
{
	store(work, op);
	return sync_cells(work, op);
}

// The file has always grown by as many cells as there were operations.
static int apply_grow(struct work *work, const struct op *op)
{
	if (ftruncate(work->fd, cell_offset(work, op->nr + 1)))
		return fail(work, "ftruncate");
	store(work, op);
	if (op->nr_cells)
		return sync_cells(work, op);
	return msync(work->map, PAGE, MS_SYNC) ? fail(work, "msync") : 0;
}

// A record's first part with pwrite, the rest through the map.
static int write_cell(struct work *work, const struct op *op, unsigned i, size_t part)
{
	off_t off = cell_offset(work, op->cell[i]);
	char record[RECORD_MAX];

	record_make(work, op->cell[i], op->nr, record, work->kind->cell_size);
	if (pwrite(work->fd, record, part, off) != (ssize_t)part)
		return fail(work, "pwrite");
	memcpy(work->map + off + part, record + part, work->kind->cell_size - part);
	return 0;
}

static int apply_pwrite(struct work *work, const struct op *op)
{
	size_t part = op->random >> 8 & 1 ? work->kind->cell_size : 1000;
	unsigned i;

	for (i = 0; i < op->nr_cells; i++)
		if (write_cell(work, op, i, part))
			return -1;
	return sync_cells(work, op);
}

// Stores, and one pwrite; sometimes the mapping is gone when the sync comes.
static int apply_fsync(struct work *work, const struct op *op)
{
	bool unmapped = op->nr % 8 == 7;
	unsigned last = op->nr_cells - 1, i;

	for (i = 0; i < last; i++)
		store_cell(work, op, i);
	if (write_cell(work, op, last, work->kind->cell_size))
		return -1;
	if (unmapped) // the room stays ours
		mmap(work->map, file_size(work), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (op->random >> 8 & 1 ? fsync(work->fd) : fdatasync(work->fd))
		return fail(work, "fsync");
	return unmapped ? file_map(work) : 0;
}

static int change(struct work *work, const struct op *op)
{
	off_t from = cell_offset(work, op->clear_from), to = cell_offset(work, op->clear_to);
	int err = 0;

	switch (change_of(op)) {
	case PLAIN:
		break;
	case CUT:
		err = ftruncate(work->fd, from) || ftruncate(work->fd, (off_t)file_size(work));
		break;
	case PUNCH:
		err = fallocate(work->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, to - from);
		break;
	case ALLOCATE:
		err = fallocate(work->fd, FALLOC_FL_KEEP_SIZE, from, 1 << 16);
		break;
	}
	return err ? fail(work, "ftruncate or fallocate") : 0;
}

static int apply_change(struct work *work, const struct op *op)
{
	if (stores_first(op))
		store(work, op);
	if (change(work, op))
		return -1;
	if (!stores_first(op))
		store(work, op);
	if (op->nr_cells && op->random >> 12 & 1)
		return sync_cells(work, op);
	return msync(work->map, file_size(work), MS_SYNC) ? fail(work, "msync") : 0;
}

// What the cells must hold: the operation that wrote each, and what the one under way may have made of it.
struct expected {
	uint32_t last;     // 1 + its number, 0: zeros
	bool is_open;      // the operation under way may have changed it
	bool is_rewritten; // and written it
};

static void expect(const struct work *work, uint32_t nr_ops, struct expected *expected)
{
	struct op op;
	uint32_t nr, cell;
	unsigned i;

	for (nr = 0; nr < nr_ops; nr++) {
		op_plan(work, nr, &op);
		for (cell = op.clear_from; cell < op.clear_to; cell++)
			expected[cell].last = 0;
		for (i = 0; i < op.nr_cells; i++)
			expected[op.cell[i]].last = nr + 1;
	}
	if (nr_ops == work->kind->nr_ops)
		return;
	op_plan(work, nr_ops, &op);
	for (cell = op.clear_from; cell < op.clear_to; cell++)
		expected[cell].is_open = true;
	for (i = 0; i < op.nr_cells; i++) {
		expected[op.cell[i]].is_open = true;
		expected[op.cell[i]].is_rewritten = true;
	}
}

// Whether a cell is made of words that were there before the operation under way, of its own, and of zeros.
static bool is_mixture(const char *found, const char *old, const char *new, size_t size)
{
	size_t at;

	for (at = 0; at < size; at += 8)
		if (memcmp(found + at, old + at, 8) && memcmp(found + at, new + at, 8) && !is_zero(found + at, 8))
			return false;
	return true;
}

static void cell_check(struct work *work, uint32_t cell, uint32_t nr_ops, const struct expected *expected,
		       bool is_short, const char *found, struct report *report)
{
	size_t size = work->kind->cell_size;
	char want[RECORD_MAX] = {0}, new[RECORD_MAX] = {0}, text[128];

	if (expected->last)
		record_make(work, cell, expected->last - 1, want, size);
	if (expected->is_rewritten)
		record_make(work, cell, nr_ops, new, size);
	if (expected->is_open ? is_mixture(found, want, new, size) : !memcmp(found, want, size)) {
		report->nr_right += expected->last && !expected->is_open;
		return;
	}
	record_describe(work, cell, found, size, text, sizeof(text));
	if (is_short)
		snprintf(text, sizeof(text), "the end of the file");
	if (expected->last)
		wrong(work, report, "cell %u: %s, not the record of operation %u (%u acknowledged)%s", cell, text,
		      expected->last - 1, nr_ops, expected->is_open ? ", nor a part of the next" : "");
	else
		wrong(work, report, "cell %u: %s, not zeros (%u operations acknowledged)", cell, text, nr_ops);
}

static int check_table(struct work *work, uint32_t nr_ops, struct report *report)
{
	struct expected *expected = calloc(work->kind->nr_cells, sizeof(*expected));
	size_t size = work->kind->cell_size;
	uint32_t cell;

	if (!expected || (is_device(work) && device_begin(work)))
		return fail(work, "no memory");
	if (!is_device(work))
		work->fd = open(work->path, O_RDONLY | O_CLOEXEC);
	if (work->fd < 0)
		wrong(work, report, "%s: %s", work->path, strerror(errno));
	expect(work, nr_ops, expected);
	for (cell = 0; work->fd >= 0 && cell < work->kind->nr_cells; cell++) {
		char found[RECORD_MAX] = {0};
		ssize_t got = (ssize_t)size;

		if (is_device(work))
			memcpy(found, work->map + cell_offset(work, cell), size);
		else
			got = pread(work->fd, found, size, cell_offset(work, cell));
		if (got < 0)
			wrong(work, report, "cell %u: %s", cell, strerror(errno));
		else
			cell_check(work, cell, nr_ops, &expected[cell], got < (ssize_t)size, found, report);
	}
	free(expected);
	return 0;
}

static int check_grow(struct work *work, uint32_t nr_ops, struct report *report)
{
	int ret = check_table(work, nr_ops, report);
	off_t end = lseek(work->fd, 0, SEEK_END), least = cell_offset(work, nr_ops);

	if (end < least)
		wrong(work, report, "%lld bytes of %lld (%u operations acknowledged)", (long long)end, (long long)least,
		      nr_ops);
	return ret;
}

// A new file for each operation. It is removed again, so its inode's number soon is another file's.

#define NR_KEPT 24

static void fresh_path(const struct work *work, uint32_t nr, char *path, size_t size)
{
	snprintf(path, size, "%s.%u", work->path, nr);
}

static int apply_fresh(struct work *work, const struct op *op)
{
	char path[160];
	int ret;

	fresh_path(work, op->nr, path, sizeof(path));
	work->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (work->fd < 0 || ftruncate(work->fd, (off_t)work->kind->cell_size))
		return fail(work, path);
	work->map = mmap(NULL, work->kind->cell_size, PROT_READ | PROT_WRITE, MAP_SHARED, work->fd, 0);
	if (work->map == MAP_FAILED)
		return fail(work, "mmap");
	record_make(work, op->cell[0], op->nr, work->map, work->kind->cell_size);
	ret = msync(work->map, work->kind->cell_size, MS_SYNC) ? fail(work, "msync") : 0;
	munmap(work->map, work->kind->cell_size);
	close(work->fd);
	if (op->nr >= NR_KEPT) {
		fresh_path(work, op->nr - NR_KEPT, path, sizeof(path));
		unlink(path);
	}
	return ret;
}

static int check_fresh(struct work *work, uint32_t nr_ops, struct report *report)
{
	uint32_t nr = nr_ops < NR_KEPT ? 0 : nr_ops - NR_KEPT + 1; // the operation under way may have removed one

	for (; nr < nr_ops; nr++) {
		struct expected expected = {.last = nr + 1};
		char path[160], found[RECORD_MAX] = {0};
		ssize_t got;
		int fd;

		fresh_path(work, nr, path, sizeof(path));
		fd = open(path, O_RDONLY | O_CLOEXEC);
		got = fd < 0 ? -1 : pread(fd, found, work->kind->cell_size, 0);
		if (got < 0)
			wrong(work, report, "%s: %s (%u acknowledged)", path, strerror(errno), nr_ops);
		else
			cell_check(work, nr, nr_ops, &expected, got < (ssize_t)work->kind->cell_size, found, report);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

static int begin_nothing(struct work *work)
{
	(void)work;
	return 0;
}

static void end_nothing(struct work *work)
{
	(void)work;
}

const struct kind kind_hole = {
	.name = "hole",
	.cell_size = PAGE,
	.nr_cells = 4096,
	.nr_ops = 250,
	.prepare = prepare_sparse,
	.begin = file_begin,
	.plan = plan_scattered,
	.apply = apply_store,
	.end = file_end,
	.remove = file_remove,
	.check = check_table,
};

const struct kind kind_prealloc = {
	.name = "prealloc",
	.cell_size = PAGE,
	.nr_cells = 1024,
	.nr_ops = FOR_EVER,
	.prepare = prepare_allocated,
	.begin = file_begin,
	.plan = plan_scattered,
	.apply = apply_store,
	.end = file_end,
	.remove = file_remove,
	.check = check_table,
};

const struct kind kind_grow = {
	.name = "grow",
	.cell_size = 1504,
	.nr_cells = 400,
	.nr_ops = 400,
	.prepare = prepare_empty,
	.begin = file_begin,
	.plan = plan_grow,
	.apply = apply_grow,
	.end = file_end,
	.remove = file_remove,
	.check = check_grow,
};

const struct kind kind_pwrite = {
	.name = "pwrite",
	.cell_size = PAGE,
	.nr_cells = 4096,
	.nr_ops = 250,
	.prepare = prepare_sparse,
	.begin = file_begin,
	.plan = plan_scattered,
	.apply = apply_pwrite,
	.end = file_end,
	.remove = file_remove,
	.check = check_table,
};

const struct kind kind_fsync = {
	.name = "fsync",
	.cell_size = PAGE,
	.nr_cells = 4096,
	.nr_ops = 250,
	.prepare = prepare_sparse,
	.begin = file_begin,
	.plan = plan_scattered,
	.apply = apply_fsync,
	.end = file_end,
	.remove = file_remove,
	.check = check_table,
};

const struct kind kind_race = {
	.name = "race",
	.cell_size = PAGE,
	.nr_cells = 256,
	.nr_ops = 250,
	.prepare = prepare_allocated,
	.begin = file_begin,
	.plan = plan_scattered,
	.apply = apply_race,
	.end = file_end,
	.remove = file_remove,
	.check = check_table,
};

const struct kind kind_change = {
	.name = "change",
	.cell_size = PAGE,
	.nr_cells = 1024,
	.nr_ops = 250,
	.prepare = prepare_sparse,
	.begin = file_begin,
	.plan = plan_change,
	.apply = apply_change,
	.end = file_end,
	.remove = file_remove,
	.check = check_table,
};

const struct kind kind_fresh = {
	.name = "fresh",
	.cell_size = PAGE,
	.nr_cells = FOR_EVER,
	.nr_ops = FOR_EVER,
	.prepare = prepare_empty,
	.begin = begin_nothing,
	.plan = plan_next,
	.apply = apply_fresh,
	.end = end_nothing,
	.remove = file_remove,
	.check = check_fresh,
};

const struct kind kind_device = {
	.name = "device",
	.cell_size = PAGE,
	.nr_cells = 2048,
	.nr_ops = FOR_EVER,
	.prepare = prepare_device,
	.begin = device_begin,
	.plan = plan_scattered,
	.apply = apply_store,
	.end = end_nothing,
	.remove = end_nothing,
	.check = check_table,
};
