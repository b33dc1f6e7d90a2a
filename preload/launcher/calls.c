// SPDX-License-Identifier: BSD-3-Clause
// calls.c: finds out which of the library's system calls a filter refuses.
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/filter.h"
#include "check.h"

#define CALL(name) #name, SYS_##name

// What doc/using.md lists, as far as a first argument of -1 and else zeros make it fail without effect.
static const struct {
	const char *name;
	long nr;
} calls[] = {
	{CALL(close)},
	{CALL(fallocate)},
	{CALL(fchmod)},
	{CALL(fcntl)},
	{CALL(fdatasync)},
	{CALL(flock)},
	{CALL(fstat)},
	{CALL(fstatfs)},
	{CALL(fsync)},
	{CALL(ftruncate)},
	{CALL(futex)},
	{CALL(getdents64)},
	{CALL(getpid)},
	{CALL(gettid)},
	{CALL(ioctl)},
	{CALL(lseek)},
	{CALL(madvise)},
	{CALL(memfd_create)},
	{CALL(mincore)},
	{CALL(mmap)},
	{CALL(mprotect)},
	{CALL(mremap)},
	{CALL(msync)},
	{CALL(munmap)},
	{CALL(nanosleep)},
	{CALL(newfstatat)},
	{CALL(openat)},
	{CALL(pread64)},
	{CALL(prlimit64)},
	{CALL(process_vm_readv)},
	{CALL(pwrite64)},
	{CALL(pwritev)},
	{CALL(read)},
	{CALL(readlinkat)},
	{CALL(rt_sigaction)},
	{CALL(rt_sigpending)},
	{CALL(rt_sigprocmask)},
	{CALL(rt_sigtimedwait)},
	{CALL(rt_tgsigqueueinfo)},
	{CALL(statx)},
	{CALL(sysinfo)},
	{CALL(unlinkat)},
	{CALL(userfaultfd)},
	{CALL(wait4)},
	{CALL(write)},
};

enum { ALLOWED, REFUSED, ENDED };

// In a child: a filter may end whoever tries.
static int try(long nr)
{
	struct rlimit none = {0, 0};
	int status = 0;
	pid_t pid = fork();
	long ret;

	if (pid < 0)
		return ALLOWED;
	if (!pid) {
		setrlimit(RLIMIT_CORE, &none);
		ret = dxs_sys6(nr, -1, 0, 0, 0, 0, 0);
		_exit(ret == -EPERM || ret == -ENOSYS || ret == -EACCES ? REFUSED : ALLOWED);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : ENDED;
}

void dxs_check_calls(void)
{
	size_t i, nr_refused = 0;

	if (!dxs_is_filtered()) {
		dxs_check_say("filter", "none of system calls");
		return;
	}
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int outcome = try(calls[i].nr);

		if (outcome == ALLOWED)
			continue;
		dxs_check_say("filter", "%s %s", calls[i].name, outcome == ENDED ? "ends the process" : "is refused");
		nr_refused++;
	}
	if (!nr_refused)
		dxs_check_say("filter", "refuses no system call of the library's");
}
