// SPDX-License-Identifier: BSD-3-Clause
// trap.c: {mark, open} of a page, the fault side of the protocol (tests/model/sync.pml: trap).
#include "trap.h"

#include <errno.h>
#include <sys/mman.h>

#include "engine.h"
#include "fault.h"
#include "file.h"
#include "history.h"
#include "log.h"
#include "stats.h"

static _Atomic uint32_t changes; // futex: of mappings, begun and ended; odd while one is under way

// M5: without memory for the mark, or for opening one page, all of the mapping is taken as dirty. The kernel, which keeps its own marks, then
// has to follow every flush.
static void give_up(struct dxs_map *map, const char *reason)
{
	dxs_file_to_kernel(map->file, reason);
	dxs_count(all_open, 1);
	if (map->engine->open_all(map))
		dxs_error("%s: pages cannot be opened: the program cannot go on", map->file->path);
}

// M1, M3: under the page lock, first the mark, then the page. A sync that finds the page unmarked has either closed
// it before, and then this trap comes after its look, or cannot see it open.
static void mark_and_open(struct dxs_map *map, uint64_t pgoff)
{
	struct dxs_file *file = map->file;
	struct dxs_leaf *leaf = dxs_fault(DXS_FAULT_NO_MEMORY) ? NULL : dxs_tree_leaf(&file->tree, pgoff, true);
	uint64_t bit = 1ULL << (pgoff % DXS_LEAF_PAGES);
	int err;

	if (!leaf) {
		give_up(map, "no memory to mark a page");
		return;
	}
	dxs_leaf_lock(leaf, bit);
	if (!dxs_fault(DXS_FAULT_NO_TRAP_MARK))
		dxs_tree_mark(&file->tree, leaf, DXS_DIRTY, bit);
	dxs_history(file, DXS_EVENT_OPEN, leaf->first, bit);
	err = map->engine->open(map, dxs_map_addr(map, pgoff), dxs_file_page_size(file));
	dxs_leaf_unlock(leaf, bit);
	if (err == -ENOMEM)
		give_up(map, "no mapping can be split any more (vm.max_map_count)");
}

enum dxs_trap dxs_trap_store(uintptr_t addr)
{
	unsigned section = dxs_maps_enter(); // M10: whoever takes the mapping away waits for the end of the section
	struct dxs_map *map = dxs_maps_find(addr);
	enum dxs_trap result = DXS_TRAP_OPENED;

	if (!map || !map->engine || !(map->prot & PROT_WRITE)) {
		result = DXS_TRAP_FOREIGN;
	} else if (atomic_load(&map->going)) { // partner: range_shut() in track.c
		result = DXS_TRAP_GOING;
	} else {
		dxs_count(traps, 1);
		mark_and_open(map, dxs_map_pgoff(map, addr));
		dxs_count(pages_opened, 1);
	}
	dxs_maps_exit(section);
	return result;
}

enum dxs_trap dxs_trap_look(uintptr_t addr)
{
	unsigned section = dxs_maps_enter();
	struct dxs_map *map = dxs_maps_find(addr);
	bool going = map && atomic_load(&map->going);

	dxs_maps_exit(section);
	return going ? DXS_TRAP_GOING : DXS_TRAP_FOREIGN;
}

static bool is_open(uintptr_t addr)
{
	unsigned section = dxs_maps_enter();
	struct dxs_map *map = dxs_maps_find(addr);
	uint64_t mask = 0;

	if (map && map->engine && !atomic_load(&map->going))
		map->engine->writable(map, addr & ~(dxs_file_page_size(map->file) - 1), 1, &mask);
	dxs_maps_exit(section);
	return mask;
}

enum dxs_trap dxs_trap_signal(uintptr_t addr)
{
	static DXS_THREAD uintptr_t last_addr;
	static DXS_THREAD uint64_t last_closed;
	bool open = last_addr == addr && is_open(addr); // before the count: a close in between then shows in it
	uint64_t closed = dxs_counter_get(DXS_pages_closed);

	if (open && last_closed == closed) {
		last_addr = 0;
		return DXS_TRAP_FOREIGN;
	}
	last_addr = addr;
	last_closed = closed;
	return dxs_trap_store(addr);
}

void dxs_trap_wait(void)
{
	uint32_t seen = atomic_load(&changes);

	if (seen & 1)
		dxs_futex_wait(&changes, seen);
}

void dxs_trap_change(void)
{
	if (!(atomic_fetch_add(&changes, 1) & 1))
		return;
	dxs_futex_wake(&changes, INT32_MAX);
}

bool dxs_trap_is_foreign(uintptr_t addr)
{
	static DXS_THREAD uintptr_t last_addr;
	static DXS_THREAD uint32_t last_changes;
	uint32_t now = atomic_load(&changes);

	if (now & 1) {
		dxs_trap_wait();
		return false;
	}
	if (last_addr == addr && last_changes == now) {
		last_addr = 0;
		return true;
	}
	last_addr = addr;
	last_changes = now;
	return false;
}

void dxs_trap_reset(void)
{
	atomic_store(&changes, 0);
}
