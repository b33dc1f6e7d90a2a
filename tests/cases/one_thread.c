// SPDX-License-Identifier: BSD-3-Clause
// one_thread.c: What the kernel allows to a process of one thread only. A thread of the library's own would make it
// fail: unshare of a user namespace, as rootless sandboxes do, with EINVAL (check_unshare_flags in kernel/fork.c, Linux 6.12,
// comes before the permission).
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((size_t)1 << 20)

static char *map;

static void store_and_sync(const char *when)
{
	static char value;
	int ret;

	map[0] = map[SIZE / 2] = ++value;
	ret = msync(map, SIZE, MS_SYNC);
	printf("msync %s: %d, %d %d\n", when, ret, map[0], map[SIZE / 2]);
}

static void say_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int nr = 0;

	while (dir && (entry = readdir(dir)))
		nr += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	printf("threads: %d\n", nr);
}

static int try(const char *what, int flags)
{
	int ret;

	errno = 0;
	ret = unshare(flags);
	printf("unshare(%s): %d %s\n", what, ret, strerrorname_np(errno));
	return ret;
}

static int in_child(void)
{
	pid_t pid;
	int status = 0;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		int ret = try("CLONE_NEWUSER | CLONE_NEWNS", CLONE_NEWUSER | CLONE_NEWNS);

		store_and_sync("in the child");
		fflush(stdout);
		_exit(ret ? 1 : 0);
	}
	waitpid(pid, &status, 0);
	return status;
}

int main(int argc, char **argv)
{
	int fd = open(argc > 1 ? argv[1] : "/dev/shm/one_thread", O_RDWR | O_CREAT | O_TRUNC, 0600), ns;

	if (fd < 0 || ftruncate(fd, (off_t)SIZE))
		return 1;
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 1;
	store_and_sync("at first");
	store_and_sync("again");
	say_threads();
	try("CLONE_NEWUSER", CLONE_NEWUSER); // EPERM in a chroot; the number of threads is looked at before that
	store_and_sync("in the namespace");
	printf("child: %#x\n", in_child());
	ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	errno = 0;
	printf("setns: %d %s\n", setns(ns, CLONE_NEWNS), strerrorname_np(errno));
	try("CLONE_VM", CLONE_VM);
	try("CLONE_SIGHAND", CLONE_SIGHAND);
	try("CLONE_THREAD", CLONE_THREAD);
	store_and_sync("in the end");
	return 0;
}
