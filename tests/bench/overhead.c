// SPDX-License-Identifier: BSD-3-Clause
// overhead.c: what calls cost that have nothing to do with any mapping, while one file is tracked: "NAME<tab>NS" each.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define NR_PARTS 8

static int null, zero, pair[2];
static char bytes[64], *memory;
static struct iovec parts[NR_PARTS];
static struct msghdr message = {.msg_iov = parts, .msg_iovlen = NR_PARTS};

static void one_write(void)
{
	(void)!write(null, bytes, sizeof(bytes));
}

static void one_read(void)
{
	(void)!read(zero, bytes, sizeof(bytes));
}

static void one_readv(void)
{
	(void)!readv(zero, parts, NR_PARTS);
}

static void one_message(void)
{
	sendmsg(pair[0], &message, 0);
	recvmsg(pair[1], &message, 0);
}

static void one_madvise(void)
{
	madvise(memory, PAGE, MADV_DONTNEED);
}

static void one_fsync(void)
{
	fsync(null);
}

static void one_lseek(void)
{
	lseek(zero, 0, SEEK_SET);
}

static void one_mmap(void)
{
	munmap(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE);
}

static const struct {
	const char *name;
	void (*call)(void);
} rows[] = {
	{"write", one_write},      {"read", one_read},
	{"readv of 8", one_readv}, {"sendmsg, recvmsg of 8", one_message},
	{"madvise", one_madvise},  {"fsync", one_fsync},
	{"lseek", one_lseek},      {"mmap, munmap", one_mmap},
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void track(void)
{
	char path[] = "/dev/shm/daxsync-bench.XXXXXX", *map;
	int fd = mkstemp(path);

	if (fd < 0 || unlink(path) || ftruncate(fd, PAGE))
		abort();
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		abort();
	map[0] = 1;
	msync(map, PAGE, MS_SYNC);
}

int main(int argc, char **argv)
{
	long nr = argc > 1 ? atol(argv[1]) : 20000, i;
	size_t row;

	track();
	null = open("/dev/null", O_RDWR);
	zero = open("/dev/zero", O_RDONLY);
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
		abort();
	for (i = 0; i < NR_PARTS; i++)
		parts[i] = (struct iovec){bytes + i * 8, 8};
	for (row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		double begin;

		rows[row].call();
		begin = now_ns();
		for (i = 0; i < nr; i++)
			rows[row].call();
		printf("%s\t%.1f\n", rows[row].name, (now_ns() - begin) / (double)nr);
	}
	return 0;
}
