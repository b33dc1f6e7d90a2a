// SPDX-License-Identifier: BSD-3-Clause
// pressure.c: pressure memory|cpu PROGRAM ARGUMENT...: runs a program while a child takes memory, or the CPUs, away from it.
// Exits as the program does.
//
// memory: half of what is free, at most 1 GiB, is taken, stored to and given back, again and again.
// cpu: two spinning children for each CPU.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST ((size_t)1 << 30)

static void take_memory(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), at;

	for (;;) {
		size_t len = (size_t)sysconf(_SC_AVPHYS_PAGES) * page / 2;
		char *memory;

		len = len < MOST ? len : MOST;
		memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			continue;
		for (at = 0; at < len; at += page)
			((volatile char *)memory)[at] = 1;
		munmap(memory, len);
	}
}

static void take_cpu(void)
{
	for (;;)
		__asm__ volatile("");
}

// A child that works until its parent is gone.
static void start(void (*work)(void))
{
	pid_t parent = getpid();

	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		work();
	_exit(0);
}

int main(int argc, char **argv)
{
	long i, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pid_t program;
	int status;

	if (argc < 3 || (strcmp(argv[1], "memory") != 0 && strcmp(argv[1], "cpu") != 0))
		return 2;
	program = fork();
	if (program < 0)
		return 1;
	if (!program) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (!strcmp(argv[1], "memory"))
		start(take_memory);
	for (i = 0; i < 2 * cpus && !strcmp(argv[1], "cpu"); i++)
		start(take_cpu);
	while (waitpid(program, &status, 0) < 0 && errno == EINTR)
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
