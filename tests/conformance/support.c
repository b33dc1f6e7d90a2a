// SPDX-License-Identifier: BSD-3-Clause
// support.c: what the cases share: files, mappings, counters, children, threads.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"
#include "runner.h"

#define MAX_THREADS 128

static pthread_t thread[MAX_THREADS];
static unsigned nr_threads;

void cell_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: not so: %s (errno %d, %s)\n", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line,
		what, errno, strerror(errno));
	fflush(NULL);
	_exit(1);
}

void cell_skip(const char *reason)
{
	fprintf(stderr, "%s\n", reason);
	fflush(NULL);
	_exit(SKIP);
}

bool counters_get(struct daxsync_stats *now)
{
	static int (*get)(struct daxsync_stats *);
	static bool looked;
	struct daxsync_stats ignored;

	if (!looked) {
		*(void **)&get = dlsym(RTLD_DEFAULT, "daxsync_stats_get");
		looked = true;
	}
	if (!now)
		now = &ignored;
	*now = (struct daxsync_stats){.size = sizeof(*now)};
	return get && !get(now);
}

uint64_t nr_traps(void)
{
	struct daxsync_stats now;

	counters_get(&now);
	return now.traps;
}

uint64_t nr_flushed(void)
{
	struct daxsync_stats now;

	counters_get(&now);
	return now.pages_flushed;
}

int mode_of(const void *addr)
{
	int (*get)(const void *) = NULL;

	*(void **)&get = dlsym(RTLD_DEFAULT, "daxsync_mode_of");
	return get ? get(addr) : -1;
}

// Named, so that the emulated kernel sync can open it; the runner removes it when the cell has ended.
static int tmpfs_new(void)
{
	char path[64];

	snprintf(path, sizeof(path), TMPFS_PREFIX "%d.XXXXXX", getpgrp());
	return mkostemp(path, O_CLOEXEC);
}

int file_new(size_t size)
{
	int fd;

	if (memory == TMPFS)
		fd = tmpfs_new();
	else
		fd = memfd_create("conformance", MFD_CLOEXEC | (memory == HUGETLBFS ? (unsigned)MFD_HUGETLB : 0));
	CHECK(fd >= 0);
	CHECK(!ftruncate(fd, (off_t)size));
	return fd;
}

char *map_new(int fd, size_t off, size_t len)
{
	char *addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)off);

	CHECK(addr != MAP_FAILED);
	return addr;
}

void sync_all(char *addr, size_t len)
{
	CHECK(!msync(addr, len, MS_SYNC));
}

char *map_closed(int fd)
{
	char *addr = map_new(fd, 0, FILE_SIZE);

	store_pages(addr, NR_PAGES, 'a');
	sync_all(addr, FILE_SIZE);
	return addr;
}

void store_pages(char *addr, size_t nr, char value)
{
	size_t i;

	for (i = 0; i < nr; i++)
		((volatile char *)addr)[i * page] = value;
}

bool pages_are(const char *addr, size_t nr, char value)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (((const volatile char *)addr)[i * page] != value)
			return false;
	return true;
}

bool file_has(int fd, size_t off, char value)
{
	size_t start = off / page * page;
	char *view = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)start);
	bool same;

	CHECK(view != MAP_FAILED);
	same = view[off - start] == value;
	CHECK(!munmap(view, page));
	return same;
}

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int in_child(void (*run)(void *), void *arg)
{
	pid_t pid = fork();
	int status = 0;

	CHECK(pid >= 0);
	if (!pid) {
		run(arg);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

bool is_success(int status)
{
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

void thread_start(void *(*run)(void *), void *arg)
{
	CHECK(nr_threads < MAX_THREADS);
	CHECK(!pthread_create(&thread[nr_threads++], NULL, run, arg));
}

void threads_join(void)
{
	while (nr_threads)
		CHECK(!pthread_join(thread[--nr_threads], NULL));
}

void needs_kernel_writes(void)
{
	const char *engine = getenv("DAXSYNC_ENGINE");

	if (counters_get(NULL) && engine && strcmp(engine, "uffd-thread"))
		cell_skip("no hook for these calls, and the engine does not serve faults of the kernel");
}
