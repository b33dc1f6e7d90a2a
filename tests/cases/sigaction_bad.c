// SPDX-License-Identifier: BSD-3-Clause
/* sigaction with a pointer that cannot be read ends the program, or fails, as in libc; the shim's must not hang. */
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void *gone;

static void set_from_nowhere(void)
{
	sigaction(SIGSEGV, gone, NULL);
}

static void get_to_nowhere(void)
{
	sigaction(SIGSEGV, NULL, gone);
}

static int in_child(void (*call)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		alarm(20);
		call();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

int main(void)
{
	gone = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(gone, 4096);
	printf("set: %#x\n", in_child(set_from_nowhere));
	printf("get: %#x\n", in_child(get_to_nowhere));
	return 0;
}
