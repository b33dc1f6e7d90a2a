// SPDX-License-Identifier: BSD-3-Clause
// sealed.c: finds the statistics of a process among its descriptors.
#include "sealed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "report/stats.h"

static bool is_stats(int dir, const char *name)
{
	static const char wanted[] = "/memfd:" DXS_STATS_NAME " (deleted)";
	char target[sizeof(wanted) + 1];
	ssize_t len = readlinkat(dir, name, target, sizeof(target));

	return len == (ssize_t)sizeof(wanted) - 1 && !memcmp(target, wanted, sizeof(wanted) - 1);
}

// The device of the kernel's own tmpfs, which every memfd is on and nobody can mount.
static dev_t memfd_dev(void)
{
	int fd = memfd_create("daxsync stat", MFD_CLOEXEC);
	struct stat st = {0};

	if (fd < 0 || fstat(fd, &st))
		st.st_dev = 0;
	if (fd >= 0)
		close(fd);
	return st.st_dev;
}

static bool is_sealed(int fd)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, there = fcntl(fd, F_GET_SEALS);

	return there >= 0 && (there & seals) == seals;
}

bool dxs_sealed_is(int fd)
{
	struct stat st;

	return is_sealed(fd) && !fstat(fd, &st) && st.st_size == sizeof(struct dxs_stats);
}

// Anything may bear the name: a FIFO, a file whose server never answers. So it is looked at before it is opened, without
// asking a server, and only a sealed memfd is read: its size stays what it is. -ENODATA: it is not.
static int open_sealed(int dir, const char *name)
{
	int fd = -1, path_fd = openat(dir, name, O_PATH | O_CLOEXEC);
	dev_t dev = memfd_dev();
	char path[32];
	struct statx st;

	if (path_fd < 0)
		return -ENODATA; // closed meanwhile
	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	if (!statx(path_fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) && S_ISREG(st.stx_mode) &&
	    makedev(st.stx_dev_major, st.stx_dev_minor) == dev)
		fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	close(path_fd);
	if (fd >= 0 && is_sealed(fd))
		return fd;
	if (fd >= 0)
		close(fd);
	return -ENODATA;
}

int dxs_sealed_open(int pid)
{
	const struct dirent *entry;
	int fd = -ENODATA;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (fd == -ENODATA && (entry = readdir(dir)))
		if (is_stats(dirfd(dir), entry->d_name))
			fd = open_sealed(dirfd(dir), entry->d_name);
	closedir(dir);
	return fd;
}
