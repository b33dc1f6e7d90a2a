// SPDX-License-Identifier: BSD-3-Clause
// move_many.c: From Linux 6.17 on mremap moves several mappings in one call. Where each of them is then, only the
// kernel knows: stores to the new place must be synced all the same. Failure: pages stored there are missed.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL
#define HALF (4 * PAGE)

static char *half_at(char *addr, int fd, size_t off)
{
	return mmap(addr, HALF, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)off);
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	char *view, *room, *moved;
	int round;

	if (fd < 0 || ftruncate(fd, 2 * HALF))
		return 1;
	view = mmap(NULL, 2 * HALF, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	room = mmap(NULL, 8 * HALF, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (view == MAP_FAILED || room == MAP_FAILED)
		return 1;
	if (half_at(room, fd, HALF) != room || half_at(room + HALF, fd, 0) != room + HALF) // in another order: two VMAs
		return 1;
	if (msync(view, 2 * HALF, MS_SYNC))
		return 1;
	moved = mremap(room, 2 * HALF, 2 * HALF, MREMAP_MAYMOVE | MREMAP_FIXED, room + 4 * HALF);
	if (moved == MAP_FAILED) {
		puts("SKIP: mremap moves one mapping at a time (before Linux 6.17)");
		return 77;
	}
	for (round = 1; round < 4; round++) {
		memset(moved, round, 2 * HALF);
		printf("round %d: msync %d, the file has %d and %d\n", round, msync(view, 2 * HALF, MS_SYNC), view[0],
		       view[2 * HALF - 1]);
	}
	return 0;
}
