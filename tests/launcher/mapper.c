// SPDX-License-Identifier: BSD-3-Clause
// mapper.c FILE: a program that knows nothing of daxsync: maps a new file shared, stores, syncs, and reads it back.
// Exit status: 0 all is as it should be, 2 wrong use, 3 mmap failed, 4 msync failed, 5 the file holds something else.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 65536
#define TEXT "stored through a mapping"

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600) : -1;
	char buf[sizeof(TEXT)], *map;

	if (fd < 0 || ftruncate(fd, SIZE))
		return 2;
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		perror("mmap");
		return 3;
	}
	for (int i = 0; i < 3; i++) {
		memcpy(map + 4096 * i, TEXT, sizeof(TEXT));
		if (msync(map, SIZE, MS_SYNC)) {
			perror("msync");
			return 4;
		}
	}
	if (pread(fd, buf, sizeof(buf), 8192) != (ssize_t)sizeof(buf) || memcmp(buf, TEXT, sizeof(TEXT)))
		return 5;
	return 0;
}
