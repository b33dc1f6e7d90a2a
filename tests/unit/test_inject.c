// SPDX-License-Identifier: BSD-3-Clause
// test_inject.c: injected failure: what DAXSYNC_FAULT says, and how often they happen.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/failure.h"
#include "base/sys.h"
#include "inject.h"

static char why[64];

static int parse(const char *spec)
{
	return inject_parse(spec, why, sizeof(why));
}

Test(inject, nothing_fails_unless_asked_for)
{
	for (int i = 0; i < DXS_NR_FAILURES; i++)
		cr_expect_not(dxs_injected((enum dxs_failure)i));
	cr_expect_eq(parse(""), 0);
	cr_expect_null(dxs_injector);
}

static int nr_failing(void)
{
	int nr = 0;

	for (int i = 0; i < DXS_NR_FAILURES; i++)
		nr += dxs_injected((enum dxs_failure)i);
	return nr;
}

// clang-format off: versions 14 and 19 disagree on the brace before the macro
Test(inject, every_name_turns_on_its_own_failure)
{
#define X(name, suffix, meaning)                                                                                       \
	cr_expect_eq(parse(name), 0, "%s", name);                                                                      \
	cr_expect(dxs_injected(DXS_FAIL_##suffix), "%s", name);                                                        \
	cr_expect_eq(nr_failing(), 1, "%s", name);
	DXS_FAILURES(X)
#undef X
}

// clang-format on
Test(inject, several_can_be_asked_for_at_once)
{
	cr_expect_eq(parse("flush-error,close-error:1,no-putback:7,"), 0);
	cr_expect(dxs_injected(DXS_FAIL_FLUSH_ERROR));
	cr_expect(dxs_injected(DXS_FAIL_CLOSE_ERROR));
	cr_expect_not(dxs_injected(DXS_FAIL_SKIP_FLUSH), "another one is asked for");
}

Test(inject, wrong_text_is_refused_and_named)
{
	static const char *const wrong[] = {
		"bogus",
		"flush-erro",
		"flush-errorx",
		"flush-error:",
		"flush-error:0",
		"flush-error:x",
		"flush-error:-1",
		"flush-error:1x",
		":3",
		"flush-error@",
		"flush-error@0",
		"flush-error@3:2",
		",",
		"flush-error:1:2",
		" flush-error",
		"flush-error:99999999999",
		"Flush-Error",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_expect_eq(parse(wrong[i]), -EINVAL, "%s", wrong[i]);
		cr_expect_not_null(strstr(why, wrong[i]), "%s: %s", wrong[i], why);
	}
	cr_expect_null(dxs_injector);
}

// A run that injects some of the list only proves something else.
Test(inject, a_list_with_a_wrong_part_injects_nothing)
{
	cr_expect_eq(parse("flush-error"), 0);
	cr_expect_eq(parse("flush-error,bogus"), -EINVAL);
	cr_expect_null(dxs_injector);
}

Test(inject, one_in_n_happens_about_every_nth_time)
{
	enum { ROLLS = 100000 };
	unsigned nr = 0;

	cr_assert_eq(parse("skip-flush:10"), 0);
	for (int i = 0; i < ROLLS; i++)
		nr += dxs_injected(DXS_FAIL_SKIP_FLUSH);
	cr_expect_gt(nr, ROLLS / 10 - ROLLS / 100);
	cr_expect_lt(nr, ROLLS / 10 + ROLLS / 100);
	cr_expect_eq(nr, inject_count());
}

Test(inject, the_nth_occasion_is_the_only_one)
{
	cr_assert_eq(parse("flush-error@3,skip-flush@1"), 0);
	cr_expect(dxs_injected(DXS_FAIL_SKIP_FLUSH));
	for (int i = 1; i < 100; i++)
		cr_expect_eq(dxs_injected(DXS_FAIL_FLUSH_ERROR), i == 3, "%d", i);
	cr_expect_not(dxs_injected(DXS_FAIL_SKIP_FLUSH));
}

Test(inject, a_system_call_is_refused_once)
{
	cr_assert_eq(parse("sys-munmap@2"), 0);
	cr_expect_eq(dxs_sys_munmap(NULL, 0), -EINVAL, "the kernel's answer");
	cr_expect_eq(dxs_sys_munmap(NULL, 0), -ENOMEM);
	cr_expect_eq(dxs_sys_munmap(NULL, 0), -EINVAL);
}

Test(inject, an_allocation_fails_once)
{
	void *first, *third;

	cr_assert_eq(parse("alloc@2"), 0);
	first = dxs_zalloc(16);
	cr_expect_not_null(first);
	cr_expect_null(dxs_zalloc(16));
	third = dxs_zalloc(16);
	cr_expect_not_null(third);
	dxs_free(first);
	dxs_free(third);
}

// Golden values: a run that is repeated, in another process, fails at the same places.
Test(inject, the_nth_roll_is_the_same_in_every_run)
{
	static const char expected[] = "..xx..x....x....x....x.....x.x......x..x";
	char rolls[sizeof(expected)] = "";

	cr_assert_eq(parse("flush-error:3"), 0);
	for (size_t i = 0; i < sizeof(rolls) - 1; i++)
		rolls[i] = dxs_injected(DXS_FAIL_FLUSH_ERROR) ? 'x' : '.';
	cr_expect_str_eq(rolls, expected);
}
