// SPDX-License-Identifier: BSD-3-Clause
// trap.c: {mark, open} of a page, the fault side of the protocol (tests/model/sync.pml: trap).
#include "core/trap.h"
#include "signal/signals.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/failure.h"
#include "base/log.h"
#include "core/engine.h"
#include "core/policy.h"
#include "file/file.h"
#include "file/observer.h"
#include "report/stats.h"

// seq_cst: begun before a close, ended after it; partner: dxs_trap_signal.
static _Atomic uint64_t protects_begun, protects_ended; // M8
// seq_cst: a waiter counts himself before the kernel compares `changes`, which goes up before the look at the count:
// one of them sees the other; partners: dxs_trap_wait, dxs_trap_change.
static _Atomic uint32_t changes;    // futex: of mappings, begun and ended; odd while one is under way
static _Atomic uint32_t nr_waiting; // for a change to end

#define MAX_LEAVES                                                                                                     \
	((DXS_EXTENT_MAX + 2 * (DXS_LEAF_PAGES - 1)) / DXS_LEAF_PAGES) // that an extent touches, wherever it begins

// M5: all of the mapping is taken as dirty. False: not even that can be opened.
static bool open_all(struct dxs_map *map)
{
	int err;

	dxs_count(all_open, 1);
	err = map->engine->make_all_writable(map);
	if (err)
		dxs_file_tell_unwritable(map->file, err);
	return !err;
}

// The leaves of entries [first, last], made if need be. Returns how many, or 0: no memory.
static unsigned leaves_get(struct dxs_file *file, uint64_t first, uint64_t last, struct dxs_leaf **leaf)
{
	unsigned nr = 0;

	for (; first <= last; first = (first | (DXS_LEAF_PAGES - 1)) + 1) {
		leaf[nr] = dxs_injected(DXS_FAIL_NO_MEMORY) ? NULL : dxs_tree_leaf(&file->tree, first, true);
		if (!leaf[nr++])
			return 0;
	}
	return nr;
}

static uint64_t hit_in(const struct dxs_leaf *leaf, uint64_t hit)
{
	return hit - leaf->first < DXS_LEAF_PAGES ? 1ULL << (hit - leaf->first) : 0;
}

// M1, M3: under the page locks, first the marks, then the pages. A sync that finds a page unmarked has either closed
// it before, and then this trap comes after its look, or cannot see it open. Locks of several leaves are taken in
// ascending order, and by nobody but traps.
static int entries_open(struct dxs_map *map, uint64_t first, uint64_t last, uint64_t hit, struct dxs_leaf **leaf,
			unsigned nr)
{
	struct dxs_file *file = map->file;
	uint64_t mask;
	unsigned i;
	int err;

	for (i = 0; i < nr; i++) {
		mask = dxs_leaf_mask(leaf[i], first, last);
		dxs_leaf_lock(leaf[i], mask);
		dxs_policy_opened(file, leaf[i], mask & ~dxs_leaf_get(leaf[i], DXS_DIRTY), hit_in(leaf[i], hit),
				  last - first + 1);
		if (!dxs_injected(DXS_FAIL_NO_TRAP_MARK))
			dxs_tree_mark(&file->tree, leaf[i], DXS_DIRTY, mask);
		dxs_observe(file, event, file, DXS_EVENT_OPEN, leaf[i]->first, mask);
	}
	err = dxs_engine_make_writable(map, dxs_map_addr(map, first), (size_t)(last - first + 1) << file->page_shift);
	for (i = 0; i < nr; i++)
		dxs_leaf_unlock(leaf[i], dxs_leaf_mask(leaf[i], first, last));
	dxs_count(pages_opened, last - first + 1);
	return err;
}

static int range_open(struct dxs_map *map, uintptr_t start, uintptr_t end, uintptr_t hit)
{
	uint64_t first = dxs_map_pgoff(map, start), last = dxs_map_pgoff(map, end - 1);
	struct dxs_leaf *leaf[MAX_LEAVES];
	unsigned nr = leaves_get(map->file, first, last, leaf);

	if (!nr) { // the kernel, which keeps its own marks, then has to follow every flush
		dxs_file_to_kernel(map->file, "no memory to mark a page");
		return -ENOMEM;
	}
	if (last > first)
		atomic_store(&map->file->may_have_holes, true); // before the marks; partner: dxs_may_be_holes
	return entries_open(map, first, last, dxs_map_pgoff(map, hit), leaf, nr);
}

// False: the page cannot be opened, and a store there cannot complete. Where the kernel says so of more than the page (what
// was sealed, for one, keeps its protection) the page is tried alone.
static bool mark_and_open(struct dxs_map *map, uintptr_t addr)
{
	uintptr_t size = dxs_file_page_size(map->file), page = addr & ~(size - 1), start, end;
	int err;

	if (!map->engine->extent(map, page, &start, &end))
		return open_all(map);
	err = range_open(map, start, end, page);
	if (err && err != -ENOMEM && end - start > size)
		err = range_open(map, page, page + size, page);
	return !err || open_all(map);
}

static enum dxs_trap trap_store(uintptr_t addr)
{
	unsigned section = dxs_maps_enter(); // M10: whoever takes the mapping away waits for the end of the section
	struct dxs_map *map = dxs_maps_find(addr);
	enum dxs_trap result = DXS_TRAP_OPENED;

	if (!map || !map->engine || !(map->prot & PROT_WRITE)) {
		result = DXS_TRAP_FOREIGN;
	} else if (atomic_load(&map->frozen)) { // partner: dxs_change_freeze()
		result = DXS_TRAP_FROZEN;
	} else {
		dxs_count(traps, 1);
		dxs_file_count(map->file, traps, 1);
		if (!mark_and_open(map, addr))
			result = DXS_TRAP_FOREIGN; // rather than trap for ever
	}
	dxs_maps_exit(section);
	return result;
}

// Whether a fault that is no trap hit a mapping that is frozen: FROZEN, or FOREIGN.
static enum dxs_trap fault_classify(uintptr_t addr)
{
	unsigned section = dxs_maps_enter();
	struct dxs_map *map = dxs_maps_find(addr);
	bool frozen = map && atomic_load(&map->frozen);

	dxs_maps_exit(section);
	return frozen ? DXS_TRAP_FROZEN : DXS_TRAP_FOREIGN;
}

static bool is_open(uintptr_t addr)
{
	unsigned section = dxs_maps_enter();
	struct dxs_map *map = dxs_maps_find(addr);
	uint64_t mask = 0;

	if (map && map->engine && !atomic_load(&map->frozen))
		map->engine->writable(map, addr & ~(dxs_file_page_size(map->file) - 1), 1, &mask);
	dxs_maps_exit(section);
	return mask;
}

void dxs_trap_protect_begin(void)
{
	atomic_fetch_add(&protects_begun, 1);
}

void dxs_trap_protect_end(void)
{
	atomic_fetch_add(&protects_ended, 1);
}

// M8. Had a close made the second fault, then after the first visit had opened the page. order: seq_cst. Such a close has
// begun before the second visit, which reads `protects_begun` and so sees it, and had not ended before the first, which
// reads `protects_ended` before it opens and so does not. With one counter, whether counted before the close or after it,
// one of the two visits can miss it. That all closes that have begun by now had ended then is therefore what says that the
// fault is the application's.
enum dxs_trap dxs_trap_signal(uintptr_t addr)
{
	static DXS_THREAD uintptr_t last_addr;
	static DXS_THREAD uint64_t last_ended;
	enum dxs_trap result;

	if (last_addr == addr && is_open(addr) && atomic_load(&protects_begun) == last_ended) {
		last_addr = 0;
		return DXS_TRAP_FOREIGN;
	}
	last_ended = atomic_load(&protects_ended);
	result = trap_store(addr);
	last_addr = result == DXS_TRAP_OPENED ? addr : 0; // only who has opened it may say so at the next visit
	return result;
}

static DXS_THREAD bool is_mine; // the change that is under way, by this thread

void dxs_trap_wait(void)
{
	uint32_t seen = atomic_load(&changes);

	if (!(seen & 1))
		return;
	atomic_fetch_add(&nr_waiting, 1); // before the kernel compares; partner: dxs_trap_change()
	dxs_futex_wait(&changes, seen);
	atomic_fetch_sub(&nr_waiting, 1);
}

void dxs_trap_change(void)
{
	is_mine = !is_mine;
	if (atomic_fetch_add(&changes, 1) & 1 && atomic_load(&nr_waiting))
		dxs_futex_wake(&changes, INT32_MAX);
}

// For a fault by signal that is no trap and hit nothing that is frozen: whether it is the application's after all. The
// mapping may have changed between the fault and the look; so the first time the instruction is tried again, when no
// change is under way, and only the same fault once more, with no change in between, is the application's. A thread that
// faults in the middle of its own change would wait for itself: it has to crash.
static bool is_foreign(uintptr_t addr)
{
	static DXS_THREAD uintptr_t last_addr;
	static DXS_THREAD uint32_t last_changes;
	uint32_t now = atomic_load(&changes);

	if (is_mine)
		return true;
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
	is_mine = false;
	atomic_store(&changes, 0);
	atomic_store(&protects_ended, atomic_load(&protects_begun)); // by threads that are not there
	atomic_store(&nr_waiting, 0);
}

static bool answer(uintptr_t addr, bool is_trap)
{
	enum dxs_trap result = is_trap ? dxs_trap_signal(addr) : fault_classify(addr);

	if (result == DXS_TRAP_OPENED)
		return true;
	if (result == DXS_TRAP_FOREIGN || is_mine)
		return !is_foreign(addr);
	dxs_trap_wait();
	return true;
}

int dxs_trap_install(unsigned traps)
{
	atomic_store(&dxs_fault_answer, answer); // before a handler that may ask
	return dxs_signals_install(traps);
}
