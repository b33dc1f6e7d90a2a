// SPDX-License-Identifier: BSD-3-Clause
// record.h: the record of a crash test: one run, as a series of moments at which something was about to become durable.
//
// A record is a file of items. Those before a MOMENT say what has changed since the one before it. So whoever reads up to a
// moment holds everything that a power cut at that moment can leave.
#ifndef DXS_CRASH_RECORD_H
#define DXS_CRASH_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dxs_item_kind {
	DXS_ITEM_STORED = 1,    // data that the file shows now
	DXS_ITEM_SIZE,          // its size now: `off`
	DXS_ITEM_DURABLE,       // data that is durable now
	DXS_ITEM_DURABLE_SIZE,  // the size that is: `off`
	DXS_ITEM_STAGED,        // data that was flushed, or is about to be: durable for the program when a sync returns
	DXS_ITEM_NAMES,         // of all files now: pairs of a number in decimal and a path, each with its NUL
	DXS_ITEM_DURABLE_NAMES, // those that are durable now
	DXS_ITEM_SITE,          // text: a stack (stack.h); `file` is its number
	DXS_ITEM_MOMENT,        // struct dxs_moment_data
};

struct dxs_item {
	uint32_t kind; // enum dxs_item_kind
	uint32_t file; // its number, from 0 in the order in which files were seen
	uint64_t off, len;
	uint32_t site; // who stored, or who syncs; 0: not known
	uint32_t unused;
	// `len` bytes follow, and up to 7 zeros
};

struct dxs_moment_data {
	uint64_t fence;  // of DAXSYNC_POWERCUT's count; 0: none
	uint64_t output; // bytes that the program had written to its standard output
};

struct dxs_record_writer {
	int fd;
	uint64_t nr_moments;
	char *buf;
	size_t used;
	int err; // the first error, which stays
};

// 0 or -errno.
int dxs_record_create(struct dxs_record_writer *writer, const char *path);
void dxs_record_add(struct dxs_record_writer *writer, const struct dxs_item *item, const void *data);
// 0, or the first -errno since the beginning.
int dxs_record_close(struct dxs_record_writer *writer);

struct dxs_record {
	const unsigned char *data;
	size_t size;
	uint64_t nr_moments;
};

// Maps a record and looks through it. 0, or -errno: -EINVAL if it is none, or of another version, or is not whole.
int dxs_record_open(struct dxs_record *record, const char *path);

// The item at *at, with its data, and *at behind it; NULL at the end.
const struct dxs_item *dxs_record_next(const struct dxs_record *record, size_t *at, const void **data);

#endif
