// SPDX-License-Identifier: BSD-3-Clause
// mapping.c: the table of mappings.
//
// STRUCTURE
//   One array sorted by address and one small hash of the files in it, in a block that is never changed after it was
//   published. A change builds a new block. One is kept to spare, so that taking a mapping away needs no memory: an
//   entry that stayed would be found in the place of what is mapped there later.
//
// CONCURRENCY
//   Changes are serialised by the registry's mutex. Readers take no lock: they count themselves in one of two
//   counters, chosen by the parity of `epoch`, and read the published block.
//   R.1 A reader that saw the old block began before it was replaced, and is waited for: replace() publishes, then
//       flips the parity and waits until the old counter is zero. The reader checks the parity again after it has
//       counted itself, so it cannot be counted in a counter that nobody waits for. Both sides are seq_cst.
//   R.2 A section never waits for the registry's lock, so synchronize() ends.
#include "mapping.h"

#include <errno.h>
#include <string.h>

#include "alloc.h"
#include "file.h"
#include "lock.h"
#include "near.h"

struct table {
	size_t capacity; // of mappings in this block
	size_t nr;
	size_t nr_buckets; // power of two
	struct dxs_file **bucket;
	struct dxs_map *map[];
};

static struct table empty;
static _Atomic(struct table *) published = &empty;
static struct table *spare; // for as many mappings as there are, or NULL while there are none; under `registry`
static struct dxs_mutex registry;
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

		atomic_fetch_add(&readers[section], 1);
		if ((atomic_load(&epoch) & 1) == section) // R.1
			return section;
		dxs_maps_exit(section);
	}
}

void dxs_maps_exit(unsigned section)
{
	if (atomic_fetch_sub(&readers[section], 1) == 1 && (atomic_load(&epoch) & 1) != section)
		dxs_futex_wake(&readers[section], INT32_MAX);
}

void dxs_maps_synchronize(void)
{
	unsigned section = atomic_fetch_add(&epoch, 1) & 1;
	uint32_t nr;

	while ((nr = atomic_load(&readers[section])))
		dxs_futex_wait(&readers[section], nr);
}

bool dxs_maps_any(void)
{
	return atomic_load_explicit(&published, memory_order_relaxed) != &empty; // relaxed: compared, not followed
}

static struct dxs_near_range range_of(size_t index, const void *arg)
{
	const struct dxs_map *map = ((const struct table *)arg)->map[index];

	return (struct dxs_near_range){map->addr, dxs_map_end(map)};
}

// The index of the first mapping that ends behind addr.
static size_t lower_bound(const struct table *table, uintptr_t addr)
{
	size_t lo = 0, hi = table->nr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (dxs_map_end(table->map[mid]) <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct dxs_map *dxs_maps_first(uintptr_t addr, uintptr_t end)
{
	const struct table *table = atomic_load(&published);
	size_t i = lower_bound(table, addr);

	return i < table->nr && table->map[i]->addr < end ? table->map[i] : NULL;
}

struct dxs_map *dxs_maps_find(uintptr_t addr)
{
	return dxs_maps_first(addr, addr + 1);
}

struct dxs_map *dxs_maps_nth(size_t index)
{
	const struct table *table = atomic_load(&published);

	return index < table->nr ? table->map[index] : NULL;
}

static size_t bucket_of(const struct table *table, dev_t dev, ino_t ino)
{
	uint64_t key = (uint64_t)ino * 0x9e3779b97f4a7c15ULL + (uint64_t)dev * 0xc2b2ae3d27d4eb4fULL;

	return (size_t)(key >> 32) & (table->nr_buckets - 1);
}

struct dxs_file *dxs_maps_file(dev_t dev, ino_t ino)
{
	const struct table *table = atomic_load(&published);
	size_t i;

	if (!table->nr)
		return NULL;
	for (i = bucket_of(table, dev, ino); table->bucket[i]; i = (i + 1) & (table->nr_buckets - 1))
		if (table->bucket[i]->dev == dev && table->bucket[i]->ino == ino)
			return table->bucket[i];
	return NULL;
}

static void file_add(struct table *table, struct dxs_file *file)
{
	size_t i = bucket_of(table, file->dev, file->ino);

	while (table->bucket[i] && table->bucket[i] != file)
		i = (i + 1) & (table->nr_buckets - 1);
	table->bucket[i] = file;
}

static size_t buckets_for(size_t nr)
{
	size_t nr_buckets = 4;

	while (nr_buckets < 2 * nr)
		nr_buckets *= 2;
	return nr_buckets;
}

static void table_shape(struct table *table, size_t nr)
{
	table->nr = nr;
	table->nr_buckets = buckets_for(nr);
	table->bucket = (struct dxs_file **)&table->map[nr];
	memset(table->bucket, 0, table->nr_buckets * sizeof(table->bucket[0]));
}

static struct table *table_alloc(size_t capacity)
{
	struct table *table = dxs_zalloc(sizeof(*table) + capacity * sizeof(table->map[0]) +
					 buckets_for(capacity) * sizeof(table->bucket[0]));

	if (table)
		table->capacity = capacity;
	return table;
}

// A block for a table of nr mappings, and one to spare for when that has become smaller and there is no memory.
static struct table *table_take(size_t nr)
{
	struct table *table, *more;

	if (!nr)
		return &empty;
	if (!spare || spare->capacity < nr) {
		more = table_alloc(nr + nr / 2);
		if (!more)
			return NULL;
		dxs_free(spare);
		spare = more;
	}
	table = table_alloc(nr);
	if (!table && nr < atomic_load(&published)->nr) {
		table = spare;
		spare = NULL;
	}
	if (table)
		table_shape(table, nr);
	return table;
}

static void table_give(struct table *table)
{
	if (table == &empty)
		return;
	if (spare)
		dxs_free(table);
	else
		spare = table;
}

static bool is_among(const struct dxs_map *map, struct dxs_map *const *list, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (list[i] == map)
			return true;
	return false;
}

static void insert_sorted(struct table *table, size_t nr, struct dxs_map *map)
{
	size_t i = nr;

	while (i && table->map[i - 1]->addr > map->addr) {
		table->map[i] = table->map[i - 1];
		i--;
	}
	table->map[i] = map;
}

int dxs_maps_replace(struct dxs_map *const *gone, size_t nr_gone, struct dxs_map *const *made, size_t nr_made)
{
	struct table *old = atomic_load(&published);
	struct table *table = table_take(old->nr - nr_gone + nr_made);
	size_t i, nr = 0;

	if (!table)
		return -ENOMEM;
	for (i = 0; i < old->nr; i++)
		if (!is_among(old->map[i], gone, nr_gone))
			table->map[nr++] = old->map[i];
	for (i = 0; i < nr_made; i++)
		insert_sorted(table, nr++, made[i]);
	for (i = 0; i < nr; i++)
		file_add(table, table->map[i]->file);
	dxs_near_begin();
	atomic_store(&published, table); // release (part of seq_cst): the block's content; partner: the loads above
	dxs_near_end(table->nr, range_of, table);
	dxs_maps_synchronize();
	table_give(old);
	return 0;
}

void dxs_maps_drop(const struct dxs_map *map)
{
	struct table *table = atomic_load(&published);
	size_t i, nr = 0;

	for (i = 0; i < table->nr; i++)
		if (table->map[i] != map)
			table->map[nr++] = table->map[i];
	table_shape(table, nr);
	for (i = 0; i < nr; i++)
		file_add(table, table->map[i]->file);
	dxs_near_begin();
	dxs_near_end(nr, range_of, table);
}

void dxs_maps_reset_locks(void)
{
	atomic_store(&registry.word, 0);
	atomic_store(&readers[0], 0);
	atomic_store(&readers[1], 0);
}
