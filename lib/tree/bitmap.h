// SPDX-License-Identifier: BSD-3-Clause
// bitmap.h: a bit for each part of a mapping, most of them never set.
//
// STRUCTURE
//   Words of 64 bits, and a summary with a bit for each word that was ever anything but zero. Memory is address space
//   until a bit in it is set.
//
// CONCURRENCY
//   Bits may be set, reset and looked for at once. A bit whose dxs_bitmap_set() has returned is found by every look that
//   begins later: the word is changed before its summary, and a summary is never taken back.
#ifndef DXS_BITMAP_H
#define DXS_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

struct dxs_bitmap;

// nr bits, all zero. NULL: no memory.
struct dxs_bitmap *dxs_bitmap_new(uint64_t nr);
void dxs_bitmap_free(struct dxs_bitmap *bitmap); // NULL is allowed

bool dxs_bitmap_get(const struct dxs_bitmap *bitmap, uint64_t bit);

// The bits of [from, end); of all.
void dxs_bitmap_set(struct dxs_bitmap *bitmap, uint64_t from, uint64_t end);
void dxs_bitmap_reset(struct dxs_bitmap *bitmap, uint64_t from, uint64_t end);
void dxs_bitmap_reset_all(struct dxs_bitmap *bitmap);

// The first bit of [from, end) that is one, that is zero; end: none. The cost follows the words in which bits were ever
// set, and a 4096th of the rest.
uint64_t dxs_bitmap_next_one(const struct dxs_bitmap *bitmap, uint64_t from, uint64_t end);
uint64_t dxs_bitmap_next_zero(const struct dxs_bitmap *bitmap, uint64_t from, uint64_t end);

// The first run of ones in [*from, end): sets *from, returns its end (*from: none).
uint64_t dxs_bitmap_run(const struct dxs_bitmap *bitmap, uint64_t *from, uint64_t end);

// How many bits of [from, end) are one.
uint64_t dxs_bitmap_count(const struct dxs_bitmap *bitmap, uint64_t from, uint64_t end);

// How many bits of [from, end) differ from the one before them, in [from, end) as well.
uint64_t dxs_bitmap_edges(const struct dxs_bitmap *bitmap, uint64_t from, uint64_t end);

#endif
