// SPDX-License-Identifier: BSD-3-Clause
// api.c: the public functions.
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "api.h"
#include "base/config.h"
#include "base/log.h"
#include "call/calls.h"
#include "core/sync.h"
#include "daxsync/daxsync.h"
#include "emulator.h"
#include "file/file.h"
#include "file/mapping.h"
#include "init.h"
#include "process/fork.h"
#include "report/stats.h"
#include "space/track.h"

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

// Whether the library knows what is set in a structure of the caller's, which may be longer than its own.
static bool is_known(const void *given, size_t size, size_t known)
{
	const unsigned char *byte = given;

	while (size > known && !byte[size - 1])
		size--;
	return size <= known;
}

static void configure_locked(const struct daxsync_config *config)
{
	if (!dxs_config.has_engine)
		dxs_config.engine = config->engine ? (int)config->engine - 1 : DXS_ENGINE_AUTO;
	if (!dxs_config.has_policy)
		dxs_config.policy = config->policy ? (int)config->policy - 1 : DXS_POLICY_ADAPTIVE;
}

EXPORT int daxsync_configure(const struct daxsync_config *config)
{
	dxs_sigset set;
	bool busy;

	if (config->size < sizeof(*config) || config->engine > DAXSYNC_ENGINE_MPROTECT ||
	    config->policy > DAXSYNC_POLICY_KERNEL || !is_known(config, config->size, sizeof(*config)))
		return -EINVAL;
	dxs_init();
	set = dxs_sig_block();
	dxs_registry_lock(); // who reads them has a mapping, or is about to make one
	busy = dxs_maps_any();
	if (!busy)
		configure_locked(config);
	dxs_registry_unlock();
	dxs_sig_setmask(set);
	return busy ? -EBUSY : 0;
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

EXPORT int daxsync_syncv(const struct iovec *range, size_t nr_ranges)
{
	int err;

	for (size_t i = 0; i < nr_ranges; i++)
		if ((uintptr_t)range[i].iov_base + range[i].iov_len < (uintptr_t)range[i].iov_base)
			return -EOVERFLOW;
	dxs_fork_check();
	err = dxs_msync_ranges(range, nr_ranges);
	if (err != DXS_PASS)
		dxs_sites_sync(__builtin_return_address(0));
	return err == DXS_PASS ? 0 : err;
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

EXPORT int daxsync_log_set(int level, daxsync_log_fn *fn, void *arg)
{
	dxs_sigset set;
	int err;

	if (fn && (level < DAXSYNC_LOG_ERROR || level > DAXSYNC_LOG_DEBUG))
		return -EINVAL;
	set = dxs_sig_block();
	dxs_registry_lock();
	err = dxs_log_to(fn, arg);
	dxs_registry_unlock();
	dxs_sig_setmask(set);
	if (err)
		return err;
	dxs_init(); // after it: fn hears what is wrong with the settings
	dxs_log_level = fn ? (enum dxs_log_level)level : (enum dxs_log_level)dxs_config.log;
	return 0;
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
	case -EBUSY:
		return "something is tracked already";
	case -ENOENT:
		return "nothing is tracked there";
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
