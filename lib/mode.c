// SPDX-License-Identifier: BSD-3-Clause
// mode.c: the choice of the mode.
#include "mode.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "config.h"
#include "engine.h"
#include "fd.h"
#include "log.h"
#include "sys.h"

#ifndef STATX_ATTR_DAX
#define STATX_ATTR_DAX 0x00200000
#endif

struct sys_statx { // struct statx, which <sys/stat.h> and <linux/stat.h> cannot both give
	uint32_t mask, blksize;
	uint64_t attributes;
	char rest[240];
};

// The kernel says of the inode itself whether its pages are persistent memory (Linux 5.8).
static bool is_dax(int fd)
{
	struct sys_statx stx = {0};

	return !dxs_sys6(SYS_statx, fd, (long)"", AT_EMPTY_PATH, 0, (long)&stx, 0) && stx.attributes & STATX_ATTR_DAX;
}

// A character device of class dax.
static bool is_device_dax(const struct stat *st)
{
	char link[64], target[256];
	struct dxs_text text;
	long len;

	if (!S_ISCHR(st->st_mode))
		return false;
	dxs_text_init(&text, link, sizeof(link));
	dxs_text_add(&text, "/sys/dev/char/%u:%u/subsystem", major(st->st_rdev), minor(st->st_rdev));
	len = dxs_sys6(SYS_readlinkat, AT_FDCWD, (long)link, (long)target, sizeof(target) - 1, 0, 0);
	target[len > 0 ? len : 0] = '\0';
	return len > 4 && !strcmp(target + len - 4, "/dax");
}

static unsigned page_shift_of(int fd)
{
	struct statfs fs;

	if (dxs_sys6(SYS_fstatfs, fd, (long)&fs, 0, 0, 0, 0) || fs.f_type != HUGETLBFS_MAGIC)
		return DXS_PAGE_SHIFT;
	return (unsigned)__builtin_ctzl((unsigned long)fs.f_bsize);
}

static void verdict(struct dxs_candidate *out, enum dxs_mode mode, const char *reason)
{
	out->mode = mode;
	out->reason = reason;
}

void dxs_mode_look(int fd, bool emulate, struct dxs_candidate *out)
{
	if (dxs_sys6(SYS_fstat, fd, (long)&out->st, 0, 0, 0, 0)) {
		verdict(out, DXS_MODE_PASS, "no file");
		return;
	}
	if (!S_ISREG(out->st.st_mode)) {
		if (is_device_dax(&out->st))
			verdict(out, DXS_MODE_KERNEL, "no engine for device DAX in this version");
		else
			verdict(out, DXS_MODE_PASS, "not a regular file");
		return;
	}
	dxs_fd_path(fd, out->path, sizeof(out->path));
	if (!dxs_config_wants(out->path)) {
		verdict(out, DXS_MODE_PASS, "excluded by configuration");
		return;
	}
	out->page_shift = page_shift_of(fd);
	if (is_dax(fd))
		verdict(out, DXS_MODE_KERNEL, "no engine for DAX file systems in this version");
	else if (emulate)
		verdict(out, DXS_MODE_EMULATED, "emulation was asked for");
	else
		verdict(out, DXS_MODE_PASS, "not on persistent memory");
}

static void engine_try(int fd, const struct dxs_candidate *candidate, struct dxs_mode_verdict *out)
{
	struct dxs_file file = {.page_shift = candidate->page_shift};
	struct dxs_map map = {.len = (size_t)1 << candidate->page_shift, .prot = PROT_READ | PROT_WRITE, .file = &file};
	void *addr = dxs_sys_mmap(NULL, map.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const char *why = "it cannot be mapped shared and writable";

	map.addr = (uintptr_t)addr;
	if (!dxs_is_err(addr))
		map.engine = dxs_engine_attach(&map, &why);
	if (map.engine) {
		out->engine = map.engine->name();
		map.engine->detach(&map, false);
	} else {
		out->mode = dxs_mode_name(DXS_MODE_KERNEL);
		out->reason = why;
	}
	if (!dxs_is_err(addr))
		dxs_sys_munmap(addr, map.len);
}

void dxs_mode_explain(int fd, bool emulate, struct dxs_mode_verdict *out)
{
	struct dxs_candidate candidate = {0};

	dxs_mode_look(fd, emulate, &candidate);
	*out = (struct dxs_mode_verdict){dxs_mode_name(candidate.mode), "none", candidate.reason};
	if (candidate.mode == DXS_MODE_EMULATED || candidate.mode == DXS_MODE_DIRECT)
		engine_try(fd, &candidate, out);
}
