// SPDX-License-Identifier: BSD-3-Clause
// without.c: without CALL[,CALL...] PROGRAM [ARGUMENT...]: runs a program in a sandbox that answers these system calls with
// EPERM. With no argument it lists the calls that it knows. Exit status 125: there is no call of that name here.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_CALLS 16
#define CALL(name) #name, SYS_##name

static const struct {
	const char *name;
	unsigned nr;
} calls[] = {
	{CALL(fallocate)},
	{CALL(fcntl)},
	{CALL(flock)},
	{CALL(getdents64)},
	{CALL(getrandom)},
	{CALL(ioctl)},
	{CALL(kcmp)},
	{CALL(lseek)},
	{CALL(madvise)},
	{CALL(membarrier)},
	{CALL(memfd_create)},
	{CALL(mincore)},
	{CALL(mlock)},
	{CALL(mremap)},
	{CALL(prctl)},
	{CALL(prlimit64)},
	{CALL(process_vm_readv)},
	{CALL(readlinkat)},
	{CALL(rt_sigpending)},
	{CALL(rt_sigtimedwait)},
	{CALL(sched_getaffinity)},
	{CALL(sigaltstack)},
	{CALL(statx)},
	{CALL(statfs)},
	{CALL(fstatfs)},
	{CALL(unlinkat)},
	{CALL(userfaultfd)},
	{CALL(unshare)},
	{CALL(pwrite64)},
	{CALL(tgkill)},
#ifdef SYS_readlink
	{CALL(readlink)},
	{CALL(unlink)},
#endif
#ifdef SYS_pkey_alloc
	{CALL(pkey_alloc)},
#endif
};

// The number of the call, or -1.
static long call_nr(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (!strcmp(calls[i].name, name))
			return calls[i].nr;
	return -1;
}

static int forbid(char *names)
{
	struct sock_filter filter[2 * MAX_CALLS + 2] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog program = {1, filter};
	char *name;

	for (name = strtok(names, ","); name; name = strtok(NULL, ",")) {
		long nr = call_nr(name);

		if (nr < 0 || program.len > 2 * MAX_CALLS)
			return 125;
		filter[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1);
		filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	}
	filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 0;
	perror("no seccomp filter can be set");
	return 77;
}

static int list(void)
{
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		puts(calls[i].name);
	return 0;
}

int main(int argc, char **argv)
{
	int ret;

	if (argc < 3)
		return list();
	ret = forbid(argv[1]);
	if (ret)
		return ret;
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
