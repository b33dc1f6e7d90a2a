// SPDX-License-Identifier: BSD-3-Clause
// fds.c: hooks of calls that close descriptors or assign their numbers.
//
// To the program the library's descriptors do not exist (EBADF), so a program that closes everything does not close
// them. When a number is closed or assigned, the hooks also forget what the library knew about it (foreign.h).
#include <sys/resource.h>

#include "base/behind.h"
#include "base/fd.h"
#include "base/foreign.h"
#include "call/calls.h"
#include "hooks.h"
#include "process/fork.h"

static bool is_ours(int fd)
{
	return dxs_hooks_active && !dxs_inside && dxs_fd_is_ours(fd);
}

// Before the call that gives it up, and after it. Where nothing is tracked nothing is known.
static void forget(int fd)
{
	if (dxs_known_any())
		dxs_foreign_forget(fd);
}

int dxs_hook_given(int fd)
{
	forget(fd); // -1 is none
	return fd;
}

#define CLOSE(name)                                                                                                    \
	DXS_EXPORT int name(int fd)                                                                                    \
	{                                                                                                              \
		int ret;                                                                                               \
                                                                                                                       \
		if (is_ours(fd))                                                                                       \
			return (int)dxs_hook_return(-EBADF);                                                           \
		forget(fd);                                                                                            \
		ret = DXS_NEXT(name, (fd), SYS_close, fd);                                                             \
		forget(fd);                                                                                            \
		return ret;                                                                                            \
	}

CLOSE(close)
CLOSE(__close)

static int range_close(unsigned first, unsigned last, int flags)
{
	int ret;

	if (first > last)
		return 0;
	dxs_foreign_forget_range(first, last);
	ret = DXS_NEXT(close_range, (first, last, flags), SYS_close_range, first, last, flags);
	dxs_foreign_forget_range(first, last);
	return ret;
}

DXS_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	int ours = -1;

	if (flags & (int)CLOSE_RANGE_UNSHARE)
		dxs_foreign_stop();
	if (first > last || !dxs_hooks_active || flags & (int)CLOSE_RANGE_CLOEXEC)
		return DXS_NEXT(close_range, (first, last, flags), SYS_close_range, first, last,
				flags); // ours are close-on-exec anyway
	while (first <= INT32_MAX && (ours = dxs_fd_next((int)first)) >= 0 && (unsigned)ours <= last) {
		if (ours > 0 && range_close(first, (unsigned)ours - 1, flags))
			return -1;
		first = (unsigned)ours + 1;
	}
	return range_close(first, last, flags);
}

DXS_EXPORT void closefrom(int first)
{
	first = first < 0 ? 0 : first;
	if (!dxs_next.closefrom || (dxs_hooks_active && dxs_fd_next(first) >= 0)) {
		close_range((unsigned)first, ~0U, 0);
		return;
	}
	dxs_foreign_forget_range((unsigned)first, ~0U);
	dxs_next.closefrom(first);
	dxs_foreign_forget_range((unsigned)first, ~0U);
}

// Whether the program may have this number: ours there goes to another. The child of a vfork has numbers of its own.
static bool may_have(int fd)
{
	return !is_ours(fd) || !dxs_fork_is_owner() || dxs_fd_yield(fd);
}

// To the program ours are not open.
#define DUP2(name)                                                                                                     \
	DXS_EXPORT int name(int from, int to)                                                                          \
	{                                                                                                              \
		if (is_ours(from) || (from != to && !may_have(to)))                                                    \
			return (int)dxs_hook_return(-EBADF);                                                           \
		if (from == to) /* dup3 would refuse */                                                                \
			return DXS_NEXT(name, (from, to), SYS_fcntl, from, F_GETFD) < 0 ? -1 : to;                     \
		forget(to);                                                                                            \
		return dxs_hook_given(DXS_NEXT(name, (from, to), SYS_dup3, from, to, 0));                              \
	}

DUP2(dup2)
DUP2(__dup2)

DXS_EXPORT int dup3(int from, int to, int flags)
{
	if (from != to && (is_ours(from) || !may_have(to))) // the kernel refuses equal ones
		return (int)dxs_hook_return(-EBADF);
	forget(to);
	return dxs_hook_given(DXS_NEXT(dup3, (from, to, flags), SYS_dup3, from, to, flags));
}

// The lowest number of ours that an F_DUPFD would have given; -1: none.
static int in_the_way(int ret, int from)
{
	struct rlimit limit = {0};
	int ours = dxs_fd_next(from);

	if (ret >= 0)
		return ours < ret ? ours : -1;
	if (ours < 0 || errno != EMFILE || dxs_sys6(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit, 0, 0))
		return -1;
	return (rlim_t)ours < limit.rlim_cur ? ours : -1;
}

int dxs_hook_lowest(int ret, int fd, int cmd, int from)
{
	int ours;

	while (dxs_hooks_active && !dxs_inside && (ours = in_the_way(ret, from)) >= 0 && dxs_fork_is_owner() &&
	       dxs_fd_yield(ours)) {
		if (ret >= 0)
			dxs_sys_close(ret);
		ret = (int)dxs_hook_return(dxs_sys6(SYS_fcntl, fd, cmd, from, 0, 0, 0));
	}
	return ret;
}

DXS_EXPORT int dup(int fd)
{
	return dxs_hook_given(DXS_NEXT(dup, (fd), SYS_dup, fd));
}

DXS_EXPORT int pidfd_getfd(int pidfd, int fd, unsigned flags)
{
	return dxs_hook_given(DXS_NEXT(pidfd_getfd, (pidfd, fd, flags), SYS_pidfd_getfd, pidfd, fd, flags));
}

DXS_EXPORT int closedir(DIR *dir)
{
	DIR *volatile it = dir; // declared as never NULL, for which libc has an answer all the same
	int fd = it ? dirfd(it) : -1, ret;

	dxs_hooks_fill();
	forget(fd);
	ret = dxs_next.closedir(dir);
	forget(fd);
	return ret;
}

// What is read from its descriptor brings open ones.
DXS_EXPORT int fanotify_init(unsigned flags, unsigned event_flags)
{
	dxs_foreign_stop();
	return DXS_NEXT(fanotify_init, (flags, event_flags), SYS_fanotify_init, flags, event_flags);
}

// A thread with a table of its own; or whose children may have this process's number.
DXS_EXPORT int unshare(int flags)
{
	if (flags & (CLONE_FILES | CLONE_NEWPID))
		dxs_foreign_stop();
	return DXS_NEXT(unshare, (flags), SYS_unshare, flags);
}
