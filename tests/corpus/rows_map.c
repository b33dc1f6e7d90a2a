// SPDX-License-Identifier: BSD-3-Clause
// rows_map.c: mappings being made, protected, advised, locked and taken away.
#include "corpus.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RW (PROT_READ | PROT_WRITE)

// Parts of the mapping.
struct range {
	const char *name;
	long first, nr; // pages
};

static const struct range ranges[] = {
	{"all", 0, NR_PAGES}, {"head", 0, 3}, {"middle", 3, 2}, {"tail", 6, 2}, {"beyond", 6, 4}, {"around", -1, 10},
};

#define NR(array) (sizeof(array) / sizeof((array)[0]))

static char *range_addr(const struct range *range)
{
	return map + range->first * (long)PAGE;
}

static size_t range_len(const struct range *range)
{
	return (size_t)range->nr * PAGE;
}

// Flags of mmap, one bit at a time.

struct flags {
	int type, bit;
};

static void mmap_flag(const void *arg)
{
	const struct flags *flags = arg;
	char *other;

	memory_make();
	memory_store();
	other = mmap(arena, SIZE, RW, flags->type | flags->bit, fd, 0);
	if (other == MAP_FAILED) {
		tell_mmap("mmap", other);
		after();
		return;
	}
	region("other", other, SIZE);
	say_memory("other", other, SIZE);
	fill(other, 4, 9, 'o');
	TELL("msync other", msync(other, SIZE, MS_SYNC));
	fill(other, 2, 10, 'p');
	after();
	say_memory("other", other, SIZE);
	TELL("munmap", munmap(other, SIZE));
}

static void rows_mmap_flags(void)
{
	static const struct {
		const char *name;
		int type;
	} types[] = {{"shared", MAP_SHARED}, {"validate", MAP_SHARED_VALIDATE}, {"private", MAP_PRIVATE}, {"type0", 0}};
	struct flags flags;
	char name[64];
	size_t i;
	int bit;

	for (i = 0; i < NR(types); i++)
		for (bit = 3; bit < 32; bit++) { // the first three are the type, and a number of huge pages is one bit
			flags = (struct flags){types[i].type, bit == 3 ? 0 : (int)(1U << bit)};
			if (flags.bit == MAP_ANONYMOUS || flags.bit == MAP_32BIT)
				continue; // the first is of no file; where the other goes, the kernel chooses
			snprintf(name, sizeof(name), "map/flag/%s/%x", types[i].name, (unsigned)flags.bit);
			row(name, mmap_flag, &flags);
		}
}

// Errors of mmap.

struct arguments {
	const char *name;
	size_t len;
	int prot, flags;
	off_t off;
};

static void mmap_arguments(const void *arg)
{
	const struct arguments *args = arg;
	void *addr;

	memory_make();
	memory_store();
	addr = mmap(args->flags & MAP_FIXED ? map + 1 : NULL, args->len, args->prot, args->flags, fd, args->off);
	if (addr == MAP_FAILED)
		tell_mmap("mmap", addr);
	else
		say_memory("other", region("other", addr, 4 * PAGE), 4 * PAGE);
	after();
}

static void rows_mmap_arguments(void)
{
	static const struct arguments table[] = {
		{"length_0", 0, RW, MAP_SHARED, 0},
		{"length_odd", 4 * PAGE - 5, RW, MAP_SHARED, 0},
		{"length_huge", SIZE_MAX, RW, MAP_SHARED, 0},
		{"length_half", SIZE_MAX / 2 + 1, RW, MAP_SHARED, 0},
		{"offset_unaligned", 4 * PAGE, RW, MAP_SHARED, 100},
		{"offset_2_pages", 4 * PAGE, RW, MAP_SHARED, 2 * PAGE},
		{"offset_negative", 4 * PAGE, RW, MAP_SHARED, -(off_t)PAGE},
		{"offset_last", 4 * PAGE, RW, MAP_SHARED, LONG_MAX - (off_t)PAGE + 1},
		{"offset_wraps", 4 * PAGE, RW, MAP_SHARED, -2 * (off_t)PAGE},
		{"offset_beyond_file", 4 * PAGE, RW, MAP_SHARED, 100 * PAGE},
		{"offset_half_beyond", 4 * PAGE, RW, MAP_SHARED, 6 * PAGE},
		{"fixed_unaligned", 4 * PAGE, RW, MAP_SHARED | MAP_FIXED, 0},
		{"no_type", 4 * PAGE, RW, 0, 0},
		{"prot_none", 4 * PAGE, PROT_NONE, MAP_SHARED, 0},
		{"prot_r", 4 * PAGE, PROT_READ, MAP_SHARED, 0},
		{"prot_w", 4 * PAGE, PROT_WRITE, MAP_SHARED, 0},
		{"prot_x", 4 * PAGE, PROT_EXEC, MAP_SHARED, 0},
		{"prot_rwx", 4 * PAGE, RW | PROT_EXEC, MAP_SHARED, 0},
		{"prot_sem", 4 * PAGE, RW | 8, MAP_SHARED, 0},
		{"prot_unknown", 4 * PAGE, RW | 0x80, MAP_SHARED, 0},
		{"prot_growsdown", 4 * PAGE, RW | PROT_GROWSDOWN, MAP_SHARED, 0},
		{"anonymous_with_file", 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, 0},
		{"populate_beyond_file", 4 * PAGE, RW, MAP_SHARED | MAP_POPULATE, 6 * PAGE},
		{"populate_locked", 4 * PAGE, RW, MAP_SHARED | MAP_POPULATE | MAP_LOCKED, 2 * PAGE},
	};
	char name[64];
	size_t i;

	for (i = 0; i < NR(table); i++) {
		snprintf(name, sizeof(name), "map/arguments/%s", table[i].name);
		row(name, mmap_arguments, &table[i]);
	}
}

// Descriptors of all kinds.

static int socket_new(void)
{
	int pair[2];

	MUST(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	return pair[0];
}

static int pipe_new(void)
{
	int pipes[2];

	MUST(!pipe(pipes));
	return pipes[0];
}

static int descriptor_new(const char *kind)
{
	static const struct {
		const char *kind, *path;
		int flags;
	} paths[] = {
		{"rdonly", "file", O_RDONLY},
		{"wronly", "file", O_WRONLY},
		{"append", "file", O_RDWR | O_APPEND},
		{"path", "file", O_PATH},
		{"directory", ".", O_RDONLY | O_DIRECTORY},
		{"null", "/dev/null", O_RDWR},
		{"zero", "/dev/zero", O_RDWR},
		{"full", "/dev/full", O_RDWR},
		{"proc", "/proc/self/status", O_RDONLY},
	};
	size_t i;

	for (i = 0; i < NR(paths); i++)
		if (!strcmp(kind, paths[i].kind))
			return open(paths[i].path, paths[i].flags | O_CLOEXEC);
	if (!strcmp(kind, "socket"))
		return socket_new();
	if (!strcmp(kind, "pipe"))
		return pipe_new();
	if (!strcmp(kind, "epoll"))
		return epoll_create1(EPOLL_CLOEXEC);
	return !strcmp(kind, "closed") ? 999 : -1;
}

struct descriptor {
	const char *kind;
	int prot, flags;
};

static void mmap_descriptor(const void *arg)
{
	const struct descriptor *descriptor = arg;
	char *addr;

	memory_make();
	memory_store();
	addr = mmap(NULL, 4 * PAGE, descriptor->prot, descriptor->flags, descriptor_new(descriptor->kind), 0);
	if (addr == MAP_FAILED) {
		tell_mmap("mmap", addr);
	} else {
		region("other", addr, 4 * PAGE);
		store(addr, 'o');
		TELL("mprotect", mprotect(addr, PAGE, RW));
		store(addr, 'o');
		TELL("msync", msync(addr, 4 * PAGE, MS_SYNC));
		store(addr + 1, 'o');
	}
	after();
}

static void rows_mmap_descriptors(void)
{
	static const char *const kinds[] = {"rdonly", "wronly", "append", "path", "directory", "null",   "zero",
					    "full",   "proc",   "socket", "pipe", "epoll",     "closed", "none"};
	struct descriptor descriptor;
	char name[64];
	size_t i;
	int n;

	for (i = 0; i < NR(kinds); i++)
		for (n = 0; n < 4; n++) {
			descriptor = (struct descriptor){kinds[i], n & 1 ? RW : PROT_READ,
							 n & 2 ? MAP_PRIVATE : MAP_SHARED};
			snprintf(name, sizeof(name), "map/descriptor/%s/%s/%s", kinds[i], n & 2 ? "private" : "shared",
				 n & 1 ? "rw" : "r");
			row(name, mmap_descriptor, &descriptor);
		}
}

// Addresses.

static void hints(const void *arg)
{
	char *free_one = arena + AROUND + SIZE;

	(void)arg;
	memory_make();
	memory_store();
	MUST(!munmap(free_one, 4 * PAGE));
	tell_mmap("free", mmap(free_one, 2 * PAGE, RW, MAP_SHARED, fd, 0));
	tell_mmap("taken", mmap(map, 2 * PAGE, RW, MAP_SHARED, fd, 0) == map ? map : NULL);
	tell_mmap("unaligned", mmap(free_one + 2 * PAGE + 100, PAGE, RW, MAP_SHARED, fd, 0));
	after();
	say_memory("behind", free_one, 4 * PAGE);
}

static void noreplace(const void *arg)
{
	const struct range *range = arg;
	char *addr = NULL;

	memory_make();
	memory_store();
	addr = mmap(range_addr(range), range_len(range), RW, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
	tell_mmap("shared", addr);
	tell_mmap("private", mmap(range_addr(range), range_len(range), RW, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0));
	MUST(!munmap(range_addr(range), PAGE));
	addr = mmap(range_addr(range), PAGE, RW, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 5 * PAGE);
	tell_mmap("into a gap", addr);
	say_memory("is", range_addr(range), PAGE);
	after();
}

// MAP_FIXED over parts of the mapping.

struct over {
	const struct range *range;
	const char *what;
};

static int other_file(void)
{
	int other = file_new("other", SIZE + 4 * PAGE);
	char page[4096];
	size_t i;

	memset(page, 'O', sizeof(page));
	for (i = 0; i < NR_PAGES + 4; i++)
		MUST(pwrite(other, page, PAGE, (off_t)(i * PAGE)) == (ssize_t)PAGE);
	return other;
}

static void *map_over(const char *what, char *addr, size_t len)
{
	int fixed = MAP_FIXED | MAP_SHARED;

	if (!strcmp(what, "anonymous"))
		return mmap(addr, len, RW, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!strcmp(what, "anonymous_shared"))
		return mmap(addr, len, RW, fixed | MAP_ANONYMOUS, -1, 0);
	if (!strcmp(what, "reservation"))
		return mmap(addr, len, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!strcmp(what, "private"))
		return mmap(addr, len, RW, MAP_FIXED | MAP_PRIVATE, fd, 0);
	if (!strcmp(what, "same"))
		return mmap(addr, len, RW, fixed, fd, addr < map ? 0 : addr - map);
	if (!strcmp(what, "elsewhere"))
		return mmap(addr, len, RW, fixed, fd, 5 * PAGE);
	if (!strcmp(what, "read_only"))
		return mmap(addr, len, PROT_READ, fixed, fd, 0);
	if (!strcmp(what, "other"))
		return mmap(addr, len, RW, fixed, other_file(), 0);
	if (!strcmp(what, "bad_descriptor"))
		return mmap(addr, len, RW, fixed, 999, 0);
	if (!strcmp(what, "wronly"))
		return mmap(addr, len, RW, fixed, open("file", O_WRONLY | O_CLOEXEC), 0);
	MUST(!strcmp(what, "unaligned_offset"));
	return mmap(addr, len, RW, fixed, fd, 7);
}

static void mmap_over(const void *arg)
{
	const struct over *over = arg;
	char *addr = range_addr(over->range);
	size_t len = range_len(over->range);

	memory_make();
	memory_store();
	tell_mmap("mmap", map_over(over->what, addr, len));
	after();
	TELL("msync", msync(addr, len, MS_SYNC));
	memory_store();
	say_memory("is", addr, len);
	TELL("msync", msync(addr, len, MS_SYNC));
	TELL("munmap", munmap(addr, len));
	say_file("file", fd);
	if (!strcmp(over->what, "other"))
		say_file("other", open("other", O_RDONLY | O_CLOEXEC));
}

static void rows_over(void)
{
	static const char *const whats[] = {"anonymous", "anonymous_shared", "reservation",     "private",
					    "same",      "elsewhere",        "read_only",       "other",
					    "wronly",    "bad_descriptor",   "unaligned_offset"};
	struct over over;
	char name[64];
	size_t i, j;

	for (i = 0; i < NR(ranges); i++) {
		snprintf(name, sizeof(name), "map/noreplace/%s", ranges[i].name);
		row(name, noreplace, &ranges[i]);
		for (j = 0; j < NR(whats); j++) {
			over = (struct over){&ranges[i], whats[j]};
			snprintf(name, sizeof(name), "map/over/%s/%s", ranges[i].name, whats[j]);
			row(name, mmap_over, &over);
		}
	}
}

// munmap.

struct unmapped {
	const char *name;
	long off;
	size_t len;
};

static void unmap(const void *arg)
{
	const struct unmapped *unmapped = arg;

	memory_make();
	memory_store();
	TELL("munmap", munmap(map + unmapped->off, unmapped->len));
	after();
	TELL("munmap", munmap(map + unmapped->off, unmapped->len));
	say_file("file", fd);
}

static void unmap_across(const void *arg)
{
	char *second = map + SIZE;

	(void)arg;
	memory_make();
	MUST(mmap(second, 4 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 2 * PAGE) == second);
	memory_store();
	fill(second, 4, 5, 's');
	TELL("munmap", munmap(map + 6 * PAGE, 4 * PAGE));
	say_memory("second", second, 4 * PAGE);
	store(second + 3 * PAGE + 6, 't');
	after();
	TELL("msync", msync(second + 2 * PAGE, 2 * PAGE, MS_SYNC));
	say_file("file", fd);
}

static void rows_unmap(void)
{
	static const struct unmapped table[] = {
		{"all", 0, SIZE},
		{"head", 0, 3 * PAGE},
		{"middle", 3 * PAGE, 2 * PAGE},
		{"tail", 6 * PAGE, 2 * PAGE},
		{"beyond", 6 * PAGE, 4 * PAGE},
		{"around", -(long)PAGE, SIZE + 2 * PAGE},
		{"unaligned", 100, PAGE},
		{"length_0", 0, 0},
		{"length_1", 2 * PAGE, 1},
		{"length_odd", 2 * PAGE, PAGE + 1},
		{"length_huge", 0, SIZE_MAX},
		{"length_half", 0, SIZE_MAX / 2},
		{"reservation", SIZE, PAGE},
	};
	char name[64];
	size_t i;

	for (i = 0; i < NR(table); i++) {
		snprintf(name, sizeof(name), "map/munmap/%s", table[i].name);
		row(name, unmap, &table[i]);
	}
	row("map/munmap/across_two_mappings", unmap_across, NULL);
}

// mprotect and pkey_mprotect.

struct protected
{
	const struct range *range;
	int prot, pkey; // pkey -2: mprotect
};

static int protect(const struct protected *to, int prot)
{
	char *addr = range_addr(to->range);

	if (to->pkey == -2)
		return mprotect(addr, range_len(to->range), prot);
	return pkey_mprotect(addr, range_len(to->range), prot, to->pkey);
}

static void protections(const void *arg)
{
	const struct protected *to = arg;

	memory_make();
	memory_store();
	TELL("mprotect", protect(to, to->prot));
	after();
	fill(map + 5 * PAGE, to->range->first > 5 || to->range->nr < 6, 20, 'f');
	TELL("back", protect(to, RW));
	after();
}

static void rows_protect(void)
{
	static const int prots[] = {PROT_NONE,
				    PROT_READ,
				    PROT_WRITE,
				    RW,
				    PROT_EXEC,
				    PROT_READ | PROT_EXEC,
				    RW | PROT_EXEC,
				    8 | RW,
				    0x80,
				    PROT_GROWSDOWN | PROT_READ,
				    PROT_GROWSUP | PROT_READ};
	static const int pkeys[] = {-2, -1, 0, 99};
	struct protected to;
	char name[64];
	size_t i, j, k;

	for (i = 0; i < NR(ranges); i++)
		for (j = 0; j < NR(prots); j++)
			for (k = 0; k < NR(pkeys); k++) {
				if (k && (i > 2 || j > 3))
					continue;
				to = (struct protected){&ranges[i], prots[j], pkeys[k]};
				snprintf(name, sizeof(name), "map/mprotect/%s/%x/%d", ranges[i].name,
					 (unsigned)prots[j], pkeys[k]);
				row(name, protections, &to);
			}
}

static void protect_arguments(const void *arg)
{
	(void)arg;
	memory_make();
	memory_store();
	TELL("unaligned", mprotect(map + 1, PAGE, PROT_READ));
	TELL("length 0", mprotect(map, 0, PROT_NONE));
	TELL("unaligned, 0", mprotect(map + 1, 0, PROT_NONE));
	TELL("wraps", mprotect(map, SIZE_MAX - PAGE, PROT_NONE));
	TELL("length 1", mprotect(map + 2 * PAGE, 1, PROT_READ));
	MUST(!munmap(map + 4 * PAGE, PAGE));
	TELL("hole", mprotect(map + 3 * PAGE, 4 * PAGE, PROT_READ));
	after();
}

static void key_of_its_own(const void *arg)
{
	int key = pkey_alloc(0, 0);

	(void)arg;
	memory_make();
	memory_store();
	if (key < 0) {
		TELL("pkey_alloc", pkey_alloc(0, 0));
		TELL("flags", pkey_alloc(1, 0));
		after();
		return;
	}
	TELL("protect", pkey_mprotect(map, 4 * PAGE, RW, key));
	after();
	TELL("set", pkey_set(key, PKEY_DISABLE_WRITE));
	store(map + 7 * PAGE + 9, 'k');
	store(map + PAGE + 9, 'k');
	TELL("set", pkey_set(key, 0));
	after();
	TELL("free", pkey_free(key));
	after();
}

static void read_only_first(const void *arg)
{
	char *second;

	(void)arg;
	memory_make();
	memory_store();
	second = region("second", mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0), SIZE);
	store(second, 'x');
	TELL("rw", mprotect(second + PAGE, 3 * PAGE, RW));
	store(second + PAGE, 'x');
	store(second + 4 * PAGE, 'x');
	TELL("msync", msync(second, SIZE, MS_SYNC));
	store(second + PAGE + 1, 'y');
	TELL("r", mprotect(second, SIZE, PROT_READ));
	store(second + PAGE + 2, 'z');
	after();
}

static void guards(const void *arg)
{
	(void)arg;
	memory_make();
	memory_store();
	store(map - 1, 'g');
	store(map + SIZE, 'g');
	TELL("guard", mprotect(map + 4 * PAGE, PAGE, PROT_NONE));
	store(map + 5 * PAGE - 1, 'g');
	store(map + 5 * PAGE, 'h');
	store(map + 4 * PAGE - 1, 'i');
	after();
}

// Advice.

struct advised {
	const struct range *range;
	int advice;
};

#define HWPOISON 100 // these break memory of the machine, where it is allowed
#define SOFT_OFFLINE 101

static void advise(const void *arg)
{
	const struct advised *advised = arg;

	memory_make();
	memory_store();
	if (advised->advice == HWPOISON || advised->advice == SOFT_OFFLINE)
		MUST(!setresuid(65534, 65534, 65534));
	TELL("madvise", madvise(range_addr(advised->range), range_len(advised->range), advised->advice));
	after();
	memory_store();
	TELL("again", madvise(range_addr(advised->range), range_len(advised->range), advised->advice));
	after();
}

static void advise_locked(const void *arg)
{
	const struct advised *advised = arg;

	memory_make();
	memory_store();
	TELL("mlock", mlock(range_addr(advised->range), range_len(advised->range)));
	TELL("madvise", madvise(range_addr(advised->range), range_len(advised->range), advised->advice));
	after();
}

static void advise_posix(const void *arg)
{
	const struct advised *advised = arg;

	memory_make();
	memory_store();
	tell_errno("posix_madvise",
		   posix_madvise(range_addr(advised->range), range_len(advised->range), advised->advice));
	after();
}

static void advise_process(const void *arg)
{
	const struct advised *advised = arg;
	struct iovec iov[2];
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	memory_make();
	memory_store();
	MUST(self >= 0);
	iov[0] = (struct iovec){range_addr(advised->range), range_len(advised->range)};
	iov[1] = (struct iovec){map + 7 * PAGE, PAGE};
	TELL("process_madvise", process_madvise(self, iov, 2, advised->advice, 0));
	after();
	TELL("flags", process_madvise(self, iov, 2, advised->advice, 1));
	TELL("bad", process_madvise(999, iov, 2, advised->advice, 0));
	after();
}

static void advise_arguments(const void *arg)
{
	int advice = *(const int *)arg;

	memory_make();
	memory_store();
	TELL("unaligned", madvise(map + 100, PAGE, advice));
	TELL("length 0", madvise(map, 0, advice));
	TELL("length 1", madvise(map + PAGE, 1, advice));
	TELL("wraps", madvise(map, SIZE_MAX, advice));
	MUST(!munmap(map + 4 * PAGE, PAGE));
	TELL("hole", madvise(map + 3 * PAGE, 4 * PAGE, advice));
	after();
}

static void rows_advice(void)
{
	static const int checked[] = {MADV_DONTNEED, MADV_REMOVE, MADV_WILLNEED, MADV_COLD};
	struct advised advised;
	char name[64];
	size_t i;
	int n;

	for (i = 0; i < 4; i++) // all, head, middle, tail
		for (n = -1; n < 105; n++) {
			if (n == 32)
				n = 99;
			advised = (struct advised){&ranges[i], n};
			snprintf(name, sizeof(name), "map/madvise/%s/%d", ranges[i].name, n);
			row(name, advise, &advised);
			snprintf(name, sizeof(name), "map/process_madvise/%s/%d", ranges[i].name, n);
			if (i == 1 && n != HWPOISON && n != SOFT_OFFLINE)
				row(name, advise_process, &advised);
			snprintf(name, sizeof(name), "map/posix_madvise/%s/%d", ranges[i].name, n);
			if (n < 8)
				row(name, advise_posix, &advised);
			snprintf(name, sizeof(name), "map/madvise_locked/%s/%d", ranges[i].name, n);
			if (n == MADV_DONTNEED || n == MADV_REMOVE || n == 24 /* DONTNEED_LOCKED */)
				row(name, advise_locked, &advised);
		}
	for (i = 0; i < NR(checked); i++) {
		snprintf(name, sizeof(name), "map/madvise_arguments/%d", checked[i]);
		row(name, advise_arguments, &checked[i]);
	}
}

// Locked memory.

static void lock_some(const void *arg)
{
	(void)arg;
	memory_make();
	memory_store();
	TELL("mlock", mlock(map + PAGE, 3 * PAGE));
	TELL("invalidate", msync(map, SIZE, MS_SYNC | MS_INVALIDATE));
	TELL("invalidate", msync(map + 5 * PAGE, PAGE, MS_SYNC | MS_INVALIDATE));
	TELL("munlock", munlock(map + 2 * PAGE, PAGE));
	TELL("mlock2", mlock2(map + 6 * PAGE, PAGE, MLOCK_ONFAULT));
	TELL("mlock2", mlock2(map + 6 * PAGE, PAGE, 2));
	TELL("unaligned", mlock(map + 100, 10));
	TELL("wraps", mlock(map, SIZE_MAX));
	TELL("munlock", munlock(map, SIZE));
	after();
}

static void lock_all(const void *arg)
{
	int flags = *(const int *)arg;

	memory_make();
	memory_store();
	TELL("mlockall", mlockall(flags));
	TELL("invalidate", msync(map, SIZE, MS_SYNC | MS_INVALIDATE));
	after();
	say_memory("second", map_new("second", fd, 0, SIZE), SIZE);
	TELL("munlockall", munlockall());
	TELL("invalidate", msync(map, SIZE, MS_SYNC | MS_INVALIDATE));
	after();
}

static void lock_limited(const void *arg)
{
	struct rlimit none = {PAGE, PAGE};

	(void)arg;
	memory_make();
	memory_store();
	MUST(!setrlimit(RLIMIT_MEMLOCK, &none) && !setresuid(65534, 65534, 65534));
	TELL("mlock", mlock(map, SIZE));
	TELL("mlock", mlock(map + PAGE, PAGE));
	tell_mmap("locked", mmap(arena, SIZE, RW, MAP_SHARED | MAP_LOCKED | MAP_FIXED, fd, 0));
	after();
}

static void locks(void)
{
	static const int flags[] = {0,
				    MCL_CURRENT,
				    MCL_FUTURE,
				    MCL_CURRENT | MCL_FUTURE,
				    MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT,
				    MCL_ONFAULT,
				    8};
	char name[64];
	size_t i;

	row("map/mlock", lock_some, NULL);
	row("map/mlock/limited", lock_limited, NULL);
	for (i = 0; i < NR(flags); i++) {
		snprintf(name, sizeof(name), "map/mlockall/%d", flags[i]);
		row(name, lock_all, &flags[i]);
	}
}

// Which pages are in memory.
static void in_core(const void *arg)
{
	unsigned char vec[NR_PAGES];
	size_t i;

	(void)arg;
	memory_make();
	memory_store();
	TELL("mincore", mincore(map, SIZE, vec));
	for (i = 0; i < NR_PAGES; i++)
		say("%d", vec[i] & 1);
	TELL("unaligned", mincore(map + 1, PAGE, vec));
	TELL("reserved", mincore(arena, PAGE, vec));
	MUST(!munmap(map + 4 * PAGE, PAGE));
	TELL("hole", mincore(map, SIZE, vec));
	TELL("vector", mincore(map, SIZE, (unsigned char *)8));
	TELL("into it", mincore(map, 2 * PAGE, (unsigned char *)map + 3 * PAGE));
	after();
}

// Aliases.

static void aliases(const void *arg)
{
	char *low, *high;

	(void)arg;
	memory_make();
	memory_store();
	low = map_new("low", fd, 0, 5 * PAGE);
	high = map_new("high", fd, 3 * PAGE, 5 * PAGE);
	fill(low, 5, 7, 'l');
	TELL("msync high", msync(high, 5 * PAGE, MS_SYNC));
	fill(high, 5, 8, 'h');
	say_memory("low", low, 5 * PAGE);
	TELL("msync low", msync(low, 5 * PAGE, MS_SYNC));
	TELL("munmap low", munmap(low, 4 * PAGE));
	fill(high, 5, 9, 'i');
	store(low + 4 * PAGE, 'L');
	TELL("fsync", fsync(fd));
	say_memory("high", high, 5 * PAGE);
	TELL("munmap", munmap(map, SIZE));
	fill(high, 3, 10, 'j');
	after();
	say_memory("high", high, 5 * PAGE);
}

static void private_beside(const void *arg)
{
	char *private;

	(void)arg;
	memory_make();
	memory_store();
	private = region("private", mmap(NULL, SIZE, RW, MAP_PRIVATE, fd, 0), SIZE);
	fill(private, 2, 0, 'p');
	fill(map, 4, 3, 'm');
	say_memory("private", private, SIZE);
	TELL("msync", msync(private, SIZE, MS_SYNC));
	after();
	say_memory("private", private, SIZE);
}

static void many_windows(const void *arg)
{
	char *window[16];
	int big = file_new("big", 64 * PAGE);
	size_t i;

	(void)arg;
	for (i = 0; i < 16; i++) {
		window[i] = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, big, (off_t)((i * 5 % 61) * PAGE));
		MUST(window[i] != MAP_FAILED);
		fill(window[i], 4, i, (char)('A' + i));
	}
	for (i = 0; i < 16; i += 2)
		TELL("msync", msync(window[i], 4 * PAGE, MS_SYNC));
	for (i = 0; i < 16; i += 3)
		fill(window[i], 2, 20 + i, (char)('a' + i));
	for (i = 1; i < 16; i += 2)
		TELL("munmap", munmap(window[i], 4 * PAGE));
	TELL("fsync", fsync(big));
	say_file("big", big);
}

// The end of the file.

static void longer_than_the_file(const void *arg)
{
	char *longer;

	(void)arg;
	memory_make();
	memory_store();
	longer = map_new("longer", fd, 4 * PAGE, SIZE);
	say_memory("longer", longer, SIZE);
	store(longer + 3 * PAGE + 5, 'x');
	store(longer + 4 * PAGE + 5, 'y');
	TELL("msync", msync(longer, SIZE, MS_SYNC));
	TELL("ftruncate", ftruncate(fd, SIZE + PAGE + 100));
	store(longer + 4 * PAGE + 5, 'z');
	store(longer + 5 * PAGE + 50, 'i');
	store(longer + 5 * PAGE + 200, 'o');
	store(longer + 6 * PAGE, 'n');
	TELL("msync", msync(longer, SIZE, MS_SYNC));
	say_memory("longer", longer, SIZE);
	say_file("file", fd);
	TELL("ftruncate", ftruncate(fd, SIZE + 2 * PAGE));
	say_file("file", fd);
	after();
}

static void empty_file(const void *arg)
{
	int empty = file_new("empty", 0);
	char *addr = map_new("empty", empty, 0, 2 * PAGE);

	(void)arg;
	store(addr, 'x');
	TELL("msync", msync(addr, 2 * PAGE, MS_SYNC));
	TELL("ftruncate", ftruncate(empty, 1));
	store(addr, 'y');
	store(addr + 5, 'z');
	store(addr + PAGE, 'x');
	TELL("msync", msync(addr, 2 * PAGE, MS_SYNC));
	say_file("file", empty);
	TELL("fsync", fsync(empty));
}

static void killed_by_sigbus(const void *arg)
{
	(void)arg;
	memory_make();
	memory_store();
	MUST(!ftruncate(fd, 2 * PAGE));
	*(volatile char *)(map + 5 * PAGE + 17) = 'x';
}

static void killed_by_sigsegv(const void *arg)
{
	(void)arg;
	memory_make();
	memory_store();
	MUST(!mprotect(map + 4 * PAGE, PAGE, PROT_READ));
	*(volatile char *)(map + 4 * PAGE + 17) = 'x';
}

#define FAR ((off_t)5 << 30)

static void beyond_4_gib(const void *arg)
{
	int far = file_new("far", 0);
	char *near, *there;

	(void)arg;
	TELL("ftruncate", ftruncate(far, FAR + (off_t)SIZE));
	near = map_new("near", far, (off_t)1 << 30, SIZE); // the same in 32 bits
	there = map_new("there", far, FAR, SIZE);
	fill(there, NR_PAGES, 1, 't');
	TELL("msync", msync(there, SIZE, MS_SYNC));
	fill(near, NR_PAGES, 1, 'n');
	fill(there, 3, 2, 'u');
	TELL("fsync", fsync(far));
	fill(there, 1, 3, 'v');
	TELL("msync", msync(there, PAGE, MS_SYNC));
	say_bytes("near", far, (off_t)1 << 30, SIZE);
	say_bytes("there", far, FAR, SIZE);
	TELL("size", lseek(far, 0, SEEK_END));
}

static void all_of_5_gib(const void *arg)
{
	int far = file_new("far", 0);
	size_t len = (size_t)FAR + SIZE;
	char *whole;

	(void)arg;
	TELL("ftruncate", ftruncate(far, (off_t)len));
	whole = map_new("whole", far, 0, len);
	fill(whole, 2, 1, 'w');
	fill(whole + FAR, 3, 1, 'x');
	TELL("msync", msync(whole, len, MS_SYNC));
	fill(whole + FAR, 2, 2, 'y');
	TELL("msync", msync(whole + FAR, 2 * PAGE, MS_SYNC));
	fill(whole + ((size_t)4 << 30) - PAGE, 2, 2, 'z');
	TELL("fdatasync", fdatasync(far));
	say_bytes("first", far, 0, SIZE);
	say_bytes("border", far, ((off_t)4 << 30) - (off_t)SIZE, 2 * SIZE);
	say_bytes("last", far, FAR, SIZE);
	TELL("munmap", munmap(whole, len));
}

// System V shared memory.

static void shm_over(const void *arg)
{
	int flags = *(const int *)arg, id = shmget(IPC_PRIVATE, 2 * PAGE, IPC_CREAT | 0600);
	void *addr;

	memory_make();
	memory_store();
	MUST(id >= 0);
	addr = shmat(id, map + 3 * PAGE, flags);
	MUST(!shmctl(id, IPC_RMID, NULL));
	tell_mmap("shmat", addr);
	after();
	if (addr != (void *)-1)
		TELL("shmdt", shmdt(addr));
	TELL("shmdt", shmdt(map));
	after();
}

// remap_file_pages, which a mapping of its own stands for now.
static void remap_pages(const void *arg)
{
	(void)arg;
	memory_make();
	memory_store();
	TELL("remap", remap_file_pages(map + 2 * PAGE, 2 * PAGE, 0, 5, 0));
	after();
	memory_store();
	TELL("prot", remap_file_pages(map, PAGE, PROT_READ, 1, 0));
	TELL("length 0", remap_file_pages(map, 0, 0, 1, 0));
	TELL("beyond", remap_file_pages(map + 7 * PAGE, 2 * PAGE, 0, 1, 0));
	TELL("offset", remap_file_pages(map, PAGE, 0, SIZE_MAX, 0));
	TELL("reserved", remap_file_pages(arena, PAGE, 0, 1, 0));
	TELL("all", remap_file_pages(map, PAGE, 0, 7, MAP_NONBLOCK));
	after();
}

void rows_map(void)
{
	static const int shm_flags[] = {0, SHM_REMAP, SHM_REMAP | SHM_RDONLY, SHM_RND | SHM_REMAP};
	char name[64];
	size_t i;

	rows_mmap_flags();
	rows_mmap_arguments();
	rows_mmap_descriptors();
	row("map/hints", hints, NULL);
	rows_over();
	rows_unmap();
	rows_protect();
	row("map/mprotect/arguments", protect_arguments, NULL);
	row("map/mprotect/key", key_of_its_own, NULL);
	row("map/mprotect/read_only_first", read_only_first, NULL);
	row("map/guards", guards, NULL);
	rows_advice();
	locks();
	row("map/mincore", in_core, NULL);
	row("map/aliases", aliases, NULL);
	row("map/private_beside", private_beside, NULL);
	row("map/many_windows", many_windows, NULL);
	row("map/longer_than_the_file", longer_than_the_file, NULL);
	row("map/empty_file", empty_file, NULL);
	row("map/killed_by_sigbus", killed_by_sigbus, NULL);
	row("map/killed_by_sigsegv", killed_by_sigsegv, NULL);
	row("map/beyond_4_gib", beyond_4_gib, NULL);
	row("map/all_of_5_gib", all_of_5_gib, NULL);
	for (i = 0; i < NR(shm_flags); i++) {
		snprintf(name, sizeof(name), "map/shmat/%o", (unsigned)shm_flags[i]);
		row(name, shm_over, &shm_flags[i]);
	}
	row("map/remap_file_pages", remap_pages, NULL);
}
