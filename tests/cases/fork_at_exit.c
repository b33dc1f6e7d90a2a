// SPDX-License-Identifier: BSD-3-Clause
// fork_at_exit.c: one thread ends the process while another one forks, and the child ends, too. It had inherited that somebody
// was about to finish, and waited for him. Failure: children that never end.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 256
#define ROUNDS 100

static void *forker(void *arg)
{
	for (;;)
		if (!fork())
			_exit(0);
	return arg;
}

static void round_run(int fd)
{
	char *map = mmap(NULL, PAGES * 4096UL, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pthread_t thread;

	if (map == MAP_FAILED || pthread_create(&thread, NULL, forker, NULL))
		_exit(1);
	for (size_t i = 0; i < PAGES; i++) // so that there is something to sync at the end
		map[i * 4096] = 1;
	_exit(0);
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	int left[2], round, status = 0;
	char byte;

	if (fd < 0 || ftruncate(fd, PAGES * 4096L) || pipe(left))
		return 1;
	for (round = 0; round < ROUNDS && !status; round++) {
		int pid = fork();

		if (!pid)
			round_run(fd);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return 1;
	}
	close(left[1]);
	printf("%d rounds, status %d\n", round, status);
	fflush(stdout);
	printf("all have ended: %d\n", (int)read(left[0], &byte, 1)); // their copies of the other end are closed
	return 0;
}
