// SPDX-License-Identifier: BSD-3-Clause
// failed_leaves.c: failed_leaves store FILE: stores to FILE.0 and FILE.1, and syncs each once, whatever comes of it.
// failed_leaves mode FILE: says whether each begins in mode kernel.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <daxsync/daxsync.h>

#define PAGE 4096UL

static char *mapped(const char *path, int nr)
{
	char name[4096];
	int fd;

	snprintf(name, sizeof(name), "%s.%d", path, nr);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, PAGE))
		return MAP_FAILED;
	return mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

int main(int argc, char **argv)
{
	int (*mode)(const void *) = NULL;
	int i;

	*(void **)&mode = dlsym(RTLD_DEFAULT, "daxsync_mode_of");
	for (i = 0; i < 2 && argc > 2; i++) {
		char *map = mapped(argv[2], i);

		if (map == MAP_FAILED || !mode)
			return 1;
		if (!strcmp(argv[1], "mode")) {
			printf("%s ", mode(map) == DAXSYNC_MODE_KERNEL ? "kernel" : "served");
			continue;
		}
		map[0]++;
		printf("%d ", msync(map, PAGE, MS_SYNC));
	}
	puts("");
	return 0;
}
