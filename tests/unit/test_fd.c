// SPDX-License-Identifier: BSD-3-Clause
// test_fd.c: the library's own descriptors in the program's table.
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"

#define SOME 8 // no more than DXS_FD_MAX

static int some_fd(void)
{
	int fd = open("/dev/null", O_RDONLY);

	cr_assert(fd >= 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

Test(fd, a_hidden_descriptor_is_moved_up_and_closed_on_exec)
{
	int low = some_fd(), high = dxs_fd_hide(low);

	cr_expect_gt(high, low);
	cr_expect_not(is_open(low));
	cr_expect(fcntl(high, F_GETFD) & FD_CLOEXEC);
	cr_expect_eq(some_fd(), low, "the program gets the number that it expects");
}

Test(fd, only_hidden_descriptors_are_ours)
{
	int other = some_fd(), ours = dxs_fd_hide(some_fd());

	cr_expect(dxs_fd_is_ours(ours));
	cr_expect_not(dxs_fd_is_ours(other));
	cr_expect_not(dxs_fd_is_ours(-1));
	cr_expect_not(dxs_fd_is_ours(0));
	cr_expect_not(dxs_fd_is_ours(ours + 1));
}

Test(fd, a_closed_one_is_forgotten)
{
	int ours = dxs_fd_hide(some_fd());

	dxs_fd_close(ours);
	cr_expect_not(is_open(ours));
	cr_expect_not(dxs_fd_is_ours(ours));
	cr_expect_eq(dxs_fd_next(0), -1);
}

Test(fd, next_walks_all_in_ascending_order)
{
	int fd[SOME], at = -1;

	for (int i = 0; i < SOME; i++)
		fd[i] = dxs_fd_hide(some_fd());
	dxs_fd_close(fd[3]);
	fd[3] = dxs_fd_hide(some_fd()); // into the slot that is free again
	for (int i = 0; i < SOME; i++) {
		int before = at;

		at = dxs_fd_next(at + 1);
		cr_expect_gt(at, before);
		cr_expect(dxs_fd_is_ours(at));
	}
	cr_expect_eq(dxs_fd_next(at + 1), -1);
}

Test(fd, with_no_number_free_the_old_one_is_kept)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct rlimit limit = {(rlim_t)fd + 1, (rlim_t)fd + 1};

	for (int i = 0; i < fd; i++)
		cr_assert(is_open(i), "the table has a hole at %d", i);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_expect_eq(dxs_fd_hide(fd), fd);
	cr_expect(is_open(fd));
	cr_expect(dxs_fd_is_ours(fd));
	errno = 0;
	cr_expect_not(dxs_fd_is_ours(fd + 1));
}

static _Atomic int where, mover_tid, is_moved;

static void *mover(void *arg)
{
	atomic_store(&mover_tid, gettid());
	dxs_fd_yield(*(int *)arg);
	atomic_store(&is_moved, 1);
	return NULL;
}

// Or is over.
static bool mover_sleeps(void)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(&mover_tid));
	file = fopen(path, "r");
	if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 'S';
	if (file)
		fclose(file);
	return state == 'S' || atomic_load(&is_moved);
}

Test(fd, a_number_that_the_program_wants_stays_open_while_it_is_used)
{
	int fd = dxs_fd_hide(some_fd());
	unsigned section;
	pthread_t thread;

	atomic_store(&where, fd);
	dxs_fd_register(fd, &where);
	section = dxs_fd_enter();
	cr_assert_eq(pthread_create(&thread, NULL, mover, &fd), 0);
	while (atomic_load(&where) == fd || !mover_sleeps())
		;
	cr_expect_not(atomic_load(&is_moved));
	cr_expect(is_open(fd));
	dxs_fd_exit(section);
	pthread_join(thread, NULL);
	cr_expect_not(is_open(fd));
	cr_expect(is_open(atomic_load(&where)));
	cr_expect(dxs_fd_is_ours(atomic_load(&where)));
	cr_expect_not(dxs_fd_is_ours(fd));
}

Test(fd, one_that_is_kept_nowhere_stays)
{
	int fd = dxs_fd_hide(some_fd());

	cr_expect_not(dxs_fd_yield(fd));
	cr_expect(is_open(fd));
}
