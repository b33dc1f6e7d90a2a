// SPDX-License-Identifier: BSD-3-Clause
// engine_mprotect.c: the mprotect engine.
//
// STRUCTURE
//   A closed page has no write permission in its VMA. A store raises SIGSEGV in the storing thread, whose handler opens
//   the page. Works on every file that can be mapped, and survives whatever a file system does to page tables; but each
//   isolated open page costs two VMAs.
//   A mapping starts `open_all`. The first sync closes it as a whole, looks which pages were touched, and marks them;
//   from then on open pages are marked pages.
//
// CONCURRENCY
//   E.2 mprotect excludes faults in flight (mmap_lock) and flushes the TLBs of all CPUs before it returns.
//   E.4 discover() closes all before it looks. Two at once do the same work twice: closing a page that a trap has just
//       opened leaves it closed and marked, which is harmless.
//
// LIMITS
//   vm.max_map_count: where a VMA cannot be split any more, the whole mapping is opened, which only merges VMAs, and
//   the file goes to the kernel (M5). Kernel writes into closed pages fail with EFAULT and so are pinned (M9).
#include "engine_mprotect.h"

#include <errno.h>
#include <sys/mman.h>

#include "file.h"
#include "log.h"
#include "look.h"
#include "pagemap.h"
#include "signals.h"
#include "stats.h"
#include "sys.h"
#include "vma.h"

static const char *mprotect_name(void)
{
	return "mprotect";
}

static int mprotect_attach(struct dxs_map *map)
{
	int err = dxs_pagemap_open();

	if (!err)
		err = dxs_signals_install(DXS_TRAP_SEGV);
	atomic_store(&map->open_all, true);
	return err;
}

static int mprotect_close(struct dxs_map *map, uintptr_t addr, size_t len)
{
	// A mapping that can be written can be read, whatever it was asked for (x86, arm64).
	return dxs_sys_mprotect((void *)addr, len, (map->prot & ~PROT_WRITE) | PROT_READ);
}

// E.3: never more than the application's own protection.
static int mprotect_open(struct dxs_map *map, uintptr_t addr, size_t len)
{
	return dxs_sys_mprotect((void *)addr, len, map->prot);
}

static int mprotect_open_all(struct dxs_map *map)
{
	atomic_store(&map->open_all, true); // not known clean from now on; then open
	return mprotect_open(map, map->addr, map->len);
}

static void mprotect_detach(struct dxs_map *map, bool gone)
{
	if (!gone)
		mprotect_open_all(map);
}

static int mprotect_inherit(struct dxs_map *made, const struct dxs_map *map)
{
	atomic_store(&made->open_all, atomic_load(&map->open_all));
	return 0;
}

static int mprotect_discover(struct dxs_map *map, uint64_t first, uint64_t last)
{
	int touched, err;

	(void)first;
	(void)last;
	if (!atomic_load(&map->open_all))
		return 0;
	touched = dxs_is_touched(map);
	if (touched < 0)
		return touched;
	dxs_mutex_lock(&map->file->pin_mutex);
	if (map->file->nr_pins) { // M9: the kernel may be writing there: closed another time, and dirty now
		dxs_mutex_unlock(&map->file->pin_mutex);
		return dxs_mark_resident(map, map->addr, dxs_map_end(map));
	}
	err = mprotect_close(map, map->addr, map->len);
	dxs_mutex_unlock(&map->file->pin_mutex);
	if (!err)
		err = touched ? dxs_mark_resident(map, map->addr, dxs_map_end(map))
			      : dxs_mark_mapped(map, map->addr, dxs_map_end(map));
	if (!err)
		atomic_store(&map->open_all, false); // after the marks: E.4
	return err;
}

static void mprotect_unprotected(struct dxs_map *map)
{
	atomic_store(&map->open_all, true);
}

// The protection is in the VMA, which a truncation does not touch.
static void mprotect_truncated(struct dxs_map *map, uintptr_t addr)
{
	(void)map;
	(void)addr;
}

static void mprotect_in_child(struct dxs_map *map)
{
	mprotect_open_all(map);
}

static int mprotect_writable(struct dxs_map *map, uintptr_t addr, unsigned nr, uint64_t *mask)
{
	if (!atomic_load(&map->open_all))
		return dxs_vma_writable(addr, dxs_file_page_size(map->file), nr, mask);
	*mask = ~0ULL >> (64 - nr);
	return 0;
}

static uintptr_t mprotect_known(const struct dxs_map *map, uintptr_t *start, uintptr_t end)
{
	if (atomic_load(&map->open_all))
		*start = end;
	return end;
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
	.discover = mprotect_discover,
	.unprotected = mprotect_unprotected,
	.truncated = mprotect_truncated,
	.in_child = mprotect_in_child,
	.writable = mprotect_writable,
	.known = mprotect_known,
	.wake = mprotect_wake,
	.is_alive = mprotect_is_alive,
};
