// SPDX-License-Identifier: BSD-3-Clause
// write_only.c: two mappings of the same pages, side by side, are made writable by one mprotect that does not name PROT_READ.
// The second one is synced before that, which scans the first: and that was known from then on, and writable all the same.
// Failure: pages stored to through the first are missed.
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEN (8 * 4096UL)

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	char *room = mmap(NULL, 2 * LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *map;
	int round, i;

	if (fd < 0 || ftruncate(fd, LEN) || room == MAP_FAILED)
		return 1;
	for (i = 0; i < 2; i++) {
		map = mmap(room + (i ? LEN : 0), LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
		if (map == MAP_FAILED)
			return 1;
	}
	for (round = 1; round < 6; round++) {
		room[0] = (char)round;
		printf("round %d: msync %d", round, msync(room, 2 * LEN, MS_SYNC));
		printf(", mprotect %d", mprotect(room, 2 * LEN, PROT_WRITE));
		for (i = 0; i < 3; i++) {
			room[(1 + i) * 4096] = (char)(round + i);
			printf(", msync %d", msync(room, 2 * LEN, MS_SYNC));
		}
		puts("");
	}
	return 0;
}
