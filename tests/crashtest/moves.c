// SPDX-License-Identifier: BSD-3-Clause
// moves.c: programs that are hard to record, one for each word.
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
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

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "forks")) {
		forks();
	} else if (!strcmp(what, "writes")) {
		writes();
	} else if (!strcmp(what, "killed")) {
		work(map("killed"), 'k');
		raise(SIGKILL);
	} else if (!strcmp(what, "fails")) {
		work(map("fails"), 'f');
		return 3;
	} else if (!strcmp(what, "never")) {
		map("never")[0] = 'n';
		return puts("acknowledged") < 0;
	} else if (!strcmp(what, "waits")) {
		work(map("waits"), 'w');
		pause();
	} else {
		return 2;
	}
	return 0;
}
