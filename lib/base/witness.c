// SPDX-License-Identifier: BSD-3-Clause
// witness.c: checks the order of locks.
#include "base/witness.h"

#ifdef DXS_WITNESS

#include "base/log.h"
#include "base/sys.h"

static const char *const names[] = {"a lock without a rank",
#define X(name, what) what,
				    DXS_RANKS(X)
#undef X
};

static DXS_THREAD unsigned held[DXS_NR_RANKS];

static bool is_out_of_order(enum dxs_rank rank, enum dxs_rank other)
{
	if (other == rank)
		return rank != DXS_RANK_PAGE && !(rank == DXS_RANK_MAPS && held[DXS_RANK_REGISTRY]);
	return other > rank;
}

void dxs_witness_take(enum dxs_rank rank, bool may_wait)
{
	for (enum dxs_rank other = rank; may_wait && rank && other < DXS_NR_RANKS; other++)
		if (held[other] && is_out_of_order(rank, other)) {
			dxs_error("lock order: %s is taken while %s is held", names[rank], names[other]);
			__builtin_trap();
		}
	held[rank]++;
}

void dxs_witness_release(enum dxs_rank rank)
{
	if (!held[rank]) {
		dxs_error("lock order: %s is released, and was not held", names[rank]);
		__builtin_trap();
	}
	held[rank]--;
}

#endif
