// SPDX-License-Identifier: BSD-3-Clause
// ctime.c: why daxsync never leaves out the kernel's fsync: whether a file's change time tells who has changed it since the
// last one (doc/design.md, "An fsync"). It knows nothing of daxsync.
//
//   ctime FILE     on a DAX file system; one line for each of these, and what it means:
//   own            a store to a page that was stored to before the last fsync moves the change time, as the fsync has
//                  write-protected the page for the kernel: a program's own stores look like somebody else's change
//   late           a write(2) moves the change time before it has changed anything: one that was under way during an fsync
//                  changes the file after it, and the time stays what it was
//
// Exit status: 0 both are so; 1 one is not.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define NR_PAGES ((size_t)16)
#define TICKS_NS 100000000 // many ticks of any kernel: what changes after that has another time

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(2);
}

static struct stat stat_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		fail("fstat");
	return st;
}

static bool is_same_time(struct stat a, struct stat b)
{
	return a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

static void pass_ticks(void)
{
	struct timespec ts = {0, TICKS_NS};

	nanosleep(&ts, NULL);
}

static bool own(int fd)
{
	volatile char *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
	struct stat before, after;

	if (map == MAP_FAILED)
		fail("mmap");
	map[0] = 1;
	if (fsync(fd))
		fail("fsync");
	before = stat_of(fd);
	pass_ticks();
	map[0] = 2;
	after = stat_of(fd);
	munmap((void *)map, PAGE);
	printf("own: a store to a page that was stored to before the fsync %s the change time\n",
	       is_same_time(before, after) ? "does not move" : "moves");
	return !is_same_time(before, after);
}

struct writer {
	int fd;
	char *data; // pages of which all but the first are missing
};

static void *write_all(void *arg)
{
	const struct writer *writer = arg;

	if (pwrite(writer->fd, writer->data, NR_PAGES * PAGE, (off_t)PAGE) != (ssize_t)(NR_PAGES * PAGE))
		fail("pwrite");
	return NULL;
}

// A buffer whose pages but the first come when they are asked for: the descriptor that says so.
static int buffer_new(char **data)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};

	*data = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || *data == MAP_FAILED)
		fail("userfaultfd");
	memset(*data, 'x', PAGE);
	reg.range.start = (uintptr_t)*data;
	reg.range.len = NR_PAGES * PAGE;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		fail("UFFDIO_REGISTER");
	return fd;
}

static void page_comes(int uffd)
{
	static char page[PAGE];
	struct uffd_msg msg;
	struct uffdio_copy copy = {.src = (uintptr_t)page, .len = PAGE};

	if (read(uffd, &msg, sizeof(msg)) != (ssize_t)sizeof(msg))
		fail("userfaultfd");
	copy.dst = msg.arg.pagefault.address & ~(uint64_t)(PAGE - 1);
	if (ioctl(uffd, UFFDIO_COPY, &copy))
		fail("UFFDIO_COPY");
}

static bool late(int fd)
{
	struct writer writer = {.fd = fd};
	struct stat synced, after;
	pthread_t thread;
	size_t i;
	int uffd = buffer_new(&writer.data);

	if (pthread_create(&thread, NULL, write_all, &writer))
		fail("pthread_create");
	page_comes(uffd); // the write has begun, and waits for its third page
	pass_ticks();
	if (fsync(fd))
		fail("fsync");
	synced = stat_of(fd);
	for (i = 2; i < NR_PAGES; i++)
		page_comes(uffd);
	pthread_join(thread, NULL);
	after = stat_of(fd);
	printf("late: a write under way during the fsync: %lld bytes at the fsync, %lld after it; the change time %s\n",
	       (long long)synced.st_size, (long long)after.st_size,
	       is_same_time(synced, after) ? "is the same" : "has moved");
	return is_same_time(synced, after) && synced.st_size != after.st_size;
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	bool all;

	if (fd < 0 || ftruncate(fd, (off_t)PAGE))
		fail("usage: ctime FILE");
	all = own(fd);
	return late(fd) && all ? 0 : 1;
}
