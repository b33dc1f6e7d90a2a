// SPDX-License-Identifier: BSD-3-Clause
// huge_pages.c: huge pages for one test at a time.
#include "huge_pages.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define NR_HUGEPAGES "/proc/sys/vm/nr_hugepages"

static int lock = -1;    // the file with the number is the lock too: it is there for everyone who can read the number
static long before = -1; // the number to put back

static long number_get(void)
{
	FILE *file = fopen(NR_HUGEPAGES, "re");
	long nr = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &nr) != 1)
		nr = -1;
	fclose(file);
	return nr;
}

static void number_set(const char *path, long nr)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return;
	fprintf(file, "%ld\n", nr);
	fclose(file);
}

// A line of /proc/meminfo, 0 if there is none.
static long meminfo(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	long value = 0;

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)) && sscanf(line + strlen(name), ": %ld", &value) == 1)
			break;
	fclose(file);
	return value;
}

// Those that nobody has mapped or has a right to.
static long free_get(void)
{
	return meminfo("HugePages_Free") - meminfo("HugePages_Rsvd");
}

const char *huge_pages_take(long nr)
{
	static char why[128];
	long missing;

	lock = open(NR_HUGEPAGES, O_RDONLY | O_CLOEXEC);
	if (lock < 0 || meminfo("Hugepagesize") != 2048)
		return "the kernel has no huge pages of 2 MiB";
	if (flock(lock, LOCK_EX))
		return "the number of huge pages cannot be locked";
	missing = nr - free_get();
	if (missing <= 0)
		return NULL;
	before = number_get();
	number_set(NR_HUGEPAGES, before + missing);
	if (free_get() < nr) { // memory in pieces: the kernel may find more in a row after this
		number_set("/proc/sys/vm/compact_memory", 1);
		number_set(NR_HUGEPAGES, before + missing);
	}
	if (free_get() >= nr)
		return NULL;
	snprintf(why, sizeof(why), "fewer than %ld huge pages, and " NR_HUGEPAGES " cannot raise them", nr);
	return why;
}

void huge_pages_give(void)
{
	if (before >= 0)
		number_set(NR_HUGEPAGES, before);
	before = -1;
	if (lock >= 0)
		close(lock);
	lock = -1;
}
