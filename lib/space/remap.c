// SPDX-License-Identifier: BSD-3-Clause
// remap.c: calls that put something else where a mapping is, or a mapping somewhere else.
#include <sys/mman.h>
#include <sys/shm.h>

#include "base/alloc.h"
#include "core/engine.h"
#include "space/change.h"
#include "space/preexisting.h"
#include "space/track.h"

static void *sys_mremap(void *addr, size_t old_len, size_t new_len, int flags, void *new_addr)
{
	return (void *)DXS_BEHIND(mremap, (addr, old_len, new_len, flags, new_addr), SYS_mremap, (long)addr,
				  (long)old_len, (long)new_len, flags, (long)new_addr, 0);
}

// What mremap needs to know of the mapping that it moves, or grows, or doubles.
struct moved {
	struct dxs_file *file;
	uint64_t first;
	int prot, flags;
};

// A map of the mapping's new place. The engine is attached anew: userfaultfd loses a registration that moves.
static void moved_track(const struct moved *moved, uintptr_t addr, size_t len)
{
	struct dxs_map *map = dxs_map_make(moved->file, addr, len, moved->prot, moved->flags,
					   (off_t)(moved->first << moved->file->page_shift));

	dxs_change_lock(moved->file);
	if (!map || dxs_map_add(map)) {
		dxs_free(map);
		dxs_file_to_kernel(moved->file, "no memory to track a moved mapping");
		dxs_preexisting_left();
		return;
	}
	dxs_file_get(moved->file);
	dxs_map_attach(map);
	dxs_map_note(map);
}

// Whether the mappings in a range fill it and follow each other in one file with one protection: then the kernel has one
// VMA there.
static bool is_one(uintptr_t addr, uintptr_t end)
{
	struct dxs_map *map, *before = NULL;

	dxs_for_each_map (map, addr, end) {
		if (before ? before->file != map->file || before->prot != map->prot ||
				     dxs_map_end(before) != map->addr || dxs_map_last(before) + 1 != map->first
			   : map->addr > addr)
			return false;
		before = map;
	}
	return before && dxs_map_end(before) >= end;
}

// Before the kernel moves mappings: it moves one VMA, without an engine's traces in it (what stays where it is would
// keep them, and nobody would answer), and with the protection that the application has given it.
static void engines_leave(uintptr_t addr, uintptr_t end)
{
	struct dxs_map *map;

	dxs_for_each_map (map, addr, end) {
		if (map->engine)
			map->engine->detach(map, false);
		map->engine = NULL;
		dxs_map_restore(map);
	}
}

static void engines_return(uintptr_t addr, uintptr_t end)
{
	struct dxs_map *map;

	dxs_for_each_map (map, addr, end)
		dxs_map_attach(map);
}

static void files_leave(uintptr_t addr, uintptr_t end)
{
	struct dxs_map *map;

	dxs_preexisting_left();
	dxs_for_each_map (map, addr, end)
		dxs_file_to_kernel(map->file, "several mappings were moved in one call");
}

static void *mremap_known(uintptr_t addr, size_t old_len, size_t new_len, int flags, void *new_addr)
{
	struct dxs_change change, target;
	struct dxs_map *map;
	struct moved moved = {0};
	bool one, fixed = flags & MREMAP_FIXED;
	size_t span = old_len ? old_len : DXS_PAGE_SIZE; // old length 0 makes a second mapping of the pages
	void *ret;

	dxs_change_begin(&change, addr, span);
	map = dxs_maps_find(addr);
	if (map) {
		moved = (struct moved){map->file, dxs_map_pgoff(map, addr), map->prot, map->flags};
		dxs_file_get(moved.file);
	}
	if (fixed) {
		target = (struct dxs_change){.addr = (uintptr_t)new_addr,
					     .end = (uintptr_t)new_addr + dxs_round_up(new_len, DXS_PAGE_SIZE)};
		dxs_change_freeze(target.addr, target.end);
	}
	one = is_one(addr, addr + span);
	engines_leave(addr, addr + span);
	ret = sys_mremap((void *)addr, old_len, new_len, flags, new_addr);
	if (!one && !dxs_is_err(ret)) // Linux 6.17; what is where now, the kernel knows
		files_leave(addr, addr + span);
	if (fixed)
		dxs_change_commit(&target, !dxs_is_err(ret));
	dxs_change_commit(&change, !dxs_is_err(ret) && old_len);
	engines_return(addr, addr + span);
	if (map && one && !dxs_is_err(ret))
		moved_track(&moved, (uintptr_t)ret, new_len);
	if (map && one && !dxs_is_err(ret) &&
	    flags & MREMAP_DONTUNMAP) // still mapped, but its page tables are empty now
		moved_track(&moved, addr, old_len);
	dxs_change_end(&change);
	if (map)
		dxs_file_put(moved.file);
	return ret;
}

// The kernel unmaps the tail, of however many mappings, and leaves the rest alone.
static void *mremap_shrink(uintptr_t addr, size_t old_len, size_t new_len, int flags)
{
	struct dxs_change change;
	struct dxs_map *map;
	size_t page;
	void *ret;

	dxs_change_begin(&change, addr, 0);
	map = dxs_maps_find(addr);
	page = map ? dxs_file_page_size(map->file) : DXS_PAGE_SIZE;
	change.addr = addr + dxs_round_up(new_len, page);
	change.end = addr + dxs_round_up(old_len, page);
	if (change.addr < change.end)
		dxs_change_freeze(change.addr, change.end);
	ret = sys_mremap((void *)addr, old_len, new_len, flags, NULL);
	dxs_change_commit(&change, !dxs_is_err(ret));
	dxs_change_end(&change);
	return ret;
}

void *dxs_mremap(void *addr, size_t old_len, size_t new_len, int flags, void *new_addr)
{
	bool fixed = flags & MREMAP_FIXED;

	if ((uintptr_t)addr % DXS_PAGE_SIZE || (!dxs_is_known((uintptr_t)addr, old_len ? old_len : 1) &&
						!(fixed && dxs_is_known((uintptr_t)new_addr, new_len))))
		return sys_mremap(addr, old_len, new_len, flags, new_addr);
	old_len = (old_len + DXS_PAGE_SIZE - 1) & ~(DXS_PAGE_SIZE - 1);
	if (new_len && new_len <= old_len && !(flags & ~MREMAP_MAYMOVE))
		return mremap_shrink((uintptr_t)addr, old_len, new_len, flags);
	return mremap_known((uintptr_t)addr, old_len, new_len, flags, new_addr);
}

// Pages of the file in another order than they are in the file: nobody tracks that.
int dxs_remap_file_pages(void *addr, size_t len, int prot, size_t pgoff, int flags)
{
	uintptr_t at = (uintptr_t)addr & ~(DXS_PAGE_SIZE - 1); // the kernel rounds (mm/mmap.c, Linux 6.12)

	len &= ~(DXS_PAGE_SIZE - 1);
	if (dxs_is_known(at, len))
		dxs_release_range(at, at + len, "its pages were mapped in another order (remap_file_pages)");
	return (int)DXS_BEHIND(remap_file_pages, (addr, len, prot, pgoff, flags), SYS_remap_file_pages, (long)addr,
			       (long)len, prot, (long)pgoff, flags, 0);
}

static void *sys_shmat(int id, const void *addr, int flags)
{
	return (void *)DXS_BEHIND(shmat, (id, addr, flags), SYS_shmat, id, (long)addr, flags, 0, 0, 0);
}

// shmat that takes the place of what is mapped there.
void *dxs_shmat(int id, const void *addr, int flags)
{
	uintptr_t at = (uintptr_t)addr & ~(flags & SHM_RND ? (uintptr_t)SHMLBA - 1 : 0);
	struct dxs_change change;
	struct shmid_ds segment;
	void *ret;

	if (!(flags & SHM_REMAP) || dxs_sys6(SYS_shmctl, id, IPC_STAT, (long)&segment, 0, 0, 0) ||
	    !dxs_is_known(at, segment.shm_segsz))
		return sys_shmat(id, addr, flags);
	dxs_change_begin(&change, at, dxs_round_up(segment.shm_segsz, DXS_PAGE_SIZE));
	ret = sys_shmat(id, addr, flags);
	dxs_change_commit(&change, !dxs_is_err(ret));
	dxs_change_end(&change);
	return ret;
}
