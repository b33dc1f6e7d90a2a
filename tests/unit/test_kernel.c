// SPDX-License-Identifier: BSD-3-Clause
// test_kernel.c: which Linux this is, as uname(2) tells it, and where that is not to be believed.
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/utsname.h>

#include "base/kernel.h"

Test(kernel, before_it_was_asked_it_may_be_any)
{
	cr_expect_not(dxs_kernel_is_before(9999, 0));
	cr_expect_not(dxs_kernel_is_from(0, 0));
}

Test(kernel, it_is_what_it_calls_itself)
{
	struct utsname name;
	unsigned major, minor;

	cr_assert(!uname(&name) && sscanf(name.release, "%u.%u", &major, &minor) == 2);
	dxs_kernel_init();
	cr_expect_not(dxs_kernel_is_before(major, minor));
	cr_expect(dxs_kernel_is_before(major, minor + 1));
	cr_expect(dxs_kernel_is_before(major + 1, 0));
	cr_expect_not(dxs_kernel_is_before(major - 1, minor + 1));
	cr_expect(dxs_kernel_is_from(major, minor));
	cr_expect_not(dxs_kernel_is_from(major, minor + 1));
}

Test(kernel, a_version_that_is_made_up_is_not_known)
{
	cr_assert_neq(personality(UNAME26), -1);
	dxs_kernel_init();
	cr_expect_not(dxs_kernel_is_before(9999, 0));
	cr_expect_not(dxs_kernel_is_from(0, 0));
}
