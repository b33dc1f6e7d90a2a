// SPDX-License-Identifier: BSD-3-Clause
// vma.c: reading /proc/self/maps.
#include "proc/vma.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/sys.h"

static int get(struct dxs_vma_reader *reader)
{
	if (reader->at == reader->len) {
		long len = dxs_sys6(SYS_read, reader->fd, (long)reader->buf, sizeof(reader->buf), 0, 0, 0);

		if (len <= 0)
			return -1;
		reader->len = (size_t)len;
		reader->at = 0;
	}
	return (unsigned char)reader->buf[reader->at++];
}

// Reads a hexadecimal number and the character behind it.
static uint64_t get_hex(struct dxs_vma_reader *reader)
{
	uint64_t value = 0;
	int c;

	while ((c = get(reader)) >= 0) {
		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint64_t)(c - 'a' + 10);
		else
			break;
	}
	return value;
}

// Returns the character behind it.
static int get_identity(struct dxs_vma_reader *reader, char *to, size_t size)
{
	unsigned spaces = 0;
	size_t len = 0;
	int c;

	while ((c = get(reader)) >= 0 && c != '\n') {
		spaces += c == ' ';
		if (spaces == 2)
			break;
		if (len < size - 1)
			to[len++] = (char)c;
	}
	to[len] = '\0';
	return c;
}

// The rest of the line, behind its spaces; of a longer one the end, behind "...".
static void get_path(struct dxs_vma_reader *reader, int c, char *to, size_t size)
{
	size_t len = 0;

	while (c == ' ')
		c = get(reader);
	for (; c >= 0 && c != '\n'; c = get(reader)) {
		if (size && len == size - 1) {
			memmove(to + 3, to + 4, len - 4);
			memcpy(to, "...", 3);
			len--;
		}
		if (size)
			to[len++] = (char)c;
	}
	if (size)
		to[len] = '\0';
}

// "start-end rwxs offset dev:dev inode path"
static bool next(struct dxs_vma_reader *reader, struct dxs_vma *vma, char *path, size_t size)
{
	int r, w, x, s;

	memset(vma, 0, sizeof(*vma));
	vma->addr = get_hex(reader);
	if (!vma->addr)
		return false;
	vma->len = get_hex(reader) - vma->addr;
	r = get(reader);
	w = get(reader);
	x = get(reader);
	s = get(reader);
	get(reader);
	vma->prot = (r == 'r' ? PROT_READ : 0) | (w == 'w' ? PROT_WRITE : 0) | (x == 'x' ? PROT_EXEC : 0);
	vma->shared = s == 's';
	vma->off = (off_t)get_hex(reader);
	get_path(reader, get_identity(reader, vma->identity, sizeof(vma->identity)), path, size);
	return true;
}

bool dxs_vma_next(struct dxs_vma_reader *reader, struct dxs_vma *vma)
{
	return next(reader, vma, NULL, 0);
}

int dxs_vma_open(struct dxs_vma_reader *reader)
{
	reader->len = reader->at = 0;
	reader->fd = dxs_sys_openat(AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	return reader->fd < 0 ? reader->fd : 0;
}

int dxs_vma_file(uintptr_t addr, struct dxs_vma *vma, char *path, size_t size)
{
	struct dxs_vma_reader reader = {0};
	int err = dxs_vma_open(&reader);
	bool is_there = false;

	while (!err && !is_there && next(&reader, vma, path, size))
		is_there = addr >= vma->addr && addr - vma->addr < vma->len;
	if (!err)
		dxs_vma_close(&reader);
	return err || is_there ? err : -ENOENT;
}

// The next line of a file that is read through `reader`, cut if it is longer. False: none.
static bool get_line(struct dxs_vma_reader *reader, char *line, size_t size)
{
	size_t len = 0;
	int c;

	while ((c = get(reader)) >= 0 && c != '\n')
		if (len < size - 1)
			line[len++] = (char)c;
	line[len] = '\0';
	return c >= 0;
}

// Whether a line of smaps begins a VMA: "start-end ...".
static bool is_head(const char *line, uintptr_t *start, uintptr_t *end)
{
	uintptr_t value[2] = {0};
	int i = 0;

	for (; *line; line++) {
		if (*line >= '0' && *line <= '9')
			value[i] = value[i] << 4 | (uintptr_t)(*line - '0');
		else if (*line >= 'a' && *line <= 'f')
			value[i] = value[i] << 4 | (uintptr_t)(*line - 'a' + 10);
		else if (*line == '-' && !i)
			i = 1;
		else
			break;
	}
	*start = value[0];
	*end = value[1];
	return i && *line == ' ';
}

bool dxs_vma_is_sync(uintptr_t addr, size_t len)
{
	uintptr_t start = 0, end = 0, at = addr, from, to;
	struct dxs_vma_reader reader = {0};
	char line[256];

	reader.fd = dxs_sys_openat(AT_FDCWD, "/proc/self/smaps", O_RDONLY | O_CLOEXEC, 0);
	if (reader.fd < 0)
		return false;
	while (at < addr + len && get_line(&reader, line, sizeof(line))) {
		if (is_head(line, &from, &to)) {
			start = from;
			end = to;
		} else if (at >= start && at < end && !memcmp(line, "VmFlags:", 8)) {
			if (!strstr(line, " sf"))
				break;
			at = end;
		}
	}
	dxs_sys_close(reader.fd);
	return at >= addr + len;
}

void dxs_vma_close(struct dxs_vma_reader *reader)
{
	dxs_sys_close(reader->fd);
}

// From include/uapi/linux/fs.h of Linux 6.11, which older headers do not have.
struct procmap_query {
	uint64_t size, query_flags, query_addr, vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};

#define QUERY _IOWR('f', 17, struct procmap_query)
#define COVERING_OR_NEXT 0x10
#define WRITABLE 0x02

// seq_cst: it may be moved (fd.c), and is written before the epoch turns; partner: DXS_FD_USE.
static _Atomic int query_fd = -1;

// The VMA at an address or the next one behind it, by one ioctl. 0 or -errno: -ENOENT behind the last one.
static int query(uintptr_t addr, struct dxs_vma *vma)
{
	struct procmap_query ask = {.size = sizeof(ask), .query_flags = COVERING_OR_NEXT, .query_addr = addr};
	int err, old = atomic_load(&query_fd), fd;

	if (old < 0) {
		fd = dxs_sys_openat(AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
		if (fd < 0)
			return fd;
		fd = dxs_fd_hide(fd);
		if (atomic_compare_exchange_strong(&query_fd, &old, fd))
			dxs_fd_register(fd, &query_fd);
		else
			dxs_fd_close(fd);
	}
	err = DXS_FD_USE(&query_fd, number, dxs_sys_ioctl(number, QUERY, &ask));
	if (err)
		return err;
	vma->addr = ask.vma_start;
	vma->len = ask.vma_end - ask.vma_start;
	vma->prot = ask.vma_flags & WRITABLE ? PROT_WRITE : 0;
	return 0;
}

void dxs_vma_reset(void)
{
	int fd = atomic_exchange(&query_fd, -1);

	if (fd >= 0)
		dxs_fd_close(fd);
}

struct range {
	uintptr_t addr, end;
	size_t size;
	uint64_t mask;
};

// Notes what a VMA says about the range. Returns where to ask on.
static uintptr_t note(struct range *range, const struct dxs_vma *vma)
{
	uintptr_t from = vma->addr > range->addr ? vma->addr : range->addr;
	uintptr_t to = vma->addr + vma->len < range->end ? vma->addr + vma->len : range->end;
	uintptr_t at;

	if (vma->prot & PROT_WRITE)
		for (at = from; at < to; at += range->size)
			range->mask |= 1ULL << ((at - range->addr) / range->size);
	return vma->addr + vma->len;
}

static int by_reading(struct range *range)
{
	struct dxs_vma_reader reader;
	struct dxs_vma vma;
	int err = dxs_vma_open(&reader);

	if (err)
		return err;
	while (dxs_vma_next(&reader, &vma) && vma.addr < range->end)
		if (vma.addr + vma.len > range->addr)
			note(range, &vma);
	dxs_vma_close(&reader);
	return 0;
}

int dxs_vma_writable(uintptr_t addr, size_t size, unsigned nr, uint64_t *mask)
{
	struct range range = {.addr = addr, .end = addr + nr * size, .size = size};
	uintptr_t at = addr;
	struct dxs_vma vma;
	int err = 0;

	while (at < range.end && !(err = query(at, &vma)))
		at = note(&range, &vma);
	if (err && err != -ENOENT) {
		range.mask = 0;
		err = by_reading(&range);
	}
	*mask = range.mask;
	return err == -ENOENT ? 0 : err;
}
