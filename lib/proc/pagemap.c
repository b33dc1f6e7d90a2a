// SPDX-License-Identifier: BSD-3-Clause
// pagemap.c: reading and scanning /proc/self/pagemap.
#include "proc/pagemap.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/sysinfo.h>

#include "base/fd.h"
#include "base/sys.h"

// From include/uapi/linux/fs.h of Linux 6.7: older headers, which Debian 12 has, do not know it.
struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN _IOWR('f', 16, struct scan_arg)
#define SCAN_FILE (1 << 2)
#define SCAN_PRESENT (1 << 3)
#define SCAN_SWAPPED (1 << 4)
#define SCAN_HUGE (1 << 6)
#define SCAN_REGIONS 64

// seq_cst: it may be moved (fd.c), and is written before the epoch turns; partner: DXS_FD_USE.
static _Atomic int pagemap_fd = -1;
static bool can_scan;

void dxs_pagemap_reset(void)
{
	if (pagemap_fd >= 0)
		dxs_fd_close(pagemap_fd);
	pagemap_fd = -1;
}

bool dxs_pagemap_can_scan(void)
{
	return can_scan;
}

int dxs_pagemap_read(uintptr_t addr, uint64_t *entry, size_t nr)
{
	long len = (long)(nr * sizeof(*entry));
	long ret = DXS_FD_USE(&pagemap_fd, fd,
			      dxs_sys_pread(fd, entry, (size_t)len, (off_t)(addr / DXS_PAGE_SIZE * sizeof(*entry))));

	if (ret < 0)
		return (int)ret;
	return ret == len ? 0 : -EIO;
}

static int scan(uintptr_t start, uintptr_t end, uint64_t kinds, struct dxs_region *region, size_t nr, uintptr_t *next)
{
	struct scan_region found[SCAN_REGIONS];
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uintptr_t)found,
		.vec_len = nr < SCAN_REGIONS ? nr : SCAN_REGIONS,
		.category_anyof_mask = SCAN_PRESENT | (kinds & DXS_PM_FILE ? SCAN_FILE : 0) |
				       (kinds & DXS_PM_SWAP ? SCAN_SWAPPED : 0),
		.return_mask = SCAN_PRESENT,
	};
	int i, ret = DXS_FD_USE(&pagemap_fd, fd, dxs_sys_ioctl(fd, SCAN, &arg));

	for (i = 0; i < ret; i++)
		region[i] = (struct dxs_region){found[i].start, found[i].end};
	*next = arg.walk_end;
	return ret;
}

bool dxs_pagemap_is_huge(uintptr_t addr)
{
	struct scan_region found;
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = addr,
		.end = addr + DXS_PAGE_SIZE,
		.vec = (uintptr_t)&found,
		.vec_len = 1,
		.category_mask = SCAN_HUGE | SCAN_PRESENT,
		.return_mask = SCAN_HUGE,
	};

	return can_scan && DXS_FD_USE(&pagemap_fd, fd, dxs_sys_ioctl(fd, SCAN, &arg)) == 1;
}

// The same entry by entry.
static int read_populated(uintptr_t start, uintptr_t end, uint64_t kinds, struct dxs_region *region, size_t nr,
			  uintptr_t *next)
{
	uint64_t entry[64] = {0};
	size_t found = 0;

	while (start < end) {
		size_t i, n = (size_t)dxs_min64((end - start) / DXS_PAGE_SIZE, 64);
		int err = dxs_pagemap_read(start, entry, n);

		if (err)
			return err;
		for (i = 0; i < n; i++, start += DXS_PAGE_SIZE) {
			if (!(entry[i] & kinds))
				continue;
			if (found && region[found - 1].end == start) {
				region[found - 1].end += DXS_PAGE_SIZE;
			} else if (found == nr) {
				*next = start;
				return (int)found;
			} else {
				region[found++] = (struct dxs_region){start, start + DXS_PAGE_SIZE};
			}
		}
	}
	*next = end;
	return (int)found;
}

int dxs_pagemap_populated(uintptr_t start, uintptr_t end, uint64_t kinds, struct dxs_region *region, size_t nr,
			  uintptr_t *next)
{
	return can_scan ? scan(start, end, kinds, region, nr, next)
			: read_populated(start, end, kinds, region, nr, next);
}

bool dxs_has_swap(void)
{
	static _Atomic int answer; // 1: no, 2: yes; seq_cst, the default: relaxed would do, each answer is one
	struct sysinfo info = {0};

	if (!atomic_load(&answer))
		atomic_store(&answer, dxs_sys6(SYS_sysinfo, (long)&info, 0, 0, 0, 0, 0) || info.totalswap ? 2 : 1);
	return atomic_load(&answer) == 2;
}

int dxs_pagemap_open(void)
{
	struct dxs_region region;
	uintptr_t next, here;
	int fd;

	if (pagemap_fd >= 0)
		return 0;
	fd = dxs_sys_openat(AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	pagemap_fd = dxs_fd_hide(fd);
	dxs_fd_register(pagemap_fd, &pagemap_fd);
	here = (uintptr_t)&pagemap_fd & ~(DXS_PAGE_SIZE - 1);
	can_scan = scan(here, here + DXS_PAGE_SIZE, DXS_PM_PRESENT, &region, 1, &next) == 1;
	return 0;
}
