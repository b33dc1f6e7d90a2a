// SPDX-License-Identifier: BSD-3-Clause
// image_walk.c: comparing a file with its durable image.
#define DXS_SYS_SPARED // these calls emulate
#include "emulate/image_walk.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"

static int file_open(const struct dxs_walk *walk)
{
	int fd = dxs_sys_openat(AT_FDCWD, walk->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return fd;
	if (!dxs_sys6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) && st.st_dev == walk->dev && st.st_ino == walk->ino)
		return fd;
	dxs_sys_close(fd);
	return -ESTALE;
}

static void page_read(int fd, uint64_t off, unsigned char *page)
{
	long len = dxs_sys_pread(fd, page, DXS_PAGE_SIZE, (off_t)off);

	len = len < 0 ? 0 : len;
	memset(page + len, 0, DXS_PAGE_SIZE - (size_t)len);
}

static bool page_differs(const struct dxs_walk *walk, int fd, uint64_t off, unsigned char *now, unsigned char *durable)
{
	page_read(fd, off, now);
	page_read(walk->image_fd, off, durable);
	return memcmp(now, durable, DXS_PAGE_SIZE);
}

static void page_compare(const struct dxs_walk *walk, int fd, uint64_t off)
{
	unsigned char now[DXS_PAGE_SIZE], durable[DXS_PAGE_SIZE];
	struct dxs_leaf *held;

	if (!page_differs(walk, fd, off, now, durable))
		return;
	held = walk->hold ? walk->hold(walk, off) : NULL;
	if (page_differs(walk, fd, off, now, durable))
		walk->fn(walk, off, now, durable);
	if (walk->release)
		walk->release(walk, off, held);
}

// The next stretch of data at or behind *from. False: none.
static bool next_data(int fd, uint64_t *from, uint64_t *to)
{
	long data = dxs_sys6(SYS_lseek, fd, (long)*from, SEEK_DATA, 0, 0, 0);
	long hole;

	if (data < 0)
		return false;
	hole = dxs_sys6(SYS_lseek, fd, data, SEEK_HOLE, 0, 0, 0);
	*from = (uint64_t)data & ~(uint64_t)(DXS_PAGE_SIZE - 1);
	*to = hole > data ? (uint64_t)hole : (uint64_t)data + 1;
	return true;
}

// Every page with data in `fd`. A file that cannot tell its holes counts as all data (SEEK_DATA's default).
static void compare_data(const struct dxs_walk *walk, int fd, int data_fd)
{
	uint64_t from = 0, to;

	while (next_data(data_fd, &from, &to))
		for (; from < to; from += DXS_PAGE_SIZE)
			page_compare(walk, fd, from);
}

int dxs_image_walk(void *arg)
{
	const struct dxs_walk *walk = arg;
	int fd = file_open(walk);

	if (fd < 0)
		return 1;
	compare_data(walk, fd, fd);
	compare_data(walk, fd,
		     walk->image_fd); // holes punched since: a page seen twice no longer differs, or again does
	dxs_sys_close(fd);
	return 0;
}
