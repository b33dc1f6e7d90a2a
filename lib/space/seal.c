// SPDX-License-Identifier: BSD-3-Clause
// seal.c: calls after which the library can perhaps not open a page any more: mseal (Linux 6.10) forbids every change of a
// mapping's protection, a seccomp filter may forbid any call. Before them all of it is opened for good, and left to the
// kernel: a store to a page that stayed closed could never complete.
#include <sys/mman.h>

#include "core/engine.h"
#include "core/sync.h"
#include "space/change.h"
#include "space/track.h"

// seq_cst, the default: relaxed would do. It is set and asked (dxs_map_attach) with the registry's lock held.
_Atomic bool dxs_filtered;

// 0 or -errno: not even now can it be opened.
static int let_go(struct dxs_map *map, const char *reason)
{
	int err;

	dxs_file_to_kernel(map->file, reason);
	if (!map->engine)
		return 0;
	dxs_change_lock(map->file);
	atomic_store(&map->frozen, true); // before the wait for sections: M10; partner: trap_store
	dxs_maps_synchronize();
	err = map->engine->make_all_writable(map);
	if (!err) {
		map->engine->detach(map, false);
		map->engine = NULL;
	}
	atomic_store(&map->frozen, false);
	return err;
}

static int let_go_range(uintptr_t addr, uintptr_t end, const char *reason)
{
	struct dxs_map *map;
	int err = 0;

	dxs_change_split(addr);
	dxs_change_split(end);
	dxs_for_each_map (map, addr, end) {
		int ret = let_go(map, reason);

		err = err ? err : ret;
	}
	return err;
}

int dxs_mseal(void *addr, size_t len, unsigned long flags)
{
	uintptr_t start = (uintptr_t)addr, end = start + dxs_round_up(len, DXS_PAGE_SIZE);
	struct dxs_change change;
	long ret;

	if (start % DXS_PAGE_SIZE || !dxs_is_known(start, end - start))
		return (int)dxs_sys6(SYS_mseal, (long)start, (long)len, (long)flags, 0, 0, 0);
	dxs_change_begin(&change, start, 0);
	ret = let_go_range(start, end, "a part of it was sealed (mseal)");
	if (!ret)
		ret = dxs_sys6(SYS_mseal, (long)start, (long)len, (long)flags, 0, 0, 0);
	dxs_change_end(&change);
	return (int)ret;
}

void dxs_filter_begin(void)
{
	struct dxs_change change;

	dxs_change_begin(&change, 0, 0);
	atomic_store(&dxs_filtered, true);
	let_go_range(0, UINTPTR_MAX, "the program has set a seccomp filter");
	dxs_change_end(&change);
}
