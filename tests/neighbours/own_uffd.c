// SPDX-License-Identifier: BSD-3-Clause
// own_uffd.c: own_uffd FILE: a program with a userfaultfd of its own beside a tracked file: missing pages of anonymous
// memory that its thread fills, and write-protected ones that its thread opens; and one that tries to take the tracked
// mapping as well. Prints the same each time.
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define NR_PAGES 64
#define SIZE (NR_PAGES * PAGE)

static int uffd;
static atomic_int nr_missing, nr_protected, ended;

static void check(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static int open_uffd(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api)) {
		perror("SKIP: no userfaultfd");
		exit(77);
	}
	return fd;
}

static void take(void *addr, unsigned long mode)
{
	struct uffdio_register range = {.range = {(uintptr_t)addr, SIZE}, .mode = mode};

	check(!ioctl(uffd, UFFDIO_REGISTER, &range), "UFFDIO_REGISTER");
}

static void protect(uintptr_t addr, size_t len, unsigned long mode)
{
	struct uffdio_writeprotect range = {.range = {addr, len}, .mode = mode};

	check(!ioctl(uffd, UFFDIO_WRITEPROTECT, &range), "UFFDIO_WRITEPROTECT");
}

static void fill(uintptr_t addr)
{
	static char page[4096];
	struct uffdio_copy copy = {.dst = addr, .src = (uintptr_t)page, .len = PAGE};

	memset(page, 'm', sizeof(page));
	check(!ioctl(uffd, UFFDIO_COPY, &copy), "UFFDIO_COPY");
}

static void *serve(void *arg)
{
	struct pollfd poll_fd = {.fd = uffd, .events = POLLIN};
	struct uffd_msg msg;

	(void)arg;
	while (!ended) {
		if (poll(&poll_fd, 1, 50) <= 0 || read(uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		uintptr_t addr = msg.arg.pagefault.address & ~(PAGE - 1);

		if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
			nr_protected++;
			protect(addr, PAGE, 0);
		} else {
			nr_missing++;
			fill(addr);
		}
	}
	return NULL;
}

static unsigned long sum(const char *memory)
{
	unsigned long value = 0;
	size_t i;

	for (i = 0; i < SIZE; i++)
		value = value * 31 + (unsigned char)memory[i];
	return value;
}

// Stores from one kind of memory to the other, so that faults of both follow each other.
static void mix(char *file, char *missing, char *guarded)
{
	int i, round;

	for (round = 0; round < 5; round++) {
		protect((uintptr_t)guarded, SIZE, UFFDIO_WRITEPROTECT_MODE_WP);
		check(!madvise(missing, SIZE, MADV_DONTNEED), "madvise");
		for (i = 0; i < NR_PAGES; i++) {
			memcpy(file + (size_t)i * PAGE, missing + (size_t)i * PAGE, 100);
			guarded[(size_t)i * PAGE + (size_t)round] = (char)(file[(size_t)i * PAGE] + i);
			memcpy(file + (size_t)i * PAGE + 200, guarded + (size_t)i * PAGE, 100);
		}
		check(!msync(file, SIZE, MS_SYNC), "msync");
	}
}

// Write-protection of the tracked file by the program: it may be refused, and then the shim has the mapping.
static void try_to_take(char *file)
{
	struct uffdio_register range = {.range = {(uintptr_t)file, SIZE}, .mode = UFFDIO_REGISTER_MODE_WP};
	int i;

	if (!ioctl(uffd, UFFDIO_REGISTER, &range))
		protect((uintptr_t)file, SIZE, UFFDIO_WRITEPROTECT_MODE_WP);
	else
		fprintf(stderr, "the tracked mapping: %s\n", strerror(errno));
	for (i = 0; i < NR_PAGES; i++)
		file[(size_t)i * PAGE + 300] = (char)i;
	check(!msync(file, SIZE, MS_SYNC), "msync");
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600) : -1;
	char *file, *missing, *guarded;
	pthread_t thread;

	check(fd >= 0 && !ftruncate(fd, SIZE), "open");
	uffd = open_uffd();
	file = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	missing = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	guarded = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(file != MAP_FAILED && missing != MAP_FAILED && guarded != MAP_FAILED, "mmap");
	memset(guarded, 'g', SIZE);
	take(missing, UFFDIO_REGISTER_MODE_MISSING);
	take(guarded, UFFDIO_REGISTER_MODE_WP);
	check(!pthread_create(&thread, NULL, serve, NULL), "pthread_create");
	mix(file, missing, guarded);
	printf("%d missing, %d protected, sum %lx\n", nr_missing, nr_protected, sum(file));
	if (argc > 2)
		try_to_take(file);
	ended = 1;
	pthread_join(thread, NULL);
	printf("sum %lx\n", sum(file));
	return 0;
}
