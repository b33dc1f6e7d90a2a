// SPDX-License-Identifier: BSD-3-Clause
// powercut_workload.h: what the kinds of workloads of the guest's power cuts share.
#ifndef POWERCUT_WORKLOAD_H
#define POWERCUT_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../mix.h"

#define MAX_CELLS 8 // that one operation writes
#define RECORD_MAX 8192
#define HUGE ((size_t)2 << 20)
#define DEVICE "/dev/dax"

// One kind of work on one file system: a sequence of operations that write records into numbered cells. It follows from
// the seed, the generation and the operation's number alone, so what must be there after N operations is known without
// any other record of them. Each generation has a file of its own.
struct work {
	const struct kind *kind;
	const char *fs; // the place is /mnt/FS, or /dev/dax
	unsigned slot;  // where it says how far it is
	uint64_t seed;
	uint32_t gen;
	char path[128]; // of the generation's file
	int fd;
	char *map, *room;
	void *more; // the kind's own
};

// An operation: a range of cells comes to read as zeros (none if clear_from == clear_to), then cells are written.
struct op {
	uint32_t nr;
	uint64_t random; // what else it decides by
	unsigned nr_cells;
	uint32_t cell[MAX_CELLS];
	uint32_t clear_from, clear_to;
};

struct report {
	unsigned nr_right, nr_wrong; // records
};

// What returns int returns 0, or -1 when it has said what failed.
struct kind {
	const char *name;
	size_t cell_size;
	uint32_t nr_cells;
	uint32_t nr_ops;                   // of a generation
	bool begins_anew;                  // after a cut, with the next generation
	int (*prepare)(struct work *work); // makes the file, durably; a half-made one may be there
	int (*begin)(struct work *work);
	void (*plan)(const struct work *work, struct op *op);
	int (*apply)(struct work *work, const struct op *op); // returns when the operation is durable
	void (*end)(struct work *work);
	void (*remove)(struct work *work); // the generation is over
	int (*check)(struct work *work, uint32_t nr_ops, struct report *report);
};

int fail(const struct work *work, const char *what);

// One promise that was not kept. Only the first few are printed.
void wrong(const struct work *work, struct report *report, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// The operation `nr` of the generation.
void op_plan(const struct work *work, uint32_t nr, struct op *op);

// The record that operation `nr` writes to a cell: a header with a checksum, and content that follows from the header.
// `size` is a multiple of 8.
void record_make(const struct work *work, uint32_t cell, uint32_t nr, void *to, size_t size);

// What a cell holds, in words: "zeros", "the record of operation 17", "a torn record".
void record_describe(const struct work *work, uint32_t cell, const void *from, size_t size, char *text,
		     size_t text_size);

int sync_directory(const struct work *work, const char *path);

bool is_zero(const char *from, size_t size);

extern const struct kind kind_hole, kind_prealloc, kind_grow, kind_pwrite, kind_fsync, kind_change, kind_fresh,
	kind_race, kind_device;
#ifdef HAVE_LMDB
extern const struct kind kind_lmdb;
#endif

#endif
