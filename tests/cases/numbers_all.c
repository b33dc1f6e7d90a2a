// SPDX-License-Identifier: BSD-3-Clause
// numbers_all.c: dup2 onto every number up to the limit, dup3 onto them again, and the lowest number from a certain
// one on: all are the program's, though the library has descriptors among them. What is mapped is synced all the
// same. dup2 once failed with EBADF. In a child too, which has descriptors of the library's of its own.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define NR_PAGES 8

static int limit;

// 0, or what a sync has returned.
static int stored_and_synced(char *map)
{
	int i, ret = 0;

	for (i = 0; i < NR_PAGES; i++) {
		map[i * PAGE]++;
		ret |= msync(map, NR_PAGES * PAGE, MS_SYNC);
	}
	return ret;
}

static void all_numbers(int fd, char *map)
{
	int i, nr_dup2 = 0, nr_dup3 = 0, nr_lowest = 0, last;

	for (i = fd + 1; i < limit - 1; i++) {
		nr_dup2 += dup2(fd, i) == i;
		if (i % 64 == 0 && stored_and_synced(map))
			printf("a sync has failed at %d\n", i);
	}
	for (i = fd + 1; i < limit - 1; i++)
		nr_dup3 += dup3(fd, i, O_CLOEXEC) == i;
	last = fcntl(fd, F_DUPFD, fd + 1);
	printf("dup2 %d, dup3 %d of %d, then the last number: %s\n", nr_dup2, nr_dup3, limit - 2 - fd,
	       last == limit - 1 ? "yes" : strerror(errno));
	printf("synced %d\n", stored_and_synced(map));
	close(limit - 1);
	for (i = fd + 1; i < limit - 1; i++)
		close(i);
	for (i = limit / 2; i < limit - 1; i++)
		nr_lowest += fcntl(fd, F_DUPFD_CLOEXEC, limit / 2) == i;
	printf("lowest free %d of %d\n", nr_lowest, limit - 1 - limit / 2);
	printf("synced %d\n", stored_and_synced(map));
	for (i = limit / 2; i < limit - 1; i++)
		close(i);
}

static char *map_file(int fd)
{
	char *map = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return map == MAP_FAILED || stored_and_synced(map) ? NULL : map;
}

int main(int argc, char **argv)
{
	struct rlimit now;
	int fd, status = 0;
	char *map;
	pid_t pid;

	(void)argc;
	getrlimit(RLIMIT_NOFILE, &now);
	now.rlim_cur = now.rlim_max < 400 ? now.rlim_max : 400;
	setrlimit(RLIMIT_NOFILE, &now);
	limit = (int)now.rlim_cur;
	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	map = fd < 0 || ftruncate(fd, NR_PAGES * PAGE) ? NULL : map_file(fd);
	if (!map)
		return 1;
	pid = fork();
	if (!pid) {
		all_numbers(fd, map);
		map = map_file(fd);
		if (map)
			all_numbers(fd, map);
		fflush(NULL);
		_exit(!map);
	}
	waitpid(pid, &status, 0);
	printf("the child: %#x\n", status);
	all_numbers(fd, map);
	return 0;
}
