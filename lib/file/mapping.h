// SPDX-License-Identifier: BSD-3-Clause
// mapping.h: address -> mapping, readable from a trap without waiting.
#ifndef DXS_MAPPING_H
#define DXS_MAPPING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/lock.h"

struct dxs_bitmap;
struct dxs_engine;
struct dxs_file;
struct dxs_protection;

// A shared mapping of a file. Immutable but for the fields marked so; a split makes new ones.
struct dxs_map {
	uintptr_t addr;
	size_t len;     // bytes, whole pages
	uint64_t first; // the file's entry at addr
	int prot;       // changes under the registry's lock
	int flags;      // as given to mmap
	bool is_fresh;  // a new mapping whose address nobody knows yet: no store can have met it
	struct dxs_file *file;
	const struct dxs_engine *engine; // what tracks stores here; NULL: nothing does
	// seq_cst: M10. Set before dxs_maps_synchronize(): who is not waited for sees it; partner: trap_store.
	_Atomic bool frozen;    // the kernel is about to change or remove it: traps wait (M10)
	struct dxs_mutex mutex; // of the engine: opening all of it, and saying that it is known again
	uint64_t nr_reopened;   // how often all of it was opened; under mutex
	// seq_cst, the default: false after the marks only; partners, without the mutex: is_all_known, is_all_armed.
	_Atomic bool unscanned; // counted in the file's nr_unscanned; changes under mutex
	// One bit per 2 MiB of addresses: closed at least once, so that its closed pages are known clean. A chunk
	// that is not armed is all open. NULL: all of the mapping is armed.
	struct dxs_bitmap *armed;
	struct dxs_protection *protection; // (engine mprotect) what is open
};

static inline uintptr_t dxs_map_end(const struct dxs_map *map)
{
	return map->addr + map->len;
}

// The registry's mutex serialises all changes: of this table, of the files and of their lists. The caller has
// signals blocked.
void dxs_registry_lock(void);
void dxs_registry_unlock(void);

// A reader's section: what was looked up inside stays valid until the exit. Never wait inside for anything that a
// registry lock holder does; page locks may be waited for. Context: any, signals blocked or the handler of a trap.
unsigned dxs_maps_enter(void);
void dxs_maps_exit(unsigned section);

// Waits until every reader's section that had begun is over. Caller holds the registry's lock.
void dxs_maps_synchronize(void);

// Inside a section, or with the registry's lock. The mapping at an address; the first one that ends behind addr and
// begins before end; the file with this identity; the file behind another one (NULL: the first). NULL: none.
struct dxs_map *dxs_maps_find(uintptr_t addr);
struct dxs_map *dxs_maps_first(uintptr_t addr, uintptr_t end);
struct dxs_file *dxs_maps_file(dev_t dev, ino_t ino);
struct dxs_file *dxs_maps_next_file(const struct dxs_file *file);

// Whether there is any mapping at all: one load, for hooks that have nothing to do in most programs.
bool dxs_maps_any(void);

// Replaces the mappings `gone` by `made` (either may be empty) in one step, here and among their files' mappings, and waits
// for the readers of the old table. The caller holds the registry's lock, and the files' maps_lock exclusive, and frees
// `gone`. 0 or -ENOMEM: then nothing has changed. Never fails where nothing but one `gone` is given.
int dxs_maps_replace(struct dxs_map *const *gone, size_t nr_gone, struct dxs_map *const *made, size_t nr_made);

// In a forked child, before anything else runs: takes a mapping out without asking for memory.
void dxs_maps_drop(const struct dxs_map *map);

// In a forked child, before anything else runs: forget readers and lock holders that exist only in the parent. Whether a
// change was under way there.
bool dxs_maps_reset_locks(void);

// Then: makes what follows from the table of mappings anew from it. 0; -ENOMEM: no other call but first and forget_all
// may be made.
int dxs_maps_rebuild(void);
void dxs_maps_forget_all(void);

#pragma GCC visibility push(default) // the shim sets it
extern bool dxs_sees_all;            // whether every mmap of this process goes through the library
#pragma GCC visibility pop

#endif
