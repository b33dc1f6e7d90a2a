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
	return dxs_next.msync ? dxs_next.msync(addr, len, flags)
			      : (int)dxs_hook_return(dxs_sys6(SYS_msync, (long)addr, (long)len, flags, 0, 0, 0));
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
	return dxs_next.fsync ? dxs_next.fsync(fd) : (int)dxs_hook_return(dxs_sys6(SYS_fsync, fd, 0, 0, 0, 0, 0));
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
	return dxs_next.fdatasync ? dxs_next.fdatasync(fd)
				  : (int)dxs_hook_return(dxs_sys6(SYS_fdatasync, fd, 0, 0, 0, 0, 0));
}
