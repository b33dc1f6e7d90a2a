// SPDX-License-Identifier: BSD-3-Clause
// group.h: concurrent syncs of one inode, served together.
//
// Whoever comes while a sync of overlapping ranges runs waits for the next one, which serves all that wait at once. This only
// saves work: every sync is correct alone, next to any other (sync.c). Ranges that do not overlap are served side by side, in
// lanes: two threads that sync a part of the file each do not wait for one another.
#ifndef DXS_GROUP_H
#define DXS_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"

struct dxs_file;

#define DXS_GROUP_LANES 8 // where all are taken, ranges that do not overlap wait for one another too

struct dxs_pages {
	uint64_t first, last;
};

struct dxs_lane {
	uint64_t started, done;   // rounds: one runs where they differ
	struct dxs_pages running; // of that one
	bool is_wanted;           // there is a range that waits for the next round
	struct dxs_pages wanted;  // union of the ranges that wait
	uint64_t failed;          // the last round that ended in an error
	// seq_cst, the default: relaxed would do. The mutex orders it; only the kernel compares it without.
	_Atomic uint32_t event; // futex: changes when a round ends
	unsigned nr_asleep;     // callers that sleep until then
	bool is_watched;        // a caller waits for that awake
};

struct dxs_group {
	struct dxs_mutex mutex; // of all of it
	struct dxs_lane lane[DXS_GROUP_LANES];
};

typedef int (*dxs_group_run)(struct dxs_file *file, uint64_t first, uint64_t last);

// Runs run(file, first, last), or waits for a run that began after this call and covers the range. An error of a
// shared run is nobody's in particular: each waiter then runs its own range, so that an error reaches exactly those
// callers whose range it touches (M6). Context: api or hook, signals blocked.
int dxs_group_sync(struct dxs_group *group, struct dxs_file *file, uint64_t first, uint64_t last, dxs_group_run run);

#endif
