// SPDX-License-Identifier: BSD-3-Clause
// known.c: finding and holding what is known of a call's argument.
#include "call/known.h"

#include "base/behind.h"
#include "base/foreign.h"
#include "base/near.h"
#include "base/sys.h"
#include "file/file.h"

bool dxs_part_find(uintptr_t addr, uintptr_t end, struct dxs_part *part)
{
	unsigned section = dxs_maps_enter();
	struct dxs_map *map = dxs_maps_first(addr, end);

	if (map) {
		uintptr_t from = map->addr > addr ? map->addr : addr;
		uintptr_t to = dxs_map_end(map) < end ? dxs_map_end(map) : end;

		*part = (struct dxs_part){.file = map->file, .addr = from, .next = to};
		part->off = (map->first << map->file->page_shift) + (from - map->addr);
		part->end = part->off + (to - from);
		dxs_file_get(map->file);
	}
	dxs_maps_exit(section);
	return map;
}

struct dxs_file *dxs_known_take(const struct stat *st, dxs_sigset *set)
{
	dev_t dev = dxs_identity_dev(st);
	ino_t ino = dxs_identity_ino(st);
	struct dxs_file *file;

	if (!dxs_foreign_may_be_tracked(dev, ino))
		return NULL;
	*set = dxs_sig_block();
	file = dxs_file_lookup(dev, ino);
	if (!file)
		dxs_sig_setmask(*set);
	return file;
}

struct dxs_file *dxs_known_file(int fd, dxs_sigset *set)
{
	struct dxs_foreign_question asked;
	struct dxs_file *file;
	struct stat st;

	if (!dxs_maps_any() || dxs_likely(dxs_foreign(fd)))
		return NULL;
	asked = dxs_foreign_begin(fd);
	if (dxs_sys6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0))
		return NULL;
	file = dxs_known_take(&st, set);
	if (!file)
		dxs_foreign_learn(fd, asked);
	return file;
}

void dxs_known_give(struct dxs_file *file, dxs_sigset set)
{
	dxs_file_put(file);
	dxs_sig_setmask(set);
}

struct dxs_file *dxs_known_next(struct dxs_file *file)
{
	unsigned section = dxs_maps_enter();
	struct dxs_file *next = dxs_maps_next_file(file);

	if (next)
		dxs_file_get(next);
	dxs_maps_exit(section);
	if (file)
		dxs_file_put(file);
	return next;
}
