// SPDX-License-Identifier: BSD-3-Clause
// sync.c: hooks of the calls that make data durable. Cancellation points, as in libc: before the call acts.
#include "calls.h"
#include "hooks.h"

DXS_EXPORT int msync(void *addr, size_t len, int flags)
{
	if (dxs_hook_enter()) {
		int ret;

		pthread_testcancel();
		ret = dxs_msync(addr, len, flags);
		if (ret != DXS_PASS)
			return (int)dxs_hook_return(ret);
	}
	return DXS_NEXT(msync, (addr, len, flags), SYS_msync, addr, len, flags);
}

DXS_EXPORT int fsync(int fd)
{
	if (dxs_hook_enter()) {
		int ret;

		pthread_testcancel();
		ret = dxs_fsync(fd, false);
		if (ret != DXS_PASS)
			return (int)dxs_hook_return(ret);
	}
	return DXS_NEXT(fsync, (fd), SYS_fsync, fd);
}

DXS_EXPORT int fdatasync(int fd)
{
	if (dxs_hook_enter()) {
		int ret;

		pthread_testcancel();
		ret = dxs_fsync(fd, true);
		if (ret != DXS_PASS)
			return (int)dxs_hook_return(ret);
	}
	return DXS_NEXT(fdatasync, (fd), SYS_fdatasync, fd);
}
