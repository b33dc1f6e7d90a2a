// SPDX-License-Identifier: BSD-3-Clause
// sync.c: hooks of the calls that make data durable. They are cancellation points where libc's are, before the call
// takes effect.
#include "call/calls.h"
#include "hooks.h"
#include "report/sites.h"

DXS_EXPORT int msync(void *addr, size_t len, int flags)
{
	if (dxs_hook_enter()) {
		int ret;

		pthread_testcancel();
		ret = dxs_msync(addr, len, flags);
		if (ret != DXS_PASS) {
			dxs_sites_sync(__builtin_return_address(0));
			return (int)dxs_hook_return(ret);
		}
	}
	return DXS_NEXT(msync, (addr, len, flags), SYS_msync, addr, len, flags);
}

DXS_EXPORT int fsync(int fd)
{
	if (dxs_hook_enter()) {
		int ret;

		pthread_testcancel();
		ret = dxs_fsync(fd, false);
		if (ret != DXS_PASS) {
			dxs_sites_sync(__builtin_return_address(0));
			return (int)dxs_hook_return(ret);
		}
	}
	return DXS_NEXT(fsync, (fd), SYS_fsync, fd);
}

DXS_EXPORT int fdatasync(int fd)
{
	if (dxs_hook_enter()) {
		int ret;

		pthread_testcancel();
		ret = dxs_fsync(fd, true);
		if (ret != DXS_PASS) {
			dxs_sites_sync(__builtin_return_address(0));
			return (int)dxs_hook_return(ret);
		}
	}
	return DXS_NEXT(fdatasync, (fd), SYS_fdatasync, fd);
}

// No cancellation points, and sync has no error to tell.
DXS_EXPORT void sync(void)
{
	int saved = errno;

	if (dxs_hook_enter())
		dxs_sync_files(-1);
	errno = saved;
	if (dxs_next.sync)
		dxs_next.sync();
	else
		syscall(SYS_sync);
}

DXS_EXPORT int syncfs(int fd)
{
	int err = dxs_hook_enter() && fd >= 0 ? dxs_sync_files(fd) : 0;
	int ret = DXS_NEXT(syncfs, (fd), SYS_syncfs, fd);

	return ret ? ret : (int)dxs_hook_return(err);
}

// Makes nothing durable: it has no fence, and no metadata (mm/filemap.c, Linux 6.12). What it would write back is flushed.
DXS_EXPORT int sync_file_range(int fd, off64_t off, off64_t len, unsigned flags)
{
	uint64_t end = len ? (uint64_t)off + (uint64_t)len : UINT64_MAX;
	int err = 0;

	if (flags & SYNC_FILE_RANGE_WRITE && off >= 0 && len >= 0 && dxs_hook_enter()) {
		pthread_testcancel();
		err = dxs_flush_fd(fd, (uint64_t)off, end);
	}
	if (err < 0)
		return (int)dxs_hook_return(err);
	return DXS_NEXT(sync_file_range, (fd, off, len, flags), SYS_sync_file_range, fd, off, len, flags);
}
