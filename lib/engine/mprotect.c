// SPDX-License-Identifier: BSD-3-Clause
// mprotect.c: the mprotect engine.
//
// STRUCTURE
//   A closed page has no write permission in its VMA. A store raises SIGSEGV in the storing thread, whose handler opens
//   the page. Works on every file that can be mapped, DAX above all, and survives whatever a file system does to page
//   tables; but each isolated open page costs two VMAs.
//   A mapping starts `open_all`. The first sync closes it as a whole and scans which pages were touched; from then on
//   what is open is what traps have opened. `open` has a bit for each entry; it decides what a trap opens and counts
//   VMAs, and nothing else: what is dirty is in the tree's marks, what is writable in the kernel's VMAs.
//   How much a trap opens (extent) adapts: sequential stores widen it, so does a shrinking budget of VMAs (budget.h), and
//   small gaps are filled. A huge page that the kernel has mapped is split, for good, by a protection that changes inside
//   it. Where stores are dense (density.h) it is opened and closed as a whole instead.
//
// CONCURRENCY
//   E.2 mprotect excludes faults in flight (mmap_lock) and flushes the TLBs of all CPUs before it returns.
//   E.4 discover() closes all before it scans. Two at once do the same work twice: closing a page that a trap has just
//       opened leaves it closed and marked, which is harmless. A trap may open all while discover() scans. Then the
//       scan says nothing of what is stored from then on, and `open_all` has to stay: `nr_reopened`, counted by who
//       opens and compared by who would take `open_all` away, both under the mutex (model: REOPENED).
//   P.1 The bits of a mapping and its protection change together, under the map's mutex, held across mprotect (which
//       takes mmap_lock for writing anyway). Whoever takes it has all signals blocked, a trap included.
//
// LIMITS
//   Kernel writes into closed pages fail with EFAULT and so are pinned (M9). What a process stores to a page of DAX
//   before the first sync, and then lets go of with MADV_DONTNEED, is found by the kernel's own marks: the first sync
//   calls it. Kernels before 6.7 do not tell where huge pages are mapped: these are split there.
#include "engine/mprotect.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/cells.h"
#include "base/log.h"
#include "base/space.h"
#include "base/sys.h"
#include "core/trap.h"
#include "engine/budget.h"
#include "engine/density.h"
#include "engine/scan.h"
#include "file/file.h"
#include "proc/pagemap.h"
#include "proc/vma.h"
#include "report/stats.h"
#include "signal/signals.h"
#include "tree/bitmap.h"

#define REGION_SHIFT 21 // a huge page, and the most that one trap opens
#define REGION ((uintptr_t)1 << REGION_SHIFT)
#define GAP 4 // entries between open ones that are opened as well: flushing them costs less than two VMAs

_Static_assert((REGION >> DXS_PAGE_SHIFT) + 2 * GAP <= DXS_EXTENT_MAX, "the leaves of a trap");

struct dxs_protection {
	uintptr_t base;   // where bit 0 is: a region's begin, at or below the mapping's
	bool can_be_huge; // the kernel can have mapped huge pages
	// seq_cst: true before anything is opened, false when all that is open is marked (E.4); partners without the
	// mutex: the first looks of mprotect_extent, mprotect_known, mprotect_writable.
	_Atomic bool open_all; // never closed yet, or given back its full protection; under the mutex: P.1
	int64_t nr_edges; // entries whose neighbour is open when they are closed, or the other way round: more VMAs
	// Closed as a whole, and nothing of the mapping was opened since; 0: none; under the mutex.
	uintptr_t closed_region;
	// relaxed, all: hints. Of a sequence of stores: where it began, since the last sync; how far it was opened; how much
	// was opened last; the file's clock then.
	_Atomic uintptr_t begin, next, len;
	_Atomic uint64_t clock;
	struct dxs_bitmap *open;
	struct dxs_bitmap *split; // which regions hold no huge page: those where a trap has asked
	struct dxs_density density;
};

static uint64_t entry_of(const struct dxs_map *map, uintptr_t addr)
{
	return (addr - map->protection->base) >> map->file->page_shift;
}

static bool is_open(const struct dxs_map *map, uintptr_t addr)
{
	return dxs_bitmap_get(map->protection->open, entry_of(map, addr));
}

// Edges inside [addr, end) and at its two ends.
static int64_t edges(const struct dxs_map *map, uintptr_t addr, uintptr_t end)
{
	uint64_t first = entry_of(map, addr), beyond = entry_of(map, end);

	return (int64_t)dxs_bitmap_edges(map->protection->open, addr > map->addr ? first - 1 : first,
					 end < dxs_map_end(map) ? beyond + 1 : beyond);
}

static void bits_set(const struct dxs_map *map, uintptr_t addr, uintptr_t end, bool open)
{
	(open ? dxs_bitmap_set : dxs_bitmap_reset)(map->protection->open, entry_of(map, addr), entry_of(map, end));
}

static void edges_add(struct dxs_protection *protection, int64_t nr)
{
	protection->nr_edges += nr;
	dxs_budget_add(nr);
}

// All of the mapping is open, or closed, and one VMA.
static void bits_clear(struct dxs_map *map)
{
	struct dxs_protection *protection = map->protection;

	edges_add(protection, -protection->nr_edges);
	dxs_bitmap_reset_all(protection->open);
}

static int protect(const struct dxs_map *map, uintptr_t addr, uintptr_t end, bool open)
{
	int err, prot = map->prot; // E.3: never more than the application's own

	if (open)
		return dxs_sys_mprotect((void *)addr, end - addr, prot);
	// A mapping that can be written can be read, whatever it was asked for (x86, arm64).
	if (prot & PROT_WRITE)
		prot = (prot & ~PROT_WRITE) | PROT_READ;
	dxs_trap_protect_begin();
	err = dxs_sys_mprotect((void *)addr, end - addr, prot);
	dxs_trap_protect_end();
	return err;
}

static uintptr_t region_of(uintptr_t addr)
{
	return addr & ~(REGION - 1);
}

static uint64_t region_nr(uintptr_t base, uintptr_t addr)
{
	return (addr - base) >> REGION_SHIFT;
}

static bool is_region(uintptr_t addr, uintptr_t end)
{
	return !(addr & (REGION - 1)) && end - addr == REGION;
}

// Caller holds the map's mutex.
static void judge(struct dxs_map *map, uintptr_t addr)
{
	struct dxs_protection *protection = map->protection;
	uint64_t first = entry_of(map, region_of(addr));

	if (dxs_density_is_probe(&protection->density, region_of(addr)))
		dxs_density_found(&protection->density,
				  dxs_bitmap_count(protection->open, first, first + (REGION >> DXS_PAGE_SHIFT)));
}

static int change(struct dxs_map *map, uintptr_t addr, uintptr_t end, bool open)
{
	struct dxs_protection *protection = map->protection;
	int64_t before;
	int err;

	dxs_mutex_lock(&map->mutex);
	if (open)
		protection->closed_region = 0; // before: a call that fails can have opened a part
	err = protect(map, addr, end, open);
	if (!err && !open && is_region(addr, end))
		protection->closed_region = addr;
	if (!err && !atomic_load(&protection->open_all)) {
		before = edges(map, addr, end);
		bits_set(map, addr, end, open);
		edges_add(protection, edges(map, addr, end) - before);
		if (open)
			judge(map, addr);
	}
	dxs_mutex_unlock(&map->mutex);
	return err;
}

static int mprotect_make_writable(struct dxs_map *map, uintptr_t addr, size_t len)
{
	return change(map, addr, addr + len, true);
}

static bool region_fits(const struct dxs_map *map, uintptr_t addr)
{
	return map->protection->can_be_huge && region_of(addr) >= map->addr &&
	       region_of(addr) + REGION <= dxs_map_end(map);
}

static bool region_is_open(const struct dxs_map *map, uintptr_t addr)
{
	uint64_t first = entry_of(map, region_of(addr)), end = first + (REGION >> DXS_PAGE_SHIFT);

	return dxs_bitmap_next_zero(map->protection->open, first, end) == end;
}

// A region that is one huge page is closed as a whole, with the first of its pages. More is closed than was asked for, and
// keeps its marks. Not while the kernel is writing there (M9), nor while that is about to begin: whoever pins holds pin_mutex
// and waits for page locks, which the caller has.
static int close_region(struct dxs_map *map, uintptr_t addr)
{
	uintptr_t pinned = region_of(addr), end = pinned + REGION;
	struct dxs_file *file = map->file;
	int err = -EBUSY;

	if (!dxs_mutex_trylock(&file->pin_mutex))
		return err;
	if (dxs_pinned_run(map, &pinned, end) == pinned)
		err = change(map, region_of(addr), end, false);
	dxs_mutex_unlock(&file->pin_mutex);
	return err;
}

// Whether it was closed with its region, and nothing of the mapping was opened since.
static bool is_closed_already(struct dxs_map *map, uintptr_t addr, uintptr_t end)
{
	bool is_closed;

	dxs_mutex_lock(&map->mutex);
	is_closed = map->protection->closed_region && map->protection->closed_region == region_of(addr) &&
		    end <= region_of(addr) + REGION;
	dxs_mutex_unlock(&map->mutex);
	return is_closed;
}

static int mprotect_write_protect(struct dxs_map *map, uintptr_t addr, size_t len)
{
	uintptr_t end = addr + len;

	if (is_closed_already(map, addr, end))
		return 0;
	// Asked last, as it is a system call. Of small pages some may be left open, and each store to one that was closed with
	// the others would be a write fault for nothing.
	if (region_fits(map, addr) && end <= region_of(addr) + REGION && region_is_open(map, addr) &&
	    dxs_pagemap_is_huge(region_of(addr)) && !close_region(map, addr))
		return 0;
	return change(map, addr, end, false);
}

// M5: nothing is known clean from now on. Caller holds the map's mutex.
static void forget(struct dxs_map *map)
{
	atomic_store(&map->protection->open_all, true); // before the opening; partner: the scan in mprotect_discover
	map->protection->closed_region = 0;
	map->nr_reopened++;
	dxs_map_set_unscanned(map);
	bits_clear(map);
}

// Only merges VMAs, unless the neighbour is another mapping of the same file that was merged with it: then the reserve
// is needed.
static int mprotect_make_all_writable(struct dxs_map *map)
{
	int err;

	dxs_mutex_lock(&map->mutex);
	forget(map); // then open: a sync that comes in between would not scan (model: OPEN_FORGET)
	do
		err = protect(map, map->addr, dxs_map_end(map), true);
	while (err == -ENOMEM && dxs_budget_release());
	dxs_mutex_unlock(&map->mutex);
	return err;
}

static void mprotect_unprotected(struct dxs_map *map)
{
	dxs_mutex_lock(&map->mutex);
	forget(map);
	dxs_mutex_unlock(&map->mutex);
}

static void protection_free(struct dxs_protection *protection)
{
	dxs_bitmap_free(protection->open);
	dxs_bitmap_free(protection->split);
	dxs_cell_free(protection, sizeof(*protection));
}

// Whether a huge page fits somewhere: its place in the file and in memory are in step.
static bool has_room_for_huge(const struct dxs_map *map)
{
	return map->file->page_shift == DXS_PAGE_SHIFT && (map->addr - (map->first << DXS_PAGE_SHIFT)) % REGION == 0 &&
	       map->len >= REGION;
}

static int protection_alloc(struct dxs_map *map)
{
	struct dxs_protection *protection = dxs_cell_new(sizeof(*protection));

	if (!protection)
		return -ENOMEM;
	protection->base = region_of(map->addr);
	protection->open = dxs_bitmap_new((dxs_map_end(map) - protection->base) >> map->file->page_shift);
	protection->can_be_huge = has_room_for_huge(map) && dxs_pagemap_can_scan();
	if (protection->can_be_huge)
		protection->split = dxs_bitmap_new(region_nr(protection->base, dxs_map_end(map) - 1) + 1);
	if (!protection->open || (protection->can_be_huge && !protection->split)) {
		protection_free(protection);
		return -ENOMEM;
	}
	atomic_store(&protection->open_all, true);
	map->protection = protection;
	dxs_map_set_unscanned(map);
	return 0;
}

static int mprotect_attach(struct dxs_map *map)
{
	int err = dxs_pagemap_open();

	if (!err)
		err = dxs_trap_install(DXS_TRAP_SEGV);
	if (!err)
		err = protection_alloc(map);
	if (!err)
		dxs_budget_refresh();
	return err;
}

static void mprotect_detach(struct dxs_map *map, bool gone)
{
	struct dxs_protection *protection = map->protection;

	if (!gone)
		mprotect_make_all_writable(map);
	else
		edges_add(protection, -protection->nr_edges);
	map->protection = NULL;
	protection_free(protection);
	dxs_map_set_scanned(map);
}

static int mprotect_inherit(struct dxs_map *made, const struct dxs_map *map)
{
	uint64_t first = entry_of(map, made->addr), end = entry_of(map, dxs_map_end(made)), run, stop;
	uint64_t shift; // the entry of `map` that is entry 0 of `made`
	int err = protection_alloc(made);

	if (err || atomic_load(&map->protection->open_all))
		return err;
	shift = first - entry_of(made, made->addr);
	for (run = first; (stop = dxs_bitmap_run(map->protection->open, &run, end)) > run; run = stop)
		dxs_bitmap_set(made->protection->open, run - shift, stop - shift);
	edges_add(made->protection, edges(made, made->addr, dxs_map_end(made)));
	atomic_store(&made->protection->open_all, false);
	return 0;
}

// The pages that can have been stored to. `touched`: something was mapped before the mapping was closed.
static int mark_found(struct dxs_map *map, bool touched)
{
	if (dxs_file_own_mode(map->file) == DXS_MODE_DIRECT || !touched)
		return dxs_mark_mapped(map, map->addr, dxs_map_end(map)); // all else: see mprotect_discover()
	return dxs_mark_touched(map);
}

static int close_part(struct dxs_map *map, uintptr_t start, uintptr_t end)
{
	return protect(map, start, end, false);
}

// Pages that are pinned (M9) stay open, and are marked before. Caller holds pin_mutex.
static int close_all(struct dxs_map *map)
{
	uintptr_t start = map->addr, end = dxs_map_end(map), stop;
	int err;

	dxs_mark_pinned(map, start, end);
	dxs_mutex_lock(&map->mutex);
	err = dxs_each_unpinned(map, start, end, close_part);
	if (!err)
		bits_clear(map);
	for (; !err && (stop = dxs_pinned_run(map, &start, end)) > start; start = stop)
		bits_set(map, start, stop, true);
	if (!err)
		edges_add(map->protection, edges(map, map->addr, end));
	dxs_mutex_unlock(&map->mutex);
	return err;
}

// E.4: after the marks. All that is open is marked now, if all was not opened since `reopened` was read.
static void known_set(struct dxs_map *map, uint64_t reopened)
{
	dxs_mutex_lock(&map->mutex);
	if (map->nr_reopened == reopened) {
		atomic_store(&map->protection->open_all, false); // after the marks; partner: forget, under the mutex
		dxs_map_set_scanned(map);
	}
	dxs_mutex_unlock(&map->mutex);
}

// A part of a mapping that was known is so, too.
static bool is_all_known(struct dxs_map *map)
{
	bool known;

	if (!atomic_load(&map->unscanned))
		return true;
	dxs_mutex_lock(&map->mutex);
	known = !atomic_load(&map->protection->open_all);
	if (known)
		dxs_map_set_scanned(map);
	dxs_mutex_unlock(&map->mutex);
	return known;
}

static int mprotect_discover(struct dxs_map *map, uint64_t first, uint64_t last)
{
	uint64_t reopened;
	int touched, err;

	(void)first;
	(void)last;
	dxs_budget_refresh();
	if (is_all_known(map))
		return 0;
	err = dxs_signals_check();
	if (err)
		return err;
	touched = map->is_fresh ? 0 : dxs_is_touched(map);
	if (touched < 0)
		return touched;
	reopened = dxs_scan_begin(map);
	dxs_mutex_lock(&map->file->pin_mutex);
	err = close_all(map);
	dxs_mutex_unlock(&map->file->pin_mutex);
	// On DAX a page that was stored to need not be found in the page tables: the kernel's marks cover it (LIMITS). After
	// the close, or a kernel sync of another thread's could end before the last of these stores.
	if (dxs_file_own_mode(map->file) == DXS_MODE_DIRECT)
		dxs_file_changed(map->file, DXS_CAUSE_UNSEEN);
	if (!err && !map->is_fresh)
		err = mark_found(map, touched);
	if (!err)
		known_set(map, reopened);
	return err;
}

// The protection is in the VMA, which a truncation does not touch.
static void mprotect_truncated(struct dxs_map *map, uintptr_t addr)
{
	(void)map;
	(void)addr;
}

static void mprotect_in_child(struct dxs_map *map)
{
	mprotect_detach(map, false);
}

static int mprotect_writable(struct dxs_map *map, uintptr_t addr, unsigned nr, uint64_t *mask)
{
	if (!atomic_load(&map->protection->open_all))
		return dxs_vma_writable(addr, dxs_file_page_size(map->file), nr, mask);
	*mask = ~0ULL >> (64 - nr);
	return 0;
}

static uintptr_t mprotect_known(const struct dxs_map *map, uintptr_t *start, uintptr_t end)
{
	if (atomic_load(&map->protection->open_all))
		*start = end;
	return end;
}

// What a trap opens at least, so that the budget is not exceeded.
static uintptr_t least_len(void)
{
	int64_t used = dxs_budget_used(), limit = dxs_budget_limit();

	return used < limit / 2 ? 0 : used < limit / 4 * 3 ? 1 << 16 : used < limit / 8 * 7 ? 1 << 18 : REGION;
}

// Opens the few closed entries to the next open one as well, if they are small.
static void fill_gaps(const struct dxs_map *map, uintptr_t *start, uintptr_t *end)
{
	uintptr_t at, size = dxs_file_page_size(map->file);
	int i;

	if (size != DXS_PAGE_SIZE)
		return;
	for (i = 0, at = *start; i <= GAP && at > map->addr; i++) {
		at -= size;
		if (is_open(map, at)) {
			*start = at + size;
			break;
		}
	}
	for (i = 0, at = *end; i <= GAP && at < dxs_map_end(map); i++, at += size) {
		if (is_open(map, at)) {
			*end = at;
			break;
		}
	}
}

// Not beyond the mapping; nor beyond the end of the file, as last seen, where a flush would only fault.
static void clip(const struct dxs_map *map, uintptr_t addr, uintptr_t *start, uintptr_t *end)
{
	uintptr_t size = dxs_file_page_size(map->file);
	uint64_t pages = (atomic_load(&map->file->size) + size - 1) >> map->file->page_shift;
	uintptr_t stop = dxs_map_end(map);

	if (pages < dxs_map_last(map) + 1)
		stop = pages > map->first ? dxs_map_addr(map, pages) : map->addr;
	if (*start < map->addr)
		*start = map->addr;
	if (*end > stop)
		*end = stop > addr + size ? stop : addr + size;
}

// Whether a huge page is mapped at addr, where a store traps, and is to be opened as a whole.
static bool stays_whole(struct dxs_map *map, uintptr_t addr)
{
	struct dxs_protection *protection = map->protection;
	uint64_t nr = region_nr(protection->base, addr);

	if (dxs_bitmap_get(protection->split, nr))
		return false;
	if (dxs_pagemap_is_huge(region_of(addr)) && dxs_density_whole(&protection->density, region_of(addr)))
		return true;
	dxs_bitmap_set(protection->split, nr, nr + 1);
	return false;
}

// How much to open from addr on. A sequence of stores is opened ahead: where it comes to the end of what was opened for it,
// it gets twice as much; where there was a sync meanwhile, as far as the file's clock tells, or it comes to a page before that
// end, as much as it has stored to since it began. The words are hints; two threads that write them at once only guess wrong.
static uintptr_t ahead(struct dxs_map *map, uintptr_t addr, uintptr_t size)
{
	struct dxs_protection *protection = map->protection;
	uintptr_t begin = atomic_load_explicit(&protection->begin, memory_order_relaxed);
	uintptr_t next = atomic_load_explicit(&protection->next, memory_order_relaxed);
	uint64_t clock = atomic_load_explicit(&map->file->clock, memory_order_relaxed);
	bool was_synced = atomic_exchange_explicit(&protection->clock, clock, memory_order_relaxed) != clock;
	uintptr_t len = size;

	if (addr == next && !was_synced) {
		len = 2 * atomic_load_explicit(&protection->len, memory_order_relaxed);
	} else {
		if (begin < addr && addr <= next)
			len = addr - begin;
		atomic_store_explicit(&protection->begin, addr, memory_order_relaxed);
	}
	len = dxs_min64(len, dxs_max64(REGION, size));
	atomic_store_explicit(&protection->len, len, memory_order_relaxed);
	return len;
}

static bool mprotect_extent(struct dxs_map *map, uintptr_t addr, uintptr_t *start, uintptr_t *end)
{
	struct dxs_protection *protection = map->protection;
	uintptr_t size = dxs_file_page_size(map->file), least = dxs_max64(least_len(), size), len;

	*start = addr;
	*end = addr + size;
	if (atomic_load(&protection->open_all))
		return true;
	if (dxs_budget_used() >= dxs_budget_limit())
		return false;
	if (region_fits(map, addr) && stays_whole(map, addr)) {
		*start = region_of(addr);
		*end = *start + REGION;
		return true;
	}
	len = ahead(map, addr, size);
	if (len < least) {
		*start = addr & ~(least - 1);
		len = least;
	}
	*end = *start + len;
	if (protection->can_be_huge) // a part of the next huge page would split that
		*end = dxs_min64(*end, region_of(addr) + REGION);
	clip(map, addr, start, end);
	fill_gaps(map, start, end);
	atomic_store_explicit(&protection->next, *end, memory_order_relaxed);
	return true;
}

static bool mprotect_is_alive(void)
{
	return true;
}

// A quarter of the VMAs for what stays open. With half of them in use traps begin to open more than they have to.
static bool mprotect_is_short(void)
{
	return dxs_budget_used() >= dxs_budget_limit() / 4;
}

static bool mprotect_is_small(const struct dxs_map *map)
{
	return map->file->page_shift == DXS_PAGE_SHIFT && !has_room_for_huge(map);
}

const struct dxs_engine dxs_engine_mprotect = {
	.name = "mprotect",
	.attach = mprotect_attach,
	.detach = mprotect_detach,
	.inherit = mprotect_inherit,
	.write_protect = mprotect_write_protect,
	.make_writable = mprotect_make_writable,
	.make_all_writable = mprotect_make_all_writable,
	.extent = mprotect_extent,
	.discover = mprotect_discover,
	.unprotected = mprotect_unprotected,
	.truncated = mprotect_truncated,
	.in_child = mprotect_in_child,
	.writable = mprotect_writable,
	.known = mprotect_known,
	.is_alive = mprotect_is_alive,
	.is_short = mprotect_is_short,
	.is_small = mprotect_is_small,
};
