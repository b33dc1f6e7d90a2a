// SPDX-License-Identifier: BSD-3-Clause
// test_witness.c: which orders of locks the witness lets pass.
#include <criterion/criterion.h>
#include <signal.h>

#ifndef DXS_WITNESS // a release build: the library has none
#define DXS_WITNESS
#include "base/witness.c"
#endif
#include "base/lock.h"

static struct dxs_mutex outer = {.rank = DXS_RANK_REGISTRY}, inner = {.rank = DXS_RANK_FD},
			another = {.rank = DXS_RANK_FD};
static struct dxs_mutex unranked;
static struct dxs_shared shared = {.rank = DXS_RANK_MAPS};

Test(witness, outer_before_inner)
{
	for (int i = 0; i < 2; i++) {
		dxs_mutex_lock(&outer);
		dxs_shared_lock(&shared);
		dxs_mutex_lock(&inner);
		dxs_mutex_unlock(&inner);
		dxs_shared_unlock(&shared);
		dxs_mutex_unlock(&outer);
	}
}

Test(witness, inner_is_free_again)
{
	dxs_mutex_lock(&inner);
	dxs_mutex_unlock(&inner);
	dxs_exclusive_lock(&shared);
	dxs_exclusive_unlock(&shared);
	dxs_mutex_lock(&outer);
	dxs_mutex_unlock(&outer);
}

Test(witness, inner_before_outer, .signal = SIGILL)
{
	dxs_mutex_lock(&inner);
	dxs_mutex_lock(&outer);
}

Test(witness, inner_before_shared, .signal = SIGILL)
{
	dxs_mutex_lock(&inner);
	dxs_shared_lock(&shared);
}

Test(witness, inner_before_exclusive, .signal = SIGILL)
{
	dxs_mutex_lock(&inner);
	dxs_exclusive_lock(&shared);
}

Test(witness, two_of_one_rank, .signal = SIGILL)
{
	dxs_mutex_lock(&inner);
	dxs_mutex_lock(&another);
}

// Who does not wait makes nobody wait for ever. What it has got counts.
Test(witness, trylock_in_any_order)
{
	dxs_mutex_lock(&inner);
	cr_assert(dxs_mutex_trylock(&outer));
	cr_assert_not(dxs_mutex_trylock(&outer));
	dxs_mutex_unlock(&outer);
	dxs_mutex_unlock(&inner);
}

Test(witness, behind_a_trylock, .signal = SIGILL)
{
	cr_assert(dxs_mutex_trylock(&inner));
	dxs_mutex_lock(&outer);
}

Test(witness, two_files, .signal = SIGILL)
{
	dxs_witness_take(DXS_RANK_MAPS, true);
	dxs_witness_take(DXS_RANK_MAPS, true);
}

Test(witness, two_files_under_the_registry)
{
	dxs_mutex_lock(&outer);
	dxs_witness_take(DXS_RANK_MAPS, true);
	dxs_witness_take(DXS_RANK_MAPS, true);
	dxs_witness_release(DXS_RANK_MAPS);
	dxs_witness_release(DXS_RANK_MAPS);
	dxs_mutex_unlock(&outer);
}

Test(witness, page_locks_among_themselves)
{
	dxs_witness_take(DXS_RANK_PAGE, true);
	dxs_witness_take(DXS_RANK_PAGE, true);
	dxs_witness_release(DXS_RANK_PAGE);
	dxs_witness_release(DXS_RANK_PAGE);
}

Test(witness, page_lock_is_still_held, .signal = SIGILL)
{
	dxs_witness_take(DXS_RANK_PAGE, true);
	dxs_witness_take(DXS_RANK_PAGE, true);
	dxs_witness_release(DXS_RANK_PAGE);
	dxs_mutex_lock(&outer);
}

Test(witness, release_of_what_is_not_held, .signal = SIGILL)
{
	dxs_witness_release(DXS_RANK_MAPS);
}

Test(witness, without_a_rank)
{
	dxs_mutex_lock(&inner);
	dxs_mutex_lock(&unranked);
	dxs_mutex_unlock(&unranked);
	dxs_mutex_unlock(&inner);
}
