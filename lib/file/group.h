// SPDX-License-Identifier: BSD-3-Clause
// group.h: concurrent syncs of one inode, served together.
//
// Whoever comes while a sync runs waits for the next one, which serves all that wait at once. This only saves work:
// every sync is correct alone, next to any other (sync.c).
#ifndef DXS_GROUP_H
#define DXS_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"

struct dxs_file;

struct dxs_group {
	struct dxs_mutex mutex;
	bool running;
	uint64_t started, done; // rounds
	uint64_t failed;        // the last round that ended in an error
	uint64_t first, last;   // union of the ranges that wait for the next round
	bool waiting;           // there is such a range
	// seq_cst, the default: relaxed would do. The mutex orders it; only the kernel compares it without.
	_Atomic uint32_t event; // futex: changes when a round ends
	unsigned nr_asleep;     // callers that wait for that; under the mutex
};

typedef int (*dxs_group_run)(struct dxs_file *file, uint64_t first, uint64_t last);

// Runs run(file, first, last), or waits for a run that began after this call and covers the range. An error of a
// shared run is nobody's in particular: each waiter then runs its own range, so that an error reaches exactly those
// callers whose range it touches (M6). Context: api or hook, signals blocked.
int dxs_group_sync(struct dxs_group *group, struct dxs_file *file, uint64_t first, uint64_t last, dxs_group_run run);

#endif
