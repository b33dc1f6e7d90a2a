// SPDX-License-Identifier: BSD-3-Clause
// directory.c: the directory of the registry of writers.
//
// TRUST
//   The directory is the user's own: /dev/shm/daxsync-UID, made with mode 0700 when it is first needed. Nobody else can
//   make, remove or rename anything in it. Root's is /run/daxsync, where nobody else can take the name before. There is
//   one place and no second choice: processes that chose differently would each take themselves for the only one. Whoever
//   finds the name of his directory taken by somebody else has no registry.
//   Of a directory that DAXSYNC_REGISTRY names it is asked that others cannot rename files in it. In both only files of our
//   own user are used: others could otherwise tell us that we are exclusive, or cut the page off. Writers of other users, of
//   other mount namespaces and without this library do not see each other.
#include "writers/directory.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/config.h"
#include "base/log.h"
#include "base/sys.h"

// Where the directory is that no DAXSYNC_REGISTRY names: its name in a directory of the system's.
struct own_place {
	const char *parent;
	char name[32];
};

static struct own_place own_place(void)
{
	struct own_place place = {"/run", "daxsync"};
	uid_t user = geteuid();
	struct dxs_text text;

	if (user) {
		place.parent = "/dev/shm";
		dxs_text_init(&text, place.name, sizeof(place.name));
		dxs_text_add(&text, "daxsync-%lu", (unsigned long)user);
	}
	return place;
}

void dxs_registry_dir_place(char *to, size_t size)
{
	struct own_place own = own_place();
	struct dxs_text text;

	dxs_text_init(&text, to, size);
	if (dxs_config.registry[0])
		dxs_text_add(&text, "%s", dxs_config.registry);
	else
		dxs_text_add(&text, "%s/%s", own.parent, own.name);
}

static int checked(int fd, bool (*is_safe)(const struct stat *st))
{
	struct stat st;

	if (fd < 0 || (!dxs_sys6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) && is_safe(&st)))
		return fd;
	dxs_sys_close(fd);
	return -EPERM;
}

// A directory in which nobody else can remove or rename what is ours.
static bool is_protected(const struct stat *st)
{
	return (!st->st_uid || st->st_uid == geteuid()) &&
	       (!(st->st_mode & (S_IWGRP | S_IWOTH)) || st->st_mode & S_ISVTX);
}

static bool is_private(const struct stat *st)
{
	return st->st_uid == geteuid() && !(st->st_mode & (S_IRWXG | S_IRWXO));
}

#define DIR_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

// Two processes may come to make it at once: both use what is there then.
static int own_dir_open(void)
{
	struct own_place own = own_place();
	int fd, parent = checked(dxs_sys_openat(AT_FDCWD, own.parent, DIR_FLAGS, 0), is_protected);

	if (parent < 0)
		return parent;
	fd = dxs_sys_openat(parent, own.name, DIR_FLAGS | O_NOFOLLOW, 0);
	if (fd == -ENOENT) {
		if (!dxs_sys6(SYS_mkdirat, parent, (long)own.name, 0700, 0, 0, 0))
			dxs_sys6(SYS_fchmodat, parent, (long)own.name, 0700, 0, 0, 0); // whatever the umask is
		fd = dxs_sys_openat(parent, own.name, DIR_FLAGS | O_NOFOLLOW, 0);
	}
	dxs_sys_close(parent);
	return checked(fd, is_private);
}

int dxs_registry_dir_open(const char *path)
{
	return *path ? checked(dxs_sys_openat(AT_FDCWD, path, DIR_FLAGS, 0), is_protected) : own_dir_open();
}

const char *dxs_registry_dir_reason(const char *path, int err)
{
	if (err == -ENOENT)
		return "the directory of the registry of writers does not exist";
	if (err == -EPERM && !*path)
		return "the directory of the registry of writers is not this user's alone";
	if (err == -EPERM)
		return "the directory of the registry of writers belongs to others, or others can rename files there";
	return "the directory of the registry of writers cannot be used";
}

static int dir_try(int dir)
{
	struct dxs_text text;
	char name[32];
	int err, fd;

	dxs_text_init(&text, name, sizeof(name));
	dxs_text_add(&text, "daxsync-try.%d", dxs_sys_tid());
	fd = dxs_sys_openat(dir, name, DXS_REGISTRY_OPEN_FLAGS | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd;
	dxs_sys6(SYS_unlinkat, dir, (long)name, 0, 0, 0, 0);
	err = (int)dxs_sys_grow(SYS_fallocate, fd, 0, 0, DXS_PAGE_SIZE);
	dxs_sys_close(fd);
	return err;
}

int dxs_registry_dir_try(const char *dir, const char **why)
{
	int err, fd = dxs_registry_dir_open(dir);

	*why = dxs_registry_dir_reason(dir, fd);
	if (fd < 0)
		return fd;
	*why = DXS_REGISTRY_UNUSABLE;
	err = dir_try(fd);
	dxs_sys_close(fd);
	return err;
}
