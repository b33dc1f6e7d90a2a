// SPDX-License-Identifier: BSD-3-Clause
// many_mappings.c: programs with very many mappings of one file, or of very many files, or that map one file again and
// again. What a mapping cost grew with the number of mappings that there were (16,384 of one file took 70 times their
// CPU time without the library), and mapping a file again cost a hundred times what it does without.
//
//   many_mappings FILE one|files|again N     maps and unmaps; prints the microseconds of CPU time it took
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGE 4096

static int open_page(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, PAGE))
		exit(2);
	return fd;
}

static char *map(int fd)
{
	char *addr = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (addr == MAP_FAILED)
		exit(3);
	return addr;
}

static void sync_one(char *addr)
{
	*addr = 1;
	if (msync(addr, PAGE, MS_SYNC))
		exit(4);
}

static long cpu_us(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000L + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

static void run(const char *path, const char *kind, int n, char **addr)
{
	int fd = open_page(path);
	char name[4096];

	for (int i = 0; i < n; i++) {
		if (!strcmp(kind, "files")) {
			snprintf(name, sizeof(name), "%s.%d", path, i);
			close(fd);
			fd = open_page(name);
			unlink(name);
		}
		addr[i] = map(fd);
		if (!strcmp(kind, "again") && i + 1 < n)
			munmap(addr[i], PAGE);
	}
	for (int i = !strcmp(kind, "again") ? n - 1 : 0; i < n; i++) {
		if (!i || !strcmp(kind, "files"))
			sync_one(addr[i]);
		munmap(addr[i], PAGE);
	}
	close(fd);
	unlink(path);
}

int main(int argc, char **argv)
{
	int n = argc > 3 ? atoi(argv[3]) : 100;
	char **addr = calloc((size_t)n, sizeof(*addr));
	long before = cpu_us();

	if (argc < 4 || !addr)
		return 1;
	run(argv[1], argv[2], n, addr);
	printf("%ld\n", cpu_us() - before);
	return 0;
}
