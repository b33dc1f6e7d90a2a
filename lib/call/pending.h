// SPDX-License-Identifier: BSD-3-Clause
// pending.h: the kernel syncs of a file: what is pending, and what one has settled.
#ifndef DXS_PENDING_H
#define DXS_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "file/observer.h"
#include "report/stats.h"
#include "writers/writers.h"

struct dxs_file;

// What a kernel sync settles.
struct dxs_pending {
	uint64_t changes;
	struct dxs_ticket ticket;
};

// Before the kernel's call, because what comes later is not covered. `whole`: it is a sync of the whole file.
struct dxs_pending dxs_pending_read(struct dxs_file *file, bool whole);

// Only now that the kernel's sync has returned is what it covers not pending any more: a concurrent msync must not return
// before.
void dxs_pending_settle(struct dxs_file *file, int fd, struct dxs_pending pending, const struct dxs_asked *asked);

// Around the call, so that a sync that ends meanwhile has the kernel follow (dxs_file_kernel_sync_pending).
void dxs_pending_begin(struct dxs_file *file);
void dxs_pending_end(struct dxs_file *file);

// In mode kernel: why.
enum dxs_counter dxs_pending_mode_cause(struct dxs_file *file);

// The pending kernel sync of the file, over all that is mapped of it: an msync can ask for nothing else, so nothing is
// pending for the next one. Its cost follows what the kernel has dirty, if each part of the file is asked for once.
int dxs_pending_sync(struct dxs_file *file);

#endif
