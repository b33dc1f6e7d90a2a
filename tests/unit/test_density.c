// SPDX-License-Identifier: BSD-3-Clause
// test_density.c: huge pages are split where stores are sparse, and stay whole where they are dense.
#include <criterion/criterion.h>

#include "engine/density.h"

#define HUGE ((uintptr_t)2 << 20)

static struct dxs_density density;
static uintptr_t next = HUGE;

// Stores to `nr` pages of each of so many huge pages, one after the other; returns how many of these were split.
static unsigned splits(unsigned huge_pages, uint64_t nr)
{
	unsigned split = 0;

	for (; huge_pages; huge_pages--, next += HUGE) {
		if (dxs_density_whole(&density, next))
			continue;
		split++;
		cr_assert(dxs_density_is_probe(&density, next));
		for (uint64_t open = 1; open <= nr && dxs_density_is_probe(&density, next); open++)
			dxs_density_found(&density, open);
	}
	return split;
}

Test(density, sparse_stores_split_all)
{
	cr_expect_eq(splits(1000, 1), 1000);
	cr_expect_eq(splits(1000, DXS_DENSE - 1), 1000);
}

Test(density, dense_stores_split_few)
{
	cr_expect_eq(splits(16 + 32 + 64 + 128 + 256 + 5, DXS_DENSE), 5);
	cr_expect_eq(splits(256 * 3 + 3, 512), 3, "one in 256, from then on");
}

Test(density, the_end_of_dense_stores_is_seen)
{
	splits(10000, 512);
	cr_expect_geq(splits(1000, 1), 1000 - 256);
	cr_expect_eq(splits(100, 1), 100);
	splits(1, 512);
	cr_expect_eq(splits(17, 1), 1, "what was learned is forgotten: 16 whole ones again");
}

Test(density, only_the_probe_is_judged)
{
	cr_assert_not(dxs_density_whole(&density, HUGE));
	cr_assert_not(dxs_density_whole(&density, 2 * HUGE));
	cr_expect_not(dxs_density_is_probe(&density, HUGE));
	cr_expect(dxs_density_is_probe(&density, 2 * HUGE));
}
