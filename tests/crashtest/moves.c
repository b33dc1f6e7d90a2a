// SPDX-License-Identifier: BSD-3-Clause
// moves.c: programs that are hard to record, one for each word.
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 64
#define PAGE 4096

static char *map(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	char *data;

	if (fd < 0 || ftruncate(fd, (off_t)PAGES * PAGE) || fsync(fd))
		_exit(2);
	data = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		_exit(2);
	close(fd);
	return data;
}

// Ten stores, each made durable and acknowledged.
static void work(char *data, char mark)
{
	for (int i = 0; i < 10; i++) {
		data[i * PAGE] = mark;
		if (msync(data + (ptrdiff_t)i * PAGE, PAGE, MS_SYNC))
			_exit(2);
		if (write(STDOUT_FILENO, &mark, 1) != 1)
			_exit(2);
	}
}

static void forks(void)
{
	char *data = map("forks");

	for (char i = 0; i < 3; i++) {
		if (!fork()) {
			work(data + i * 10 * PAGE, (char)('a' + i));
			_exit(0);
		}
	}
	work(data + 30 * PAGE, 'd');
	while (wait(NULL) > 0)
		;
}

// Files that write(2) alone has made: one that is synced before it is acknowledged, one through O_DSYNC.
static void writes(void)
{
	int fd = open("plain", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	int through = open("through", O_RDWR | O_CREAT | O_DSYNC | O_CLOEXEC, 0644);

	if (fd < 0 || through < 0 || fsync(through))
		_exit(2);
	for (int i = 0; i < 5; i++) {
		if (pwrite(fd, "x", 1, i) != 1 || fdatasync(fd) || pwrite(through, "y", 1, i) != 1)
			_exit(2);
		if (write(STDOUT_FILENO, ".", 1) != 1)
			_exit(2);
	}
}

static void file_put(const char *name, char mark, bool is_synced)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, &mark, 1) != 1 || (is_synced && fsync(fd)) || close(fd))
		_exit(2);
}

static void dir_sync(const char *name)
{
	int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) || close(fd))
		_exit(2);
}

// A file that is replaced over and over: an old one or a new one must be there, though no directory is synced. The number of
// the one that is gone is soon that of the next.
static void replaces(void)
{
	file_put("state", 'a', true);
	dir_sync(".");
	puts("there");
	fflush(stdout);
	for (int i = 'b'; i < 'h'; i++) {
		file_put("state.new", (char)i, true);
		if (rename("state.new", "state"))
			_exit(2);
	}
}

// A file that a directory of the same name takes the place of; and one that moves from one directory to another.
static void names(void)
{
	file_put("name", 'n', true);
	dir_sync(".");
	if (unlink("name") || mkdir("name", 0755) || mkdir("other", 0755))
		_exit(2);
	file_put("name/file", 'f', true);
	dir_sync("name");
	dir_sync(".");
	puts("there");
	fflush(stdout);
	if (rename("name/file", "other/file"))
		_exit(2);
	dir_sync("name");
	dir_sync("other");
}

// A name in each of two directories, and a sync of the first.
static void neighbour(void)
{
	if (mkdir("one", 0755) || mkdir("two", 0755))
		_exit(2);
	file_put("one/file", 'f', false);
	file_put("two/file", 'f', false);
	dir_sync("one");
	puts("acknowledged");
	fflush(stdout);
	dir_sync(".");
}

// Only sync() makes it durable.
static void syncs(void)
{
	int fd = open("syncs", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	for (int i = 0; i < 5; i++) {
		if (fd < 0 || pwrite(fd, "s", 1, i) != 1)
			_exit(2);
		sync();
		if (write(STDOUT_FILENO, "s", 1) != 1)
			_exit(2);
	}
}

// A file that is removed, and another one, which has its number where file systems use them again.
static void reuses(void)
{
	int fd;

	file_put("old", 'o', true);
	dir_sync(".");
	if (unlink("old"))
		_exit(2);
	file_put("new", 'n', false);
	fd = open("other", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || fsync(fd))
		_exit(2);
}

// A byte that goes up: stored and flushed, then written and synced. Only the second is acknowledged.
static void returns(void)
{
	char *data = map("returns");
	int fd = open("returns", O_RDWR | O_CLOEXEC);

	for (int i = 1; i < 20; i += 2) {
		char next = (char)(i + 1);

		data[0] = (char)i;
		if (fd < 0 || msync(data, PAGE, MS_SYNC) || pwrite(fd, &next, 1, 0) != 1 || fsync(fd))
			_exit(2);
		if (write(STDOUT_FILENO, &next, 1) != 1)
			_exit(2);
	}
}

// A sync that fails makes nothing durable.
static void nowhere(void)
{
	file_put("nowhere", 'n', false);
	fsync(-1);
	puts("acknowledged");
	fflush(stdout);
	sync();
}

// A store that nobody syncs, and a write through O_DSYNC to another page of the file.
static void elsewhere(void)
{
	char *data = map("elsewhere");
	int fd = open("elsewhere", O_RDWR | O_DSYNC | O_CLOEXEC);

	data[PAGE] = 'e';
	if (fd < 0 || pwrite(fd, "w", 1, 0) != 1 || write(STDOUT_FILENO, "e", 1) != 1)
		_exit(2);
}

// The same of a file that is not mapped.
static void unmapped(void)
{
	int fd = open("unmapped", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	int through = open("unmapped", O_RDWR | O_DSYNC | O_CLOEXEC);

	if (fd < 0 || through < 0 || ftruncate(fd, (off_t)2 * PAGE) || fsync(fd))
		_exit(2);
	if (pwrite(fd, "e", 1, PAGE) != 1 || pwrite(through, "w", 1, 0) != 1 || write(STDOUT_FILENO, "e", 1) != 1)
		_exit(2);
}

// A file that is longer, and has a line in what was added, which an msync is about to make durable.
static void grows(void)
{
	char *data = map("grows");
	int fd = open("grows", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 0) || fsync(fd))
		_exit(2);
	for (int i = 0; i < 10; i++) {
		if (ftruncate(fd, (off_t)(i + 1) * 4 * PAGE))
			_exit(2);
		data[i * 4 * PAGE] = 'g';
		if (msync(data + (ptrdiff_t)i * 4 * PAGE, PAGE, MS_SYNC) || write(STDOUT_FILENO, "g", 1) != 1)
			_exit(2);
	}
}

// A file of 1 TiB that holds a few pages.
static void sparse(void)
{
	int fd = open("sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	char *data;

	if (fd < 0 || ftruncate(fd, (off_t)1 << 40) || fsync(fd))
		_exit(2);
	data = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)1 << 39);
	if (data == MAP_FAILED)
		_exit(2);
	work(data, 's');
	if (fsync(fd))
		_exit(2);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "forks")) {
		forks();
	} else if (!strcmp(what, "writes")) {
		writes();
	} else if (!strcmp(what, "elsewhere")) {
		elsewhere();
	} else if (!strcmp(what, "unmapped")) {
		unmapped();
	} else if (!strcmp(what, "syncs")) {
		syncs();
	} else if (!strcmp(what, "reuses")) {
		reuses();
	} else if (!strcmp(what, "neighbour")) {
		neighbour();
	} else if (!strcmp(what, "returns")) {
		returns();
	} else if (!strcmp(what, "sparse")) {
		sparse();
	} else if (!strcmp(what, "grows")) {
		grows();
	} else if (!strcmp(what, "killed")) {
		work(map("killed"), 'k');
		raise(SIGKILL);
	} else if (!strcmp(what, "fails")) {
		work(map("fails"), 'f');
		return 3;
	} else if (!strcmp(what, "twins")) {
		char *data = map("twins");

		data[0] = data[128] = 't'; // two lines of one page
		return puts("acknowledged") < 0;
	} else if (!strcmp(what, "never")) {
		map("never")[0] = 'n';
		return puts("acknowledged") < 0;
	} else if (!strcmp(what, "replaces")) {
		replaces();
	} else if (!strcmp(what, "names")) {
		names();
	} else if (!strcmp(what, "nowhere")) {
		nowhere();
	} else if (!strcmp(what, "waits")) {
		work(map("waits"), 'w');
		pause();
	} else {
		return 2;
	}
	return 0;
}
