// SPDX-License-Identifier: BSD-3-Clause
// sync.h: the sync point.
#ifndef DXS_SYNC_H
#define DXS_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dxs_file;

// Makes durable, as far as user space can, every store to bytes [off, end) of the file that happened before the
// call, by any thread through any mapping. 0; or -EIO (bad memory), or another -errno: the range stays dirty.
// Whether the kernel's own sync has to follow is the caller's question (dxs_file_kernel_sync_pending).
// Context: api or hook, signals blocked, no lock held.
int dxs_sync_range(struct dxs_file *file, uint64_t off, uint64_t end);

// The same of several ranges at once, with one fence for all of them where they are small. They are in ascending order, do
// not overlap, and no two have bytes of one 4 KiB page, or there are more fences. What they hold afterwards is undefined.
#define DXS_SYNC_RANGES 32 // at most
struct dxs_bytes {
	uint64_t off, end;
};
int dxs_sync_ranges(struct dxs_file *file, struct dxs_bytes *range, unsigned nr);

// The same by a caller that holds the file's maps_lock exclusively: before the kernel changes a mapping.
int dxs_sync_range_locked(struct dxs_file *file, uint64_t off, uint64_t end);

// What is left of a sync of the whole file where the kernel's fsync has just flushed all that it had dirty, and nothing else
// did: waits for the syncs of ours that are under way. What they have flushed looked clean to the kernel, and is durable when
// they have fenced. Context: as dxs_sync_range().
void dxs_sync_after_kernel(struct dxs_file *file);

#endif
