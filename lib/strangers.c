// SPDX-License-Identifier: BSD-3-Clause
// strangers.c: reading /proc/self/maps.
//
// Identity is compared as the file itself shows it, device and inode in one piece: the device there need not be
// stat's (btrfs, overlayfs), so the mapping at a known address tells what to look for.
#include "strangers.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "sys.h"

struct reader {
	int fd;
	size_t len, at;
	char buf[4096];
};

struct line {
	struct dxs_stranger map;
	bool shared;
	char identity[48]; // "dev:dev inode"
};

static int get(struct reader *reader)
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
static uint64_t get_hex(struct reader *reader)
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

static void get_identity(struct reader *reader, char *to, size_t size)
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
	while (c >= 0 && c != '\n')
		c = get(reader);
}

// "start-end rwxs offset dev:dev inode path"
static bool get_line(struct reader *reader, struct line *line)
{
	int r, w, x, s;

	memset(line, 0, sizeof(*line));
	line->map.addr = get_hex(reader);
	if (!line->map.addr)
		return false;
	line->map.len = get_hex(reader) - line->map.addr;
	r = get(reader);
	w = get(reader);
	x = get(reader);
	s = get(reader);
	get(reader);
	line->map.prot = (r == 'r' ? PROT_READ : 0) | (w == 'w' ? PROT_WRITE : 0) | (x == 'x' ? PROT_EXEC : 0);
	line->shared = s == 's';
	line->map.off = (off_t)get_hex(reader);
	get_identity(reader, line->identity, sizeof(line->identity));
	return true;
}

static int maps_open(struct reader *reader)
{
	reader->len = reader->at = 0;
	reader->fd = dxs_sys_openat(AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	return reader->fd < 0 ? reader->fd : 0;
}

static bool identity_find(uintptr_t addr, char *identity, size_t size)
{
	struct reader reader;
	struct line line;
	bool found = false;

	if (maps_open(&reader))
		return false;
	while (!found && get_line(&reader, &line))
		found = addr - line.map.addr < line.map.len;
	dxs_sys_close(reader.fd);
	if (found)
		memcpy(identity, line.identity, size);
	return found;
}

int dxs_strangers(uintptr_t addr, void (*fn)(const struct dxs_stranger *stranger, void *arg), void *arg)
{
	char identity[sizeof(((struct line *)0)->identity)];
	struct reader reader;
	struct line line;
	int err;

	if (!identity_find(addr, identity, sizeof(identity)))
		return -ENOENT;
	err = maps_open(&reader);
	if (err)
		return err;
	while (get_line(&reader, &line))
		if (line.shared && line.map.prot & PROT_WRITE && !strcmp(line.identity, identity))
			fn(&line.map, arg);
	dxs_sys_close(reader.fd);
	return 0;
}
