// SPDX-License-Identifier: BSD-3-Clause
// run_dir.c: the directory of a verified run, and what its control file says to those who look on. The launcher has this
// file too.
#define DXS_SYS_SPARED // these calls emulate
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/sys.h"
#include "emulate/run.h"

// Without slashes at the end, behind which a link would be followed.
static int dir_open(const char *path)
{
	char buf[PATH_MAX];
	struct dxs_text text;

	dxs_text_init(&text, buf, sizeof(buf));
	dxs_text_add(&text, "%s", path);
	while (text.len > 1 && buf[text.len - 1] == '/')
		buf[--text.len] = '\0';
	return dxs_sys_openat(AT_FDCWD, buf, O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0);
}

int dxs_run_open_dir(const char *path, const char **why)
{
	int fd = dir_open(path);
	struct stat st;

	*why = "DAXSYNC_IMAGE_DIR cannot be opened, or is a link";
	if (fd < 0)
		return fd;
	*why = "DAXSYNC_IMAGE_DIR is not a directory of this user's that only this user can write to";
	if (!dxs_sys6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) && st.st_uid == geteuid() &&
	    !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return fd;
	dxs_sys_close(fd);
	return -EPERM;
}

int dxs_run_read(const char *image_dir, struct dxs_run_summary *out)
{
	char path[4096 + 32];
	struct dxs_text text;
	struct { // the beginning of struct dxs_run, which is large for a stack
		uint64_t magic, fences, missed_pages;
		uint32_t frozen;
	} seen;
	long size;
	int fd, err = 0;

	dxs_text_init(&text, path, sizeof(path));
	dxs_text_add(&text, "%s/%s", image_dir, DXS_RUN_CONTROL);
	fd = dxs_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	size = dxs_sys6(SYS_lseek, fd, 0, SEEK_END, 0, 0, 0);
	if (!size)
		err = -ENOENT; // there was no room for more
	else if (size != sizeof(struct dxs_run) || dxs_sys_pread(fd, &seen, sizeof(seen), 0) != sizeof(seen) ||
		 seen.magic != DXS_RUN_MAGIC)
		err = -EINVAL;
	else
		*out = (struct dxs_run_summary){seen.fences, seen.missed_pages, seen.frozen};
	dxs_sys_close(fd);
	return err;
}
