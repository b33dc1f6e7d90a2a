// SPDX-License-Identifier: BSD-3-Clause
// large_pages.c: A kernel with pages of 64 KiB, as its auxiliary vector says it: there nothing can be protected below
// that, and a trap that opened 4 KiB trapped for ever. large_pages.sh builds this file again as a library that says
// so. Failure: the file is tracked.
#ifdef LIES
#include <elf.h>

unsigned long getauxval(unsigned long type);

unsigned long getauxval(unsigned long type)
{
	return type == AT_PAGESZ ? 65536 : 0;
}
#else
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = open(argv[argc - 1], O_RDWR | O_CREAT, 0600);
	char *map;

	(void)ftruncate(fd, 1 << 16);
	map = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	puts(map == MAP_FAILED ? strerror(errno) : "mapped");
	return 0;
}
#endif
