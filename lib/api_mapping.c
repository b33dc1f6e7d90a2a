// SPDX-License-Identifier: BSD-3-Clause
// api_mapping.c: the public functions that tell of a mapping.
#include <errno.h>
#include <string.h>

#include "api.h"
#include "base/sys.h"
#include "call/dirty.h"
#include "daxsync/daxsync.h"
#include "file/file.h"

// What is tracked somewhere.
struct place {
	struct dxs_file *file; // held
	uintptr_t addr, end;   // of the mapping
	uint64_t off;          // bytes in the file
};

// The first mapping in [addr, end). Signals are blocked. False: none.
static bool place_find(uintptr_t addr, uintptr_t end, struct place *place)
{
	unsigned section = dxs_maps_enter();
	struct dxs_map *map = dxs_maps_first(addr, end);

	if (map) {
		*place = (struct place){map->file, map->addr, dxs_map_end(map), map->first << map->file->page_shift};
		dxs_file_get(map->file);
	}
	dxs_maps_exit(section);
	return map;
}

// The mapping at an address. Its file stays held until place_let().
static bool place_at(const void *addr, struct place *place)
{
	dxs_sigset set = dxs_sig_block();
	uintptr_t at = (uintptr_t)addr;
	bool found = at + 1 && place_find(at, at + 1, place);

	dxs_sig_setmask(set);
	return found;
}

static void place_let(const struct place *place)
{
	dxs_sigset set = dxs_sig_block();

	dxs_file_put(place->file);
	dxs_sig_setmask(set);
}

EXPORT int daxsync_mode_of(const void *addr)
{
	int mode = DAXSYNC_MODE_PASS;
	struct place place;

	if (place_at(addr, &place)) {
		mode = (int)dxs_file_mode(place.file);
		place_let(&place);
	}
	return mode;
}

EXPORT const char *daxsync_reason_of(const void *addr)
{
	const char *reason = "nothing is tracked there";
	struct place place;

	if (place_at(addr, &place)) {
		reason = dxs_file_reason(place.file);
		place_let(&place);
	}
	return reason;
}

static struct daxsync_map_stats stats_of(const struct place *place)
{
	struct dxs_file *file = place->file;
	struct dxs_file_counts *counts = &file->counts;

	return (struct daxsync_map_stats){
		.addr = place->addr,
		.len = place->end - place->addr,
		.off = place->off,
		.page_size = dxs_file_page_size(file),
		.mode = (uint64_t)dxs_file_mode(file),
		.syncs = atomic_load(&counts->syncs),
		.traps = atomic_load(&counts->traps),
		.pages_flushed = atomic_load(&counts->pages_flushed),
		.bytes_flushed = atomic_load(&counts->bytes_flushed),
		.kernel_syncs = atomic_load(&counts->kernel_syncs),
	};
}

EXPORT int daxsync_map_stats_get(const void *addr, struct daxsync_map_stats *stats)
{
	struct daxsync_map_stats now;
	struct place place;

	if (stats->size < sizeof(stats->size) || stats->size > sizeof(now))
		return -EINVAL;
	if (!place_at(addr, &place))
		return -ENOENT;
	now = stats_of(&place);
	place_let(&place);
	now.size = stats->size;
	memcpy(stats, &now, now.size);
	return 0;
}

static uint64_t entry_at(const struct place *place, uintptr_t addr)
{
	return (place->off + (addr - place->addr)) >> place->file->page_shift;
}

// [addr, end) is of one mapping. `vec` is written with no lock held: it may be tracked memory itself.
static void part_tell(const struct place *place, uintptr_t addr, uintptr_t end, unsigned char *vec)
{
	while (addr < end) {
		uint64_t pgoff = entry_at(place, addr), behind = (pgoff | (DXS_LEAF_PAGES - 1)) + 1;
		uint64_t dirty = dxs_dirty(place->file, pgoff, dxs_min64(entry_at(place, end - 1), behind - 1));

		for (; addr < end && pgoff < behind; addr += DXS_PAGE_SIZE, pgoff = entry_at(place, addr))
			*vec++ = dirty >> (pgoff % DXS_LEAF_PAGES) & 1;
	}
}

EXPORT int daxsync_dirty(const void *addr, size_t len, unsigned char *vec)
{
	uintptr_t start = (uintptr_t)addr, at = start, end = start + ((len + DXS_PAGE_SIZE - 1) & ~(DXS_PAGE_SIZE - 1));
	struct place place;

	if (start & (DXS_PAGE_SIZE - 1))
		return -EINVAL;
	if (end < start || end - start < len)
		return -EOVERFLOW;
	memset(vec, 1, (end - start) / DXS_PAGE_SIZE);
	while (at < end) {
		dxs_sigset set = dxs_sig_block();
		bool found = place_find(at, end, &place);

		if (found) {
			uintptr_t from = at > place.addr ? at : place.addr, to = end < place.end ? end : place.end;

			part_tell(&place, from, to, vec + (from - start) / DXS_PAGE_SIZE);
			dxs_file_put(place.file);
		}
		dxs_sig_setmask(set);
		at = found ? place.end : end;
	}
	return 0;
}
