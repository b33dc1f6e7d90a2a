// SPDX-License-Identifier: BSD-3-Clause
// change.h: a change of the address space, where something of it is tracked (M10).
//
// CONCURRENCY
//   One change at a time (the registry's lock). A change takes the maps_lock of each file it touches exclusively, so
//   no sync uses an address that is about to go, and gives it back when the kernel call is over. It waits for traps
//   in flight with dxs_maps_synchronize(). A trap that comes later finds the mapping `frozen` and waits until it is
//   not: then the store finds what the kernel has put there.
#ifndef DXS_CHANGE_H
#define DXS_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sys.h"
#include "file/file.h"
#include "file/mapping.h"

// From before the kernel call to after it. Signals are blocked and the registry is locked in between.
struct dxs_change {
	dxs_sigset set;
	int saved_errno; // libraries and threads that are started in between change it
	uintptr_t addr, end;
};

// Prepares [addr, addr + len) for a kernel call that takes it away or moves it: traps there wait from now on, no store
// completes any more, and what was stored is flushed. len 0: only the lock. Returns 0, or what the flush returned: the
// caller goes on, the kernel's own marks still cover the pages.
int dxs_change_begin(struct dxs_change *change, uintptr_t addr, size_t len);

// The same for a second range of a change that has begun.
int dxs_change_freeze(uintptr_t addr, uintptr_t end);

// After the kernel call: forgets the mappings if they are `gone`, else puts them back as they were.
void dxs_change_commit(struct dxs_change *change, bool gone);
void dxs_change_end(struct dxs_change *change);

// In a forked child: another thread may have been in the middle of a change.
void dxs_change_reset(void);

// Inside a change. Locks a file until its end. Makes an address a boundary of maps.
void dxs_change_lock(struct dxs_file *file);
void dxs_change_split(uintptr_t addr);

// Inside a change. No store to the map completes any more; the protection that the application has set, after that; the
// map is in no table any more (gone: nor mapped).
void dxs_map_freeze(struct dxs_map *map);
void dxs_map_restore(struct dxs_map *map);
void dxs_map_forget(struct dxs_map *map, bool gone);

// Whether a range has to do with anything tracked. A range that comes to be tracked meanwhile is not the caller's.
bool dxs_is_known(uintptr_t addr, size_t len);

#define dxs_for_each_map(map, from, to)                                                                                \
	for ((map) = dxs_maps_first(from, to); (map); (map) = dxs_maps_first(dxs_map_end(map), to))

static inline size_t dxs_round_up(size_t len, size_t page)
{
	return (len + page - 1) & ~(page - 1);
}

static inline uint64_t dxs_map_off(const struct dxs_map *map)
{
	return map->first << map->file->page_shift;
}

#endif
