// SPDX-License-Identifier: BSD-3-Clause
// last_thread.c: A process ends with the program's last thread, however that one leaves. A thread of the library's own
// would keep it alive: the child is then ended by its alarm.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((size_t)1 << 20)

static const char *path;

static void leave_raw(void)
{
	syscall(SYS_exit, 3);
}

// libseccomp's SCMP_ACT_KILL is this action too.
static void killed_by_a_filter(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
	getppid();
}

static void leave_by_libc(void)
{
	pthread_exit(NULL);
}

static bool first_thread_is_gone(void)
{
	char stat[256] = {0};
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, stat, sizeof(stat) - 1) <= 0)
		_exit(96);
	close(fd);
	return strstr(stat, ") Z ");
}

static void (*chosen)(void);

static void *run(void *arg)
{
	while (!first_thread_is_gone())
		sched_yield();
	chosen();
	return arg;
}

// The first thread leaves at once, by libc or not; then the second in the chosen way.
static void first_by_libc(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, run, NULL);
	pthread_exit(NULL);
}

static void first_raw(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, run, NULL);
	syscall(SYS_exit, 4);
}

static void at_exit(void)
{
	puts("exit handlers run");
}

static void child(void (*way)(void))
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *map;

	alarm(20);
	atexit(at_exit);
	if (ftruncate(fd, (off_t)SIZE))
		_exit(99);
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	map[0] = 1;
	if (msync(map, SIZE, MS_SYNC))
		_exit(98);
	map[0] = 2; // traps
	way();
}

static void try(const char *name, void (*way)(void), void (*second)(void))
{
	int status = 0;
	pid_t pid;

	chosen = second;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		child(way);
		_exit(97);
	}
	waitpid(pid, &status, 0);
	printf("%s: %#x\n", name, status & ~0x80); // with or without a core dump
}

int main(int argc, char **argv)
{
	path = argc > 1 ? argv[1] : "/dev/shm/last_thread";
	try("the only thread, by the system call", leave_raw, NULL);
	try("the only thread, by libc", leave_by_libc, NULL);
	try("the only thread, killed by a filter", killed_by_a_filter, NULL);
	try("behind a pthread_exit, by the system call", first_by_libc, leave_raw);
	try("behind a pthread_exit, by libc", first_by_libc, leave_by_libc);
	try("behind a pthread_exit, killed by a filter", first_by_libc, killed_by_a_filter);
	try("behind the system call, by the system call", first_raw, leave_raw);
	try("behind the system call, killed by a filter", first_raw, killed_by_a_filter);
	return 0;
}
