// SPDX-License-Identifier: BSD-3-Clause
// runs.h: runs of ones in a mask of a leaf's entries.
#ifndef DXS_RUNS_H
#define DXS_RUNS_H

#include <stdbool.h>
#include <stdint.h>

// Each run of ones in mask: from `from` up to `to`.
#define for_each_run(mask, from, to)                                                                                   \
	for (uint64_t rest_ = (mask); rest_ && (dxs_run_bounds(rest_, &(from), &(to)), true);                          \
	     rest_ = (to) == 63 ? 0 : rest_ & (~0ULL << ((to) + 1)))

static inline void dxs_run_bounds(uint64_t mask, unsigned *from, unsigned *to)
{
	uint64_t gaps;

	*from = (unsigned)__builtin_ctzll(mask);
	gaps = ~mask & (~0ULL << *from);
	*to = gaps ? (unsigned)__builtin_ctzll(gaps) - 1 : 63;
}

#endif
