// SPDX-License-Identifier: BSD-3-Clause
// near.c: a summary of the addresses of all mappings.
//
// STRUCTURE
//   At most NR_RANGES ranges, sorted. With more mappings than that neighbours share one, and what lies between them is
//   near as well.
//
// CONCURRENCY
//   A reader cannot be waited for here: it may be interrupted by a handler of the program's that changes mappings. So
//   nothing that it reads is ever freed, and `sequence`, odd while the ranges change, tells it to take everything for
//   near. acquire and release: a reader that has seen a new bound sees the sequence odd or later when it looks again. Who
//   asks about the address of a mapping has been told it by who made it, after end().
#include "base/near.h"

#include <stdatomic.h>

#define NR_RANGES 64

// acquire and release: see CONCURRENCY; seq_cst where `sequence` changes, by default.
static _Atomic uint64_t sequence;
static _Atomic size_t nr_ranges;
static _Atomic uintptr_t from[NR_RANGES], to[NR_RANGES];

void dxs_near_begin(void)
{
	// Before any bound; partner: the second look in dxs_near.
	atomic_fetch_or(&sequence, 1); // a child of a raw clone may have been made inside a change: it is odd already
}

void dxs_near_end(size_t nr, struct dxs_near_range (*range)(size_t index, const void *arg), const void *arg)
{
	size_t each = (nr + NR_RANGES - 1) / NR_RANGES, i, made = 0;

	for (i = 0; i < nr; i += each) {
		size_t last = i + each < nr ? i + each - 1 : nr - 1;

		atomic_store_explicit(&from[made], range(i, arg).addr, memory_order_release);
		atomic_store_explicit(&to[made++], range(last, arg).end, memory_order_release);
	}
	atomic_store_explicit(&nr_ranges, made, memory_order_release);
	atomic_fetch_add(&sequence, 1); // after all bounds; partner: the first look in dxs_near
}

static uintptr_t bound(_Atomic uintptr_t *of)
{
	return atomic_load_explicit(of, memory_order_acquire);
}

// The index of the first range that ends behind addr.
static size_t lower_bound(uintptr_t addr, size_t nr)
{
	size_t lo = 0, hi = nr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (bound(&to[mid]) <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool dxs_near(uintptr_t addr, uintptr_t end)
{
	uint64_t seen = atomic_load(&sequence);
	size_t nr = atomic_load_explicit(&nr_ranges, memory_order_acquire);
	size_t i = lower_bound(addr, nr);

	return seen & 1 || (i < nr && bound(&from[i]) < end) || atomic_load(&sequence) != seen;
}
