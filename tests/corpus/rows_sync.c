// SPDX-License-Identifier: BSD-3-Clause
// rows_sync.c: every call that makes data durable, with every flag and error.
#include "corpus.h"

#include <aio.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define NR(array) (sizeof(array) / sizeof((array)[0]))
#define RW (PROT_READ | PROT_WRITE)

// msync: each set of flags on each kind of range.

struct synced {
	const char *range;
	int flags;
};

static int sync_private(int flags)
{
	char *private = mmap(map + SIZE, SIZE, RW, MAP_PRIVATE | MAP_FIXED, fd, 0);

	MUST(private != MAP_FAILED);
	fill(private, 2, 3, 'p');
	return msync(map + 4 * PAGE, SIZE, flags);
}

// Ranges of the mapping as it is.
static const struct part {
	const char *range;
	long off;
	size_t len;
} parts[] = {
	{"all", 0, SIZE},
	{"middle", 2 * PAGE, 3 * PAGE},
	{"unaligned", 100, PAGE},
	{"length_0", 0, 0},
	{"length_0_unmapped", 2 * SIZE, 0},
	{"length_1", PAGE, 1},
	{"length_odd", PAGE, 2 * PAGE + 1},
	{"wraps", 0, SIZE_MAX - PAGE},
	{"wraps_to_0", 0, SIZE_MAX - 10},
	{"around", -(long)AROUND, SIZE + 2 * AROUND},
	{"unmapped", SIZE + 2 * AROUND, PAGE},
};

// What is done before.
static void prepare(const char *range)
{
	if (!strcmp(range, "hole"))
		MUST(!munmap(map + 3 * PAGE, PAGE));
	else if (!strcmp(range, "hole_first"))
		MUST(!munmap(map, PAGE));
	else if (!strcmp(range, "hole_last"))
		MUST(!munmap(map + 7 * PAGE, PAGE));
	else if (strstr(range, "locked"))
		MUST(!mlock(map + 2 * PAGE, PAGE));
	else if (!strcmp(range, "read_only"))
		MUST(!mprotect(map + 2 * PAGE, 2 * PAGE, PROT_READ));
	else if (!strcmp(range, "no_access"))
		MUST(!mprotect(map + 2 * PAGE, 2 * PAGE, PROT_NONE));
	else
		MUST(!strcmp(range, "beyond_file") && !ftruncate(fd, 3 * PAGE + 100));
}

static int sync_range(const char *range, int flags)
{
	size_t i;

	for (i = 0; i < NR(parts); i++)
		if (!strcmp(range, parts[i].range))
			return msync(map + parts[i].off, parts[i].len, flags);
	if (!strcmp(range, "private"))
		return sync_private(flags);
	prepare(range);
	if (!strcmp(range, "not_the_locked"))
		return msync(map + 3 * PAGE, 3 * PAGE, flags);
	return msync(map, SIZE, flags);
}

static void sync_flags(const void *arg)
{
	const struct synced *synced = arg;

	memory_make();
	memory_store();
	TELL("msync", sync_range(synced->range, synced->flags));
	memory_store();
	after();
}

static void rows_msync(void)
{
	static const char *const kinds[] = {
		"all",         "middle",    "unaligned",  "length_0",       "length_0_unmapped", "length_1",
		"length_odd",  "wraps",     "wraps_to_0", "around",         "unmapped",          "hole",
		"hole_first",  "hole_last", "locked",     "not_the_locked", "read_only",         "no_access",
		"beyond_file", "private"};
	static const int flags[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, MS_SYNC | 8, MS_SYNC | 1 << 20, -1};
	struct synced synced;
	char name[64];
	size_t i, j;

	for (i = 0; i < NR(kinds); i++)
		for (j = 0; j < NR(flags); j++) {
			synced = (struct synced){kinds[i], flags[j]};
			snprintf(name, sizeof(name), "sync/msync/%s/%x", kinds[i], (unsigned)flags[j]);
			row(name, sync_flags, &synced);
		}
}

// Descriptors of all kinds.

static int special(const char *kind)
{
	int pair[2];

	if (!strcmp(kind, "pipe"))
		return pipe(pair) ? -1 : pair[1];
	if (!strcmp(kind, "socket"))
		return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ? -1 : pair[0];
	if (!strcmp(kind, "epoll"))
		return epoll_create1(0);
	if (!strcmp(kind, "eventfd"))
		return eventfd(0, 0);
	if (!strcmp(kind, "memfd"))
		return memfd_create("corpus", 0);
	if (!strcmp(kind, "copy"))
		return dup(fd);
	return !strcmp(kind, "bad") ? 999 : -1;
}

static int descriptor(const char *kind)
{
	static const struct {
		const char *kind, *path;
		int flags;
	} paths[] = {
		{"file", "file", O_RDWR},      {"rdonly", "file", O_RDONLY},
		{"wronly", "file", O_WRONLY},  {"append", "file", O_WRONLY | O_APPEND},
		{"path", "file", O_PATH},      {"directory", ".", O_RDONLY | O_DIRECTORY},
		{"null", "/dev/null", O_RDWR}, {"proc", "/proc/self/status", O_RDONLY},
	};
	size_t i;

	for (i = 0; i < NR(paths); i++)
		if (!strcmp(kind, paths[i].kind))
			return open(paths[i].path, paths[i].flags | O_CLOEXEC);
	return special(kind);
}

static void sync_descriptor(const void *arg)
{
	int what;

	memory_make();
	memory_store();
	what = descriptor(arg);
	TELL("fsync", fsync(what));
	memory_store();
	fill(map, 2, 3, 'x');
	TELL("fdatasync", fdatasync(what));
	fill(map, 3, 4, 'y');
	TELL("sync_file_range", sync_file_range(what, 0, 0, SYNC_FILE_RANGE_WRITE));
	TELL("syncfs", syncfs(what));
	after();
}

struct file_range {
	off_t off, len;
	unsigned flags;
};

static void sync_file(const void *arg)
{
	const struct file_range *range = arg;

	memory_make();
	memory_store();
	TELL("sync_file_range", sync_file_range(fd, range->off, range->len, range->flags));
	memory_store();
	fill(map, 3, 4, 'y');
	TELL("sync_file_range", sync_file_range(fd, range->off, range->len, range->flags));
	after();
}

static void rows_descriptor(void)
{
	static const char *const kinds[] = {"file",      "copy",  "rdonly", "wronly", "append", "path",
					    "directory", "null",  "proc",   "pipe",   "socket", "epoll",
					    "eventfd",   "memfd", "bad",    "none"};
	static const off_t offs[] = {0, 2 * PAGE + 100, -1, 1L << 40, 1L << 62};
	static const off_t lens[] = {0, 3 * PAGE, -1, 1L << 62};
	struct file_range range;
	char name[80];
	size_t i, j;

	for (i = 0; i < NR(kinds); i++) {
		snprintf(name, sizeof(name), "sync/descriptor/%s", kinds[i]);
		row(name, sync_descriptor, kinds[i]);
	}
	for (i = 0; i < NR(offs) * NR(lens); i++)
		for (j = 0; j < 10; j++) {
			range = (struct file_range){offs[i / NR(lens)], lens[i % NR(lens)],
						    j < 9 ? (unsigned)j : 1U << 31};
			if (i > 4 && j != 2 && j != 7)
				continue;
			snprintf(name, sizeof(name), "sync/file_range/%zu/%x", i, range.flags);
			row(name, sync_file, &range);
		}
}

static void sync_everything(const void *arg)
{
	(void)arg;
	memory_make();
	memory_store();
	sync();
	memory_store();
	fill(map, 2, 5, 'y');
	sync();
	after();
}

// Descriptors that sync by themselves.
static void synchronous(const void *arg)
{
	int to;

	memory_make();
	memory_store();
	to = open("file", O_RDWR | O_CLOEXEC | *(const int *)arg);
	TELL("write", pwrite(to, "written", 7, 3 * PAGE + 10));
	memory_store();
	TELL("flags", fcntl(to, F_GETFL));
	TELL("write", write(to, map + PAGE, 2 * PAGE));
	TELL("fsync", fsync(to));
	after();
}

// Errors leave nothing out.
static void after_errors(const void *arg)
{
	(void)arg;
	memory_make();
	memory_store();
	TELL("bad", msync(map + 1, SIZE, MS_SYNC));
	TELL("both", msync(map, SIZE, MS_SYNC | MS_ASYNC));
	TELL("fsync", fsync(-1));
	TELL("async", msync(map, SIZE, MS_ASYNC));
	fill(map + 2 * PAGE, 1, 9, 'e');
	TELL("msync", msync(map, SIZE, MS_SYNC));
	fill(map + 2 * PAGE, 1, 10, 'f');
	after();
}

// POSIX asynchronous I/O.

static void aio_end(const char *label, struct aiocb *control)
{
	const struct aiocb *list[] = {control};

	while (aio_error(control) == EINPROGRESS)
		aio_suspend(list, 1, NULL);
	tell_errno(label, aio_error(control));
	TELL("return", aio_return(control));
}

static void asynchronous(const void *arg)
{
	struct aiocb control = {.aio_fildes = -1};
	char buf[5000];

	(void)arg;
	memory_make();
	memory_store();
	memset(buf, 'A', sizeof(buf));
	control = (struct aiocb){.aio_fildes = fd, .aio_buf = buf, .aio_nbytes = 5000, .aio_offset = 2 * PAGE + 9};
	TELL("aio_write", aio_write(&control));
	aio_end("write", &control);
	memory_store();
	control = (struct aiocb){.aio_fildes = fd, .aio_buf = map + 5 * PAGE, .aio_nbytes = 5000, .aio_offset = 100};
	TELL("aio_read", aio_read(&control));
	aio_end("read", &control);
	after();
	control = (struct aiocb){.aio_fildes = fd};
	TELL("aio_fsync", aio_fsync(O_SYNC, &control));
	aio_end("fsync", &control);
	memory_store();
	TELL("aio_fsync", aio_fsync(O_DSYNC, &control));
	aio_end("fdatasync", &control);
	TELL("operation", aio_fsync(O_APPEND, &control));
	control.aio_fildes = 999;
	TELL("bad", aio_fsync(O_SYNC, &control));
	control.aio_fildes = open("file", O_RDONLY | O_CLOEXEC);
	TELL("read only", aio_fsync(O_SYNC, &control));
	after();
}

static void list_of_asynchronous(const void *arg)
{
	struct aiocb control[3] = {
		{.aio_nbytes = 100, .aio_lio_opcode = LIO_WRITE, .aio_offset = PAGE + 7},
		{.aio_nbytes = 6000, .aio_lio_opcode = LIO_READ},
		{.aio_lio_opcode = LIO_NOP},
	};
	struct aiocb *list[] = {&control[0], NULL, &control[1], &control[2]};
	char buf[100];
	int other, i;

	(void)arg;
	memory_make();
	memory_store();
	other = file_new("other", 0);
	memset(buf, 'L', sizeof(buf));
	for (i = 0; i < 60; i++)
		MUST(pwrite(other, buf, 100, i * 100) == 100);
	control[0].aio_fildes = fd;
	control[0].aio_buf = buf;
	control[1].aio_fildes = other;
	control[1].aio_buf = map + 3 * PAGE;
	TELL("lio_listio", lio_listio(LIO_WAIT, list, 4, NULL));
	for (i = 0; i < 2; i++)
		TELL("return", aio_return(&control[i]));
	TELL("mode", lio_listio(7, list, 4, NULL));
	after();
}

// libpmem, which calls msync() for itself on a mapping that is no persistent memory.

static struct {
	int (*is_pmem)(const void *addr, size_t len);
	void (*persist)(const void *addr, size_t len);
	int (*msync)(const void *addr, size_t len);
	void *(*map_file)(const char *path, size_t len, int flags, mode_t mode, size_t *mapped, int *is_pmem);
	int (*unmap)(void *addr, size_t len);
} pmem;

static void pmem_load(void)
{
	void *library = dlopen("libpmem.so.1", RTLD_NOW);

	if (!library)
		skip("libpmem.so.1 is missing (package libpmem1)");
	*(void **)&pmem.is_pmem = dlsym(library, "pmem_is_pmem");
	*(void **)&pmem.persist = dlsym(library, "pmem_persist");
	*(void **)&pmem.msync = dlsym(library, "pmem_msync");
	*(void **)&pmem.map_file = dlsym(library, "pmem_map_file");
	*(void **)&pmem.unmap = dlsym(library, "pmem_unmap");
	MUST(pmem.is_pmem && pmem.persist && pmem.msync && pmem.map_file && pmem.unmap);
}

static void with_libpmem(const void *arg)
{
	size_t i;

	(void)arg;
	pmem_load();
	memory_make();
	memory_store();
	TELL("pmem_msync", pmem.msync(map + PAGE + 100, 3000));
	for (i = 0; i < 50; i++) {
		map[i * 600 + 5] = 'P';
		TELL("", pmem.msync(map + i * 600 + 5, 1));
	}
	TELL("unmapped", pmem.msync((void *)(16 * PAGE), 1));
	store(map + 3 * PAGE + 7, 'Q');
	pmem.persist(map + 3 * PAGE + 7, 1);
	after();
}

static void mapped_by_libpmem(const void *arg)
{
	size_t mapped = 0;
	int is_pmem = 0;

	(void)arg;
	pmem_load();
	map = pmem.map_file("mapped", SIZE, 1 /* PMEM_FILE_CREATE */, 0644, &mapped, &is_pmem);
	MUST(map && mapped == SIZE);
	region("map", map, SIZE);
	TELL("is_pmem", is_pmem);
	TELL("is_pmem", pmem.is_pmem(map, SIZE));
	fill(map, NR_PAGES, 1, 'm');
	if (is_pmem)
		pmem.persist(map, SIZE);
	else
		TELL("pmem_msync", pmem.msync(map, SIZE));
	memory_store();
	fd = open("mapped", O_RDWR | O_CLOEXEC);
	after();
	TELL("pmem_unmap", pmem.unmap(map, SIZE));
	say_file("file", fd);
}

void rows_sync(void)
{
	static const int flags[] = {O_SYNC, O_DSYNC, O_SYNC | O_APPEND};
	char name[64];
	size_t i;

	rows_msync();
	rows_descriptor();
	row("sync/sync", sync_everything, NULL);
	for (i = 0; i < NR(flags); i++) {
		snprintf(name, sizeof(name), "sync/synchronous/%x", (unsigned)flags[i]);
		row(name, synchronous, &flags[i]);
	}
	row("sync/after_errors", after_errors, NULL);
	row("sync/aio", asynchronous, NULL);
	row("sync/lio_listio", list_of_asynchronous, NULL);
	row("sync/libpmem", with_libpmem, NULL);
	row("sync/libpmem/map_file", mapped_by_libpmem, NULL);
}
