// SPDX-License-Identifier: BSD-3-Clause
// header.c: a record with a header that says whether it is valid, `header FILE N`: replaces it N times. `header FILE` fails
// if the header is valid and the record is not.
//
// The record goes to the half of the file that is not in use, is made durable, and then the header names that half. Built
// with -DMISTAKE one msync covers both: then the header may arrive before the record. `daxsync crashtest --
// header_mistake header.data 10` finds it; no further check is needed, since the program looks at what it finds first.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096

struct file {
	uint32_t version, half; // version 0: nothing is valid
	char unused[PAGE - 8];
	struct {
		uint32_t words[PAGE / 4];
	} record[2];
};

static int is_whole(const struct file *file)
{
	if (file->half > 1)
		return 0;
	for (size_t i = 0; file->version && i < PAGE / 4; i++)
		if (file->record[file->half].words[i] != file->version)
			return 0;
	return 1;
}

static void replace(struct file *file)
{
	uint32_t half = !file->half, version = file->version + 1;

	for (size_t i = 0; i < PAGE / 4; i++)
		file->record[half].words[i] = version;
#ifndef MISTAKE
	if (msync(&file->record[half], PAGE, MS_SYNC))
		exit(2);
#endif
	file->half = half;
	file->version = version;
	if (msync(file, sizeof(*file), MS_SYNC))
		exit(2);
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;
	struct file *file;

	if (fd < 0 || ftruncate(fd, sizeof(*file)) || fsync(fd))
		return 2;
	file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED)
		return 2;
	if (!is_whole(file)) {
		printf("version %u is not whole\n", file->version);
		return 1;
	}
	for (long i = argc > 2 ? strtol(argv[2], NULL, 10) : 0; i > 0; i--)
		replace(file);
	return 0;
}
