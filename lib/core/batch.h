// SPDX-License-Identifier: BSD-3-Clause
// batch.h: the pages that a sync has FLUSHING: flushed, fenced and released together.
#ifndef DXS_BATCH_H
#define DXS_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sync.h"

struct dxs_due;
struct dxs_file;
struct dxs_leaf;
struct dxs_map;

// Pages of one leaf.
struct dxs_taken {
	struct dxs_leaf *leaf;
	uint64_t pages;
	uint64_t closed; // of these, closed and unmarked; the others stay open
	uint64_t failed; // not flushed: to be marked again (M6)
	bool in_tree;    // a walk finds FLUSHING; otherwise it stands in the leaf only
	uint8_t range;   // which one of the sync's they are of
};

#define DXS_BATCH_LEAVES 64
struct dxs_batch {
	struct dxs_file *file;
	const struct dxs_bytes *range;            // the sync's, in ascending order
	int err;                                  // the first error
	struct dxs_due *due;                      // of the observer
	const struct dxs_map *map;                // through which it flushed last
	uint64_t nr_taken;                        // pages, for the statistics: of all that were ever in it
	uint64_t nr_bytes;                        // handed to the flush function
	unsigned nr, nr_flushed, nr_pages;        // of `taken`; those that are flushed; pages of 4 KiB
	struct dxs_taken taken[DXS_BATCH_LEAVES]; // the first nr; the rest is not set
};

void dxs_batch_init(struct dxs_batch *batch, struct dxs_file *file, const struct dxs_bytes *range);

// Whether there may be no room for all pages of another leaf.
bool dxs_batch_is_full(const struct dxs_batch *batch);

// Adds pages that the caller has FLUSHING, of the sync's range number `range`. There is room.
struct dxs_taken *dxs_batch_add(struct dxs_batch *batch, struct dxs_leaf *leaf, uint64_t pages, unsigned range);

// Flushes what is in the batch and not flushed yet.
void dxs_batch_flush(struct dxs_batch *batch);

// Flushes what is in the batch, makes it durable and lets go of it.
void dxs_batch_complete(struct dxs_batch *batch);

#endif
