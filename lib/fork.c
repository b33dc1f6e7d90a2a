// SPDX-License-Identifier: BSD-3-Clause
// fork.c: fork.
//
// After a fork two processes can write the shared mappings, and neither sees the other's stores. So the child is announced
// as a writer of every tracked file before the fork takes effect: the parent's mode is `kernel` from then on, until a
// kernel sync finds that the child has executed another program or is gone (writers.c, W.5). In the child nothing is
// registered any more: its mappings are open, and the mode of what it has inherited stays `kernel`.
//
// fork() runs the handlers below; the shim's _Fork() does too. A raw clone runs none: a word in a page that the kernel
// wipes in a child (MADV_WIPEONFORK, Linux 4.14) tells the next hook or trap there, which announces the child then. What
// such a child has stored before, only its own syncs and the kernel's cover.
#include "fork.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "budget.h"
#include "change.h"
#include "engine.h"
#include "file.h"
#include "foreign.h"
#include "image.h"
#include "log.h"
#include "pagemap.h"
#include "run.h"
#include "signals.h"
#include "space.h"
#include "stats.h"
#include "strangers.h"
#include "sys.h"
#include "trap.h"
#include "vma.h"

static _Atomic uint32_t *parent_word; // 1; 0 in a child
static _Atomic int owner;             // the process whose state this is
static dxs_sigset set;                // of the thread that forks, which holds the registry's lock

static void child_announce(void)
{
	struct dxs_file *file = NULL;

	while ((file = dxs_maps_next_file(file)))
		if (!dxs_writers_announce(&file->writers))
			dxs_file_to_kernel(file, "shared with a child since a fork, without a registry of writers");
}

void dxs_fork_prepare(void)
{
	dxs_sigset before = dxs_sig_block();

	dxs_registry_lock();
	set = before; // two threads may fork at once
	dxs_writers_fork_begin();
	child_announce();
}

void dxs_fork_in_parent(void)
{
	dxs_sigset mine = set;

	dxs_writers_fork_end();
	dxs_registry_unlock();
	dxs_sig_setmask(mine);
}

// MADV_DONTFORK: the mapping is not there in the child, or a part of it is not. MS_ASYNC does nothing else but say so.
static bool is_there(const struct dxs_map *map)
{
	return dxs_sys6(SYS_msync, (long)map->addr, (long)map->len, MS_ASYNC, 0, 0, 0) != -ENOMEM;
}

// Something else may come to lie in its gaps. What is left of it has the program's protection and is the kernel's.
static void child_loses(struct dxs_map *map)
{
	struct dxs_vma_reader reader;
	struct dxs_vma vma;

	dxs_maps_drop(map);
	dxs_strangers_left();
	if (dxs_vma_open(&reader))
		return;
	while (dxs_vma_next(&reader, &vma) && vma.addr < dxs_map_end(map)) {
		uintptr_t from = dxs_max64(vma.addr, map->addr);
		uintptr_t to = dxs_min64(vma.addr + vma.len, dxs_map_end(map));

		if (from < to)
			dxs_sys_mprotect((void *)from, to - from, map->prot);
	}
	dxs_vma_close(&reader);
}

static void file_begin(struct dxs_file *file)
{
	dxs_file_to_kernel(file, "inherited by a fork");
	dxs_writers_in_child(&file->writers);
	file->maps_lock = (struct dxs_shared){0};
	file->turn = (struct dxs_shared){0};
	file->turn_mutex = (struct dxs_mutex){0};
	file->group = (struct dxs_group){0};
	file->changing = false;
	file->kwriters = 0;
	file->kwrite_mutex = (struct dxs_mutex){0};
	file->pin_mutex = (struct dxs_mutex){0};
	file->nr_pins = 0;
	dxs_tree_reset_locks(&file->tree);
}

// Only the calling thread exists here. Locks that others held, marks that others were about to set: all of it is
// dropped, and all pages are open.
static void child_begin(void)
{
	struct dxs_file *file = NULL;
	struct dxs_map *map;
	uintptr_t addr = 0;

	atomic_store(&owner, getpid());
	dxs_foreign_process();
	dxs_maps_reset_locks();
	dxs_change_reset();
	dxs_signals_reset_locks();
	dxs_trap_reset();
	dxs_writers_reset_lock();
	while ((file = dxs_maps_next_file(file)))
		file_begin(file);
	while ((map = dxs_maps_first(addr, UINTPTR_MAX))) {
		addr = dxs_map_end(map);
		map->mutex = (struct dxs_mutex){0};
		if (map->engine)
			map->engine->in_child(map);
		map->engine = NULL;
		atomic_store(&map->going, false);
		if (!is_there(map))
			child_loses(map);
	}
	dxs_engine_reset();
	dxs_budget_reset();
	dxs_image_reset_locks();
	dxs_pagemap_reset();
	dxs_vma_reset();
	dxs_stats_reset();
	dxs_run_forked();
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
	child_announce();
	child_begin();
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
