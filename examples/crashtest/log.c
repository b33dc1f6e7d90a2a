// SPDX-License-Identifier: BSD-3-Clause
// log.c: a log in a mapped file, `log FILE N`: adds N records, makes each durable and says so. `log FILE` counts the records
// that are whole, and fails if one is not.
//
// Built with -DMISTAKE it syncs the record, and forgets the length that makes it a part of the log:
//
//     daxsync crashtest --check='log_mistake log.data $(tail -n 1 %o)' -- log_mistake log.data add 20
//
// finds, at the second record, that the first was acknowledged and is not there, and names the line that stored the length.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define RECORDS 63

struct record {
	uint32_t number;
	char text[PAGE - 4];
};

struct log {
	uint64_t length; // records
	char unused[PAGE - 8];
	struct record record[RECORDS];
};

static void append(struct log *log)
{
	struct record *record = &log->record[log->length];

	record->number = (uint32_t)log->length + 1;
	snprintf(record->text, sizeof(record->text), "record %u", record->number);
	if (msync(record, sizeof(*record), MS_SYNC))
		exit(1);
	log->length++;
#ifndef MISTAKE
	if (msync(log, PAGE, MS_SYNC))
		exit(1);
#endif
}

// Whether the first `acknowledged` records are there, and all that the log says it has are whole.
static int check(const struct log *log, uint64_t acknowledged)
{
	if (log->length < acknowledged || log->length > RECORDS) {
		printf("acknowledged: %lu, in the log: %lu\n", (unsigned long)acknowledged, (unsigned long)log->length);
		return 1;
	}
	for (uint64_t i = 0; i < log->length; i++) {
		if (log->record[i].number == i + 1 && !strncmp(log->record[i].text, "record ", 7))
			continue;
		printf("record %lu is not whole\n", (unsigned long)i + 1);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;
	struct log *log;

	if (fd < 0 || ftruncate(fd, sizeof(*log)) || fsync(fd))
		return 2;
	log = mmap(NULL, sizeof(*log), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (log == MAP_FAILED)
		return 2;
	if (argc < 4 || strcmp(argv[2], "add") != 0)
		return check(log, argc > 2 ? strtoul(argv[2], NULL, 10) : 0);
	for (long i = strtol(argv[3], NULL, 10); i > 0 && log->length < RECORDS; i--) {
		append(log);
		printf("%lu\n", (unsigned long)log->length); // acknowledged
		fflush(stdout);
	}
	return 0;
}
