// SPDX-License-Identifier: BSD-3-Clause
// imagedir.c: makes, reads and removes the directory of durable images.
#include "imagedir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "launcher.h"

static bool is_usable(const char *dir)
{
	return dir && *dir == '/' && !access(dir, W_OK | X_OK);
}

static const char *parent_dir(void)
{
	const char *dir = getenv("TMPDIR");

	if (is_usable(dir))
		return dir;
	return is_usable("/dev/shm") ? "/dev/shm" : "/tmp";
}

static int make_temporary(struct dxs_imagedir *dir)
{
	const char *parent = parent_dir();

	if (snprintf(dir->path, sizeof(dir->path), "%s/daxsync-XXXXXX", parent) >= (int)sizeof(dir->path))
		return -ENAMETOOLONG;
	if (!mkdtemp(dir->path) || setenv("DAXSYNC_IMAGE_DIR", dir->path, 1)) {
		dxs_error("no directory for the durable images can be made in %s: %s", parent, strerrordesc_np(errno));
		return -errno;
	}
	dir->is_temporary = true;
	return 0;
}

int dxs_imagedir_open(struct dxs_imagedir *dir)
{
	const char *given = getenv("DAXSYNC_IMAGE_DIR"), *why;
	int fd;

	*dir = (struct dxs_imagedir){0};
	if (!given || !*given)
		return make_temporary(dir);
	snprintf(dir->path, sizeof(dir->path), "%s", given); // one that is too long, the library refuses
	fd = dxs_run_open_dir(dir->path, &why);
	if (fd == -EPERM) { // where it cannot be opened, the library says so for each file
		dxs_error("%s: %s", dir->path, why);
		return fd;
	}
	if (fd >= 0)
		close(fd);
	dxs_run_read(dir->path, &dir->before); // a new directory has no earlier run
	if (!dir->before.frozen)
		return 0;
	dxs_error("%s holds what survived a power cut: use an empty directory", dir->path);
	return -EBUSY;
}

static void remove_files(DIR *stream)
{
	const struct dirent *entry;

	while ((entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(dirfd(stream), entry->d_name, 0);
}

static void remove_dir(const char *path)
{
	DIR *stream = opendir(path);

	if (stream) {
		remove_files(stream);
		closedir(stream);
	}
	if (rmdir(path))
		dxs_error("%s cannot be removed: %s", path, strerrordesc_np(errno));
}

// What a verified run says at its end, and its exit status.
static int judge(const struct dxs_imagedir *dir, const struct dxs_run_summary *run, int status)
{
	uint64_t missed = run->missed_pages - dir->before.missed_pages;

	if (missed) {
		dxs_error("%lu missed page%s: a sync returned, and a power cut would have lost stores", missed,
			  missed == 1 ? "" : "s");
		return status ? status : DXS_EXIT_MISSED;
	}
	if (status || run->fences != dir->before.fences)
		return status;
	dxs_error("nothing was verified: the program made no sync that daxsync could serve");
	return DXS_EXIT_NOT_VERIFIED;
}

static int judge_cut(const struct dxs_run_summary *run, const char *at, int status)
{
	if (status && status != DXS_EXIT_NOT_VERIFIED)
		return status;
	dxs_error("the power was never cut (--powercut=%s): the run ended with fence %lu", at, run->fences);
	return status ? status : DXS_EXIT_NOT_CUT;
}

int dxs_imagedir_close(const struct dxs_imagedir *dir, const struct dxs_imagedir_asked *asked, int status)
{
	struct dxs_run_summary run = dir->before;
	int err = dxs_run_read(dir->path, &run);

	if (err == -EINVAL) {
		dxs_error("what became of the run cannot be read from %s: daxsync.run is not of this version",
			  dir->path);
		status = status ? status : DXS_EXIT_ERROR;
	} else {
		if (asked->verify)
			status = judge(dir, &run, status);
		if (asked->powercut && !run.frozen)
			status = judge_cut(&run, asked->powercut, status);
	}
	if (run.frozen)
		dxs_error("the power was cut at fence %lu; the durable images are in %s", run.fences, dir->path);
	else if (dir->is_temporary)
		remove_dir(dir->path);
	return status;
}
