// SPDX-License-Identifier: BSD-3-Clause
// verify.c: the verifier.
#include "emulate/verify.h"

#include <string.h>

#include "base/config.h"
#include "base/log.h"
#include "core/engine.h"
#include "core/hole.h"
#include "emulate/history.h"
#include "emulate/image.h"
#include "emulate/run.h"
#include "file/file.h"
#include "flush/flush.h"
#include "proc/pagemap.h"
#include "report/diag.h"
#include "report/stats.h"

#define REPORTS 20

static _Atomic unsigned nr_reports; // seq_cst, the default: relaxed would do, it only ends the lines

// Asked after a comparison: another process has begun to store meanwhile, or the kernel to write. That is not the
// tracker's. A kernel sync does not publish the page and take KWRITE away in between: the page's lock is held.
static bool is_disturbed(struct dxs_file *file, struct dxs_leaf *leaf, uint64_t pages)
{
	return !dxs_writers_exclusive(&file->writers) || atomic_load(&file->kwriters) ||
	       dxs_leaf_get(leaf, DXS_KWRITE) & pages;
}

// Whether this sync has not reported the page yet: several checks may find it, and one check in several mappings.
static bool is_news(struct dxs_due *due, uint64_t pgoff)
{
	uint64_t bit = 1ULL << (pgoff % DXS_LEAF_PAGES), first = pgoff - pgoff % DXS_LEAF_PAGES;
	unsigned i = due->nr_missed;

	while (i-- > 0) {
		if (due->missed[i].first == first) {
			bool is_old = due->missed[i].pages & bit;

			due->missed[i].pages |= bit;
			return !is_old;
		}
	}
	if (due->nr_missed < DXS_DUE_LEAVES) {
		due->missed[due->nr_missed].first = first;
		due->missed[due->nr_missed++].pages = bit;
	}
	return true;
}

static void report(struct dxs_due *due, const struct dxs_map *map, uint64_t pgoff, const char *what)
{
	char line[480];
	struct dxs_text text;

	if (due && !is_news(due, pgoff))
		return;
	dxs_count(missed_pages, 1);
	atomic_fetch_add(&dxs_run()->missed_pages, 1);
	if (atomic_fetch_add(&nr_reports, 1) >= REPORTS)
		return;
	dxs_text_init(&text, line, sizeof(line));
	dxs_text_add(&text, "MISSED PAGE: %s: offset %lu, address %p, engine %s: %s; history:", map->file->path,
		     (unsigned long)(pgoff << map->file->page_shift), (void *)dxs_map_addr(map, pgoff),
		     map->engine->name, what);
	dxs_history_print(map->file, pgoff, &text);
	dxs_error("%s", line);
	dxs_diag_backtrace();
}

// Whether no part of any mapping with this entry is all open, as it is until a sync has looked at it: there is nothing to
// be said of such an entry. Asked after the look at page tables or memory that found something; before the marks are read.
static bool is_known(const struct dxs_file *file, uint64_t pgoff)
{
	const struct dxs_map *map;

	dxs_for_each_map_of (map, file, pgoff, pgoff) {
		uintptr_t start, end;

		if (!map->engine)
			continue;
		start = dxs_map_addr(map, pgoff);
		end = start + dxs_file_page_size(file);
		if (map->engine->known(map, &start, end) <= start)
			return false;
	}
	return true;
}

// The page's lock keeps traps and syncs away, but not a trap that opens all of a mapping (M5), nor the next sync's look at
// it. Both leave a page that is not known, or one that the scan has marked, and under the lock it stays so.
static bool is_excused(struct dxs_file *file, struct dxs_leaf *leaf, uint64_t pgoff)
{
	return !is_known(file, pgoff) || dxs_leaf_get(leaf, DXS_DIRTY) & dxs_leaf_mask(leaf, pgoff, pgoff);
}

// Which of the leaf's entries can be written through any mapping without a trap.
static uint64_t writable_anywhere(struct dxs_file *file, const struct dxs_leaf *leaf)
{
	struct dxs_map *map;
	uint64_t all = 0;

	dxs_for_each_map_of (map, file, leaf->first, leaf->first + DXS_LEAF_PAGES - 1) {
		uint64_t first = leaf->first, last = leaf->first + DXS_LEAF_PAGES - 1, mask = 0;

		if (!map->engine || !dxs_map_clip(map, &first, &last))
			continue;
		map->engine->writable(map, dxs_map_addr(map, first), (unsigned)(last - first + 1), &mask);
		all |= mask << (first - leaf->first);
	}
	return all;
}

struct compare {
	const unsigned char *page;
	const unsigned char *image;
	size_t len;
	bool equal;
};

static void compare(void *arg)
{
	struct compare *compare = arg;

	compare->equal = !memcmp(compare->page, compare->image, compare->len);
}

// Bytes [off, off + len) of the file against their image; what faults is beyond its end.
static bool bytes_equal(const struct dxs_map *map, uint64_t off, const unsigned char *page, size_t len)
{
	unsigned char image[DXS_PAGE_SIZE];
	struct compare args = {page, image, len, true};
	struct dxs_fault_at fault;

	if (dxs_image_read(dxs_image_of(map->file), off, image, len))
		return false;
	return dxs_flush_guard(compare, &args, &fault) || args.equal;
}

// The same for an entry of many pages, in one piece: true only if it is equal. It saves most of the verifier's time there.
static bool is_equal_at_once(const struct dxs_map *map, uint64_t off, const unsigned char *page, size_t len)
{
	struct compare args = {page, NULL, len, false};
	struct dxs_mapped mapped = {0};
	struct dxs_fault_at fault;
	bool is_hole;

	dxs_hole_stretch(map->file, &mapped, (uintptr_t)page, DXS_PAGE_SIZE, &is_hole);
	if (is_hole)
		return false;
	args.image = dxs_image_map(dxs_image_of(map->file), off, len);
	if (!args.image)
		return false;
	if (dxs_flush_guard(compare, &args, &fault)) // the image may be shorter
		args.equal = false;
	dxs_sys_munmap((void *)args.image, len);
	return args.equal;
}

// Whether an entry equals its durable image. What lies beyond the end of the file does: also in its last page, where
// the kernel promises nothing for it (mmap(2)).
static bool equals_image(const struct dxs_map *map, uint64_t pgoff)
{
	uint64_t off = pgoff << map->file->page_shift, end = off + dxs_file_page_size(map->file), size;
	const unsigned char *page = (const unsigned char *)dxs_map_addr(map, pgoff);
	struct dxs_mapped mapped = {0};
	bool is_hole;

	if (end - off > DXS_PAGE_SIZE && is_equal_at_once(map, off, page, end - off))
		return true;
	for (; off < end; off += DXS_PAGE_SIZE, page += DXS_PAGE_SIZE) {
		dxs_hole_stretch(map->file, &mapped, (uintptr_t)page, DXS_PAGE_SIZE, &is_hole);
		if (is_hole || bytes_equal(map, off, page, DXS_PAGE_SIZE))
			continue;
		size = dxs_image_file_size(dxs_image_of(map->file));
		if (off < size && !bytes_equal(map, off, page, dxs_min64(size - off, DXS_PAGE_SIZE)))
			return false;
	}
	return true;
}

// Behind the smallest size since the last kernel sync: zeros now, but the durable file may still have what was there.
static bool is_cut(struct dxs_file *file, uint64_t pgoff)
{
	return (pgoff + 1) << file->page_shift > atomic_load(&file->cut);
}

// One leaf's entries `pages`, populated in `map`. Caller holds their locks.
static void check_locked(struct dxs_due *due, struct dxs_map *map, struct dxs_leaf *leaf, uint64_t pages)
{
	uint64_t writable = writable_anywhere(map->file, leaf) & pages;
	uint64_t dirty = dxs_leaf_get(leaf, DXS_DIRTY);
	uint64_t excused = dirty | dxs_leaf_get(leaf, DXS_FLUSHING) | dxs_leaf_get(leaf, DXS_KWRITE);
	uint64_t todo;

	for (todo = pages; todo; todo &= todo - 1) {
		uint64_t bit = todo & -todo;
		uint64_t pgoff = leaf->first + (uint64_t)__builtin_ctzll(bit);

		if (writable & bit & ~dirty) {
			if (!is_excused(map->file, leaf, pgoff))
				report(due, map, pgoff, "writable but not marked");
		} else if (!((writable | excused) & bit) && !is_cut(map->file, pgoff) && !equals_image(map, pgoff) &&
			   !is_disturbed(map->file, leaf, bit) && !is_excused(map->file, leaf, pgoff)) {
			report(due, map, pgoff, "closed but not durable");
		}
	}
	dxs_count(verified_pages, (uint64_t)__builtin_popcountll(pages));
}

// Entries [first, last], populated in `map`. A part that was never closed is open by definition (V2) and is left out.
static void check_entries(struct dxs_due *due, struct dxs_map *map, uint64_t first, uint64_t last)
{
	while (first <= last) {
		struct dxs_leaf *leaf = dxs_tree_leaf(&map->file->tree, first, true);
		uint64_t mask;

		if (!leaf)
			return;
		mask = dxs_leaf_mask(leaf, first, last);
		dxs_leaf_lock(leaf, mask);
		check_locked(due, map, leaf, mask);
		dxs_leaf_unlock(leaf, mask);
		first = leaf->first + DXS_LEAF_PAGES;
	}
}

static void check_map(struct dxs_due *due, struct dxs_map *map, uint64_t first, uint64_t last)
{
	uintptr_t at = dxs_map_addr(map, first), end = dxs_map_addr(map, last) + dxs_file_page_size(map->file);
	struct dxs_region region[32];

	while (at < end) {
		int i, nr = dxs_pagemap_populated(at, end, DXS_PM_PRESENT, region, 32, &at);

		for (i = 0; i < nr; i++) {
			struct dxs_region *part = &region[i];

			while (part->start < part->end) {
				uintptr_t to = map->engine->known(map, &part->start, part->end);

				if (part->start < to)
					check_entries(due, map, dxs_map_pgoff(map, part->start),
						      dxs_map_pgoff(map, to - 1));
				part->start = to;
			}
		}
		if (nr < 0)
			return;
	}
}

static struct dxs_map *map_with(const struct dxs_file *file, uint64_t pgoff)
{
	struct dxs_map *map;

	dxs_for_each_map_of (map, file, pgoff, pgoff)
		if (map->engine && map->prot)
			return map;
	return NULL;
}

void dxs_verify_taken(struct dxs_file *file, struct dxs_due *due, struct dxs_leaf *leaf, uint64_t pages)
{
	uint64_t missing = pages & ~dxs_image_staged(dxs_image_of(file), leaf->first);
	struct dxs_map *map;

	for (; dxs_config.verify && missing; missing &= missing - 1) {
		uint64_t pgoff = leaf->first + (uint64_t)__builtin_ctzll(missing);

		map = map_with(file, pgoff);
		if (map && !equals_image(map, pgoff))
			report(due, map, pgoff, "taken up by a sync and not flushed");
	}
}

void dxs_verify_begin(struct dxs_due *due)
{
	due->event = dxs_history_next();
	due->nr = due->nr_missed = 0;
}

// Each leaf once: the range before may have ended in it.
static void due_add(struct dxs_due *due, struct dxs_leaf *leaf, uint64_t pages)
{
	if (!due->nr || due->leaf[due->nr - 1].leaf != leaf) {
		due->leaf[due->nr].leaf = leaf;
		due->leaf[due->nr++].pages = 0;
	}
	due->leaf[due->nr - 1].pages |= pages;
}

void dxs_verify_due(struct dxs_file *file, struct dxs_due *due, uint64_t first, uint64_t last)
{
	struct dxs_leaf *leaf;

	while (dxs_config.verify && due->nr < DXS_DUE_LEAVES &&
	       (leaf = dxs_tree_next(&file->tree, first, last, 1U << DXS_DIRTY))) {
		due_add(due, leaf, dxs_leaf_get(leaf, DXS_DIRTY) & dxs_leaf_mask(leaf, first, last));
		first = leaf->first + DXS_LEAF_PAGES;
		if (first > last)
			break;
	}
}

static void due_flushed(uint64_t first, uint64_t mask, void *arg)
{
	struct dxs_due *due = arg;
	unsigned lo = 0, hi = due->nr;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (due->leaf[mid].leaf->first < first)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < due->nr && due->leaf[lo].leaf->first == first)
		due->leaf[lo].pages &= ~mask;
}

void dxs_verify_end(struct dxs_file *file, struct dxs_due *due)
{
	unsigned i;

	if (!due->nr || dxs_file_mode(file) == DXS_MODE_KERNEL || atomic_load(&file->kwriters) ||
	    !dxs_history_each(file, DXS_EVENT_FLUSH, due->event, due_flushed, due))
		return;
	for (i = 0; i < due->nr; i++) {
		uint64_t todo = due->leaf[i].pages & ~dxs_leaf_get(due->leaf[i].leaf, DXS_KWRITE);

		for (; todo; todo &= todo - 1) {
			uint64_t pgoff = due->leaf[i].leaf->first + (uint64_t)__builtin_ctzll(todo);
			struct dxs_map *map = map_with(file, pgoff);

			if (map && !is_cut(file, pgoff) && !equals_image(map, pgoff) &&
			    !is_disturbed(file, due->leaf[i].leaf, todo & -todo))
				report(due, map, pgoff, "dirty when a sync began, and flushed by none");
		}
	}
}

void dxs_verify_range(struct dxs_file *file, struct dxs_due *due, uint64_t first, uint64_t last)
{
	struct dxs_map *map;

	// Not while the kernel is writing, cutting or syncing the file: its part is not the tracker's.
	if (!dxs_config.verify || dxs_file_mode(file) == DXS_MODE_KERNEL || atomic_load(&file->kwriters))
		return;
	dxs_for_each_map_of (map, file, first, last) {
		uint64_t from = first, to = last;

		if (map->engine && map->prot && dxs_map_clip(map, &from, &to))
			check_map(due, map, from, to);
	}
}

#define NOT_VERIFIED UINT64_MAX

// A write that is under way may have counted and not marked yet, or marked and not counted.
uint64_t dxs_verify_kwrites(struct dxs_file *file)
{
	return dxs_config.verify && dxs_image_of(file) && !atomic_load(&file->kwriters) ? dxs_image_kwrites(file)
											: NOT_VERIFIED;
}

void dxs_verify_kernel(struct dxs_file *file, uint64_t kwrites, uint64_t first, uint64_t last)
{
	struct dxs_leaf *leaf;

	if (kwrites == NOT_VERIFIED || dxs_file_mode(file) == DXS_MODE_KERNEL)
		return;
	dxs_shared_lock(&file->maps_lock);
	while (first <= last && (leaf = dxs_tree_next(&file->tree, first, last, 1U << DXS_KWRITE))) {
		uint64_t todo = dxs_leaf_get(leaf, DXS_KWRITE) & dxs_leaf_mask(leaf, first, last);

		for (; todo; todo &= todo - 1) {
			uint64_t pgoff = leaf->first + (uint64_t)__builtin_ctzll(todo);
			struct dxs_map *map = map_with(file, pgoff);

			if (map && dxs_image_kwrites(file) == kwrites) // else the mark may have come meanwhile
				report(NULL, map, pgoff, "written by the kernel, and its sync not called for it");
		}
		first = leaf->first + DXS_LEAF_PAGES;
	}
	dxs_shared_unlock(&file->maps_lock);
}
