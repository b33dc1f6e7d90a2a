// SPDX-License-Identifier: BSD-3-Clause
// dontneed.c: MADV_DONTNEED empties the page tables, where the first sync of a mapping that is all open looks for what
// was stored to. So a sync has to come before it. Failure: the pages stored to before it are missed, by the sync after
// it.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE (96UL << 20) // more than is closed at once
#define STORED 32768

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	int round, sum;
	unsigned at;
	char *map;

	if (fd < 0 || ftruncate(fd, SIZE))
		return 1;
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 1;
	for (round = 1; round < 4; round++) {
		if (msync(map, SIZE, MS_SYNC) || mprotect(map, SIZE, PROT_READ) ||
		    mprotect(map, SIZE, PROT_READ | PROT_WRITE)) // all open, as at first
			return 1;
		memset(map + SIZE / 2, round, STORED);
		if (madvise(map, SIZE, MADV_DONTNEED) || msync(map, SIZE, MS_SYNC))
			return 1;
		for (at = 0, sum = 0; at < STORED; at += 4096)
			sum += map[SIZE / 2 + at];
		printf("round %d: %d, msync %d\n", round, sum, msync(map, SIZE, MS_SYNC));
	}
	return 0;
}
