// SPDX-License-Identifier: BSD-3-Clause
// kept_action.c: A library that keeps to itself what others want to do with SIGSEGV and SIGBUS, as libjsig does for a
// Java virtual machine, stands behind the shim: kept_action.sh builds this file again as that library. The shim's
// handlers were kept as well, pages were closed, and the first store to one ended the program. The library's own
// handler still gets the faults that are none of the shim's.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef KEEPER
static void on_fault(int sig)
{
	(void)sig;
	(void)!write(1, "the keeper's handler\n", 21);
	_exit(0);
}

typedef int (*sigaction_fn)(int sig, const struct sigaction *act, struct sigaction *old);

static sigaction_fn real(void)
{
	sigaction_fn next;

	*(void **)&next = dlsym(RTLD_NEXT, "sigaction");
	return next;
}

static struct sigaction kept[65];

int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before;

	if (sig != SIGSEGV && sig != SIGBUS)
		return real()(sig, act, old);
	before = kept[sig];
	if (act)
		kept[sig] = *act;
	if (old)
		*old = before;
	return 0;
}

__attribute__((constructor)) static void begin(void)
{
	struct sigaction act = {.sa_handler = on_fault};

	real()(SIGSEGV, &act, NULL);
	real()(SIGBUS, &act, NULL);
}
#else
static char *volatile nowhere;

int main(int argc, char **argv)
{
	int fd = open(argv[argc - 1], O_RDWR | O_CREAT, 0600);
	char *map;

	(void)ftruncate(fd, 1 << 16);
	map = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	map[0] = 1;
	printf("sync %d\n", msync(map, 1 << 16, MS_SYNC));
	map[0] = 2;
	map[1 << 15] = 3;
	printf("sync %d\n", msync(map, 1 << 16, MS_SYNC));
	fflush(stdout);
	*nowhere = 1;
	return 1;
}
#endif
