// SPDX-License-Identifier: BSD-3-Clause
// pin.c: pages that the kernel is about to write for the program (M9).
//
// A kernel write into a closed page fails with EFAULT where the engine cannot trap it, and trying again is no way
// out: a datagram would be gone. So the pages are opened and marked before, and `pins` keeps every sync from closing
// them until the call is over. Pins are counted per leaf, so a pin keeps up to 64 pages open.
#include "call/pin.h"
#include "base/near.h"
#include "base/sys.h"
#include "core/engine.h"
#include "core/policy.h"
#include "core/trap.h"
#include "file/file.h"
#include "file/observer.h"
#include "report/stats.h"

static void leaf_pin(struct dxs_map *map, struct dxs_leaf *leaf, uint64_t first, uint64_t last)
{
	uint64_t mask = dxs_leaf_mask(leaf, first, last);
	int err;

	first = dxs_max64(first, leaf->first);
	last = dxs_min64(last, leaf->first + DXS_LEAF_PAGES - 1);
	dxs_leaf_lock(leaf, mask);
	atomic_fetch_add(&leaf->pins, 1); // under the lock; partner: close_locked in sync.c
	dxs_policy_opened(map->file, leaf, mask & ~dxs_leaf_get(leaf, DXS_DIRTY), mask, last - first + 1);
	dxs_tree_mark(&map->file->tree, leaf, DXS_DIRTY, mask);
	dxs_observe(map->file, event, map->file, DXS_EVENT_OPEN, leaf->first, mask);
	err = dxs_engine_make_writable(map, dxs_map_addr(map, first),
				       (size_t)(last - first + 1) << map->file->page_shift);
	dxs_leaf_unlock(leaf, mask);
	if (err) // M5; the kernel would find the page closed
		map->engine->make_all_writable(map);
	dxs_count(pages_opened, (uint64_t)__builtin_popcountll(mask));
}

static void map_pin(struct dxs_pin *pin, struct dxs_map *map, uint64_t first, uint64_t last)
{
	struct dxs_pinned *pinned = &pin->pinned[pin->nr++];

	*pinned = (struct dxs_pinned){map->file, first, first};
	dxs_file_get(map->file);
	// Not while a part is closed for the first time; partners: dxs_each_unpinned() and close_region().
	dxs_mutex_lock(&map->file->pin_mutex);
	atomic_store(&map->file->kernel_may_miss,
		     true); // a device may store after a sync has taken the kernel's tag away
	map->file->nr_pins++;
	while (first <= last) {
		struct dxs_leaf *leaf = dxs_tree_leaf(&map->file->tree, first, true);

		if (!leaf)
			break;
		leaf_pin(map, leaf, first, last);
		first = leaf->first + DXS_LEAF_PAGES;
		pinned->end = first;
	}
	dxs_mutex_unlock(&map->file->pin_mutex);
}

bool dxs_pin_near(const void *addr, size_t len)
{
	uintptr_t at = (uintptr_t)addr;

	return at + len > at && dxs_near(at, at + len);
}

// Pins from *at on what it can, and moves *at behind it. False: not all, because a mapping is being changed.
static bool pin_some(struct dxs_pin *pin, uintptr_t *at, uintptr_t end)
{
	unsigned section = dxs_maps_enter();
	struct dxs_map *map;
	bool frozen = false;

	while (pin->nr < DXS_PINS && *at < end && (map = dxs_maps_first(*at, end))) {
		uintptr_t from = map->addr > *at ? map->addr : *at;

		frozen = atomic_load(&map->frozen);
		if (frozen)
			break;
		*at = dxs_map_end(map);
		if (map->engine)
			map_pin(pin, map, dxs_map_pgoff(map, from), dxs_map_pgoff(map, (*at < end ? *at : end) - 1));
	}
	dxs_maps_exit(section);
	return !frozen;
}

void dxs_pin(struct dxs_pin *pin, void *addr, size_t len)
{
	uintptr_t at = (uintptr_t)addr, end = at + len;
	dxs_sigset set;

	if (!dxs_pin_near(addr, len) || !dxs_engine_pins_wanted())
		return;
	set = dxs_sig_block();
	// A mapping that is being changed is waited for, as by a store: it may be there afterwards, and closed.
	while (!pin_some(pin, &at, end))
		dxs_trap_wait();
	dxs_sig_setmask(set);
}

void dxs_unpin(struct dxs_pin *pin)
{
	dxs_sigset set;
	unsigned i;

	if (!pin->nr)
		return;
	set = dxs_sig_block();
	for (i = 0; i < pin->nr; i++) {
		struct dxs_pinned *pinned = &pin->pinned[i];
		uint64_t first = pinned->first;

		while (first < pinned->end) {
			struct dxs_leaf *leaf = dxs_tree_leaf(&pinned->file->tree, first, false);

			if (leaf)
				atomic_fetch_sub(&leaf->pins, 1); // after the call: the pages are DIRTY
			first = (first | (DXS_LEAF_PAGES - 1)) + 1;
		}
		dxs_mutex_lock(&pinned->file->pin_mutex);
		pinned->file->nr_pins--;
		dxs_mutex_unlock(&pinned->file->pin_mutex);
		dxs_file_put(pinned->file);
	}
	dxs_sig_setmask(set);
	pin->nr = 0;
}

bool dxs_pins_wanted(void)
{
	return dxs_maps_any() && dxs_engine_pins_wanted();
}
