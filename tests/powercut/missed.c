// SPDX-License-Identifier: BSD-3-Clause
// missed.c: what the verifier reports, page by page.
//
// missed [-a] FILE IMAGE_DIR SEED: runs under the shim with the verifier on, flushes being left out, and with standard error in
// a file. Stores to random pages of FILE, syncs random ranges, and compares all of a range with its
// durable image after its sync. The pages that differ are those that a power cut would lose, so exactly these must have
// been reported by that sync: counted once each, and named as long as the verifier prints lines. -a: through two mappings.
// Prints how many there were.
#include <daxsync/daxsync.h>
#include <dlfcn.h>
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES 200
#define SYNCS 150
#define LINES 20 // the verifier's limit

static char *map[2];
static unsigned nr_maps = 1, seed;
static int file, image, errors;
static off_t errors_at;
static uint64_t nr_missed;

static unsigned random_below(unsigned end)
{
	return (unsigned)rand_r(&seed) % end;
}

static void open_image(const char *path, const char *dir)
{
	const char *base = strrchr(path, '/');
	char name[4096];
	struct stat st;

	if (fstat(file, &st))
		err(1, "%s", path);
	snprintf(name, sizeof(name), "%s/%s.%lx-%lx", dir, base ? base + 1 : path, (unsigned long)st.st_dev,
		 (unsigned long)st.st_ino);
	image = open(name, O_RDONLY | O_CLOEXEC);
	if (image < 0)
		err(1, "%s", name);
}

static void begin(char *const *argv)
{
	unsigned i;

	file = open(argv[0], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file < 0 || ftruncate(file, PAGES * PAGE))
		err(1, "%s", argv[0]);
	for (i = 0; i < nr_maps; i++) {
		map[i] = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
		if (map[i] == MAP_FAILED)
			err(1, "mmap");
	}
	open_image(argv[0], argv[1]);
	errors = open("/proc/self/fd/2", O_RDONLY | O_CLOEXEC);
	if (errors < 0)
		err(1, "standard error");
	seed = (unsigned)strtoul(argv[2], NULL, 10);
}

static uint64_t missed_so_far(void)
{
	int (*get)(struct daxsync_stats *);
	struct daxsync_stats now = {.size = sizeof(now)};

	*(void **)&get = dlsym(RTLD_DEFAULT, "daxsync_stats_get");
	if (!get || get(&now))
		errx(1, "the shim is not there");
	return now.missed_pages;
}

// Which pages the lines that have come since the last look name.
static void read_lines(bool *named)
{
	static char text[1 << 20];
	ssize_t len = pread(errors, text, sizeof(text) - 1, errors_at);
	const char *line;

	if (len < 0)
		err(1, "reading the lines");
	text[len] = '\0';
	errors_at += len;
	for (line = text; (line = strstr(line, "MISSED PAGE: ")); line++) {
		const char *offset = strstr(line, ": offset ");
		unsigned long page = offset ? strtoul(offset + 9, NULL, 10) / PAGE : PAGES;

		if (page >= PAGES || named[page])
			errx(1, "no page, or once more: %.100s", line);
		named[page] = true;
	}
}

static bool is_durable(unsigned page)
{
	char now[PAGE], durable[PAGE];

	if (pread(file, now, PAGE, (off_t)page * PAGE) != PAGE ||
	    pread(image, durable, PAGE, (off_t)page * PAGE) != PAGE)
		err(1, "reading the file or its image");
	return !memcmp(now, durable, PAGE);
}

static void check(unsigned nr, unsigned first, unsigned end)
{
	bool named[PAGES] = {false};
	uint64_t reported = missed_so_far() - nr_missed, differ = 0;
	unsigned page;

	read_lines(named);
	for (page = 0; page < PAGES; page++) {
		bool is_lost = page >= first && page < end && !is_durable(page);

		differ += is_lost;
		if (nr_missed + reported <= LINES && is_lost != named[page])
			errx(1, "sync %u of pages %u to %u: page %u is %s", nr, first, end, page,
			     is_lost ? "lost and not reported" : "reported and not lost");
	}
	if (differ != reported)
		errx(1, "sync %u of pages %u to %u: %lu pages are lost, %lu were reported", nr, first, end, differ,
		     reported);
	nr_missed += reported;
}

static void store_and_sync(unsigned nr)
{
	unsigned first = 0, end = PAGES, i;

	for (i = random_below(40); i > 0; i--)
		map[random_below(nr_maps)][random_below(PAGES * PAGE)] = (char)rand_r(&seed);
	if (random_below(3)) {
		first = random_below(PAGES);
		end = first + 1 + random_below(PAGES - first);
	}
	if (end - first == PAGES && random_below(2)
		    ? fsync(file)
		    : msync(map[random_below(nr_maps)] + first * PAGE, (size_t)(end - first) * PAGE, MS_SYNC))
		err(1, "sync %u", nr);
	check(nr, first, end);
}

int main(int argc, char **argv)
{
	unsigned nr;

	if (argc > 1 && !strcmp(argv[1], "-a")) {
		nr_maps = 2;
		argv++;
		argc--;
	}
	if (argc != 4)
		errx(2, "usage: missed [-a] FILE IMAGE_DIR SEED");
	begin(argv + 1);
	for (nr = 0; nr < SYNCS; nr++)
		store_and_sync(nr);
	while (nr_maps) { // which flushes as well; nothing is left for the end of the process
		munmap(map[--nr_maps], PAGES * PAGE);
		check(nr++, 0, PAGES);
	}
	printf("%lu\n", nr_missed);
	return 0;
}
