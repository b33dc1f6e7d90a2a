// SPDX-License-Identifier: BSD-3-Clause
// dirty.c: which entries of a file have to be flushed, asked without changing anything.
//
// CONCURRENCY
//   No lock is held that keeps a sync or a trap away. What is read in which order is the argument, for a store that happened
//   before the call to an entry that is found clean:
//   1. The part was closed once in each mapping (E.4), and so whatever is open there was marked: so was the entry when the
//      store completed (M1), or it was in a part that was looked at since.
//   2. DIRTY is read before FLUSHING, and a sync sets FLUSHING before it takes DIRTY away. So a sync has flushed the
//      entry, and its fence was before FLUSHING went.
//   3. Unless its flush has failed. Then the mark is back, and the failure was counted, or a kernel sync is pending, before
//      FLUSHING went: both are looked at at the end, and so is the mode.
#include "call/dirty.h"

#include "core/engine.h"
#include "file/file.h"
#include "flush/flush.h"

// Whether marks say anything of what is durable.
static bool can_tell(struct dxs_file *file)
{
	return dxs_file_mode(file) > DXS_MODE_KERNEL && !dxs_file_kernel_sync_pending(file);
}

static uint64_t mask_of(uint64_t first, uint64_t last)
{
	return (~0ULL << (first % DXS_LEAF_PAGES)) & (~0ULL >> (DXS_LEAF_PAGES - 1 - last % DXS_LEAF_PAGES));
}

// The entries of [first, last] that this mapping has never had closed. An engine that is gone knows nothing.
static uint64_t unknown_of(struct dxs_map *map, uint64_t first, uint64_t last)
{
	uintptr_t at, end, stop;
	uint64_t unknown;

	if (!map->engine || !dxs_map_clip(map, &first, &last))
		return 0; // in the second case; without an engine the file's mode says it
	unknown = mask_of(first, last);
	if (!map->engine->is_alive())
		return unknown;
	at = dxs_map_addr(map, first);
	end = dxs_map_addr(map, last) + dxs_file_page_size(map->file);
	for (; (stop = map->engine->known(map, &at, end)) > at; at = stop)
		unknown &= ~mask_of(dxs_map_pgoff(map, at), dxs_map_pgoff(map, stop - 1));
	return unknown;
}

static uint64_t unknown_anywhere(struct dxs_file *file, uint64_t first, uint64_t last)
{
	struct dxs_map *map;
	uint64_t unknown = 0;

	dxs_for_each_map_of (map, file, first, last)
		unknown |= unknown_of(map, first, last);
	return unknown;
}

static uint64_t marked(struct dxs_file *file, uint64_t first)
{
	struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, first, false);
	uint64_t dirty = leaf ? dxs_leaf_get(leaf, DXS_DIRTY) : 0; // first: 2

	return leaf ? dirty | dxs_leaf_get(leaf, DXS_FLUSHING) : 0;
}

uint64_t dxs_dirty(struct dxs_file *file, uint64_t first, uint64_t last)
{
	uint64_t all = mask_of(first, last), failed = atomic_load(&file->nr_failed), dirty;

	dxs_shared_lock(&file->maps_lock);
	dirty = unknown_anywhere(file, first, last); // 1, before the marks are read
	dirty |= marked(file, first);
	dxs_shared_unlock(&file->maps_lock);
	if (dxs_file_mode(file) == DXS_MODE_BYTE && can_tell(file)) {
		dxs_flush_drain(); // what is in the caches is durable, and this thread's stores are there now
		return 0;
	}
	return can_tell(file) && atomic_load(&file->nr_failed) == failed ? dirty & all : all; // 3
}
