// SPDX-License-Identifier: BSD-3-Clause
// mapping_grows.c: A program makes a gap and maps into it: it gets the address that it asks for, and what lies behind
// stays free for the mapping to grow, or for the next one. The library's own memory once came to lie there.
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define NR_PAGES 16

static char *gap(void)
{
	char *at = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(at, NR_PAGES * PAGE);
	return at;
}

// One page, stored to and synced, so that all is there that the library needs for it; then the rest of the gap.
static void grow(int fd, const char *how)
{
	char *at = gap(), *map = mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *all;

	map[0] = 1;
	msync(map, PAGE, MS_SYNC);
	all = mremap(map, PAGE, NR_PAGES * PAGE, 0);
	printf("%s: hint %s, grown %s\n", how, map == at ? "taken" : "not taken", all == map ? "in place" : "not");
	if (all == map)
		all[(NR_PAGES - 1) * PAGE] = 2;
	printf("msync %d\n", msync(map, all == map ? NR_PAGES * PAGE : PAGE, MS_SYNC));
	munmap(map, all == map ? NR_PAGES * PAGE : PAGE);
}

static void one_behind_the_other(int fd)
{
	char *at = gap(), *map;
	int i;

	for (i = 0; i < NR_PAGES; i++) {
		map = mmap(at + i * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, i * PAGE);
		if (map != at + i * PAGE) {
			printf("page %d is not where it was asked for\n", i);
			return;
		}
		map[0] = 3;
	}
	printf("one behind the other, msync %d\n", msync(at, NR_PAGES * PAGE, MS_SYNC));
	munmap(at, NR_PAGES * PAGE);
}

int main(int argc, char **argv)
{
	int i, fd;
	char path[256];

	(void)argc;
	for (i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "%s.%d", argv[1], i);
		fd = open(path, O_RDWR | O_CREAT, 0600);
		if (fd < 0 || ftruncate(fd, NR_PAGES * PAGE))
			return 1;
		grow(fd, i ? "another file" : "the first file");
		one_behind_the_other(fd);
		unlink(path);
		close(fd);
	}
	return 0;
}
