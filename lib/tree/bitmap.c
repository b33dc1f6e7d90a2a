// SPDX-License-Identifier: BSD-3-Clause
// bitmap.c: sparse bits with a summary. See bitmap.h.
#include "tree/bitmap.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/cells.h"
#include "base/sys.h"

#define BITS 64 // of a word

struct dxs_bitmap {
	uint64_t nr;    // words
	uint64_t bytes; // of this allocation
	// seq_cst, the default: a word changes before its summary; partner: dxs_bitmap_next_one.
	_Atomic uint64_t *summary; // behind the words
	_Atomic uint64_t word[];
};

static uint64_t words_for(uint64_t nr)
{
	return (nr + BITS - 1) / BITS;
}

struct dxs_bitmap *dxs_bitmap_new(uint64_t nr)
{
	uint64_t words = words_for(nr);
	uint64_t bytes = sizeof(struct dxs_bitmap) + (words + words_for(words)) * sizeof(uint64_t);
	struct dxs_bitmap *bitmap = dxs_cell_new(bytes);

	if (!bitmap)
		return NULL;
	bitmap->nr = words;
	bitmap->bytes = bytes;
	bitmap->summary = bitmap->word + words;
	return bitmap;
}

void dxs_bitmap_free(struct dxs_bitmap *bitmap)
{
	if (bitmap)
		dxs_cell_free(bitmap, bitmap->bytes);
}

bool dxs_bitmap_get(const struct dxs_bitmap *bitmap, uint64_t bit)
{
	return atomic_load(&bitmap->word[bit / BITS]) >> (bit % BITS) & 1;
}

// The bits of [from, end) in the word of `from`.
static uint64_t mask_of(uint64_t from, uint64_t end)
{
	uint64_t mask = ~0ULL << (from % BITS);

	return end - (from & ~(uint64_t)(BITS - 1)) < BITS ? mask & ~(~0ULL << (end % BITS)) : mask;
}

static uint64_t next_word(uint64_t bit)
{
	return (bit | (BITS - 1)) + 1;
}

void dxs_bitmap_set(struct dxs_bitmap *bitmap, uint64_t from, uint64_t end)
{
	for (; from < end; from = next_word(from)) {
		uint64_t word = from / BITS;

		atomic_fetch_or(&bitmap->word[word], mask_of(from, end));
		// order: after the word; partner: the look at the summary, then at the word, in dxs_bitmap_next_one
		atomic_fetch_or(&bitmap->summary[word / BITS], 1ULL << (word % BITS));
	}
}

void dxs_bitmap_reset(struct dxs_bitmap *bitmap, uint64_t from, uint64_t end)
{
	for (; from < end; from = next_word(from))
		atomic_fetch_and(&bitmap->word[from / BITS], ~mask_of(from, end));
}

// The first bit of [from, end) in words that is not as in `zero`.
static uint64_t find(const _Atomic uint64_t *word, uint64_t zero, uint64_t from, uint64_t end)
{
	for (; from < end; from = next_word(from)) {
		uint64_t found = (atomic_load(&word[from / BITS]) ^ zero) & mask_of(from, end);

		if (found)
			return (from & ~(uint64_t)(BITS - 1)) + (uint64_t)__builtin_ctzll(found);
	}
	return end;
}

void dxs_bitmap_reset_all(struct dxs_bitmap *bitmap)
{
	uint64_t word = 0;

	for (; (word = find(bitmap->summary, 0, word, bitmap->nr)) < bitmap->nr; word++)
		atomic_store(&bitmap->word[word], 0);
}

uint64_t dxs_bitmap_next_one(const struct dxs_bitmap *bitmap, uint64_t from, uint64_t end)
{
	while (from < end) {
		uint64_t stop, at, word = find(bitmap->summary, 0, from / BITS, words_for(end));

		from = dxs_max64(from, word * BITS);
		stop = dxs_min64(next_word(from), end);
		at = find(bitmap->word, 0, from, stop);
		if (at < stop)
			return at;
		from = stop;
	}
	return end;
}

uint64_t dxs_bitmap_next_zero(const struct dxs_bitmap *bitmap, uint64_t from, uint64_t end)
{
	return find(bitmap->word, ~0ULL, from, end);
}

uint64_t dxs_bitmap_run(const struct dxs_bitmap *bitmap, uint64_t *from, uint64_t end)
{
	*from = dxs_bitmap_next_one(bitmap, *from, end);
	return dxs_bitmap_next_zero(bitmap, *from, end);
}

uint64_t dxs_bitmap_count(const struct dxs_bitmap *bitmap, uint64_t from, uint64_t end)
{
	uint64_t start = from, stop, nr = 0;

	for (; (stop = dxs_bitmap_run(bitmap, &start, end)) > start; start = stop)
		nr += stop - start;
	return nr;
}

uint64_t dxs_bitmap_edges(const struct dxs_bitmap *bitmap, uint64_t from, uint64_t end)
{
	uint64_t start = from, stop, nr = 0;

	for (; (stop = dxs_bitmap_run(bitmap, &start, end)) > start; start = stop)
		nr += (uint64_t)((start > from) + (stop < end));
	return nr;
}
