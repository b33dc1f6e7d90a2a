// SPDX-License-Identifier: BSD-3-Clause
// detached.c: a short-lived task with a descriptor table of its own.
#define DXS_SYS_SPARED // these calls emulate
#include "base/detached.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/sys.h"

#define STACK ((size_t)512 << 10)

int dxs_detached(int (*fn)(void *arg), void *arg)
{
	char *stack = dxs_sys_mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
				   0);
	int saved = errno, status = 0, pid;
	long ret;

	if (dxs_is_err(stack))
		return -ENOMEM;
	// CLONE_VFORK: this thread sleeps meanwhile, so that the task may use its thread-local storage. No exit signal:
	// the application's wait() and SIGCHLD handler never see it.
	pid = clone(fn, stack + STACK, CLONE_VM | CLONE_VFORK, arg);
	ret = pid < 0 ? -errno : 0;
	while (pid > 0) {
		ret = dxs_sys6(SYS_wait4, pid, (long)&status, __WALL, 0, 0, 0);
		if (ret != -EINTR)
			break;
	}
	errno = saved;
	dxs_sys_munmap(stack, STACK);
	if (ret < 0)
		return (int)ret;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}
