// SPDX-License-Identifier: BSD-3-Clause
// test_near.c: no address of a mapping is ever far, and few others are near.
#include <criterion/criterion.h>

#include "base/near.h"

// The i-th of `nr` mappings of one page, each behind a gap of one page.
static struct dxs_near_range every_second(size_t index, const void *arg)
{
	uintptr_t addr = (uintptr_t)(2 * index + 1) << 12;

	(void)arg;
	return (struct dxs_near_range){addr, addr + 4096};
}

static void set(size_t nr)
{
	dxs_near_begin();
	dxs_near_end(nr, every_second, NULL);
}

Test(near, without_mappings_nothing_is_near)
{
	cr_expect_not(dxs_near(0, UINTPTR_MAX));
}

Test(near, up_to_64_mappings_the_answer_is_exact)
{
	size_t nr, i;

	for (nr = 1; nr <= 64; nr++) {
		set(nr);
		for (i = 0; i <= 2 * nr + 2; i++) {
			uintptr_t addr = (uintptr_t)i << 12;
			bool mapped = i % 2 && i < 2 * nr;

			cr_expect_eq(dxs_near(addr, addr + 4096), mapped, "%zu of %zu", i, nr);
			cr_expect_eq(dxs_near(addr + 4095, addr + 4096), mapped);
		}
	}
}

Test(near, with_more_mappings_none_is_forgotten)
{
	size_t nr, i;

	for (nr = 65; nr < 400; nr += 7) {
		set(nr);
		for (i = 0; i < nr; i++) {
			struct dxs_near_range range = every_second(i, NULL);

			cr_expect(dxs_near(range.addr, range.addr + 1));
			cr_expect(dxs_near(range.end - 1, range.end));
		}
		cr_expect_not(dxs_near(0, 4096));
		cr_expect_not(dxs_near((uintptr_t)2 * nr << 12, UINTPTR_MAX));
	}
}

Test(near, while_mappings_change_everything_is_near)
{
	set(3);
	dxs_near_begin();
	cr_expect(dxs_near((uintptr_t)1 << 40, ((uintptr_t)1 << 40) + 1));
	dxs_near_begin(); // a child of a raw clone, made inside a change
	cr_expect(dxs_near((uintptr_t)1 << 40, ((uintptr_t)1 << 40) + 1));
	dxs_near_end(0, every_second, NULL);
	cr_expect_not(dxs_near(0, UINTPTR_MAX));
}
