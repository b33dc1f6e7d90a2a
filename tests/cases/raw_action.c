// SPDX-License-Identifier: BSD-3-Clause
// raw_action.c: A program that sets its actions of SIGSEGV and SIGBUS by the system call, as Go's runtime does: the
// next sync closes pages, and the library must have noticed by then that the kernel has its handlers no more. The
// program's own faults reach its handler. Failure: the handler is called for a store to the mapping.
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGES 16
#define PAGE 4096

static struct action { // the kernel's
	void (*handler)(int sig, siginfo_t *info, void *context);
	unsigned long flags;
	void (*restorer)(void);
	unsigned long mask;
} ours;

static char *map, *nowhere;
static sigjmp_buf back;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	const char *at = info->si_addr;

	(void)context;
	printf("signal %d at %s\n", sig,
	       at == nowhere                          ? "the bad page"
	       : at >= map && at < map + PAGES * PAGE ? "the map"
						      : "?");
	fflush(stdout);
	if (at != nowhere)
		_exit(1);
	siglongjmp(back, 1);
}

static void ignored(int sig)
{
	(void)sig;
}

static void set_raw(void)
{
	struct sigaction harmless = {.sa_handler = ignored};

	sigaction(SIGUSR2, &harmless, NULL);
	syscall(SYS_rt_sigaction, SIGUSR2, NULL, &ours, sizeof(ours.mask)); // libc's restorer
	ours.handler = on_fault;
	ours.flags |= SA_SIGINFO;
	syscall(SYS_rt_sigaction, SIGSEGV, &ours, NULL, sizeof(ours.mask));
	syscall(SYS_rt_sigaction, SIGBUS, &ours, NULL, sizeof(ours.mask));
}

static int store_and_sync(int value)
{
	int i;

	for (i = 0; i < PAGES; i++)
		map[i * PAGE] = (char)(value + i);
	return msync(map, PAGES * PAGE, MS_SYNC);
}

int main(int argc, char **argv)
{
	int fd = open(argv[argc - 1], O_RDWR | O_CREAT, 0600);
	struct sigaction shown;

	(void)ftruncate(fd, PAGES * PAGE);
	nowhere = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	map[0] = 1; // one page is open
	set_raw();
	printf("sync: %d\n", msync(map, PAGES * PAGE, MS_SYNC));
	printf("stores: %d %d\n", store_and_sync(1), store_and_sync(2));
	sigaction(SIGSEGV, NULL, &shown);
	printf("the program's handler is shown: %d\n", shown.sa_sigaction == on_fault);
	if (!sigsetjmp(back, 1))
		*nowhere = 1;
	printf("stores: %d\n", store_and_sync(3));
	return 0;
}
