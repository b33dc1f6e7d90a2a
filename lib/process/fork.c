// SPDX-License-Identifier: BSD-3-Clause
// fork.c: fork.
//
// After a fork two processes can write the shared mappings, and neither sees the other's stores. So the child is announced
// as a writer of every tracked file before the fork takes effect: the parent's mode is `kernel` from then on, until a
// kernel sync finds that the child has executed another program or is gone (writers.c, W.5). In the child nothing is
// registered any more: its mappings are open, and the mode of what it has inherited stays `kernel`.
//
// CONCURRENCY
//   No lock is held while libc forks. It takes locks of its own then, the list of streams and the allocator's, and other
//   handlers take theirs; who holds one of those may be waiting in a hook for ours.
//   F.1 A file that comes to be tracked after the announcement and before the end of the fork is announced by who tracks it,
//       who sees `forks` (writers.c, W.8).
//   F.2 So the child's memory may be a copy of a change of mappings that is half done. The table is replaced in one step,
//       and what it leads to is freed only when it is out of the table. A mapping that is about to be taken away, moved or
//       protected is `frozen` from before the kernel's call to behind the change of the table: the child lets it go, and
//       what is left of it gets the program's protection. A new mapping is open until it is in the table; if it has no
//       place in the registry of writers yet, the child lets it go too, and takes one when it maps the file itself. What
//       follows from the table is made anew from it. Memory that was about to be freed is lost.
//   F.3 The allocator may have been left in the middle too (alloc.h, forked).
//
// fork() runs the handlers below; the shim's _Fork() does too. A raw clone runs none: a word in a page that the kernel
// wipes in a child (MADV_WIPEONFORK, Linux 4.14) tells the next hook or trap there, which announces the child then. What
// such a child has stored before, only its own syncs and the kernel's cover.
#include "process/fork.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/foreign.h"
#include "base/log.h"
#include "base/space.h"
#include "base/sys.h"
#include "core/engine.h"
#include "core/trap.h"
#include "engine/budget.h"
#include "engine/choice.h"
#include "file/file.h"
#include "file/filecache.h"
#include "file/observer.h"
#include "proc/pagemap.h"
#include "proc/vma.h"
#include "report/stats.h"
#include "report/unserved.h"
#include "signal/signals.h"
#include "space/change.h"
#include "space/preexisting.h"

// relaxed where it is asked: the kernel wipes it before the child runs. seq_cst, the default, elsewhere.
static _Atomic uint32_t *parent_word; // 1; 0 in a child
// seq_cst, the default: relaxed would do. Written at the start, and by the only thread of a child.
static _Atomic int owner;         // the process whose state this is
static DXS_THREAD dxs_sigset set; // of the thread that forks

static void child_announce(void)
{
	struct dxs_file *file = NULL;

	while ((file = dxs_maps_next_file(file)))
		if (!dxs_writers_announce(&file->writers))
			dxs_file_to_kernel(file, "shared with a child since a fork, without a registry of writers");
}

void dxs_fork_prepare(void)
{
	set = dxs_sig_block();
	dxs_writers_fork_begin(); // F.1: before the lock
	dxs_registry_lock();
	dxs_writers_lock();
	child_announce();
	dxs_writers_unlock();
	dxs_registry_unlock();
}

void dxs_fork_in_parent(void)
{
	dxs_writers_fork_end();
	dxs_sig_setmask(set);
}

// MADV_DONTFORK: the mapping is not there in the child, or a part of it is not. MS_ASYNC does nothing else but say so.
static bool is_there(const struct dxs_map *map)
{
	return dxs_sys6(SYS_msync, (long)map->addr, (long)map->len, MS_ASYNC, 0, 0, 0) != -ENOMEM;
}

// The part of a mapping that a VMA is, if it is that mapping's: another may be in its place already, which is not shared or
// has other pages.
static bool part_of(const struct dxs_vma *vma, const struct dxs_map *map, uintptr_t *from, uintptr_t *to)
{
	*from = dxs_max64(vma->addr, map->addr);
	*to = dxs_min64(vma->addr + vma->len, dxs_map_end(map));
	return *from < *to && vma->shared &&
	       (uint64_t)vma->off + (*from - vma->addr) == (map->first << map->file->page_shift) + (*from - map->addr);
}

// Something else may come to lie in its gaps. What is left of it has the program's protection and is the kernel's.
static void child_loses(struct dxs_map *map)
{
	struct dxs_vma_reader reader;
	struct dxs_vma vma;

	dxs_preexisting_left();
	if (dxs_vma_open(&reader))
		return;
	while (dxs_vma_next(&reader, &vma) && vma.addr < dxs_map_end(map)) {
		uintptr_t from, to;

		if (part_of(&vma, map, &from, &to))
			dxs_sys_mprotect((void *)from, to - from, map->prot);
	}
	dxs_vma_close(&reader);
}

static void file_begin(struct dxs_file *file)
{
	dxs_file_to_kernel(file, "inherited by a fork");
	dxs_writers_in_child(&file->writers);
	dxs_file_locks_begin(file);
	file->changing = false;
	file->kwriters = file->kernel_syncing = 0;
	file->handover = (struct dxs_handover){0};
	file->nr_pins = 0;
	dxs_tree_reset_locks(&file->tree);
}

// F.2. False: the child has no such mapping, or does not know how far it had come.
static bool map_begin(struct dxs_map *map, bool half_done)
{
	map->mutex = (struct dxs_mutex){.rank = DXS_RANK_MAP};
	if (!atomic_load(&map->frozen) && (!half_done || map->file->writers.registered)) {
		if (map->engine)
			map->engine->in_child(map);
		map->engine = NULL;
		if (is_there(map))
			return true;
	}
	child_loses(map);
	return false;
}

static void maps_begin(bool half_done)
{
	bool without_memory = half_done && dxs_maps_rebuild();
	struct dxs_file *file = NULL;
	struct dxs_map *map;
	uintptr_t addr = 0;

	if (half_done)
		dxs_preexisting_left(); // what was about to come into the table
	while (!without_memory && (file = dxs_maps_next_file(file)))
		file_begin(file);
	while ((map = dxs_maps_first(addr, UINTPTR_MAX))) {
		addr = dxs_map_end(map);
		if (without_memory)
			child_loses(map);
		else if (!map_begin(map, half_done))
			dxs_maps_drop(map);
	}
	if (without_memory)
		dxs_maps_forget_all();
}

// Only the calling thread exists here. Locks that others held, marks that others were about to set: all of it is
// dropped, and all pages are open.
static void child_begin(void)
{
	bool half_done;

	if (dxs_allocator.forked)
		dxs_allocator.forked();
	atomic_store(&owner, getpid());
	dxs_foreign_process();
	dxs_fd_reset();
	half_done = dxs_maps_reset_locks();
	dxs_change_reset();
	dxs_signals_reset_locks();
	dxs_trap_reset();
	dxs_writers_reset_lock();
	dxs_filecache_in_child();
	maps_begin(half_done);
	dxs_engine_reset();
	dxs_budget_reset();
	dxs_pagemap_reset();
	dxs_vma_reset();
	dxs_stats_reset();
	dxs_unserved_forget();
	if (dxs_observer)
		dxs_observer->forked();
}

void dxs_fork_in_child(void)
{
	if (parent_word)
		atomic_store(parent_word, 1);
	child_begin();
	dxs_sig_setmask(set);
}

bool dxs_fork_check(void)
{
	dxs_sigset before;

	if (dxs_likely(!parent_word || atomic_load_explicit(parent_word, memory_order_relaxed)))
		return false; // relaxed: the kernel wiped the page before the child ran
	before = dxs_sig_block();
	atomic_store(parent_word, 1);
	child_begin();
	child_announce();
	dxs_sig_setmask(before);
	return true;
}

bool dxs_fork_is_owner(void)
{
	return atomic_load(&owner) == dxs_sys6(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

void dxs_fork_init(void)
{
	void *page = dxs_space_map(DXS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (!dxs_is_err(page) && !dxs_sys6(SYS_madvise, (long)page, DXS_PAGE_SIZE, MADV_WIPEONFORK, 0, 0, 0)) {
		parent_word = page;
		atomic_store(parent_word, 1);
	}
	atomic_store(&owner, getpid());
	dxs_foreign_process();
	dxs_fault_check = dxs_fork_check;
	pthread_atfork(dxs_fork_prepare, dxs_fork_in_parent, dxs_fork_in_child);
}
