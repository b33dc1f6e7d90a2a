// SPDX-License-Identifier: BSD-3-Clause
// wrap.c: tells the plugin (promises.c) what each msync, fsync and fdatasync of a program has promised. Linked into it with
// --wrap, because the shim tracks nothing where a preloaded library stands in front of its hooks. It knows nothing of
// daxsync.
//
// On hardware a CLWB of an address that is not in the page tables takes a page fault, under TCG it takes none. The library
// may flush through a mapping of the file that nobody has touched yet, so before a sync all shared mappings are read.
//
// What a sync covers is read from /proc/self/maps when it is called: of the shared mappings those parts that lie in msync's
// range, or all those of fsync's file. Where there is no /proc, nothing is told. System calls are made past the shim, and
// nothing here allocates: any context.
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "promise.h"

int __real_msync(void *addr, size_t len, int flags);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_msync(void *addr, size_t len, int flags);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

// What a sync covers: a range of addresses, or a file.
struct scope {
	uint64_t start, end;
	unsigned major, minor;
	uint64_t ino; // 0: the range
};

static void tell(enum promise_word word, const struct scope *scope, uint64_t start, uint64_t end)
{
	__asm__ volatile("nopl %c4(%%rax)"
			 :
			 : "a"((uint64_t)word), "D"(scope), "S"(start), "d"(end - start), "i"(PROMISE_DISPLACEMENT)
			 : "memory");
}

static long call3(long nr, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

// A line of /proc/self/maps, as far as it was read: START-END PERMISSIONS OFFSET MAJOR:MINOR INODE PATH
struct line {
	unsigned field; // its numbers stand before '-', ' ', ' ', ' ', ':', ' ' and ' '
	uint64_t number[7];
	bool is_readable, is_shared;
};

#define POPULATE_READ 22            // MADV_POPULATE_READ, Linux 5.14
#define MOST_POPULATED (64UL << 20) // a sparse mapping of a TiB would take hours

enum { START, END, PERMISSIONS, OFFSET, MAJOR, MINOR, INO, NR_FIELDS };

static void covered(const struct scope *scope, const struct line *line)
{
	const uint64_t *number = line->number;
	uint64_t start = number[START], end = number[END];

	if (!line->is_shared)
		return;
	if (line->is_readable && end - start <= MOST_POPULATED)
		call3(SYS_madvise, (long)start, (long)(end - start), POPULATE_READ);
	if (scope->ino) {
		if (number[INO] != scope->ino || number[MAJOR] != scope->major || number[MINOR] != scope->minor)
			return;
	} else {
		start = start > scope->start ? start : scope->start;
		end = end < scope->end ? end : scope->end;
	}
	if (start < end)
		tell(PROMISE_RANGE, scope, start, end);
}

static uint64_t digit(char c)
{
	return (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void line_add(struct line *line, char c)
{
	if (line->field == NR_FIELDS)
		return;
	if (c == '-' ? line->field == START : c == ' ' || c == ':') {
		line->field++;
	} else if (line->field == PERMISSIONS) {
		line->is_readable |= c == 'r';
		line->is_shared |= c == 's';
	} else {
		line->number[line->field] = line->number[line->field] * (line->field == INO ? 10 : 16) + digit(c);
	}
}

static void maps_read(const struct scope *scope)
{
	long fd = call3(SYS_open, (long)"/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	struct line line = {0};
	char buffer[1024];
	long nr, i;

	if (fd < 0)
		return;
	while ((nr = call3(SYS_read, fd, (long)buffer, sizeof(buffer))) > 0) {
		for (i = 0; i < nr; i++) {
			if (buffer[i] != '\n') {
				line_add(&line, buffer[i]);
				continue;
			}
			covered(scope, &line);
			line = (struct line){0};
		}
	}
	call3(SYS_close, fd, 0, 0);
}

static void begin(const struct scope *scope)
{
	tell(PROMISE_BEGINS, scope, 0, 0);
	maps_read(scope);
}

static int end(const struct scope *scope, int result)
{
	tell(result ? PROMISE_OFF : PROMISE_KEPT, scope, 0, 0);
	return result;
}

int __wrap_msync(void *addr, size_t len, int flags)
{
	struct scope scope = {.start = (uintptr_t)addr, .end = (uintptr_t)addr + len};

	if (!(flags & MS_SYNC))
		return __real_msync(addr, len, flags);
	begin(&scope);
	return end(&scope, __real_msync(addr, len, flags));
}

static int file_sync(int (*next)(int fd), int fd)
{
	struct scope scope = {0};
	struct stat st;

	if (call3(SYS_fstat, fd, (long)&st, 0) == 0) {
		scope.major = major(st.st_dev);
		scope.minor = minor(st.st_dev);
		scope.ino = st.st_ino;
	}
	if (!scope.ino)
		return next(fd);
	begin(&scope);
	return end(&scope, next(fd));
}

int __wrap_fsync(int fd)
{
	return file_sync(__real_fsync, fd);
}

int __wrap_fdatasync(int fd)
{
	return file_sync(__real_fdatasync, fd);
}
