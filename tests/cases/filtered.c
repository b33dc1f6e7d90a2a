// SPDX-License-Identifier: BSD-3-Clause
// filtered.c: Programs that set a seccomp filter which refuses mprotect and ioctl, or kills for them, while they have
// files mapped, and map another one behind it: stores to pages that were closed before go through. They trapped for
// ever, or the library's own call ended the program. Each in a child. Failure: another line than natively, or no end.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES 16
#define SIZE (PAGES * PAGE)

static int filter(unsigned action)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) | prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static char *mapped(int fd)
{
	char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	map[0] = 1;
	printf("sync: %d\n", msync(map, SIZE, MS_SYNC));
	return map;
}

static void store_and_sync(char *map, int value)
{
	int i;

	for (i = 0; i < PAGES; i++)
		map[i * PAGE] = (char)(value + i);
	printf("sync: %d, %d\n", msync(map, SIZE, MS_SYNC), map[5 * PAGE]);
	fflush(stdout);
}

static void child(const char *path, unsigned action)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *map, *other;

	(void)ftruncate(fd, SIZE);
	map = mapped(fd);
	fflush(stdout);
	printf("filter: %d\n", filter(action));
	store_and_sync(map, 10);
	store_and_sync(map, 20);
	other = mapped(fd);
	store_and_sync(other, 30);
	printf("munmap: %d\n", munmap(map, SIZE));
	store_and_sync(other, 40);
	printf("fsync: %d\n", fsync(fd));
	fflush(stdout);
	_exit(0);
}

int main(int argc, char **argv)
{
	const unsigned action[] = {SECCOMP_RET_ERRNO | 1, SECCOMP_RET_ERRNO | 38, SECCOMP_RET_KILL_PROCESS};
	size_t i;

	for (i = 0; i < sizeof(action) / sizeof(action[0]); i++) {
		int status;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (!pid)
			child(argv[argc - 1], action[i]);
		waitpid(pid, &status, 0);
		printf("action %zu: %#x\n", i, (unsigned)status);
	}
	return 0;
}
