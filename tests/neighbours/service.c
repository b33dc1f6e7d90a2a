// SPDX-License-Identifier: BSD-3-Clause
// service.c: a filter of system calls as systemd sets it up for a service, and a program that works under one.
//     service kill|errno -- COMMAND...    the command, with the filter from the start
//     service kill|errno FILE             the program sets it up itself, when it has tracked a file already
//     service none FILE                   without
//     service forbidden                   a call that the filter does not know
// service_calls.h has the calls that it knows (service.sh).
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define NR_PAGES 512
#define SIZE ((size_t)NR_PAGES * PAGE)
#define CALL(name) SYS_##name,

static const long calls[] = {
#include "service_calls.h"
};
#define NR_CALLS (sizeof(calls) / sizeof(calls[0]))

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void filter_set(const char *action)
{
	static struct sock_filter filter[2 * NR_CALLS + 2] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog program = {1, filter};
	unsigned otherwise = strcmp(action, "kill") ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_KILL_PROCESS;
	size_t i;

	for (i = 0; i < NR_CALLS; i++) {
		filter[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0,
								     1);
		filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, otherwise);
	if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return;
	perror("no filter can be set up");
	exit(77);
}

static void say(const char *what, int ret)
{
	printf("%s: %d%s%s\n", what, ret, ret ? " " : "", ret ? strerror(errno) : "");
	fflush(stdout);
}

static void store(char *map, size_t first, size_t nr, char value)
{
	for (; nr; nr--, first++)
		map[first * PAGE + 17] = value;
}

static void sum(const char *what, const char *map, size_t nr)
{
	unsigned long total = 0;
	size_t i;

	for (i = 0; i < nr * PAGE; i++)
		total = total * 31 + (unsigned char)map[i];
	printf("%s: sum %lx\n", what, total);
}

static char *map_new(int fd, size_t size, int flags)
{
	char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);

	must(map != MAP_FAILED, "mmap");
	return map;
}

// A file without a name, written by both means.
static void nameless(void)
{
	int fd = memfd_create("service", MFD_CLOEXEC);
	char *map;

	must(fd >= 0 && !ftruncate(fd, (off_t)SIZE), "memfd");
	map = map_new(fd, SIZE, 0);
	store(map, 3, 40, 'n');
	must(pwrite(fd, "written", 7, 100 * PAGE) == 7, "pwrite");
	say("msync of a memfd", msync(map, SIZE, MS_SYNC));
	store(map, 100, 2, 'm');
	say("fsync of a memfd", fsync(fd));
	sum("memfd", map, NR_PAGES);
	must(!munmap(map, SIZE) && !close(fd), "munmap");
}

static void child_stores(char *map)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		store(map, 200, 30, 'c');
		_exit(msync(map, SIZE, MS_SYNC) ? 1 : 0);
	}
	waitpid(pid, &status, 0);
	say("child", status);
	store(map, 210, 5, 'p');
	say("msync behind the child", msync(map, SIZE, MS_SYNC));
}

static void other_process_stores(const char *self, const char *path)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		execl(self, self, "other", path, NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	say("other process", status);
}

static int other(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char *map = map_new(fd, SIZE, 0);

	store(map, 300, 50, 'o');
	return msync(map, SIZE, MS_SYNC) ? 1 : 0;
}

static void changes(int fd, char *map)
{
	say("mprotect", mprotect(map, SIZE, PROT_READ));
	say("mprotect back", mprotect(map, SIZE, PROT_READ | PROT_WRITE));
	store(map, 70, 90, 'b');
	say("msync", msync(map, SIZE, MS_SYNC));
	say("madvise", madvise(map, SIZE, MADV_DONTNEED));
	store(map, 80, 3, 'd');
	say("fdatasync", fdatasync(fd));
	say("ftruncate", ftruncate(fd, 100 * PAGE + 50));
	say("ftruncate up", ftruncate(fd, (off_t)SIZE));
	store(map, 99, 30, 't');
	must(pwrite(fd, "written", 7, 400 * PAGE) == 7, "pwrite");
	say("msync of a part", msync(map + 50 * PAGE, 100 * PAGE, MS_SYNC));
	say("fsync", fsync(fd));
}

static int work(const char *self, const char *action, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *map, *populated, *moved;

	must(fd >= 0 && !ftruncate(fd, (off_t)SIZE), path);
	map = map_new(fd, SIZE, 0);
	store(map, 0, 64, 'a');
	say("first msync", msync(map, SIZE, MS_SYNC));
	if (strcmp(action, "none"))
		filter_set(action);
	store(map, 10, 20, 'f');
	say("msync", msync(map, SIZE, MS_SYNC));
	populated = map_new(fd, SIZE, MAP_POPULATE);
	store(populated, 65, 3, 'q');
	say("msync of an alias", msync(map, SIZE, MS_SYNC));
	changes(fd, map);
	nameless();
	child_stores(map);
	other_process_stores(self, path);
	moved = mremap(map, SIZE, 2 * SIZE, MREMAP_MAYMOVE);
	must(moved != MAP_FAILED && !ftruncate(fd, 2 * (off_t)SIZE), "mremap");
	store(moved, 500, 50, 'x');
	say("msync of what was moved", msync(moved, 2 * SIZE, MS_SYNC));
	sum("all", moved, 2 * NR_PAGES);
	say("munmap", munmap(moved, 2 * SIZE));
	return 0;
}

int main(int argc, char **argv)
{
	unsigned char vec;

	if (argc == 2) {
		say("mincore", (int)syscall(SYS_mincore, (uintptr_t)&errno & ~(uintptr_t)(PAGE - 1), PAGE, &vec));
		return 0;
	}
	if (argc == 3)
		return strcmp(argv[1], "other") ? work(argv[0], argv[1], argv[2]) : other(argv[2]);
	filter_set(argv[1]);
	execvp(argv[3], argv + 3);
	perror(argv[3]);
	return 127;
}
