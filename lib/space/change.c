// SPDX-License-Identifier: BSD-3-Clause
// change.c: what every change of mappings has in common.
#include "space/change.h"

#include <sys/mman.h>

#include "base/alloc.h"
#include "base/behind.h"
#include "base/log.h"
#include "base/near.h"
#include "core/engine.h"
#include "core/sync.h"
#include "core/trap.h"
#include "engine/budget.h"
#include "signal/sigmask.h"
#include "signal/signals.h"
#include "space/preexisting.h"
#include "space/track.h"

static struct dxs_file *changing; // files that this change has locked, and holds; under the registry's lock

void dxs_change_lock(struct dxs_file *file)
{
	if (file->changing)
		return;
	dxs_exclusive_lock(&file->maps_lock);
	dxs_file_get(file);
	file->changing = true;
	file->changing_next = changing;
	changing = file;
}

static void files_unlock(void)
{
	while (changing) {
		struct dxs_file *file = changing;

		changing = file->changing_next;
		file->changing = false;
		dxs_exclusive_unlock(&file->maps_lock);
		dxs_file_put(file);
	}
}

void dxs_change_reset(void)
{
	changing = NULL;
}

// A map of the part [addr, end) of another, or NULL.
static struct dxs_map *map_part(const struct dxs_map *map, uintptr_t addr, uintptr_t end)
{
	struct dxs_map *part = dxs_zalloc(sizeof(*part));

	if (!part)
		return NULL;
	part->mutex.rank = DXS_RANK_MAP;
	part->addr = addr;
	part->len = end - addr;
	part->first = dxs_map_pgoff(map, addr);
	part->prot = map->prot;
	part->flags = map->flags;
	part->file = map->file;
	part->engine = map->engine;
	return part;
}

static void map_release(struct dxs_map *map, bool gone)
{
	struct dxs_file *file = map->file;

	if (map->engine)
		map->engine->detach(map, gone);
	dxs_tree_unreserve(&file->tree, map->first, dxs_map_last(map));
	dxs_free(map);
	dxs_file_put(file);
}

void dxs_map_forget(struct dxs_map *map, bool gone)
{
	if (!gone)
		dxs_preexisting_left();
	dxs_maps_replace(&map, 1, NULL, 0);
	map_release(map, gone);
}

// A part takes over from the map it is a part of.
static bool part_settle(struct dxs_map *part, const struct dxs_map *map)
{
	struct dxs_tree *tree = &part->file->tree;

	if (dxs_tree_reserve(tree, part->first, dxs_map_last(part)))
		return false;
	if (part->engine && part->engine->inherit(part, map)) {
		dxs_tree_unreserve(tree, part->first, dxs_map_last(part));
		return false;
	}
	dxs_file_get(part->file);
	return true;
}

// The opposite of part_settle, for a part that nobody has seen.
static void part_leave(struct dxs_map *part)
{
	if (part->engine)
		part->engine->detach(part, true);
	dxs_tree_unreserve(&part->file->tree, part->first, dxs_map_last(part));
	dxs_file_put(part->file);
}

static bool parts_settle(struct dxs_map *const *part, struct dxs_map *map)
{
	if (!part[0] || !part[1] || !part_settle(part[0], map))
		return false;
	if (part_settle(part[1], map)) {
		if (!dxs_maps_replace(&map, 1, part, 2))
			return true;
		part_leave(part[1]);
	}
	part_leave(part[0]);
	return false;
}

// Splits a map at an address inside it. The file is locked. False: no memory,
// and nothing has changed but that traps wait.
static bool map_split(struct dxs_map *map, uintptr_t at)
{
	struct dxs_map *part[2] = {map_part(map, map->addr, at), map_part(map, at, dxs_map_end(map))};

	atomic_store(&map->frozen, true); // before the wait for sections: M10; partner: trap_store
	dxs_maps_synchronize();           // no trap changes what the parts take over
	if (!parts_settle(part, map)) {
		dxs_free(part[0]);
		dxs_free(part[1]);
		return false;
	}
	map_release(map, true);
	return true;
}

// Makes an address a boundary of maps. A map that cannot be split for want of memory is let go: nobody must take for a
// part of it what comes to lie in its gaps.
void dxs_change_split(uintptr_t addr)
{
	struct dxs_map *map = dxs_maps_find(addr);

	if (!map || map->addr == addr)
		return;
	if ((addr - map->addr) % dxs_file_page_size(map->file))
		return; // below a huge page: the kernel will refuse it
	dxs_change_lock(map->file);
	if (map_split(map, addr))
		return;
	dxs_file_to_kernel(map->file, "no memory to split a mapping");
	dxs_sync_range_locked(map->file, dxs_map_off(map), dxs_map_off(map) + map->len);
	dxs_map_forget(map, false);
}

// Without an engine there is nothing that a store could be missed by, the kernel knows it (mode kernel) or it is durable
// (mode byte), and nobody may be there to take the SIGSEGV of a store that would have to wait. A device in mode kernel
// has no kernel that would know.
static bool can_be_frozen(const struct dxs_map *map)
{
	return map->engine || (map->file->is_device && dxs_signals_own(SIGSEGV));
}

// M10: no store to the map completes any more. The page tables of parts that were never closed are not looked at:
// the whole mapping loses its write permission in one call.
void dxs_map_freeze(struct dxs_map *map)
{
	if (!(map->prot & PROT_WRITE) || !can_be_frozen(map))
		return;
	dxs_trap_protect_begin();
	if (dxs_sys_mprotect((void *)map->addr, map->len,
			     PROT_READ)) // the kernel's marks cover what is stored meanwhile
		dxs_file_to_kernel(map->file, "stores to a mapping that changes cannot be held up");
	dxs_trap_protect_end();
}

int dxs_change_freeze(uintptr_t addr, uintptr_t end)
{
	struct dxs_map *map;
	int err = 0;

	if (!dxs_maps_first(addr, end))
		return 0;
	dxs_change_split(addr);
	dxs_change_split(end);
	dxs_for_each_map (map, addr, end) {
		dxs_change_lock(map->file);
		atomic_store(&map->frozen, true); // partner: trap_store
	}
	dxs_maps_synchronize(); // traps that did not see `frozen` are over
	dxs_for_each_map (map, addr, end) {
		int ret;

		dxs_map_freeze(map);
		ret = dxs_sync_range_locked(map->file, dxs_map_off(map), dxs_map_off(map) + map->len);
		err = err ? err : ret;
	}
	return err;
}

int dxs_change_begin(struct dxs_change *change, uintptr_t addr, size_t len)
{
	change->saved_errno = errno;
	change->set = dxs_sig_block();
	change->addr = addr;
	change->end = addr + len;
	dxs_inside++;
	dxs_registry_lock();
	dxs_trap_change();
	return len ? dxs_change_freeze(addr, change->end) : 0;
}

// Whether a call that has failed has taken a mapping away all the same: an mmap with MAP_FIXED does, when the file system
// refuses (mm/mmap.c mmap_region, Linux 6.12). MS_ASYNC only looks (mm/msync.c).
static bool is_unmapped(const struct dxs_map *map)
{
	return dxs_sys6(SYS_msync, (long)map->addr, (long)map->len, MS_ASYNC, 0, 0, 0) == -ENOMEM;
}

// The protection that the application has set, after dxs_map_freeze().
void dxs_map_restore(struct dxs_map *map)
{
	int err;

	if (!(map->prot & PROT_WRITE))
		return;
	if (map->engine)
		map->engine->unprotected(map);
	if (!dxs_sys_mprotect((void *)map->addr, map->len, map->prot))
		return;
	dxs_budget_release(); // a neighbour of the same file that merged with it has to be split from it again
	err = dxs_sys_mprotect((void *)map->addr, map->len, map->prot);
	if (err && !map->engine && !is_unmapped(map)) // a trap would try it again, and tell
		dxs_file_tell_unwritable(map->file, err);
}

void dxs_change_commit(struct dxs_change *change, bool gone)
{
	struct dxs_map *map;
	uintptr_t at = change->addr;

	while ((map = dxs_maps_first(at, change->end))) {
		at = dxs_map_end(map);
		if (map->addr >= change->addr && at <= change->end && (gone || is_unmapped(map))) {
			dxs_map_forget(map, true);
			continue;
		}
		dxs_map_restore(map);
		atomic_store(&map->frozen, false); // after the kernel's change, and ours; partner: trap_store
	}
}

void dxs_change_end(struct dxs_change *change)
{
	files_unlock();
	dxs_trap_change();
	dxs_registry_unlock();
	errno = change->saved_errno;
	dxs_inside--;
	// A thread that has blocked them could not survive a trap.
	dxs_sig_setmask(dxs_signals_own(SIGBUS) ? dxs_sigmask_adopt(change->set) : change->set);
}

bool dxs_is_known(uintptr_t addr, size_t len)
{
	dxs_sigset set;
	unsigned section;
	bool known;

	if (dxs_likely(!dxs_near(addr, addr + len)))
		return false;
	set = dxs_sig_block();
	section = dxs_maps_enter();
	known = dxs_maps_first(addr, addr + len);
	dxs_maps_exit(section);
	dxs_sig_setmask(set);
	return known;
}
