// SPDX-License-Identifier: BSD-3-Clause
// sealed_unseen.c: A mapping that is sealed by the system call, which nobody sees, or a filter that is set so: a page
// that is closed cannot be opened any more. The engine mprotect trapped for ever; now one line says so and the store
// is a fault, which the program's handler gets. Stores to pages that are open go through, and syncs succeed.
// sealed_unseen.sh says what must be said with which engine.
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#define PAGE 4096
#define SIZE (16 * PAGE)

static sigjmp_buf back;

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

static long filter(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static void store(char *at, const char *which)
{
	if (!sigsetjmp(back, 1)) {
		*(volatile char *)at = 5;
		printf("%s page: stored\n", which);
	} else {
		printf("%s page: a fault\n", which);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int fd = open(argv[2], O_RDWR | O_CREAT, 0600), i;
	struct sigaction act = {.sa_handler = on_fault};
	long ret;
	char *map;

	(void)argc;
	sigaction(SIGSEGV, &act, NULL);
	(void)ftruncate(fd, SIZE);
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	map[0] = 1;
	printf("sync %d\n", msync(map, SIZE, MS_SYNC));
	map[PAGE] = 2;
	ret = strcmp(argv[1], "seal") ? filter() : syscall(SYS_mseal, map, SIZE, 0);
	if (ret) {
		printf("SKIP: %s: %s\n", argv[1], strerror(errno));
		return 77;
	}
	store(map + PAGE, "the open");
	for (i = 0; i < 3; i++) {
		store(map + (5 + i) * PAGE, "a closed");
		printf("sync %d\n", msync(map, SIZE, MS_SYNC));
		store(map + PAGE, "the open");
	}
	return 0;
}
