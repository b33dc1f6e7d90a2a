// SPDX-License-Identifier: BSD-3-Clause
// rows_size.c: sizes and blocks of a mapped file: truncate, fallocate, and opening with O_TRUNC.
#include "corpus.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NR(array) (sizeof(array) / sizeof((array)[0]))

// Another size, and the old one again.

static void back_to_size(void)
{
	after();
	TELL("back", ftruncate(fd, SIZE));
	after();
	memory_store();
	TELL("msync", msync(map + PAGE, PAGE, MS_SYNC));
	after_syncs();
}

static void by_descriptor(const void *arg)
{
	memory_make();
	memory_store();
	TELL("ftruncate", ftruncate(fd, *(const off_t *)arg));
	back_to_size();
}

static void by_path(const void *arg)
{
	memory_make();
	memory_store();
	TELL("truncate", truncate("file", *(const off_t *)arg));
	back_to_size();
}

static void by_path_64(const void *arg)
{
	memory_make();
	memory_store();
	TELL("truncate64", truncate64("file", *(const off_t *)arg));
	TELL("ftruncate64", ftruncate64(fd, *(const off_t *)arg));
	back_to_size();
}

static void truncate_errors(const void *arg)
{
	int read_only, write_only;

	(void)arg;
	memory_make();
	memory_store();
	read_only = open("file", O_RDONLY | O_CLOEXEC);
	write_only = open("file", O_WRONLY | O_CLOEXEC);
	MUST(!mkdir("directory", 0755) && !symlink("file", "link") && !symlink("nothing", "dangling"));
	TELL("read only", ftruncate(read_only, 0));
	TELL("bad", ftruncate(999, 0));
	TELL("path", ftruncate(open("file", O_PATH | O_CLOEXEC), 0));
	TELL("none", truncate("none", 0));
	TELL("directory", truncate("directory", 0));
	TELL("dangling", truncate("dangling", 0));
	TELL("bad path", truncate((const char *)8, 0));
	TELL("in a file", truncate("file/x", 0));
	TELL("link", truncate("link", 6 * PAGE));
	TELL("write only", ftruncate(write_only, 5 * PAGE));
	back_to_size();
}

static void rows_truncate(void)
{
	static const off_t sizes[] = {0,         1,        3 * PAGE, 3 * PAGE + 100, SIZE - 1, SIZE, SIZE + 1,
				      16 * PAGE, 3L << 30, -1,       LONG_MIN,       LONG_MAX};
	char name[64];
	size_t i;

	for (i = 0; i < NR(sizes); i++) {
		snprintf(name, sizeof(name), "size/ftruncate/%ld", (long)sizes[i]);
		if (sizes[i] < 1L << 30 || sizes[i] > 1L << 40) // its content is said
			row(name, by_descriptor, &sizes[i]);
		snprintf(name, sizeof(name), "size/truncate/%ld", (long)sizes[i]);
		if (sizes[i] < 1L << 30 || sizes[i] > 1L << 40)
			row(name, by_path, &sizes[i]);
		snprintf(name, sizeof(name), "size/truncate64/%ld", (long)sizes[i]);
		if (sizes[i] < 1L << 30)
			row(name, by_path_64, &sizes[i]);
	}
	row("size/truncate/errors", truncate_errors, NULL);
}

// fallocate.

struct allocated {
	int mode;
	off_t off, len;
};

static void allocate(const void *arg)
{
	const struct allocated *part = arg;

	memory_make();
	memory_store();
	TELL("fallocate", fallocate(fd, part->mode, part->off, part->len));
	after();
	memory_store();
	TELL("again", fallocate64(fd, part->mode, part->off, part->len));
	back_to_size();
}

static void allocate_posix(const void *arg)
{
	const struct allocated *part = arg;

	memory_make();
	memory_store();
	tell_errno("posix_fallocate", posix_fallocate(fd, part->off, part->len));
	after();
	memory_store();
	tell_errno("again", posix_fallocate64(fd, part->off, part->len));
	back_to_size();
}

static void allocate_errors(const void *arg)
{
	int pipes[2];

	(void)arg;
	memory_make();
	memory_store();
	MUST(!pipe(pipes));
	TELL("read only", fallocate(open("file", O_RDONLY | O_CLOEXEC), 0, 0, PAGE));
	TELL("bad", fallocate(999, 0, 0, PAGE));
	TELL("pipe", fallocate(pipes[1], 0, 0, PAGE));
	TELL("directory", fallocate(open(".", O_RDONLY | O_CLOEXEC), 0, 0, PAGE));
	tell_errno("read only", posix_fallocate(open("file", O_RDONLY | O_CLOEXEC), 0, PAGE));
	tell_errno("bad", posix_fallocate(999, 0, PAGE));
	tell_errno("pipe", posix_fallocate(pipes[1], 0, PAGE));
	back_to_size();
}

static void rows_allocate(void)
{
	static const int modes[] = {0,
				    FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_PUNCH_HOLE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_ZERO_RANGE,
				    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_COLLAPSE_RANGE,
				    FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_INSERT_RANGE,
				    FALLOC_FL_INSERT_RANGE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_UNSHARE_RANGE,
				    FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_NO_HIDE_STALE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE,
				    0x80,
				    0x81,
				    0x1000,
				    -1};
	static const struct allocated parts[] = {{0, 2 * PAGE, 3 * PAGE},
						 {0, 2 * PAGE + 100, 2 * PAGE},
						 {0, 6 * PAGE, 4 * PAGE},
						 {0, 10 * PAGE, 2 * PAGE},
						 {0, 100, 50},
						 {0, 0, SIZE},
						 {0, 0, 0},
						 {0, -1, PAGE},
						 {0, PAGE, -1},
						 {0, LONG_MAX - 10, PAGE}};
	struct allocated part;
	char name[64];
	size_t i, j;

	for (i = 0; i < NR(parts); i++) {
		part = parts[i];
		for (j = 0; j < NR(modes); j++) {
			part.mode = modes[j];
			snprintf(name, sizeof(name), "size/fallocate/%x/%zu", (unsigned)part.mode, i);
			row(name, allocate, &part);
		}
		snprintf(name, sizeof(name), "size/posix_fallocate/%zu", i);
		row(name, allocate_posix, &part);
	}
	part = (struct allocated){FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, LONG_MAX - (off_t)PAGE};
	row("size/fallocate/hole_for_ever", allocate, &part);
	row("size/fallocate/errors", allocate_errors, NULL);
}

// Opening with O_TRUNC.

static FILE *reopened(const char *mode)
{
	FILE *file = fopen("/dev/null", "r");

	MUST(file);
	return freopen("file", mode, file);
}

static FILE *reopened_64(const char *mode)
{
	FILE *file = fopen64("/dev/null", "r");

	MUST(file);
	return freopen64("file", mode, file);
}

static long opened(const char *how)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;

	if (!strcmp(how, "open"))
		return open("file", flags, 0644);
	if (!strcmp(how, "open64"))
		return open64("file", flags, 0644);
	if (!strcmp(how, "openat"))
		return openat(AT_FDCWD, "file", flags, 0644);
	if (!strcmp(how, "openat64"))
		return openat64(AT_FDCWD, "file", flags, 0644);
	if (!strcmp(how, "openat_directory"))
		return openat(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "file", flags, 0644);
	if (!strcmp(how, "creat"))
		return creat("file", 0644);
	if (!strcmp(how, "creat64"))
		return creat64("file", 0644);
	if (!strcmp(how, "read_write"))
		return open("file", O_RDWR | O_TRUNC | O_CLOEXEC);
	if (!strcmp(how, "read_only"))
		return open("file", O_RDONLY | O_TRUNC | O_CLOEXEC);
	if (!strcmp(how, "append"))
		return open("file", O_WRONLY | O_APPEND | O_TRUNC | O_CLOEXEC);
	if (!strcmp(how, "exclusive"))
		return open("file", flags | O_EXCL, 0644);
	if (!strcmp(how, "no_follow"))
		return open("link", flags | O_NOFOLLOW, 0644);
	if (!strcmp(how, "link"))
		return open("link", flags, 0644);
	if (!strcmp(how, "path"))
		return open("file", O_PATH | O_TRUNC | O_CLOEXEC);
	if (!strcmp(how, "as_directory"))
		return open("file", flags | O_DIRECTORY, 0644);
	if (!strcmp(how, "fopen_w"))
		return fopen("file", "w") ? 0 : -1;
	if (!strcmp(how, "fopen_w+"))
		return fopen("file", "w+") ? 0 : -1;
	if (!strcmp(how, "fopen64_w"))
		return fopen64("file", "wbe") ? 0 : -1;
	if (!strcmp(how, "fopen_wx"))
		return fopen("file", "wx") ? 0 : -1;
	if (!strcmp(how, "freopen_w"))
		return reopened("w") ? 0 : -1;
	MUST(!strcmp(how, "freopen64_w+"));
	return reopened_64("w+") ? 0 : -1;
}

static void open_truncates(const void *arg)
{
	memory_make();
	memory_store();
	MUST(!symlink("file", "link"));
	TELL("open", opened(arg) < 0 ? -1 : 0);
	back_to_size();
}

static void rows_open(void)
{
	static const char *const ways[] = {
		"open",         "open64",    "openat",   "openat64",  "openat_directory", "creat",     "creat64",
		"read_write",   "read_only", "append",   "exclusive", "no_follow",        "link",      "path",
		"as_directory", "fopen_w",   "fopen_w+", "fopen64_w", "fopen_wx",         "freopen_w", "freopen64_w+"};
	char name[64];
	size_t i;

	for (i = 0; i < NR(ways); i++) {
		snprintf(name, sizeof(name), "size/o_trunc/%s", ways[i]);
		row(name, open_truncates, ways[i]);
	}
}

void rows_size(void)
{
	rows_truncate();
	rows_allocate();
	rows_open();
}
