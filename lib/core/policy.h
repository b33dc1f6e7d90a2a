// SPDX-License-Identifier: BSD-3-Clause
// policy.h: which pages a sync closes again, and which it only flushes and leaves open.
#ifndef DXS_POLICY_H
#define DXS_POLICY_H

#include <stdint.h>

struct dxs_file;
struct dxs_leaf;

// Of the DIRTY pages `dirty` of a leaf that a sync is about to flush, those to close. Any answer is correct; it only
// decides what the next stores and syncs cost. Called with the page locks held: neither allocates nor waits.
uint64_t dxs_policy_close(struct dxs_file *file, struct dxs_leaf *leaf, uint64_t dirty);

#endif
