// SPDX-License-Identifier: BSD-3-Clause
// mark.c: marking pages of a mapping that may have been stored to.
#include "core/mark.h"

#include "file/file.h"

// Under the page locks: not while another sync is between closing these pages and unmarking them (model: M1_ALIAS_LOCK).
static void mark_locked(struct dxs_tree *tree, struct dxs_leaf *leaf, uint64_t mask)
{
	dxs_leaf_lock(leaf, mask);
	dxs_tree_mark(tree, leaf, DXS_DIRTY, mask);
	dxs_leaf_unlock(leaf, mask);
}

void dxs_mark_range(struct dxs_map *map, uintptr_t start, uintptr_t end)
{
	uint64_t first = dxs_map_pgoff(map, start), last = dxs_map_pgoff(map, end - 1);

	while (first <= last) {
		struct dxs_leaf *leaf = dxs_tree_leaf(&map->file->tree, first, true);

		if (!leaf) {
			dxs_file_to_kernel(map->file, "no memory to mark pages");
			return;
		}
		mark_locked(&map->file->tree, leaf, dxs_leaf_mask(leaf, first, last));
		first = leaf->first + DXS_LEAF_PAGES;
	}
}
