// SPDX-License-Identifier: BSD-3-Clause
// ledger.c: a program that knows nothing of daxsync. It keeps a ledger in a mapped file: `ledger FILE TEXT` adds an
// entry and makes it durable with msync before it says so; `ledger FILE` lists the entries.
//
// Two ways to daxsync without a change:
//   daxsync run -- ledger FILE TEXT                                           (LD_PRELOAD)
//   cc ledger.c -Wl,--no-as-needed -ldaxsync-preload -ldaxsync -o ledger      (linked: the same hooks)
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define ENTRIES 1000
#define ENTRY 128

struct ledger {
	uint64_t nr;
	char unused[PAGE - sizeof(uint64_t)];
	char entry[ENTRIES][ENTRY];
};

static int add(struct ledger *ledger, const char *text)
{
	char *entry;

	if (ledger->nr == ENTRIES)
		return -1;
	// The entry first, then the number that makes it valid: each durable before the next step.
	entry = ledger->entry[ledger->nr];
	strncpy(entry, text, ENTRY - 1);
	if (msync(ledger, sizeof(*ledger), MS_SYNC))
		return -1;
	ledger->nr++;
	return msync(ledger, PAGE, MS_SYNC);
}

int main(int argc, char **argv)
{
	struct ledger *ledger;
	uint64_t i;
	int fd;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: ledger FILE [TEXT]\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, sizeof(*ledger)) || fsync(fd)) {
		perror(argv[1]);
		return 1;
	}
	ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ledger == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	if (argc == 3) {
		if (add(ledger, argv[2])) {
			perror("ledger");
			return 1;
		}
		printf("entry %llu is durable\n", (unsigned long long)ledger->nr);
	} else {
		for (i = 0; i < ledger->nr; i++)
			printf("%s\n", ledger->entry[i]);
	}
	return munmap(ledger, sizeof(*ledger)) || close(fd);
}
