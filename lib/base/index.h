// SPDX-License-Identifier: BSD-3-Clause
// index.h: things sorted by a key, each with an end, in a tree that is read while it changes.
//
// A change costs O(log n), and so does each look; nothing here depends on how many there are. What a tree is a tree of,
// and who may change it when, is the caller's: see mapping.c.
#ifndef DXS_INDEX_H
#define DXS_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// First by `at`, then by `then`, which tells apart what begins at the same place.
struct dxs_key {
	uint64_t at, then;
};

struct dxs_index_node;

// Makes sure that `nr` changes of trees as large as `root` find their memory. Those that only take out of a tree always do,
// up to three of them before the next dxs_index_settle. 0 or -ENOMEM.
int dxs_index_prepare(const struct dxs_index_node *root, unsigned nr);

// The tree with one item more (key is not in it), or fewer (if it has that key). The old tree can be read until
// dxs_index_settle.
const struct dxs_index_node *dxs_index_insert(const struct dxs_index_node *root, struct dxs_key key, uint64_t end,
					      void *item);
const struct dxs_index_node *dxs_index_remove(const struct dxs_index_node *root, struct dxs_key key);

// Nobody reads the old trees any more.
void dxs_index_settle(void);

// In a child that was forked while another thread was in the middle of a change.
void dxs_index_reset(void);

// The item with this key, or NULL.
void *dxs_index_get(const struct dxs_index_node *root, struct dxs_key key);

// The first item, in the order of the keys, that ends behind `from` and begins before `to`; `after`: of those behind that
// key, which need not be there. NULL: none.
void *dxs_index_first(const struct dxs_index_node *root, const struct dxs_key *after, uint64_t from, uint64_t to);

// Calls fn for at most DXS_INDEX_SUMMARY ranges, in ascending order, in which all items lie: one item each, or neighbours.
#define DXS_INDEX_SUMMARY 63
void dxs_index_summary(const struct dxs_index_node *root, void (*fn)(uint64_t at, uint64_t end, void *arg), void *arg);

#endif
