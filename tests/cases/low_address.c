// SPDX-License-Identifier: BSD-3-Clause
// low_address.c: a mapping below 2 MiB. The engine mprotect took the region at address 0 for the one that it had closed last.
// Failure: a page that is stored to again is missed.
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEN (16 * 4096UL)

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	char *map;
	int round;

	if (fd < 0 || ftruncate(fd, LEN))
		return 1;
	map = mmap((void *)0x100000, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
	if (map == MAP_FAILED) {
		puts("SKIP: nothing can be mapped below 2 MiB (vm.mmap_min_addr)");
		return 77;
	}
	for (round = 1; round < 10; round++) {
		map[3 * 4096] = (char)round;
		map[(round & 7) * 4096] = (char)round;
		printf("round %d: msync %d\n", round, msync(map, LEN, MS_SYNC));
	}
	return 0;
}
