// SPDX-License-Identifier: BSD-3-Clause
// endings.c FILE WHAT [ARGUMENT...]: maps a file, stores to it, syncs it once, and then
//   exit, _exit, syscall    ends by this call (the last is one that no hook sees)
//   NUMBER                  sends itself this signal
//   setuid                  becomes nobody, and ends
//   exec PROGRAM...         executes that
//   forks                   has two children, which store and sync twice each: one exits, one is killed
//   leave                   leaves a child behind, which ends when its standard input does
//   hold                    says "mapped" and waits for the end of its standard input
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 16384

static char *map;

static void map_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, SIZE))
		_exit(90);
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		_exit(91);
	close(fd);
}

static void store(int times)
{
	for (int i = 0; i < times; i++) {
		map[i] = 1;
		if (msync(map, SIZE, MS_SYNC))
			_exit(92);
	}
}

static void fork_two(void)
{
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			store(2);
			if (!i)
				exit(0);
			raise(SIGKILL);
		}
		if (waitpid(pid, &status, 0) != pid)
			_exit(93);
	}
}

static void leave(void)
{
	if (!fork()) {
		store(3);
		fputs("left\n", stderr);
		while (getchar() != EOF)
			;
		exit(0);
	}
}

static void hold(void)
{
	puts("mapped");
	fflush(stdout);
	while (getchar() != EOF)
		;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "";

	if (argc < 3)
		return 2;
	map_file(argv[1]);
	store(1);
	if (!strcmp(what, "_exit"))
		_exit(0);
	if (!strcmp(what, "syscall"))
		syscall(SYS_exit_group, 0);
	if (!strcmp(what, "setuid") && setuid(65534))
		return 3;
	if (!strcmp(what, "exec"))
		execvp(argv[3], argv + 3);
	if (!strcmp(what, "forks"))
		fork_two();
	if (!strcmp(what, "leave"))
		leave();
	if (!strcmp(what, "hold"))
		hold();
	if (atoi(what))
		raise(atoi(what));
	return 0;
}
