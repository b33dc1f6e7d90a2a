// SPDX-License-Identifier: BSD-3-Clause
// fds.c: hooks that keep a program which closes everything from closing the library's descriptors. To the program they
// do not exist: EBADF.
#include "fd.h"
#include "hooks.h"
#include "track.h"

static bool is_ours(int fd)
{
	return dxs_hooks_active && !dxs_inside && dxs_fd_is_ours(fd);
}

DXS_EXPORT int close(int fd)
{
	if (is_ours(fd))
		return (int)dxs_hook_return(-EBADF);
	return DXS_NEXT(close, (fd), SYS_close, fd);
}

static int range_close(unsigned first, unsigned last, int flags)
{
	return first > last ? 0 : DXS_NEXT(close_range, (first, last, flags), SYS_close_range, first, last, flags);
}

DXS_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	int ours = -1;

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
	close_range(first < 0 ? 0 : (unsigned)first, ~0U, 0);
}

// Our numbers are high (fd.c); a program that asks for one of them is told that it may not have it.
DXS_EXPORT int dup2(int from, int to)
{
	if (is_ours(from) || (is_ours(to) && from != to))
		return (int)dxs_hook_return(-EBADF);
	if (from == to) // dup3 would refuse
		return fcntl(from, F_GETFD) < 0 ? -1 : to;
	return DXS_NEXT(dup2, (from, to), SYS_dup3, from, to, 0);
}

DXS_EXPORT int dup3(int from, int to, int flags)
{
	if (is_ours(from) || is_ours(to))
		return (int)dxs_hook_return(-EBADF);
	return DXS_NEXT(dup3, (from, to, flags), SYS_dup3, from, to, flags);
}
