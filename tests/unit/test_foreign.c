// SPDX-License-Identifier: BSD-3-Clause
// test_foreign.c: what is known of a number, and when it is forgotten.
#include <criterion/criterion.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/foreign.h"

static void learn(int fd)
{
	dxs_foreign_learn(fd, dxs_foreign_begin(fd));
}

static void setup(void)
{
	dxs_foreign_process();
	learn(5);
	cr_assert(dxs_foreign(5));
}

TestSuite(foreign, .init = setup);

Test(foreign, numbers_are_unknown_until_learned)
{
	cr_expect_not(dxs_foreign(4));
	cr_expect_not(dxs_foreign(6));
	cr_expect_not(dxs_foreign(-1));
	cr_expect_not(dxs_foreign(65536));
	learn(-1);
	learn(65536);
	dxs_foreign_forget(-1);
	dxs_foreign_forget(65536);
	cr_expect_not(dxs_foreign(-1) || dxs_foreign(65536));
}

Test(foreign, a_number_that_is_given_up_is_forgotten)
{
	learn(6);
	dxs_foreign_forget(5);
	cr_expect_not(dxs_foreign(5));
	cr_expect(dxs_foreign(6));
	learn(5);
	cr_expect(dxs_foreign(5));
	dxs_foreign_forget_range(6, UINT32_MAX);
	cr_expect(dxs_foreign(5));
	cr_expect_not(dxs_foreign(6));
}

// The number was given up between the question and the answer, and the generation went up.
Test(foreign, late_answers_do_not_count)
{
	struct dxs_foreign_question asked;

	asked = dxs_foreign_begin(7);
	dxs_foreign_forget(7);
	dxs_foreign_learn(7, asked);
	cr_expect_not(dxs_foreign(7));
	asked = dxs_foreign_begin(7);
	dxs_foreign_forget_range(0, 100);
	dxs_foreign_learn(7, asked);
	cr_expect_not(dxs_foreign(7));
	asked = dxs_foreign_begin(7);
	dxs_foreign_forget_all();
	dxs_foreign_learn(7, asked);
	cr_expect_not(dxs_foreign(7));
	learn(7);
	cr_expect(dxs_foreign(7));
}

Test(foreign, another_inode_makes_all_numbers_unknown)
{
	uint64_t before = dxs_foreign_generation();

	dxs_foreign_forget_all();
	cr_expect_gt(dxs_foreign_generation(), before);
	cr_expect_not(dxs_foreign(5));
}

Test(foreign, nothing_is_learned_after_stop)
{
	dxs_foreign_stop();
	cr_expect_not(dxs_foreign(5));
	learn(5);
	cr_expect_not(dxs_foreign(5));
}

Test(foreign, another_process_forgets_and_never_learns)
{
	int status;
	pid_t pid = fork(); // without dxs_foreign_process: as if it shared the memory

	if (!pid) {
		dxs_foreign_forget(5);
		learn(5);
		_exit(dxs_foreign(5) ? 1 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
}

Test(foreign, an_inode_that_was_added_may_be_tracked)
{
	unsigned nr = 0, i;

	for (i = 0; i < 100; i++)
		nr += dxs_foreign_may_be_tracked(1, i);
	cr_expect_eq(nr, 0);
	for (i = 0; i < 100; i++)
		dxs_foreign_add(1, i);
	for (i = 0; i < 100; i++)
		cr_expect(dxs_foreign_may_be_tracked(1, i));
	for (i = 100; i < 1100; i++)
		nr += dxs_foreign_may_be_tracked(1, i);
	cr_expect_lt(nr, 200);
}
