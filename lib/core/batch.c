// SPDX-License-Identifier: BSD-3-Clause
// batch.c: the pages that a sync has FLUSHING: flushed, fenced and released together.
//
// RULES
//   One thread fills a batch, flushes it and fences. M4: its pages are FLUSHING until it has fenced. M6: where a flush has
//   failed the mark is put back. M7: a flush may fault. What the batch's sync may rely on is in sync.c.
#include "core/batch.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/failure.h"
#include "base/sys.h"
#include "core/hole.h"
#include "core/policy.h"
#include "core/runs.h"
#include "file/file.h"
#include "file/observer.h"
#include "flush/flush.h"

#define BATCH_PAGES 1024 // of 4 KiB, or a leaf of larger ones: what the emulator can hold between two fences
#define PIECES 32        // flushed without coming back in between

void dxs_batch_init(struct dxs_batch *batch, struct dxs_file *file, const struct dxs_bytes *range)
{
	memset(batch, 0, offsetof(struct dxs_batch, taken));
	batch->file = file;
	batch->range = range;
}

static unsigned small_pages(const struct dxs_file *file, unsigned nr_entries)
{
	return nr_entries << (file->page_shift - DXS_PAGE_SHIFT);
}

bool dxs_batch_is_full(const struct dxs_batch *batch)
{
	return batch->nr == DXS_BATCH_LEAVES ||
	       batch->nr_pages + small_pages(batch->file, DXS_LEAF_PAGES) > BATCH_PAGES;
}

struct dxs_taken *dxs_batch_add(struct dxs_batch *batch, struct dxs_leaf *leaf, uint64_t pages, unsigned range)
{
	struct dxs_taken *taken = &batch->taken[batch->nr++];
	unsigned nr = (unsigned)__builtin_popcountll(pages);

	*taken = (struct dxs_taken){.leaf = leaf, .pages = pages, .range = (uint8_t)range};
	batch->nr_taken += nr;
	batch->nr_pages += small_pages(batch->file, nr);
	return taken;
}

// The address of an entry in some mapping that can be read, and how many of the nr entries behind it follow there. The
// mapping of the run before is tried first.
static uintptr_t entry_addr(struct dxs_batch *batch, uint64_t pgoff, uint64_t *nr)
{
	const struct dxs_map *map = batch->map;

	if (!map || pgoff < map->first || pgoff > dxs_map_last(map) || !map->prot)
		dxs_for_each_map_of (map, batch->file, pgoff, pgoff)
			if (map->prot)
				break;
	batch->map = map;
	*nr = map ? dxs_min64(*nr, dxs_map_last(map) - pgoff + 1) : 1;
	return map ? dxs_map_addr(map, pgoff) : 0;
}

// M7. What lies beyond the end of the file is no error. Linux before 6.5 tells of a bad block by the same signal as of the
// end; the file may have been cut by another process. Where its size is not known, the page stays marked, and the kernel
// follows. What is in memory only has no bad blocks that would be told so, but may have holes that cannot be filled.
static int nothing_there(struct dxs_file *file, uint64_t off)
{
	int beyond;

	if (file->is_device)
		return -EIO;
	beyond = file->in_memory ? 1 : dxs_file_is_beyond(file, off & ~(DXS_PAGE_SIZE - 1));
	return beyond < 0 ? beyond : beyond ? 0 : -EIO;
}

// What is to be flushed next.
struct pieces {
	bool may_be_holes;
	struct dxs_mapped mapped;
	unsigned nr;
	struct dxs_taken *taken[PIECES];
	uint64_t off[PIECES]; // bytes in the file
	struct dxs_range range[PIECES];
};

// Bytes [off, off + len) are not durable. A page in no mapping that can be read is left to the kernel, if it can do anything
// for the file; all else is the caller's error.
static void failed_note(struct dxs_batch *batch, struct dxs_taken *taken, uint64_t off, uint64_t len, int err)
{
	unsigned shift = batch->file->page_shift;

	taken->failed |= dxs_leaf_mask(taken->leaf, off >> shift, (off + len - 1) >> shift);
	if (err == -EFAULT && !batch->file->is_device)
		dxs_file_changed(batch->file, DXS_CAUSE_UNSEEN);
	else
		batch->err = err == -EFAULT ? -EIO : err;
}

// Nor need they be: nothing is there.
static void empty_note(const struct dxs_batch *batch, const struct dxs_taken *taken, uint64_t off, uint64_t len)
{
	unsigned shift = batch->file->page_shift;

	dxs_policy_empty(taken->leaf, dxs_leaf_mask(taken->leaf, off >> shift, (off + len - 1) >> shift));
}

// The observer takes the lines as they are now. What was stored to them since they were flushed is in none of our
// flushes: so they are flushed again, where a flush is real (model: SNAP_LATE). A page that faults only now is gone: the
// file was cut.
static void snapshot(const struct dxs_batch *batch, const struct pieces *pieces, unsigned at, size_t len)
{
	const struct dxs_range again = {pieces->range[at].addr, len};
	size_t done = 0;
	int err = 0;

	if (dxs_likely(!batch->file->observed) || !len)
		return;
	dxs_observer->flushed(batch->file, again.addr, pieces->off[at], len);
	if (dxs_file_own_mode(batch->file) == DXS_MODE_DIRECT)
		(void)dxs_flush_ranges(&again, 1, &done, &err);
}

// A fault ended piece `at` behind `done` bytes: takes away from it what is dealt with, the page of the fault included.
static void piece_cut(struct dxs_batch *batch, struct pieces *pieces, unsigned at, size_t done, int err)
{
	struct dxs_range *range = &pieces->range[at];
	size_t size = dxs_file_page_size(batch->file);
	size_t rest = size - ((pieces->off[at] + done) & (size - 1)); // of the page; the piece may begin inside it
	size_t skip = (size_t)dxs_min64(range->len - done, rest);

	snapshot(batch, pieces, at, done);
	if (err == -ENXIO)
		err = nothing_there(batch->file, pieces->off[at] + done);
	if (err)
		failed_note(batch, pieces->taken[at], pieces->off[at] + done, skip, err);
	else
		empty_note(batch, pieces->taken[at], pieces->off[at] + done, skip);
	pieces->off[at] += done + skip;
	range->addr += done + skip;
	range->len -= done + skip;
	batch->nr_bytes -= done + skip;
}

static void pieces_flush(struct dxs_batch *batch, struct pieces *pieces)
{
	unsigned at = 0;

	while (at < pieces->nr) {
		size_t done = 0;
		int err = 0;
		unsigned beyond = at + dxs_flush_ranges(&pieces->range[at], pieces->nr - at, &done, &err);

		for (; at < beyond && at < pieces->nr; at++)
			snapshot(batch, pieces, at, pieces->range[at].len);
		if (at == pieces->nr)
			break;
		piece_cut(batch, pieces, at, done, err);
		at += !pieces->range[at].len;
	}
	pieces->nr = 0;
}

// Bytes [addr, addr + len), which are at `off` in the file.
static void pieces_add(struct dxs_batch *batch, struct pieces *pieces, struct dxs_taken *taken, uintptr_t addr,
		       uint64_t off, size_t len)
{
	struct dxs_file *file = batch->file;

	while (len) {
		bool is_hole = false;
		size_t part = pieces->may_be_holes ? dxs_hole_stretch(file, &pieces->mapped, addr, len, &is_hole) : len;

		if (!is_hole) {
			if (pieces->nr == PIECES)
				pieces_flush(batch, pieces);
			pieces->taken[pieces->nr] = taken;
			pieces->off[pieces->nr] = off;
			pieces->range[pieces->nr++] = (struct dxs_range){addr, part};
			batch->nr_bytes += part;
		} else {
			dxs_observe(file, hole, file, off, part);
			empty_note(batch, taken, off, part);
		}
		addr += part;
		off += part;
		len -= part;
	}
}

// The entries from pgoff on; a part of one where the range covers only that. Returns how many were dealt with.
static uint64_t entries_add(struct dxs_batch *batch, struct pieces *pieces, struct dxs_taken *taken, uint64_t pgoff,
			    uint64_t nr)
{
	unsigned shift = batch->file->page_shift;
	uintptr_t addr = entry_addr(batch, pgoff, &nr);
	const struct dxs_bytes *range = &batch->range[taken->range];
	uint64_t start = dxs_max64(range->off, pgoff << shift);
	uint64_t end = dxs_min64(range->end, (pgoff + nr) << shift);

	if (!addr)
		failed_note(batch, taken, start, end - start, -EFAULT);
	else if (dxs_injected(DXS_FAIL_FLUSH_ERROR))
		failed_note(batch, taken, start, end - start, -EIO);
	else if (!dxs_injected(DXS_FAIL_SKIP_FLUSH))
		pieces_add(batch, pieces, taken, addr + (size_t)(start - (pgoff << shift)), start,
			   (size_t)(end - start));
	return nr;
}

// On hugetlbfs mincore tells what this mapping has in its page tables, not what the file has (mm/mincore.c, mincore_hugetlb,
// Linux 6.18). A page that was stored to through another mapping would be taken for a hole; so would one whose flush has
// failed before its mapping went.
static bool may_be_holes(const struct dxs_batch *batch)
{
	struct dxs_file *file = batch->file;
	const struct dxs_map *map;

	if (!dxs_may_be_holes(file) || file->page_shift == DXS_PAGE_SHIFT)
		return dxs_may_be_holes(file);
	map = dxs_file_map_next(file, NULL, 0, UINT64_MAX);
	return map && !dxs_file_map_next(file, map, 0, UINT64_MAX) && !atomic_load(&file->nr_failed);
}

static void taken_add(struct dxs_batch *batch, struct pieces *pieces, struct dxs_taken *taken)
{
	bool one_by_one = dxs_injector != NULL; // so that an injected failure hits a page, not a run
	unsigned from, to;

	dxs_observe(batch->file, event, batch->file, DXS_EVENT_FLUSH, taken->leaf->first, taken->pages);
	for_each_run (taken->pages, from, to) {
		uint64_t at = from;

		while (at <= to)
			at += entries_add(batch, pieces, taken, taken->leaf->first + at, one_by_one ? 1 : to - at + 1);
	}
}

void dxs_batch_flush(struct dxs_batch *batch)
{
	struct pieces pieces; // not set to zero as a whole: that would cost as much as a flush

	pieces.nr = 0;
	pieces.mapped = (struct dxs_mapped){0};
	// Asked once: a trap that opens holes says so before it marks them, and all here were marked.
	pieces.may_be_holes = may_be_holes(batch);
	for (; batch->nr_flushed < batch->nr; batch->nr_flushed++)
		taken_add(batch, &pieces, &batch->taken[batch->nr_flushed]);
	pieces_flush(batch, &pieces);
}

static void *fence(void *arg)
{
	const struct dxs_batch *batch = arg;

	dxs_flush_drain();
	dxs_observe(batch->file, fenced);
	return NULL;
}

// M4, persist: SFENCE waits for the flushes of the CPU that executes it, so the thread that flushed fences.
static void drain(struct dxs_batch *batch)
{
	pthread_t other;

	if (dxs_injected(DXS_FAIL_FOREIGN_FENCE) && !pthread_create(&other, NULL, fence, batch)) {
		pthread_join(other, NULL);
		dxs_observe(batch->file, unfenced);
		return;
	}
	fence(batch);
}

static void taken_release(struct dxs_batch *batch, const struct dxs_taken *taken)
{
	if (!taken->in_tree) {
		dxs_leaf_release(taken->leaf, taken->pages);
		return;
	}
	dxs_tree_unmark(&batch->file->tree, taken->leaf, DXS_FLUSHING, taken->pages);
	dxs_leaf_wake(taken->leaf);
}

void dxs_batch_complete(struct dxs_batch *batch)
{
	unsigned i;

	if (!batch->nr)
		return;
	// persist: no locked instruction between the flushes of a batch. Each would wait for those before it, like a fence.
	dxs_batch_flush(batch);
	for (i = 0; batch->file->observed && i < batch->nr; i++) {
		struct dxs_taken *taken = &batch->taken[i];

		dxs_observer->taken(batch->file, batch->due, taken->leaf,
				    taken->pages & ~taken->failed & ~taken->closed);
	}
	// Each flush before this point was made by this thread. After the drain its lines are durable, whoever had
	// stored them: a close that returned had made the stores visible to this CPU.
	drain(batch);
	for (i = 0; i < batch->nr; i++) {
		struct dxs_taken *taken = &batch->taken[i];

		// M6: the mark is back, then the failure is counted, then FLUSHING is gone. Another sync that found the
		// page not DIRTY, because this one had closed it, and then not FLUSHING, sees the count and begins again;
		// one that begins after the count sees the mark, and so does one that waited.
		if (taken->failed && !dxs_injected(DXS_FAIL_NO_PUTBACK)) {
			dxs_tree_mark(&batch->file->tree, taken->leaf, DXS_DIRTY, taken->failed);
			if (batch->err)
				atomic_fetch_add(&batch->file->nr_failed, 1);
		}
		taken_release(batch, taken);
	}
	batch->nr = batch->nr_flushed = batch->nr_pages = 0;
}
