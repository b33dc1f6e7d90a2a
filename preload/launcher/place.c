// SPDX-License-Identifier: BSD-3-Clause
// place.c: tells what a mapping of a file, or of a new file in a directory, would get.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/config.h"
#include "base/filter.h"
#include "check.h"
#include "emulator.h"
#include "library.h"
#include "space/mode.h"

#define HUGETLBFS 0x958458f6 // linux/magic.h

struct place {
	const char *path;
	int fd;
	int prot;   // what the caller may ask of a mapping
	size_t len; // the least that can be mapped
};

// A file in a directory that is gone when its descriptor is closed. -1 with errno.
static int make_file(const char *dir)
{
	char path[PATH_MAX];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd;
	if (snprintf(path, sizeof(path), "%s/.daxsync-check-XXXXXX", dir) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static bool is_dax_device(const struct stat *st)
{
	char path[64], target[PATH_MAX];
	const char *name;
	ssize_t len;

	if (!S_ISCHR(st->st_mode))
		return false;
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/subsystem", major(st->st_rdev), minor(st->st_rdev));
	len = readlink(path, target, sizeof(target) - 1);
	target[len > 0 ? len : 0] = '\0';
	name = strrchr(target, '/');
	return name && !strcmp(name, "/dax");
}

// 0, or -errno with nothing open. Other devices, sockets and FIFOs are not opened: that alone may have effects.
static int open_place(struct place *place)
{
	struct stat st;
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

	if (stat(place->path, &st))
		return -errno;
	place->prot = PROT_READ | PROT_WRITE;
	if (S_ISDIR(st.st_mode)) {
		place->fd = make_file(place->path);
		return place->fd < 0 ? -errno : 0;
	}
	if (!S_ISREG(st.st_mode) && !is_dax_device(&st))
		return -EINVAL;
	place->fd = open(place->path, O_RDWR | flags);
	if (place->fd < 0) {
		place->prot = PROT_READ;
		place->fd = open(place->path, O_RDONLY | flags);
	}
	return place->fd < 0 ? -errno : 0;
}

// Nothing is ever stored to the mapping, so an empty file will do.
static void find_len(struct place *place)
{
	struct statfs fs;
	struct stat st;

	place->len = (size_t)sysconf(_SC_PAGESIZE);
	if (!fstatfs(place->fd, &fs) && (unsigned long)fs.f_type == HUGETLBFS)
		place->len = (size_t)fs.f_bsize;
	if (!fstat(place->fd, &st) && S_ISCHR(st.st_mode))
		place->len = (size_t)2 << 20; // the alignment of device DAX
}

// The line of /proc/self/mountinfo that begins with this mount's number: "ID PARENT DEV ROOT POINT OPTIONS ... - TYPE
// SOURCE SUPER-OPTIONS". Returns whether it was there.
static bool find_mount(unsigned long id, char *line, size_t size)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	bool found = false;

	while (file && !found && fgets(line, (int)size, file))
		found = strtoul(line, NULL, 10) == id && strstr(line, " - ");
	if (file)
		fclose(file);
	return found;
}

static void say_file_system(const struct place *place)
{
	struct statx st = {0};
	char line[4096], point[4096], type[64], options[4096] = "";

	if (statx(place->fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) || !(st.stx_mask & STATX_MNT_ID) ||
	    !find_mount(st.stx_mnt_id, line, sizeof(line)))
		return; // a memfd, or no /proc
	if (sscanf(line, "%*s %*s %*s %*s %4095s", point) == 1 &&
	    sscanf(strstr(line, " - "), " - %63s %*s %4095s", type, options) >= 1)
		dxs_check_say("file system", "%s at %s (%s)", type, point, options);
}

static void say_dax(const struct place *place)
{
	struct statx st = {0};

	if (statx(place->fd, "", AT_EMPTY_PATH, 0, &st))
		dxs_check_say("DAX", "not known: %s", strerrordesc_np(errno));
	else if (S_ISCHR(st.stx_mode))
		dxs_check_say("DAX", "yes (device DAX)");
	else
		dxs_check_say("DAX", "%s", st.stx_attributes & STATX_ATTR_DAX ? "yes" : "no");
}

static void say_map_sync(const struct place *place)
{
	void *addr = mmap(NULL, place->len, place->prot, MAP_SHARED_VALIDATE | MAP_SYNC, place->fd, 0);

	if (addr == MAP_FAILED) {
		dxs_check_say("MAP_SYNC", "refused: %s", strerrordesc_np(errno));
	} else {
		dxs_check_say("MAP_SYNC", "granted");
		munmap(addr, place->len);
	}
}

// A userfaultfd of our own, only to try it. -1 with errno. A filter might end this process for it.
static int open_userfaultfd(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	int fd;

	if (dxs_is_filtered()) {
		errno = EPERM;
		return -1;
	}
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void try_userfaultfd(int fd, void *addr, size_t len)
{
	struct uffdio_register reg = {.range = {(uintptr_t)addr, len}, .mode = UFFDIO_REGISTER_MODE_WP};

	if (ioctl(fd, UFFDIO_REGISTER, &reg))
		dxs_check_say("userfaultfd", "does not register write-protect here: %s", strerrordesc_np(errno));
	else
		dxs_check_say("userfaultfd", "registers write-protect here");
}

static void say_userfaultfd(const struct place *place)
{
	int fd = open_userfaultfd();
	void *addr;

	if (fd < 0) {
		dxs_check_say("userfaultfd", "refused: %s", strerrordesc_np(errno));
		return;
	}
	addr = mmap(NULL, place->len, place->prot, MAP_SHARED | MAP_NORESERVE, place->fd, 0);
	if (addr == MAP_FAILED) {
		dxs_check_say("mmap", "refused: %s", strerrordesc_np(errno));
	} else {
		try_userfaultfd(fd, addr, place->len);
		munmap(addr, place->len);
	}
	close(fd);
}

static bool is_durable(const struct dxs_mode_verdict *verdict)
{
	return !strcmp(verdict->mode, "direct") || !strcmp(verdict->mode, "byte");
}

static void say_mode(const char *name, const struct dxs_mode_verdict *verdict)
{
	if (strcmp(verdict->engine, "none"))
		dxs_check_say(name, "%s, engine %s: %s", verdict->mode, verdict->engine, verdict->reason);
	else
		dxs_check_say(name, "%s: %s", verdict->mode, verdict->reason);
}

// `emulate` says which of the two answers is asked for.
static bool conclude(const struct dxs_mode_verdict *real, const struct dxs_mode_verdict *emulated, bool emulate)
{
	bool can_emulate = !strcmp(emulated->mode, "emulated");

	if (is_durable(real))
		dxs_check_say("conclusion", "can be served");
	else if (can_emulate && emulate)
		dxs_check_say("conclusion", "can be served in emulation, where nothing becomes durable");
	else if (can_emulate)
		dxs_check_say("conclusion", "out of reach: %s (tests can run with DAXSYNC_EMULATE=1)", real->reason);
	else
		dxs_check_say("conclusion", "out of reach: %s", emulate ? emulated->reason : real->reason);
	return is_durable(real) || (can_emulate && emulate);
}

static bool say_modes(const struct place *place)
{
	struct dxs_mode_verdict real, emulated;

	if (!(place->prot & PROT_WRITE)) {
		dxs_check_say("conclusion",
			      "out of reach: you may not write this file, and who only reads has no sync");
		return false;
	}
	dxs_mode_explain(place->fd, false, &real);
	if (dxs_library_has_emulator())
		dxs_mode_explain(place->fd, true, &emulated);
	else
		emulated = (struct dxs_mode_verdict){"pass", "none", DXS_EMULATOR " is not found"};
	say_mode("mode", &real);
	say_mode("with DAXSYNC_EMULATE=1", &emulated);
	return conclude(&real, &emulated, dxs_config.emulate);
}

bool dxs_check_place(const char *path)
{
	struct place place = {.path = path};
	int err = open_place(&place);
	bool is_served;

	if (err) {
		dxs_check_say("conclusion", "out of reach: %s",
			      err == -EINVAL ? "neither a regular file nor a directory nor a DAX device"
					     : strerrordesc_np(-err));
		return false;
	}
	find_len(&place);
	say_file_system(&place);
	say_dax(&place);
	say_map_sync(&place);
	say_userfaultfd(&place);
	is_served = say_modes(&place);
	close(place.fd);
	return is_served;
}
