// SPDX-License-Identifier: BSD-3-Clause
// replace.c: a file that is replaced by a rename, `replace FILE N`: writes FILE.new, makes it durable, renames it, makes the
// name durable and says so, N times. `replace FILE N-ACKNOWLEDGED check` fails if an older one is found, or a part.
//
// Built with -DMISTAKE it renames without any sync of the new file:
//
//     daxsync crashtest --check='replace_mistake state $(tail -n 1 %o) check' -- replace_mistake state 10
//
// finds an empty file, or the one before, after an acknowledgement.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 8192

static void write_new(const char *name, uint32_t version)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	uint32_t *words;

	if (fd < 0 || ftruncate(fd, SIZE))
		exit(2);
	words = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (words == MAP_FAILED)
		exit(2);
	for (size_t i = 0; i < SIZE / 4; i++)
		words[i] = version;
#ifndef MISTAKE
	if (msync(words, SIZE, MS_SYNC) || fsync(fd))
		exit(2);
#endif
	munmap(words, SIZE);
	close(fd);
}

static void directory_sync(void)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd))
		exit(2);
	close(fd);
}

static int check(const char *name, uint32_t acknowledged)
{
	uint32_t words[SIZE / 4] = {0};
	FILE *file = fopen(name, "re");
	size_t got = file ? fread(words, 1, SIZE, file) : 0;

	if (file)
		fclose(file);
	if (!acknowledged && !file)
		return 0;
	for (size_t i = 0; got == SIZE && i < SIZE / 4; i++)
		if (words[i] != words[0])
			got = 0;
	if (got == SIZE && words[0] >= acknowledged)
		return 0;
	printf("version %u was acknowledged, %s\n", acknowledged,
	       !file         ? "there is no file"
	       : got == SIZE ? "an older one is there"
			     : "what is there is not whole");
	return 1;
}

int main(int argc, char **argv)
{
	char name[256];

	if (argc < 3)
		return argc == 2 ? check(argv[1], 0) : 2;
	if (argc > 3)
		return check(argv[1], (uint32_t)strtoul(argv[2], NULL, 10));
	if (!strcmp(argv[2], "check"))
		return check(argv[1], 0);
	snprintf(name, sizeof(name), "%s.new", argv[1]);
	for (uint32_t version = 1; version <= strtoul(argv[2], NULL, 10); version++) {
		write_new(name, version);
		if (rename(name, argv[1]))
			return 2;
		directory_sync();
		printf("%u\n", version); // acknowledged
		fflush(stdout);
	}
	return 0;
}
