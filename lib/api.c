// SPDX-License-Identifier: BSD-3-Clause
// api.c: the public functions.
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "base/config.h"
#include "base/log.h"
#include "call/calls.h"
#include "core/file.h"
#include "core/sync.h"
#include "daxsync/daxsync.h"
#include "emulator.h"
#include "init.h"
#include "process/fork.h"
#include "report/stats.h"
#include "space/track.h"

#define EXPORT __attribute__((visibility("default")))
#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

EXPORT const char *daxsync_version(void)
{
	return TEXT(DAXSYNC_VERSION_MAJOR) "." TEXT(DAXSYNC_VERSION_MINOR);
}

// Reads the options; EMULATE and STRICT of a call add to what the environment says.
static int opts_read(const struct daxsync_opts *opts, unsigned *flags)
{
	dxs_init();
	*flags = (dxs_config.emulate ? DAXSYNC_OPT_EMULATE : 0) | (dxs_config.strict ? DAXSYNC_OPT_STRICT : 0);
	if (!opts)
		return 0;
	if (opts->size < sizeof(*opts) || opts->flags & ~(DAXSYNC_OPT_EMULATE | DAXSYNC_OPT_STRICT))
		return -EINVAL;
	*flags |= opts->flags;
	if (*flags & DAXSYNC_OPT_EMULATE && !dxs_emulator_load())
		*flags &= ~DAXSYNC_OPT_EMULATE;
	return 0;
}

static int track(void *addr, size_t len, int prot, int fd, off_t off, unsigned flags)
{
	int err = dxs_adopt(addr, len, prot, fd, off, flags & DAXSYNC_OPT_EMULATE);

	if (!err && flags & DAXSYNC_OPT_STRICT && daxsync_mode_of(addr) <= DAXSYNC_MODE_KERNEL) {
		dxs_release(addr, len);
		err = -EOPNOTSUPP;
	}
	return err;
}

EXPORT int daxsync_map(int fd, size_t len, off_t off, const struct daxsync_opts *opts, void **addr)
{
	unsigned flags;
	void *map;
	int err = opts_read(opts, &flags);

	if (err)
		return err;
	map = dxs_sys_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, off);
	if (dxs_is_err(map))
		return (int)(intptr_t)map;
	err = track(map, len, PROT_READ | PROT_WRITE, fd, off, flags);
	if (err == -EOPNOTSUPP && !(flags & DAXSYNC_OPT_STRICT))
		err = 0; // mode PASS
	if (err) {
		dxs_sys_munmap(map, len);
		return err;
	}
	*addr = map;
	return 0;
}

EXPORT int daxsync_adopt(void *addr, size_t len, int fd, off_t off, const struct daxsync_opts *opts)
{
	unsigned flags;
	int err = opts_read(opts, &flags);

	return err ? err : track(addr, len, PROT_NONE, fd, off, flags);
}

EXPORT int daxsync_unmap(void *addr, size_t len)
{
	return dxs_munmap(addr, len);
}

EXPORT int daxsync_release(void *addr, size_t len)
{
	return dxs_release(addr, len);
}

EXPORT int daxsync_sync(const void *addr, size_t len)
{
	uintptr_t start = (uintptr_t)addr;
	uintptr_t page = start & ~(DXS_PAGE_SIZE - 1);
	int err;

	if (start + len < start)
		return -EOVERFLOW;
	if (!len)
		return 0;
	dxs_fork_check();
	err = dxs_msync_bytes(start, start + len);
	if (err != DXS_PASS) {
		dxs_sites_sync(__builtin_return_address(0));
		return err;
	}
	return (int)dxs_sys6(SYS_msync, (long)page, (long)(start + len - page), MS_SYNC, 0, 0, 0);
}

EXPORT int daxsync_sync_file(int fd)
{
	int err;

	dxs_fork_check();
	err = dxs_fsync(fd, false);
	if (err != DXS_PASS)
		dxs_sites_sync(__builtin_return_address(0));
	return err == DXS_PASS ? (int)dxs_sys6(SYS_fsync, fd, 0, 0, 0, 0, 0) : err;
}

// The file of the mapping at an address, held, or NULL.
static struct dxs_file *file_at(const void *addr)
{
	dxs_sigset set = dxs_sig_block();
	unsigned section = dxs_maps_enter();
	struct dxs_map *map = dxs_maps_find((uintptr_t)addr);
	struct dxs_file *file = map ? map->file : NULL;

	if (file)
		dxs_file_get(file);
	dxs_maps_exit(section);
	dxs_sig_setmask(set);
	return file;
}

static void file_let(struct dxs_file *file)
{
	dxs_sigset set = dxs_sig_block();

	dxs_file_put(file);
	dxs_sig_setmask(set);
}

EXPORT int daxsync_mode_of(const void *addr)
{
	struct dxs_file *file = file_at(addr);
	int mode = DAXSYNC_MODE_PASS;

	if (file) {
		mode = (int)dxs_file_mode(file);
		file_let(file);
	}
	return mode;
}

EXPORT const char *daxsync_reason_of(const void *addr)
{
	struct dxs_file *file = file_at(addr);
	const char *reason = "nothing is tracked there";

	if (file) {
		reason = dxs_file_reason(file);
		file_let(file);
	}
	return reason;
}

EXPORT int daxsync_stats_get(struct daxsync_stats *stats)
{
	struct daxsync_stats now = {
		.size = sizeof(now),
		.syncs = dxs_counter_get(DXS_syncs),
		.traps = dxs_counter_get(DXS_traps),
		.pages_flushed = dxs_counter_get(DXS_pages_flushed),
		.bytes_flushed = dxs_counter_get(DXS_bytes_flushed),
		.fences = dxs_counter_get(DXS_fences),
		.kernel_syncs = dxs_counter_get(DXS_kernel_syncs),
		.missed_pages = dxs_counter_get(DXS_missed_pages),
	};

	if (stats->size < sizeof(stats->size) || stats->size > sizeof(now))
		return -EINVAL;
	now.size = stats->size;
	memcpy(stats, &now, now.size);
	return 0;
}

EXPORT int daxsync_stats_json(int fd)
{
	return dxs_stats_write_json(fd);
}

EXPORT const char *daxsync_strerror(int err)
{
	switch (err) {
	case 0:
		return "success";
	case -EINVAL:
		return "invalid argument: alignment, length, options of an unknown size, or not a shared mapping of "
		       "that file";
	case -EOPNOTSUPP:
		return "this file cannot be tracked";
	case -EEXIST:
		return "a part of the range is tracked already";
	case -EIO:
		return "bad memory, or the kernel's sync failed: the range is still dirty";
	case -ENOMEM:
		return "a part of the range is not mapped, or no memory";
	case -EOVERFLOW:
		return "the range wraps around the end of the address space";
	case -EBADF:
		return "bad file descriptor";
	case -EACCES:
		return "the file is not open for reading and writing";
	default:
		return "unknown error";
	}
}
