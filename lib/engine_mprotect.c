// SPDX-License-Identifier: BSD-3-Clause
// engine_mprotect.c: the mprotect engine.
//
// STRUCTURE
//   A closed page has no write permission in its VMA. A store raises SIGSEGV in the storing thread, whose handler opens
//   the page. Works on every file that can be mapped, DAX above all, and survives whatever a file system does to page
//   tables; but each isolated open page costs two VMAs.
//   A mapping starts `open_all`. The first sync closes it as a whole and looks which pages were touched; from then on
//   what is open is what traps have opened. `open` has a bit for each entry; it decides what a trap opens and counts
//   VMAs, and nothing else: what is dirty is in the tree's marks, what is writable in the kernel's VMAs.
//   How much a trap opens (extent) adapts: sequential stores widen it, so does a shrinking budget of VMAs (budget.h), and
//   small gaps are filled. Where the kernel has mapped a huge page, it is opened and closed as a whole, because a
//   protection that changes inside it splits it for good.
//
// CONCURRENCY
//   E.2 mprotect excludes faults in flight (mmap_lock) and flushes the TLBs of all CPUs before it returns.
//   E.4 discover() closes all before it looks. Two at once do the same work twice: closing a page that a trap has just
//       opened leaves it closed and marked, which is harmless.
//   P.1 The bits of a mapping and its protection change together, under `mutex`, held across mprotect (which takes
//       mmap_lock for writing anyway). Whoever takes it has all signals blocked, a trap included.
//
// LIMITS
//   Kernel writes into closed pages fail with EFAULT and so are pinned (M9). What a process stores to a page of DAX
//   before the first sync, and then lets go of with MADV_DONTNEED, is found by the kernel's own marks: the first sync
//   calls it. Kernels before 6.7 do not tell where huge pages are mapped: these are split there.
#include "engine_mprotect.h"

#include <errno.h>
#include <sys/mman.h>

#include "budget.h"
#include "file.h"
#include "log.h"
#include "look.h"
#include "pagemap.h"
#include "signals.h"
#include "stats.h"
#include "sys.h"
#include "vma.h"

#define REGION_SHIFT 21 // a huge page, and the most that one trap opens
#define REGION ((uintptr_t)1 << REGION_SHIFT)
#define GAP 4 // entries between open ones that are opened as well: flushing them costs less than two VMAs

struct dxs_protection {
	size_t bytes;           // of this allocation
	uintptr_t base;         // where bit 0 is: a region's begin, at or below the mapping's
	bool can_be_huge;       // the kernel can have mapped huge pages
	struct dxs_mutex mutex; // P.1
	_Atomic bool open_all;  // never closed yet, or given back its full protection
	int64_t nr_edges; // entries whose neighbour is open when they are closed, or the other way round: more VMAs
	_Atomic uintptr_t next; // behind what was opened last
	_Atomic unsigned order; // log2 of its entries
	_Atomic uint64_t open[];
};

static const char *mprotect_name(void)
{
	return "mprotect";
}

static unsigned entry_of(const struct dxs_map *map, uintptr_t addr)
{
	return (unsigned)((addr - map->protection->base) >> map->file->page_shift);
}

static bool is_open(const struct dxs_map *map, uintptr_t addr)
{
	unsigned entry = entry_of(map, addr);

	return atomic_load_explicit(&map->protection->open[entry / 64], memory_order_relaxed) >> (entry % 64) & 1;
}

// Edges at the two ends of [addr, end) if all of it is open (or closed), and inside it as it is.
static int64_t edges(const struct dxs_map *map, uintptr_t addr, uintptr_t end, bool inside)
{
	uintptr_t at, size = dxs_file_page_size(map->file);
	int64_t nr = 0;

	for (at = addr > map->addr ? addr : addr + size; at <= end && at < dxs_map_end(map); at += size)
		if (inside || at == addr || at == end)
			nr += is_open(map, at - size) != is_open(map, at);
	return nr;
}

static void bits_set(const struct dxs_map *map, uintptr_t addr, uintptr_t end, bool open)
{
	unsigned at = entry_of(map, addr), to = entry_of(map, end - 1);

	while (at <= to) {
		unsigned last = at | 63;
		uint64_t mask = ~0ULL << (at % 64);

		if (last > to) {
			last = to;
			mask &= ~0ULL >> (63 - to % 64);
		}
		if (open)
			atomic_fetch_or(&map->protection->open[at / 64], mask);
		else
			atomic_fetch_and(&map->protection->open[at / 64], ~mask);
		at = last + 1;
	}
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
	uintptr_t from = ((uintptr_t)protection->open + DXS_PAGE_SIZE - 1) & ~(DXS_PAGE_SIZE - 1);
	uintptr_t end = (uintptr_t)protection + protection->bytes;
	size_t i;

	edges_add(protection, -protection->nr_edges);
	for (i = 0; (uintptr_t)&protection->open[i] < (from < end ? from : end); i++)
		atomic_store(&protection->open[i], 0);
	if (from < end)
		dxs_sys6(SYS_madvise, (long)from, (long)(end - from), MADV_DONTNEED, 0, 0, 0);
}

static int protect(const struct dxs_map *map, uintptr_t addr, uintptr_t end, bool open)
{
	int prot = map->prot; // E.3: never more than the application's own

	// A mapping that can be written can be read, whatever it was asked for (x86, arm64).
	if (!open && prot & PROT_WRITE)
		prot = (prot & ~PROT_WRITE) | PROT_READ;
	return dxs_sys_mprotect((void *)addr, end - addr, prot);
}

static int change(struct dxs_map *map, uintptr_t addr, uintptr_t end, bool open)
{
	struct dxs_protection *protection = map->protection;
	int64_t before;
	int err;

	dxs_mutex_lock(&protection->mutex);
	err = protect(map, addr, end, open);
	if (!err && !atomic_load(&protection->open_all)) {
		before = edges(map, addr, end, true);
		bits_set(map, addr, end, open);
		edges_add(protection, edges(map, addr, end, false) - before);
	}
	dxs_mutex_unlock(&protection->mutex);
	return err;
}

static int mprotect_open(struct dxs_map *map, uintptr_t addr, size_t len)
{
	return change(map, addr, addr + len, true);
}

static uintptr_t region_of(uintptr_t addr)
{
	return addr & ~(REGION - 1);
}

static bool region_fits(const struct dxs_map *map, uintptr_t addr)
{
	return map->protection->can_be_huge && region_of(addr) >= map->addr &&
	       region_of(addr) + REGION <= dxs_map_end(map);
}

static bool region_is_open(const struct dxs_map *map, uintptr_t addr)
{
	unsigned i, word = entry_of(map, region_of(addr)) / 64;

	for (i = 0; i < (REGION >> DXS_PAGE_SHIFT) / 64; i++)
		if (~atomic_load(&map->protection->open[word + i]))
			return false;
	return true;
}

// A region that is open as a whole is closed as a whole, with the first of its pages: they may be one huge page. More is
// closed than was asked for, and keeps its marks. Not while the kernel is writing somewhere (M9), nor while that is about
// to begin: whoever pins holds pin_mutex and waits for page locks, which the caller has.
static int close_region(struct dxs_map *map, uintptr_t addr)
{
	struct dxs_file *file = map->file;
	int err = -EBUSY;

	if (!dxs_mutex_trylock(&file->pin_mutex))
		return err;
	if (!file->nr_pins)
		err = change(map, region_of(addr), region_of(addr) + REGION, false);
	dxs_mutex_unlock(&file->pin_mutex);
	return err;
}

static int mprotect_close(struct dxs_map *map, uintptr_t addr, size_t len)
{
	uintptr_t end = addr + len;

	if (region_fits(map, addr) && end <= region_of(addr) + REGION && region_is_open(map, addr) &&
	    !close_region(map, addr))
		return 0;
	return change(map, addr, end, false);
}

// M5: nothing is known clean from now on. On DAX a page that was stored to need not be found in the page tables later:
// the kernel's marks cover it (LIMITS).
static void forget(struct dxs_map *map)
{
	atomic_store(&map->protection->open_all, true);
	bits_clear(map);
	if (dxs_file_own_mode(map->file) == DXS_MODE_DIRECT)
		dxs_file_changed(map->file);
}

// Only merges VMAs, unless the neighbour is another mapping of the same file that was merged with it: then the reserve
// is needed.
static int mprotect_open_all(struct dxs_map *map)
{
	int err;

	dxs_mutex_lock(&map->protection->mutex);
	forget(map); // then open
	do
		err = protect(map, map->addr, dxs_map_end(map), true);
	while (err == -ENOMEM && dxs_budget_release());
	dxs_mutex_unlock(&map->protection->mutex);
	return err;
}

static void mprotect_unprotected(struct dxs_map *map)
{
	dxs_mutex_lock(&map->protection->mutex);
	forget(map);
	dxs_mutex_unlock(&map->protection->mutex);
}

static int protection_alloc(struct dxs_map *map)
{
	uintptr_t base = region_of(map->addr);
	uint64_t entries = (dxs_map_end(map) - base + REGION) >> map->file->page_shift;
	size_t bytes = sizeof(struct dxs_protection) + (entries + 63) / 64 * sizeof(uint64_t);
	struct dxs_protection *protection = dxs_sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE,
							 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (dxs_is_err(protection))
		return -ENOMEM;
	protection->bytes = bytes;
	protection->base = base;
	protection->can_be_huge = map->file->page_shift == DXS_PAGE_SHIFT && dxs_pagemap_can_scan() &&
				  (map->addr - (map->first << DXS_PAGE_SHIFT)) % REGION == 0 && map->len >= REGION;
	atomic_store(&protection->open_all, true);
	map->protection = protection;
	return 0;
}

static int mprotect_attach(struct dxs_map *map)
{
	int err = dxs_pagemap_open();

	if (!err)
		err = dxs_signals_install(DXS_TRAP_SEGV);
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
		mprotect_open_all(map);
	else
		edges_add(protection, -protection->nr_edges);
	map->protection = NULL;
	dxs_sys_munmap(protection, protection->bytes);
}

static int mprotect_inherit(struct dxs_map *made, const struct dxs_map *map)
{
	uintptr_t at, size = dxs_file_page_size(map->file);
	int err = protection_alloc(made);

	if (err || atomic_load(&map->protection->open_all))
		return err;
	for (at = made->addr; at < dxs_map_end(made); at += size) {
		if (!atomic_load(&map->protection->open[entry_of(map, at) / 64])) { // nothing for a while
			at += (63 - entry_of(map, at) % 64) * size;
			continue;
		}
		if (is_open(map, at))
			bits_set(made, at, at + size, true);
	}
	edges_add(made->protection, edges(made, made->addr, dxs_map_end(made), true));
	atomic_store(&made->protection->open_all, false);
	return 0;
}

// The pages that can have been stored to. `touched`: something was mapped before the mapping was closed.
static int mark_found(struct dxs_map *map, bool touched)
{
	if (dxs_file_own_mode(map->file) == DXS_MODE_DIRECT || !touched)
		return dxs_mark_mapped(map, map->addr, dxs_map_end(map)); // all else: see forget()
	return dxs_mark_resident(map, map->addr, dxs_map_end(map));
}

static int close_all(struct dxs_map *map)
{
	int err;

	dxs_mutex_lock(&map->protection->mutex);
	err = protect(map, map->addr, dxs_map_end(map), false);
	if (!err)
		bits_clear(map);
	dxs_mutex_unlock(&map->protection->mutex);
	return err;
}

static int mprotect_discover(struct dxs_map *map, uint64_t first, uint64_t last)
{
	int touched, err;

	(void)first;
	(void)last;
	dxs_budget_refresh();
	if (!atomic_load(&map->protection->open_all))
		return 0;
	touched = dxs_is_touched(map);
	if (touched < 0)
		return touched;
	dxs_mutex_lock(&map->file->pin_mutex);
	if (map->file->nr_pins) { // M9: the kernel may be writing there: closed another time, and dirty now
		dxs_mutex_unlock(&map->file->pin_mutex);
		return mark_found(map, true);
	}
	err = close_all(map);
	dxs_mutex_unlock(&map->file->pin_mutex);
	if (!err)
		err = mark_found(map, touched);
	if (!err)
		atomic_store(&map->protection->open_all, false); // after the marks: E.4
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
	map->protection->mutex = (struct dxs_mutex){0};
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

// log2 of the entries that a trap opens at least, so that the budget is not exceeded.
static unsigned least_order(unsigned page_shift)
{
	int64_t used = dxs_budget_used(), limit = dxs_budget_limit();
	unsigned shift = used < limit / 2 ? 0 : used < limit / 4 * 3 ? 16 : used < limit / 8 * 7 ? 18 : REGION_SHIFT;

	return shift > page_shift ? shift - page_shift : 0;
}

static unsigned most_order(unsigned page_shift)
{
	return page_shift < REGION_SHIFT ? REGION_SHIFT - page_shift : 0;
}

// Opens the few closed entries to the next open one as well.
static void fill_gaps(const struct dxs_map *map, uintptr_t *start, uintptr_t *end)
{
	uintptr_t at, size = dxs_file_page_size(map->file);
	int i;

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

static bool mprotect_extent(struct dxs_map *map, uintptr_t addr, uintptr_t *start, uintptr_t *end)
{
	struct dxs_protection *protection = map->protection;
	unsigned shift = map->file->page_shift, order = 0;
	bool sequential;

	*start = addr;
	*end = addr + dxs_file_page_size(map->file);
	if (atomic_load(&protection->open_all))
		return true;
	if (dxs_budget_used() >= dxs_budget_limit())
		return false;
	if (region_fits(map, addr) && dxs_pagemap_is_huge(region_of(addr))) {
		*start = region_of(addr);
		*end = *start + REGION;
		return true;
	}
	// A hint; two threads that write it at once only guess wrong.
	sequential = addr == atomic_load_explicit(&protection->next, memory_order_relaxed);
	if (sequential)
		order = atomic_load_explicit(&protection->order, memory_order_relaxed) + 1;
	order = order < most_order(shift) ? order : most_order(shift);
	if (order < least_order(shift))
		order = least_order(shift);
	if (order) {
		uintptr_t size = (uintptr_t)1 << (shift + order);

		*start = sequential ? addr : addr & ~(size - 1);
		*end = (addr & ~(size - 1)) + size;
	}
	clip(map, addr, start, end);
	fill_gaps(map, start, end);
	atomic_store_explicit(&protection->next, *end, memory_order_relaxed);
	atomic_store_explicit(&protection->order, order, memory_order_relaxed);
	return true;
}

// A trapped thread tries again by itself.
static void mprotect_wake(uintptr_t addr, size_t len)
{
	(void)addr;
	(void)len;
}

static bool mprotect_is_alive(void)
{
	return true;
}

const struct dxs_engine dxs_engine_mprotect = {
	.name = mprotect_name,
	.attach = mprotect_attach,
	.detach = mprotect_detach,
	.inherit = mprotect_inherit,
	.close = mprotect_close,
	.open = mprotect_open,
	.open_all = mprotect_open_all,
	.extent = mprotect_extent,
	.discover = mprotect_discover,
	.unprotected = mprotect_unprotected,
	.truncated = mprotect_truncated,
	.in_child = mprotect_in_child,
	.writable = mprotect_writable,
	.known = mprotect_known,
	.wake = mprotect_wake,
	.is_alive = mprotect_is_alive,
};
