// SPDX-License-Identifier: BSD-3-Clause
// protect.c: mprotect of tracked mappings.
#include <sys/mman.h>

#include "core/engine.h"
#include "core/sync.h"
#include "space/change.h"
#include "space/track.h"

static int sys_protect(uintptr_t addr, uintptr_t end, int prot, int pkey)
{
	size_t len = end - addr;

	if (pkey == DXS_NO_PKEY)
		return (int)DXS_BEHIND(mprotect, ((void *)addr, len, prot), SYS_mprotect, (long)addr, (long)len, prot,
				       0, 0, 0);
	return (int)DXS_BEHIND(pkey_mprotect, ((void *)addr, len, prot, pkey), SYS_pkey_mprotect, (long)addr, (long)len,
			       prot, pkey, 0, 0);
}

// After a call that failed: up to which address the kernel came, which changes one VMA after the other (mm/mprotect.c,
// Linux 6.18). The same call, piece by piece, fails at the same place.
static uintptr_t protected_until(uintptr_t addr, uintptr_t end, int prot, int pkey)
{
	struct dxs_map *map;

	dxs_for_each_map (map, addr, end) {
		if (addr < map->addr && sys_protect(addr, map->addr, prot, pkey))
			return addr;
		if (sys_protect(map->addr, dxs_map_end(map), prot, pkey))
			return map->addr;
		addr = dxs_map_end(map);
	}
	return addr;
}

// Before the kernel's call. Pages that cannot be read cannot be flushed: so that is done first, when no store completes
// any more. M1: what becomes writable is tracked before; an engine takes a mapping that is not writable yet as well.
static void map_protect_begin(struct dxs_map *map, int prot)
{
	int before = map->prot;

	if (!(prot & PROT_READ)) {
		dxs_map_freeze(map);
		dxs_sync_range_locked(map->file, dxs_map_off(map), dxs_map_off(map) + map->len);
	}
	map->prot |= prot & PROT_WRITE;
	dxs_map_attach(map);
	map->prot = before;
}

static void map_protect_end(struct dxs_map *map, int prot, bool done)
{
	if (done)
		map->prot = prot;
	else if (map->prot & PROT_WRITE)
		dxs_map_restore(map);
	else // an engine that was let in may have made it readable
		dxs_sys_mprotect((void *)map->addr, map->len, map->prot);
	atomic_store(&map->frozen, false); // after the kernel's change, and ours; partner: trap_store
	if (!done || !(prot & PROT_WRITE))
		return;
	// Not left open until the next sync where the kernel may take a page that was stored to out of memory, and with it
	// what a scan could find. On DAX it does not, and has marks of its own.
	if (map->engine && dxs_file_own_mode(map->file) == DXS_MODE_EMULATED && !map->file->in_memory &&
	    map->engine->discover(map, map->first, dxs_map_last(map)))
		dxs_file_to_kernel(map->file, "open pages cannot be found");
	dxs_map_note(map);
}

// The protection that the application has set from now on.
static int mprotect_known(uintptr_t addr, size_t len, int prot, int pkey)
{
	uintptr_t end = addr + len, done;
	struct dxs_change change;
	struct dxs_map *map;
	int ret;

	dxs_change_begin(&change, addr, 0);
	dxs_change_split(addr);
	dxs_change_split(end);
	dxs_for_each_map (map, addr, end) {
		dxs_change_lock(map->file);
		atomic_store(&map->frozen, true); // partner: trap_store
	}
	dxs_maps_synchronize(); // no trap in flight may open what the application is about to protect
	dxs_for_each_map (map, addr, end)
		map_protect_begin(map, prot);
	dxs_for_each_map (map, addr, end) // after all of these, which sync: that of an alias scans this one, too
		if (map->engine && prot & PROT_WRITE)
			map->engine->unprotected(map);
	ret = sys_protect(addr, end, prot, pkey);
	done = ret ? protected_until(addr, end, prot, pkey) : end;
	dxs_for_each_map (map, addr, end)
		map_protect_end(map, prot, map->addr < done);
	dxs_change_end(&change);
	return ret;
}

int dxs_mprotect(void *addr, size_t len, int prot, int pkey)
{
	size_t whole = dxs_round_up(len, DXS_PAGE_SIZE); // 0 where that is more than there is: the kernel's to refuse

	if ((uintptr_t)addr % DXS_PAGE_SIZE == 0 && dxs_is_known((uintptr_t)addr, whole))
		return mprotect_known((uintptr_t)addr, whole, prot, pkey);
	return sys_protect((uintptr_t)addr, (uintptr_t)addr + len, prot, pkey);
}
