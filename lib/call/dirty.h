// SPDX-License-Identifier: BSD-3-Clause
// dirty.h: which entries of a file have to be flushed, asked without changing anything.
#ifndef DXS_DIRTY_H
#define DXS_DIRTY_H

#include <stdint.h>

struct dxs_file;

// The entries of [first, last], which lie in one leaf, that may hold stores that are not durable: bit i is of the leaf's
// entry i. An entry whose bit is 0 is known: each store to it that happened before the call, by any thread through any
// mapping, is durable, as far as the file's mode goes. Where nothing is known for sure all bits are set.
// Context: api, signals blocked, no lock held.
uint64_t dxs_dirty(struct dxs_file *file, uint64_t first, uint64_t last);

#endif
