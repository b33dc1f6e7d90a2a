// SPDX-License-Identifier: BSD-3-Clause
// sys.c: calls that are more than one, and where an observer makes one fail.
#include "sys.h"

#include <signal.h>
#include <time.h>

long (*dxs_sys_planted)(long nr);

// Nothing else is blocked: a write to a pipe may sleep until a handler has made room.
long dxs_sys_grow(long nr, long a, long b, long c, long d)
{
	dxs_sigset limit = 1ULL << (SIGXFSZ - 1), pending = 0, old = 0;
	struct timespec now = {0};
	long ret;

	dxs_sys6(SYS_rt_sigprocmask, SIG_BLOCK, (long)&limit, (long)&old, sizeof(old), 0, 0);
	dxs_sys6(SYS_rt_sigpending, (long)&pending, sizeof(pending), 0, 0, 0, 0);
	ret = dxs_sys6(nr, a, b, c, d, 0, 0);
	if (ret == -EFBIG && !(pending & limit)) // else it is the program's
		dxs_sys6(SYS_rt_sigtimedwait, (long)&limit, 0, (long)&now, sizeof(limit), 0, 0);
	if (!(old & limit))
		dxs_sys6(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&limit, 0, sizeof(limit), 0, 0);
	return ret;
}
