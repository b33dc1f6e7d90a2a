// SPDX-License-Identifier: BSD-3-Clause
// support.c: what the cases share: files, mappings, counters, children, threads.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/stat.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
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

bool is_counted(void)
{
	return !getenv(UNCOUNTED) && counters_get(NULL);
}

uint64_t nr_traps(void)
{
	struct daxsync_stats now;

	counters_get(&now);
	return now.traps;
}

uint64_t nr_kernel_syncs(void)
{
	struct daxsync_stats now;

	counters_get(&now);
	return now.kernel_syncs;
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

// The runner removes it when the cell has ended.
int named_file_new(size_t size, char *name)
{
	int fd;

	snprintf(name, PATH_MAX, "%s/" NAME_PREFIX "%d.XXXXXX", path, getpgrp());
	fd = mkostemp(name, O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(!ftruncate(fd, (off_t)size));
	return fd;
}

// The kernel has no msync for a device. Without this, guest/promises.sh would report lines that this case syncs and does not
// store to, for what the case before has left in them.
static void write_back(const char *addr, size_t size)
{
#ifdef __SSE2__ // there is no such guest of another kind
	for (size_t at = 0; at < size; at += 64)
		__builtin_ia32_clflush(addr + at);
	__builtin_ia32_mfence();
#else
	(void)addr;
	(void)size;
#endif
}

// The device, its first bytes zeroed, and durable, by means that the library does not see.
static int device_open(size_t size)
{
	static bool opened;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *addr;

	CHECK(fd >= 0);
	if (opened)
		cell_skip("takes two files, and a device is one");
	opened = true;
	addr = (void *)syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(addr != MAP_FAILED);
	memset(addr, 0, size);
	write_back(addr, size);
	CHECK(!syscall(SYS_munmap, addr, size));
	return fd;
}

bool is_device(void)
{
	return memory == DEVICE;
}

bool is_named(void)
{
	return memory & NAMED;
}

int file_new(size_t size)
{
	char name[PATH_MAX];
	int fd;

	if (is_device())
		return device_open(size);
	if (memory & NAMED) // so that the emulated kernel sync can open it
		return named_file_new(size, name);
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

char *room_for(size_t len)
{
	char *room = mmap(NULL, len + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *aligned = (char *)(((uintptr_t)room + page - 1) / page * page);

	CHECK(room != MAP_FAILED);
	CHECK(aligned == room || !munmap(room, (size_t)(aligned - room)));
	CHECK(!munmap(aligned + len, (size_t)(room + page - aligned)));
	return aligned;
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

double seconds(double full)
{
	return getenv(SLOW) ? full / 8 : full;
}

unsigned nr_times(unsigned full)
{
	return getenv(SLOW) ? (full + 7) / 8 : full;
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

// Whether a thread sleeps: the state in the line of numbers behind its name, which this program has chosen.
bool is_asleep(int tid)
{
	char name[64], line[256] = "";
	const char *state;
	int fd;

	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", tid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && read(fd, line, sizeof(line) - 1) > 0 && !close(fd));
	state = strrchr(line, ')');
	return state && state[2] == 'S';
}

// mlock(2) of DAX memory succeeds and does nothing (mm/mlock.c, mlock_fixup: vma_is_dax).
void needs_mlock(int fd)
{
	struct { // struct statx, which <sys/stat.h> and <linux/stat.h> cannot both give
		uint32_t mask, blksize;
		uint64_t attributes;
		char rest[240];
	} stx = {0};

	if (is_device())
		cell_skip("DAX memory cannot be locked");
	CHECK(!syscall(SYS_statx, fd, "", 0x1000 /* AT_EMPTY_PATH */, 0, &stx));
	if (stx.attributes & STATX_ATTR_DAX)
		cell_skip("DAX memory cannot be locked");
}

// The uffd engine asks PAGEMAP_SCAN what has been touched (doc/design.md, lazy write-protection).
void needs_lazy_closing(void)
{
	const char *engine = getenv("DAXSYNC_ENGINE");
	struct utsname name;
	int major, minor;

	CHECK(!uname(&name) && sscanf(name.release, "%d.%d", &major, &minor) == 2);
	if (counters_get(NULL) && engine && !strncmp(engine, "uffd", 4) && (major < 6 || (major == 6 && minor < 7)))
		cell_skip("no PAGEMAP_SCAN before Linux 6.7: mappings are closed as a whole");
}
