// SPDX-License-Identifier: BSD-3-Clause
// density.c: whether a huge page that is stored to is tracked as a whole, or split.
//
// The first dense probe keeps 16 huge pages whole, each further one in a row twice as many, up to 256: where all stores are
// dense, one huge page in 256 is split for nothing. A probe that another one follows without a verdict was sparse. What is
// whole says nothing of its own density; so where dense stores end, up to 256 huge pages are opened once more as a whole.
//
// order: relaxed, everywhere. The words are guesses, and nothing is read because of them.
#include "engine/density.h"

#include <stdatomic.h>

#define FIRST_WHOLE 16U
#define MOST_DOUBLED 4

static unsigned get(_Atomic unsigned *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void set(_Atomic unsigned *word, unsigned value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

bool dxs_density_whole(struct dxs_density *density, uintptr_t addr)
{
	unsigned left = get(&density->nr_whole);

	if (left) {
		set(&density->nr_whole, left - 1);
		return true;
	}
	if (atomic_load_explicit(&density->probe, memory_order_relaxed))
		set(&density->nr_dense, 0);
	atomic_store_explicit(&density->probe, addr, memory_order_relaxed);
	return false;
}

bool dxs_density_is_probe(const struct dxs_density *density, uintptr_t addr)
{
	return atomic_load_explicit(&density->probe, memory_order_relaxed) == addr;
}

void dxs_density_found(struct dxs_density *density, uint64_t nr)
{
	unsigned nr_dense = get(&density->nr_dense);

	if (nr < DXS_DENSE)
		return;
	atomic_store_explicit(&density->probe, 0, memory_order_relaxed);
	set(&density->nr_whole, FIRST_WHOLE << nr_dense);
	if (nr_dense < MOST_DOUBLED)
		set(&density->nr_dense, nr_dense + 1);
}
