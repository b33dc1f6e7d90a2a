// SPDX-License-Identifier: BSD-3-Clause
// mapping.c: the table of mappings.
//
// STRUCTURE
//   Three kinds of trees (index.h): all mappings by address, all files by identity, and each file's mappings by offset. The
//   first two are read without a lock, the third under the file's maps_lock.
//
// CONCURRENCY
//   Changes are serialised by the registry's mutex. Readers take no lock: they count themselves in one of two
//   counters, chosen by the parity of `epoch`, and read the published trees.
//   R.1 A reader that saw an old tree began before it was replaced, and is waited for: replace() publishes, then
//       flips the parity and waits until the old counter is zero. The reader checks the parity again after it has
//       counted itself, so it cannot be counted in a counter that nobody waits for. Both sides are seq_cst.
//   R.2 A section never waits for the registry's lock, so synchronize() ends.
#include "file/mapping.h"

#include <errno.h>

#include "base/index.h"
#include "base/lock.h"
#include "base/near.h"
#include "file/file.h"

bool dxs_sees_all;

// release (part of seq_cst): the nodes, and before the epoch turns; partners: the loads below, inside a section.
static _Atomic(const struct dxs_index_node *) maps, files; // published
static struct dxs_mutex registry = {.rank = DXS_RANK_REGISTRY};
// seq_cst: R.1. A reader counts himself and then looks at the epoch, dxs_maps_synchronize() turns it and then looks at
// the count; one of them sees the other.
static _Atomic uint32_t epoch;
static _Atomic uint32_t readers[2];

void dxs_registry_lock(void)
{
	dxs_mutex_lock(&registry);
}

void dxs_registry_unlock(void)
{
	dxs_mutex_unlock(&registry);
}

unsigned dxs_maps_enter(void)
{
	for (;;) {
		unsigned section = atomic_load(&epoch) & 1;

		atomic_fetch_add(&readers[section], 1);   // before the second look; partner: dxs_maps_synchronize
		if ((atomic_load(&epoch) & 1) == section) // R.1
			return section;
		dxs_maps_exit(section);
	}
}

// The count goes down before the look at the epoch: the last one out wakes whoever has turned it.
void dxs_maps_exit(unsigned section)
{
	if (atomic_fetch_sub(&readers[section], 1) == 1 && (atomic_load(&epoch) & 1) != section)
		dxs_futex_wake(&readers[section], INT32_MAX);
}

void dxs_maps_synchronize(void)
{
	unsigned section = atomic_fetch_add(&epoch, 1) & 1; // after the new trees; partner: dxs_maps_enter
	uint32_t nr;

	while ((nr = atomic_load(&readers[section])))
		dxs_futex_wait(&readers[section], nr);
}

bool dxs_maps_any(void)
{
	return atomic_load(&maps); // seq_cst: after a stream is listed; partner: dxs_mmap, which asks for streams again
}

// Where mappings are, under the registry's lock.
static struct ranges {
	size_t nr;
	struct dxs_near_range range[DXS_INDEX_SUMMARY];
} ranges;

static struct dxs_near_range range_of(size_t index, const void *arg)
{
	return ((const struct ranges *)arg)->range[index];
}

static void range_add(uint64_t at, uint64_t end, void *arg)
{
	struct ranges *to = arg;

	to->range[to->nr++] = (struct dxs_near_range){at, end};
}

struct dxs_map *dxs_maps_first(uintptr_t addr, uintptr_t end)
{
	return dxs_index_first(atomic_load(&maps), NULL, addr, end);
}

struct dxs_map *dxs_maps_find(uintptr_t addr)
{
	return dxs_maps_first(addr, addr + 1);
}

struct dxs_file *dxs_maps_file(dev_t dev, ino_t ino)
{
	return dxs_index_get(atomic_load(&files), (struct dxs_key){dev, ino});
}

struct dxs_file *dxs_maps_next_file(const struct dxs_file *file)
{
	struct dxs_key key = file ? (struct dxs_key){file->dev, file->ino} : (struct dxs_key){0};

	return dxs_index_first(atomic_load(&files), file ? &key : NULL, 0, UINT64_MAX);
}

static struct dxs_key place_of(const struct dxs_map *map)
{
	return (struct dxs_key){map->first, map->addr};
}

struct dxs_map *dxs_file_map_next(const struct dxs_file *file, const struct dxs_map *map, uint64_t first, uint64_t last)
{
	struct dxs_key key = map ? place_of(map) : (struct dxs_key){0};

	return dxs_index_first(file->maps, map ? &key : NULL, first, last + (last != UINT64_MAX));
}

struct trees {
	const struct dxs_index_node *maps, *files;
};

static void trees_take(struct trees *trees, const struct dxs_map *map)
{
	struct dxs_file *file = map->file;

	trees->maps = dxs_index_remove(trees->maps, (struct dxs_key){map->addr, 0});
	file->maps = dxs_index_remove(file->maps, place_of(map));
	file->nr_mapped -= map->len >> file->page_shift;
	if (!file->maps)
		trees->files = dxs_index_remove(trees->files, (struct dxs_key){file->dev, file->ino});
}

static void file_give(struct trees *trees, struct dxs_map *map)
{
	struct dxs_file *file = map->file;

	if (!file->maps)
		trees->files = dxs_index_insert(trees->files, (struct dxs_key){file->dev, file->ino}, 1, file);
	file->maps = dxs_index_insert(file->maps, place_of(map), dxs_map_last(map) + 1, map);
	file->nr_mapped += map->len >> file->page_shift;
}

static void trees_give(struct trees *trees, struct dxs_map *map)
{
	file_give(trees, map);
	trees->maps = dxs_index_insert(trees->maps, (struct dxs_key){map->addr, 0}, dxs_map_end(map), map);
}

static void publish(const struct trees *trees)
{
	dxs_near_begin();
	// release (part of seq_cst): what the new nodes hold; partner: the loads above
	atomic_store(&maps, trees->maps);
	atomic_store(&files, trees->files);
	ranges.nr = 0;
	dxs_index_summary(trees->maps, range_add, &ranges);
	dxs_near_end(ranges.nr, range_of, &ranges);
}

int dxs_maps_replace(struct dxs_map *const *gone, size_t nr_gone, struct dxs_map *const *made, size_t nr_made)
{
	struct trees trees = {atomic_load(&maps), atomic_load(&files)};
	size_t i;

	if ((nr_made || nr_gone > 1) && dxs_index_prepare(trees.maps, 3 * (unsigned)(nr_gone + nr_made)))
		return -ENOMEM;
	for (i = 0; i < nr_gone; i++)
		trees_take(&trees, gone[i]);
	for (i = 0; i < nr_made; i++)
		trees_give(&trees, made[i]);
	publish(&trees);
	dxs_maps_synchronize();
	dxs_index_settle();
	return 0;
}

void dxs_maps_drop(const struct dxs_map *map)
{
	struct trees trees = {atomic_load(&maps), atomic_load(&files)};

	trees_take(&trees, map);
	publish(&trees);
	dxs_index_settle();
}

bool dxs_maps_reset_locks(void)
{
	bool held = atomic_exchange(&registry.word, 0); // by the child's only thread, as the next two

	atomic_store(&readers[0], 0);
	atomic_store(&readers[1], 0);
	if (held)
		dxs_index_reset();
	return held;
}

// No tree is read meanwhile: what an insertion has replaced can be used for the next.
int dxs_maps_rebuild(void)
{
	struct trees trees = {atomic_load(&maps), NULL};
	struct dxs_map *map;
	uintptr_t addr;

	for (addr = 0; (map = dxs_maps_first(addr, UINTPTR_MAX)); addr = dxs_map_end(map)) {
		map->file->maps = NULL;
		map->file->nr_mapped = 0;
	}
	for (addr = 0; (map = dxs_maps_first(addr, UINTPTR_MAX)); addr = dxs_map_end(map)) {
		if (dxs_index_prepare(trees.maps, 2))
			return -ENOMEM;
		file_give(&trees, map);
		dxs_index_settle();
	}
	publish(&trees);
	return 0;
}

void dxs_maps_forget_all(void)
{
	publish(&(struct trees){NULL, NULL});
}
