// SPDX-License-Identifier: BSD-3-Clause
// messages.c DIRECTORY WHAT: something of which the library has little to say.
//   files     maps more files than a run remembers
//   half-way  an mmap that fails when it has taken away what was mapped there
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE 4096
#define FILES 300

static char *map_file(const char *dir, int nr)
{
	char path[4096], *map;
	int fd;

	snprintf(path, sizeof(path), "%s/%d", dir, nr);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 4 * PAGE))
		return MAP_FAILED;
	map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return map;
}

static int files(const char *dir)
{
	for (int i = 0; i < FILES; i++) {
		char *map = map_file(dir, i);

		if (map == MAP_FAILED)
			return 1;
		map[0] = 1;
		if (msync(map, PAGE, MS_SYNC) || munmap(map, 4 * PAGE))
			return 1;
	}
	return 0;
}

// A socket has an operation for mmap, which refuses.
static int half_way(const char *dir)
{
	char *map = map_file(dir, 0);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (map == MAP_FAILED || fd < 0)
		return 1;
	memset(map, 1, 4 * PAGE);
	if (msync(map, 4 * PAGE, MS_SYNC))
		return 1;
	memset(map, 2, 4 * PAGE);
	return mmap(map, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	return strcmp(argv[2], "files") ? half_way(argv[1]) : files(argv[1]);
}
