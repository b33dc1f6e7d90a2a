// SPDX-License-Identifier: BSD-3-Clause
// sync.c: the sync point. The model of this file is tests/model/sync.pml; doc/model.md maps its names to these.
//
// CONCURRENCY
//   Any number of syncs, traps and stores run at once. A sync takes a leaf's pages at a time, in ascending order:
//
//                      | trap, same page     | sync, same page               | store, same page
//     trap             | page lock           | page lock                     | store waits for open
//     sync: close      | page lock           | FLUSHING, claimed before      | traps once closed
//     sync: flush      | may open: marks     | waits until FLUSHING is clear | reopens by a trap, or racing
//
//   A page that is only flushed, and stays open and DIRTY, needs no page lock: nothing of it changes.
//   S.1 A sync holds page locks of one leaf only, and while it does, waits for nothing but the kernel's close call.
//   S.2 A sync that has pages FLUSHING never waits for another sync: it first completes its own (drain, release). So
//       no two syncs wait for each other, also where one waits for all others to end (sync_lock).
//   S.3 Signals are blocked from before the first lock until FLUSHING is released: a handler that syncs, or that
//       leaves by siglongjmp, cannot find its own thread in the middle.
//   The work of a sync is bounded: it comes to each leaf once, in ascending order, whatever others dirty meanwhile. What
//   they dirty behind it is the next one's.
#include "core/sync.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/failure.h"
#include "base/log.h"
#include "base/sys.h"
#include "core/batch.h"
#include "core/engine.h"
#include "core/handover.h"
#include "core/mark.h"
#include "core/policy.h"
#include "core/runs.h"
#include "file/file.h"
#include "file/observer.h"
#include "flush/flush.h"
#include "report/stats.h"
#include "signal/signals.h"

#define GROUP_PAGES 256 // syncs of larger ranges are grouped
#define PATIENCE 8      // waits for other syncs' pages

struct sync {
	struct dxs_file *file;
	const struct dxs_bytes *range; // in ascending order
	unsigned nr_ranges, at;        // how many; which one it is at
	uint64_t off, end;             // of the range that it is at: bytes
	uint64_t first, last;          // entries, rounded outwards
	bool partial;                  // some range begins or ends inside an entry
	bool close_all;                // the mapping is frozen: close whatever the policy says
	bool close_none;               // the file is being handed over
	bool exclusive;                // no other sync of this file runs
	bool checked;                  // the handlers are in place
	bool was_kernels;              // the file was handed over
	uint64_t nr_closed;            // pages, for the statistics
	unsigned nr_waits;
	struct dxs_batch batch; // what it has FLUSHING
};

// The pages of [off, end) that are covered as a whole: only those may be unmarked (M2).
static uint64_t whole_pages(const struct sync *sync, const struct dxs_leaf *leaf)
{
	unsigned shift = sync->file->page_shift;
	uint64_t first = (sync->off + dxs_file_page_size(sync->file) - 1) >> shift;
	uint64_t beyond = sync->end >> shift;

	if (beyond <= first || beyond <= leaf->first || first >= leaf->first + DXS_LEAF_PAGES)
		return 0;
	return dxs_leaf_mask(leaf, first, beyond - 1);
}

static int map_close(struct dxs_map *map, uint64_t first, uint64_t last)
{
	if (!map->engine || !dxs_map_clip(map, &first, &last))
		return 0;
	if (dxs_injected(DXS_FAIL_CLOSE_ERROR))
		return -ENOMEM;
	return map->engine->write_protect(map, dxs_map_addr(map, first),
					  (size_t)(last - first + 1) << map->file->page_shift);
}

// Closes pages in every mapping of the inode: aliases share them. False: some may still be open somewhere.
static bool close_everywhere(struct dxs_file *file, const struct dxs_leaf *leaf, uint64_t pages)
{
	struct dxs_map *map;
	unsigned from, to;

	for_each_run (pages, from, to) {
		dxs_for_each_map_of (map, file, leaf->first + from, leaf->first + to) {
			int err = map_close(map, leaf->first + from, leaf->first + to);

			if (err) {
				dxs_debug("%s: closing failed (%d): pages stay marked", file->path, -err);
				return false;
			}
			if (dxs_injected(DXS_FAIL_ONE_MAPPING))
				break;
		}
	}
	return true;
}

static void inject_open_unmarked(struct sync *sync, const struct dxs_leaf *leaf, uint64_t closed)
{
	unsigned from, to;
	struct dxs_map *map;

	if (!closed || !dxs_injected(DXS_FAIL_OPEN_UNMARKED))
		return;
	for_each_run (closed, from, to) {
		dxs_for_each_map_of (map, sync->file, leaf->first + from, leaf->first + to) {
			uint64_t first = leaf->first + from, last = leaf->first + to;

			if (map->engine && dxs_map_clip(map, &first, &last))
				map->engine->make_writable(map, dxs_map_addr(map, first),
							   (size_t)(last - first + 1) << map->file->page_shift);
		}
	}
}

// Of the DIRTY pages `dirty` of a leaf, those to close.
static uint64_t to_close(struct sync *sync, struct dxs_leaf *leaf, uint64_t dirty)
{
	uint64_t closing = dirty & whole_pages(sync, leaf);

	if (sync->close_none || atomic_load(&leaf->pins)) // asked again under the lock
		return 0;
	if (!sync->close_all)
		closing = dxs_policy_close(sync->file, leaf, closing);
	if (!closing || (!sync->checked && dxs_signals_check()))
		return 0; // nothing to close, or nobody would answer
	sync->checked = true;
	return closing;
}

// Closes and unmarks pages. Returns those that were: all or none. Caller holds their locks and has them FLUSHING.
static uint64_t close_locked(struct sync *sync, struct dxs_leaf *leaf, uint64_t closing)
{
	if (atomic_load(&leaf->pins)) // M9: the kernel is about to write here; partner: dxs_pin
		return 0;
	// M2: first closed, in every mapping; a store that completed before is in the cache and will be flushed, one
	// that comes later traps. A page that could not be closed everywhere keeps its mark.
	if (!close_everywhere(sync->file, leaf, closing))
		return 0;
	dxs_tree_unmark(&sync->file->tree, leaf, DXS_DIRTY, closing);
	dxs_policy_closed(sync->file, leaf, closing);
	dxs_observe(sync->file, event, sync->file, DXS_EVENT_CLOSE, leaf->first, closing);
	sync->nr_closed += (uint64_t)__builtin_popcountll(closing);
	inject_open_unmarked(sync, leaf, closing);
	return closing;
}

static void close_pages(struct sync *sync, struct dxs_taken *taken, uint64_t closing)
{
	// M4: every walk can find FLUSHING before DIRTY goes. It reads DIRTY first and FLUSHING after it, on each level
	// of the tree, so it sees one of them.
	dxs_tree_mark(&sync->file->tree, taken->leaf, DXS_FLUSHING, closing);
	taken->in_tree = true;
	dxs_leaf_lock(taken->leaf, closing);
	taken->closed = close_locked(sync, taken->leaf, closing);
	dxs_leaf_unlock(taken->leaf, closing);
}

// Takes up the pages of `claimed` that are DIRTY. They are FLUSHING, by this sync, so no other unmarks them.
static void take(struct sync *sync, struct dxs_leaf *leaf, uint64_t claimed)
{
	uint64_t dirty = claimed & dxs_leaf_get(leaf, DXS_DIRTY);
	struct dxs_taken *taken;
	uint64_t closing;

	if (claimed & ~dirty) // another sync has closed, flushed and fenced them
		dxs_leaf_release(leaf, claimed & ~dirty);
	if (!dirty)
		return;
	taken = dxs_batch_add(&sync->batch, leaf, dirty, sync->at);
	if (dxs_injected(DXS_FAIL_FLUSH_FIRST))
		dxs_batch_flush(&sync->batch);
	closing = to_close(sync, leaf, dirty);
	if (closing)
		close_pages(sync, taken, closing);
}

static void sync_enter(struct sync *sync)
{
	dxs_shared_lock(&sync->file->sync_lock);
}

static void sync_leave(struct sync *sync)
{
	if (sync->exclusive) {
		dxs_exclusive_unlock(&sync->file->sync_lock);
		dxs_mutex_unlock(&sync->file->exclusive_mutex);
	} else {
		dxs_shared_unlock(&sync->file->sync_lock);
	}
}

// The caller has nothing FLUSHING.
static void become_exclusive(struct sync *sync)
{
	dxs_shared_unlock(&sync->file->sync_lock);
	dxs_mutex_lock(&sync->file->exclusive_mutex);
	dxs_exclusive_lock(&sync->file->sync_lock);
	sync->exclusive = true;
}

// Waits until no other sync has pages of `range` FLUSHING. Those that are stored to and synced in a loop by others may be so
// again whenever we look: after a few vain waits this sync runs exclusively. A sync of several ranges may have met its
// own pages, where two of them lie in one huge page.
static void wait_flushed(struct sync *sync, struct dxs_leaf *leaf, uint64_t range)
{
	bool own = sync->batch.nr && sync->nr_ranges > 1;

	dxs_batch_complete(&sync->batch); // S.2
	if (own)
		return;
	if (++sync->nr_waits > PATIENCE && !sync->exclusive)
		become_exclusive(sync);
	else
		dxs_leaf_wait_flushed(leaf, range);
}

// Whether to begin again: always; exclusively when others' failures have made it do so too often.
static bool again(struct sync *sync)
{
	if (++sync->nr_waits > PATIENCE && !sync->exclusive)
		become_exclusive(sync);
	return true;
}

// Deals with what is DIRTY in one leaf, once others have nothing of the range FLUSHING there. What they flushed is looked at
// again: they may have begun before this sync was called, have covered a part of a page, or failed.
static void sync_leaf(struct sync *sync, struct dxs_leaf *leaf)
{
	uint64_t range = dxs_leaf_mask(leaf, sync->first, sync->last);

	for (;;) {
		uint64_t want = dxs_leaf_get(leaf, DXS_DIRTY) & range; // before FLUSHING: see close_pages
		uint64_t busy = dxs_leaf_get(leaf, DXS_FLUSHING) & range;

		if (!want && !busy)
			return;
		if (!busy && dxs_batch_is_full(&sync->batch))
			dxs_batch_complete(&sync->batch);
		if (!busy && dxs_leaf_claim(leaf, want)) {
			take(sync, leaf, want);
			// persist: it is flushed in dxs_batch_complete(). A store may open a page again meanwhile; it
			// marks the page then, and what it stores is not this sync's. What this sync has to flush was
			// stored before the close.
			return;
		}
		wait_flushed(sync, leaf, range); // also where another sync came between the look and the claim
	}
}

// Device DAX has no kernel sync to leave anything to: in mode kernel all that is mapped is taken as dirty. CLWB writes
// back a line whoever has stored to it.
static void all_is_dirty(struct sync *sync)
{
	struct dxs_map *map;

	dxs_for_each_map_of (map, sync->file, sync->first, sync->last) {
		uint64_t first = sync->first, last = sync->last;

		if (dxs_map_clip(map, &first, &last))
			dxs_mark_range(map, dxs_map_addr(map, first),
				       dxs_map_addr(map, last) + dxs_file_page_size(map->file));
	}
}

static bool is_in_one_leaf(const struct sync *sync)
{
	return sync->first / DXS_LEAF_PAGES == sync->last / DXS_LEAF_PAGES;
}

// Whether every page of a small range is marked. Then nothing in it is taken for clean on the engine's word. A mark that
// another sync takes away from now on is gone because its close succeeded, and so the engine lived.
static bool all_is_marked(const struct sync *sync)
{
	struct dxs_leaf *leaf = is_in_one_leaf(sync) ? dxs_tree_leaf(&sync->file->tree, sync->first, false) : NULL;

	return leaf && !(dxs_leaf_mask(leaf, sync->first, sync->last) & ~dxs_leaf_get(leaf, DXS_DIRTY));
}

// Makes sure that every page that can be open is marked. An engine that may have lost its protection says that all
// is open (M5); then nothing here is known to be clean, and the kernel, which keeps its own marks, has to follow.
static void discover(struct sync *sync)
{
	bool one_for_all = atomic_load(&sync->file->engine) && !atomic_load(&sync->file->nr_unscanned);
	bool trusted = !all_is_marked(sync);
	struct dxs_map *map;

	if (sync->was_kernels) // injected: it should not be here
		return;
	dxs_for_each_map_of (map, sync->file, sync->first, sync->last) {
		uint64_t first = sync->first, last = sync->last;
		int err;

		if (!map->engine || !dxs_map_clip(map, &first, &last))
			continue;
		if (trusted && !map->engine->is_alive())
			dxs_file_to_kernel(sync->file, "the engine has lost its hold on the mapping");
		err = map->engine->discover(map, first, last);
		if (err)
			dxs_file_to_kernel(sync->file, "open pages cannot be found");
		if (one_for_all) // nothing is to be found in any: with very many mappings to look at each costs too much
			break;
	}
	if (sync->file->is_device && dxs_file_mode(sync->file) == DXS_MODE_KERNEL)
		all_is_dirty(sync);
}

// Goes on to a range.
static void range_enter(struct sync *sync, const struct dxs_bytes *range)
{
	unsigned shift = sync->file->page_shift;

	sync->at = (unsigned)(range - sync->range);
	sync->off = range->off;
	sync->end = range->end;
	sync->first = range->off >> shift;
	sync->last = (range->end - 1) >> shift;
}

#define for_each_range(sync)                                                                                           \
	for (const struct dxs_bytes *range_ = (sync)->range;                                                           \
	     range_ < (sync)->range + (sync)->nr_ranges && (range_enter(sync, range_), true); range_++)

// Flushes what is marked in the range that it is at. In one leaf the summaries above it would say no more than its own marks,
// which sync_leaf() reads in the same order.
static void walk(struct sync *sync)
{
	unsigned kinds = 1U << DXS_DIRTY | 1U << DXS_FLUSHING;
	struct dxs_cursor cursor = {0};
	struct dxs_leaf *leaf;

	if (dxs_injected(DXS_FAIL_PASS_OVER)) {
		kinds = 1U << DXS_FLUSHING;
	} else if (is_in_one_leaf(sync)) {
		leaf = dxs_tree_leaf(&sync->file->tree, sync->first, false);
		if (leaf)
			sync_leaf(sync, leaf);
		return;
	}
	while ((leaf = dxs_tree_walk(&sync->file->tree, &cursor, sync->first, sync->last, kinds)))
		sync_leaf(sync, leaf);
}

// The durability argument, step by step, for each page of any of the ranges. Caller holds maps_lock (shared or exclusive):
// no mapping comes or goes.
static void sync_once(struct sync *sync)
{
	// 1. A store that happened before this call was made to an open page. Open pages are DIRTY: new mappings start
	//    open and unarmed (discover marks what was touched there), and a trap marks before it opens (M1). All ranges
	//    before the first walk: discover() waits for locks, and nothing is FLUSHING yet (S.2).
	for_each_range (sync)
		discover(sync);
	// 2. So each such page is DIRTY now; or another sync has cleared the mark, after it had set FLUSHING, and has
	//    not fenced yet; or it has fenced, and the store is durable; or its flush has failed (5).
	// 3. That is so at any time until the walk comes by, and the walk reads DIRTY before FLUSHING: it meets every
	//    page of the first two kinds. What is DIRTY is closed if the policy says so, always before it is flushed,
	//    and flushed by this thread, a batch at a time (batch.c). What is FLUSHING is waited for, then looked at
	//    again: two syncs never have lines of a page between flush and fence, where the one that comes second would
	//    find them clean and fence for nothing.
	for_each_range (sync)
		walk(sync);
	// 4. The fence makes durable what this thread flushed; only then may others rely on it (FLUSHING released). One
	//    fence for all ranges: what was taken of the first ones stays FLUSHING until then.
	dxs_batch_complete(&sync->batch);
}

// A file that is handed over (handover.h): the kernel's msync of the range, and nothing else. Why that is enough:
//   H.1 The kernel's tag of a page is set before the page becomes writable in a page table, and taken away by a writeback
//       that has made it unwritable in all of them first, under one lock (fs/dax.c dax_insert_pfn_mkwrite and
//       dax_writeback_one, Linux 6.12). So what was stored is tagged, whatever protection of ours lies over it.
//       Before 5.19 that held for pages of one size only (dxs_kernel_tags_are_kept): no file is handed over there.
//   H.2 But for what the kernel forgets at an ftruncate (from 6.15). That is marked here, as a file is not handed over then
//       (dxs_handover_bar), and is flushed when it is handed over, before the first such sync.
//   H.3 It is handed over and taken back with sync_lock held exclusively. A sync finds it in one state from its first step
//       to its last, the kernel's call included. Otherwise a sync of ours could flush lines that the kernel has flushed for
//       another thread and not fenced: they look clean, as in M4 (model: HANDED_RELEASED).
//   H.4 All of it is open then, so nothing is known clean when it is taken back: the first sync scans, as with a new
//       mapping (E.4), and has the kernel follow. A mapping that comes meanwhile is closed and marked as ever, and
//       marks are never taken away.
static void kernels_range(struct sync *sync, struct dxs_asked *asked)
{
	struct dxs_file *file = sync->file;
	uint64_t done = sync->first;
	struct dxs_map *map;

	for (map = NULL; done <= sync->last && (map = dxs_file_map_next(file, map, done, sync->last));) {
		uint64_t from = dxs_max64(map->first, done), last = dxs_min64(dxs_map_last(map), sync->last);

		sync->batch.err = (int)dxs_sys6(SYS_msync, (long)dxs_map_addr(map, from),
						(long)((last - from + 1) << file->page_shift), MS_SYNC, 0, 0, 0);
		if (sync->batch.err)
			break;
		done = last + 1;
		dxs_asked_add(asked, from, last);
	}
}

static void kernels_part(struct sync *sync)
{
	struct dxs_asked asked = {0};

	for_each_range (sync)
		if (!sync->batch.err)
			kernels_range(sync, &asked);
	dxs_count(kernel_syncs, 1);
	dxs_count(kernel_syncs_policy, 1);
	if (!sync->batch.err)
		dxs_observe(sync->file, synced_for_us, sync->file, &asked);
}

// Once for each sync: as atomic additions they would be felt at each page.
static void statistics_add(const struct sync *sync)
{
	uint64_t left_open = sync->batch.nr_taken - sync->nr_closed;

	if (sync->batch.nr_taken) {
		dxs_count(pages_flushed, sync->batch.nr_taken);
		dxs_count(bytes_flushed, sync->batch.nr_bytes);
		dxs_file_count(sync->file, pages_flushed, sync->batch.nr_taken);
		dxs_file_count(sync->file, bytes_flushed, sync->batch.nr_bytes);
	}
	if (sync->nr_closed)
		dxs_count(pages_closed, sync->nr_closed);
	if (!left_open)
		return;
	dxs_count(pages_kept_open, left_open);
	dxs_handover_left_open(sync->file, left_open);
}

static int sync_run(struct sync *sync)
{
	uint64_t failed;

	sync_enter(sync);
	for_each_range (sync)
		dxs_policy_sync(sync->file, sync->first, sync->last);
	sync->was_kernels = atomic_load(&sync->file->handover.is_over);
	if (dxs_unlikely(sync->was_kernels) && !dxs_injected(DXS_FAIL_NOT_HANDED)) {
		kernels_part(sync);
		sync_leave(sync);
		return sync->batch.err;
	}
	do {
		failed = atomic_load(&sync->file->nr_failed);
		sync_once(sync);
		// 5. Another sync's flush may have failed meanwhile, of a page that this one left to it: so again, and the
		//    page is DIRTY now. An error of its own is this sync's result.
	} while (!sync->batch.err && atomic_load(&sync->file->nr_failed) != failed && again(sync));
	sync_leave(sync);
	statistics_add(sync);
	return sync->batch.err;
}

static void sync_init(struct sync *sync, struct dxs_file *file, const struct dxs_bytes *range, unsigned nr)
{
	uint64_t inside = dxs_file_page_size(file) - 1;
	unsigned i;

	memset(sync, 0, offsetof(struct sync, batch));
	dxs_batch_init(&sync->batch, file, range);
	sync->file = file;
	sync->range = range;
	sync->nr_ranges = nr;
	for (i = 0; i < nr; i++)
		sync->partial |= (range[i].off | range[i].end) & inside;
}

static int run_shown(struct sync *sync, int (*run)(struct sync *), const struct dxs_stretch *stretch, unsigned nr)
{
	int err;

	sync->batch.due = dxs_observer->sync_begin(sync->file, stretch, nr);
	if (!sync->batch.due) {
		// What nobody keeps, no fence makes durable; and the mapping may be about to go, with what is known of it.
		dxs_file_to_kernel(sync->file, "no memory to observe a sync");
		return -ENOMEM;
	}
	err = run(sync);
	dxs_observer->sync_end(sync->file, sync->batch.due, stretch, nr, !err && !sync->partial && !sync->was_kernels);
	return err;
}

// On its own, so that the array is not on the stack of each sync.
static __attribute__((noinline)) int run_several_shown(struct sync *sync, int (*run)(struct sync *))
{
	struct dxs_stretch stretch[DXS_SYNC_RANGES];
	unsigned nr = 0;

	for_each_range (sync)
		stretch[nr++] = (struct dxs_stretch){sync->first, sync->last};
	return run_shown(sync, run, stretch, nr);
}

static int run_observed(struct sync *sync, int (*run)(struct sync *))
{
	struct dxs_stretch stretch;

	if (dxs_likely(!sync->file->observed))
		return run(sync);
	if (sync->nr_ranges > 1)
		return run_several_shown(sync, run);
	range_enter(sync, sync->range);
	stretch = (struct dxs_stretch){sync->first, sync->last};
	return run_shown(sync, run, &stretch, 1);
}

int dxs_sync_range_locked(struct dxs_file *file, uint64_t off, uint64_t end)
{
	const struct dxs_bytes range = {off, end};
	struct sync sync;

	sync_init(&sync, file, &range, 1);
	sync.close_all = true;
	return run_observed(&sync, sync_run);
}

static int sync_shared(struct dxs_file *file, const struct dxs_bytes *range, unsigned nr)
{
	struct sync sync;
	int err;

	sync_init(&sync, file, range, nr);
	dxs_shared_lock(&file->maps_lock);
	err = run_observed(&sync, sync_run);
	dxs_shared_unlock(&file->maps_lock);
	return err;
}

static int sync_pages(struct dxs_file *file, uint64_t first, uint64_t last)
{
	const struct dxs_bytes range = {first << file->page_shift, (last + 1) << file->page_shift};

	return sync_shared(file, &range, 1);
}

// Bytes that a file can have in its tree; with entries of 1 GiB that is more than a file can have at all.
static uint64_t bytes_most(const struct dxs_file *file)
{
	return dxs_min64(DXS_TREE_PAGES, (1ULL << 63) >> file->page_shift) << file->page_shift;
}

static int marked_flush(struct sync *sync)
{
	for_each_range (sync)
		walk(sync);
	dxs_batch_complete(&sync->batch);
	return sync->batch.err;
}

// H.2, H.4. Nobody else is inside a sync. A file that cannot be handed over stays as it is: all that is open is marked,
// or in a mapping of which nothing is known.
static void hand_over(struct sync *sync)
{
	struct dxs_map *map;
	int err;

	sync->close_none = true;
	err = run_observed(sync, marked_flush);
	dxs_for_each_map_of (map, sync->file, 0, UINT64_MAX)
		if (!err && map->engine)
			err = map->engine->make_all_writable(map);
	if (!err)
		dxs_handover_set(sync->file, true);
}

// H.3
static void change_hands(struct dxs_file *file)
{
	const struct dxs_bytes all = {0, bytes_most(file)};
	struct sync sync;

	sync_init(&sync, file, &all, 1);
	dxs_shared_lock(&file->maps_lock);
	sync_enter(&sync);
	become_exclusive(&sync);
	if (dxs_handover_is_due(file)) { // others may have decided meanwhile
		if (dxs_handover_decide(file))
			hand_over(&sync);
		else
			dxs_handover_set(file, false);
	}
	sync_leave(&sync);
	dxs_shared_unlock(&file->maps_lock);
}

static bool is_small(const struct dxs_file *file, const struct dxs_bytes *range)
{
	return ((range->end - 1) >> file->page_shift) - (range->off >> file->page_shift) < GROUP_PAGES;
}

static int range_sync(struct dxs_file *file, const struct dxs_bytes *range)
{
	if (is_small(file, range))
		return sync_shared(file, range, 1);
	return dxs_group_sync(&file->group, file, range->off >> file->page_shift, (range->end - 1) >> file->page_shift,
			      sync_pages);
}

// The large ranges one by one, as groups do, then the small ones together. On its own, so that the array is not on the stack
// of each sync.
static __attribute__((noinline)) int several_sync(struct dxs_file *file, const struct dxs_bytes *range, unsigned nr)
{
	struct dxs_bytes small[DXS_SYNC_RANGES];
	unsigned i, nr_small = 0;
	int err = 0, ret = 0;

	for (i = 0; i < nr; i++) {
		if (is_small(file, &range[i]))
			small[nr_small++] = range[i];
		else
			ret = range_sync(file, &range[i]);
		err = err ? err : ret;
	}
	if (nr_small)
		ret = sync_shared(file, small, nr_small);
	return err ? err : ret;
}

// What there is to flush of a range. False: nothing.
static bool range_clip(const struct dxs_file *file, struct dxs_bytes *range)
{
	range->end = dxs_min64(range->end, bytes_most(file));
	return range->off < range->end;
}

static int flushed(struct dxs_file *file, const struct dxs_bytes *range, unsigned nr)
{
	if (dxs_file_mode(file) == DXS_MODE_BYTE) {
		dxs_flush_drain(); // of the store buffer: what is in the caches is durable
		return 0;
	}
	if (dxs_unlikely(dxs_handover_is_due(file)))
		change_hands(file);
	return nr == 1 ? range_sync(file, range) : several_sync(file, range, nr);
}

static int counted(struct dxs_file *file, const struct dxs_bytes *range, unsigned nr)
{
	bool is_timed = dxs_sites_wanted || dxs_counter_get(DXS_syncs) % DXS_STATS_SYNCS_TIMED == 0;
	uint64_t begin = is_timed ? dxs_now_ns() : 0;
	int err = nr ? flushed(file, range, nr) : 0;

	dxs_count(syncs, 1);
	dxs_file_count(file, syncs, 1);
	dxs_file_account(file);
	if (err)
		dxs_count(sync_errors, 1);
	if (is_timed)
		dxs_stats_sync_ns(dxs_now_ns() - begin);
	return err;
}

int dxs_sync_ranges(struct dxs_file *file, struct dxs_bytes *range, unsigned nr)
{
	unsigned i, nr_left = 0;

	for (i = 0; i < nr; i++)
		if (range_clip(file, &range[i]))
			range[nr_left++] = range[i];
	return counted(file, range, nr_left);
}

int dxs_sync_range(struct dxs_file *file, uint64_t off, uint64_t end)
{
	struct dxs_bytes range = {off, end};

	return counted(file, &range, range_clip(file, &range));
}

// Model: FSYNC_FIRST, FSYNC_ALONE. A sync that begins from now on flushes after the kernel did, and hides nothing from it.
static void await_others(struct dxs_file *file)
{
	dxs_mutex_lock(&file->exclusive_mutex);
	dxs_exclusive_lock(&file->sync_lock);
	dxs_exclusive_unlock(&file->sync_lock);
	dxs_mutex_unlock(&file->exclusive_mutex);
}

void dxs_sync_after_kernel(struct dxs_file *file)
{
	await_others(file);
	dxs_handover_fsynced(file);
	if (dxs_unlikely(dxs_handover_is_due(file)))
		change_hands(file);
	dxs_count(syncs, 1);
	dxs_file_count(file, syncs, 1);
}
