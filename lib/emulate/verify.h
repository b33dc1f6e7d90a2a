// SPDX-License-Identifier: BSD-3-Clause
// verify.h: the check after each sync that nothing was missed. It trusts page tables and the durable image, not the
// tracker's own tables.
#ifndef DXS_VERIFY_H
#define DXS_VERIFY_H

#include <stdint.h>

#include "base/due.h"

struct dxs_file;
struct dxs_leaf;

// Looks at every populated page of [first, last], page by page under the page's lock:
//   V1 closed in every mapping, unmarked and not FLUSHING: equal to its durable image.
//   V2 open in any mapping: marked DIRTY, or in a part that was never closed and is open by definition.
//   V3 (dxs_verify_taken) taken up by a sync: flushed by it before its fence, or equal to its image all the same. That
//      finds a flush left out on a page that stays open and marked, of which V1 and V2 say nothing.
//   V4 (dxs_verify_due, dxs_verify_end) DIRTY when a sync began: flushed by some sync since, or equal to its image. That
//      finds a sync that passes over pages, whatever the reason. Not looked at in a sync with more than 1024 dirty leaves,
//      or during which thousands of other events happened.
//   V5 (dxs_verify_kernel) written by the kernel (KWRITE) before an msync began, in its range: published by a kernel sync.
//      That finds an msync that did not make the pending kernel sync, of all of its range.
// A page that fails is a missed page: a power cut would lose it. It is reported and counted,
// once a sync, however many checks and mappings show it.
// Caller holds maps_lock. Pages written by write(2) and not yet synced by the kernel are not the tracker's.
void dxs_verify_range(struct dxs_file *file, struct dxs_due *due, uint64_t first, uint64_t last);

// V4, around a sync: notes what is DIRTY in [first, last], of each of its ranges, in ascending order; checks it.
void dxs_verify_begin(struct dxs_due *due);
void dxs_verify_due(struct dxs_file *file, struct dxs_due *due, uint64_t first, uint64_t last);
void dxs_verify_end(struct dxs_file *file, struct dxs_due *due);

// V5, around an msync of [first, last] outside of mode `kernel`, which has succeeded. kwrites: what the first call has
// returned.
uint64_t dxs_verify_kwrites(struct dxs_file *file);
void dxs_verify_kernel(struct dxs_file *file, uint64_t kwrites, uint64_t first, uint64_t last);

// V3 for the entries of `pages` in a leaf that a sync says it has flushed. Called after its flushes, before its fence.
void dxs_verify_taken(struct dxs_file *file, struct dxs_due *due, struct dxs_leaf *leaf, uint64_t pages);

#endif
