// SPDX-License-Identifier: BSD-3-Clause
// many_fail.c: many_fail syncfs|msync FILE: stores to three files and syncs all of them, in each of three rounds; says
// in which of them the call failed. A failure of one file must be told, whichever of the files it is, and the next
// call makes up for it.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL
#define FILES 3

static int file_at(const char *path, unsigned nr, char *addr)
{
	char name[4096];
	int fd;

	snprintf(name, sizeof(name), "%s.%u", path, nr);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, PAGE) || unlink(name) ||
	    mmap(addr, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != addr)
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	char *room = mmap(NULL, FILES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = -1, ret, round;
	unsigned i;

	if (argc < 3 || room == MAP_FAILED)
		return 1;
	for (i = 0; i < FILES; i++) {
		fd = file_at(argv[2], i, room + i * PAGE);
		if (fd < 0)
			return 1;
	}
	for (round = 1; round < 4; round++) {
		for (i = 0; i < FILES; i++)
			room[i * PAGE] = (char)round;
		errno = 0;
		ret = strcmp(argv[1], "syncfs") ? msync(room, FILES * PAGE, MS_SYNC) : syncfs(fd);
		printf("%d:%s ", round, ret ? errno == EIO ? "EIO" : strerror(errno) : "0");
	}
	puts("");
	return 0;
}
