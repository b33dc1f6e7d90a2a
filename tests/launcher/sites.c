// SPDX-License-Identifier: BSD-3-Clause
// sites.c FILE [WHAT]: syncs for every cause there is, from functions whose names a report is to give; then
//   hold     says "done" and waits for the end of its standard input
//   NUMBER   sends itself this signal
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define NR_PAGES 64
#define SIZE (NR_PAGES * PAGE)

static char *map;
static char text[PAGE];

__attribute__((noinline)) static void sync_here(void)
{
	if (msync(map, SIZE, MS_SYNC))
		exit(3);
}

__attribute__((noinline)) static void store_here(int page)
{
	*(volatile char *)(map + page * PAGE) = 1;
}

__attribute__((noinline)) static void copy_here(int page, size_t len)
{
	memcpy(map + page * PAGE, text, len);
	*(volatile char *)text = 1; // a call, and no jump
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "";
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0 || ftruncate(fd, SIZE))
		return 2;
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 2;
	sync_here(); // all is write-protected now
	for (int i = 0; i < 20; i++) {
		store_here(i);
		copy_here(30 + i, (size_t)argc + 1000);
		sync_here();
	}
	if (pwrite(fd, "x", 1, 0) != 1)
		return 4;
	sync_here();
	if (ftruncate(fd, SIZE + PAGE))
		return 4;
	sync_here();
	if (fsync(fd))
		return 4;
	if (!strcmp(what, "hold")) {
		puts("done");
		fflush(stdout);
		while (getchar() != EOF)
			;
	}
	if (atoi(what))
		raise(atoi(what));
	return 0;
}
