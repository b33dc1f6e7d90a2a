// SPDX-License-Identifier: BSD-3-Clause
// policy.h: which pages a sync closes again, and which it only flushes and leaves open.
// (Whether it does either, or calls the kernel: handover.h.)
//
// Any answer is correct: what stays open stays DIRTY, and what is closed traps. A policy only decides what the next stores
// and syncs cost.
#ifndef DXS_POLICY_H
#define DXS_POLICY_H

#include <stdint.h>

struct dxs_file;
struct dxs_leaf;

#define DXS_CLOCK_SHIFT 20 // of struct dxs_file.clock: it counts a sync of all that is mapped as 1 << DXS_CLOCK_SHIFT

#define DXS_POLICY_WORTH 32 // flushes of a page that cost as much as its write fault and its closing

// A sync of entries [first, last] begins. Caller holds maps_lock.
void dxs_policy_sync(struct dxs_file *file, uint64_t first, uint64_t last);

// Of the DIRTY pages `pages` of a leaf, which a sync is about to flush as a whole, those to close. Caller has them FLUSHING.
uint64_t dxs_policy_close(struct dxs_file *file, struct dxs_leaf *leaf, uint64_t pages);

// They were closed, whoever wanted it. Caller holds their locks and has them FLUSHING.
void dxs_policy_closed(struct dxs_file *file, struct dxs_leaf *leaf, uint64_t pages);

// Closed pages are opened, nr in all, here and in other leaves: those in `hit` because they are stored to, the other ones
// of `pages` with them. Caller holds their locks. Async-signal-safe.
void dxs_policy_opened(struct dxs_file *file, struct dxs_leaf *leaf, uint64_t pages, uint64_t hit, uint64_t nr);

// There was nothing to flush (holes, or beyond the end of the file): the next sync closes them. Any context.
void dxs_policy_empty(struct dxs_leaf *leaf, uint64_t pages);

#endif
