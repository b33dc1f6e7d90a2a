// SPDX-License-Identifier: BSD-3-Clause
// sys.c: calls that are more than one, and where an injector makes one fail.
#include "base/sys.h"

#include <signal.h>
#include <time.h>

long (*dxs_sys_injected)(long nr);

// Nothing else is blocked: a write to a pipe may sleep until a handler has made room.
long dxs_sys_grow(long nr, long a, long b, long c, long d)
{
	dxs_sigset both = 1ULL << (SIGXFSZ - 1) | 1ULL << (SIGPIPE - 1), pending = 0, old = 0, ours = 0;
	struct timespec now = {0};
	long ret;

	dxs_sys6(SYS_rt_sigprocmask, SIG_BLOCK, (long)&both, (long)&old, sizeof(old), 0, 0);
	dxs_sys6(SYS_rt_sigpending, (long)&pending, sizeof(pending), 0, 0, 0, 0);
	ret = dxs_sys6(nr, a, b, c, d, 0, 0);
	if (ret == -EFBIG || ret == -EPIPE)
		ours = 1ULL << ((ret == -EFBIG ? SIGXFSZ : SIGPIPE) - 1) & ~pending; // else it is the program's
	if (ours)
		dxs_sys6(SYS_rt_sigtimedwait, (long)&ours, 0, (long)&now, sizeof(ours), 0, 0);
	both &= ~old;
	if (both)
		dxs_sys6(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&both, 0, sizeof(both), 0, 0);
	return ret;
}
