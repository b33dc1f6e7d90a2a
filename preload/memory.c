// SPDX-License-Identifier: BSD-3-Clause
// memory.c: hooks of calls that make, change and remove mappings.
//
// Allocators may call them before the constructor has run.
#include <stdarg.h>

#include "call/calls.h"
#include "hooks.h"
#include "pins.h"
#include "space/track.h"

#define MMAP(name, offset)                                                                                             \
	DXS_EXPORT void *name(void *addr, size_t len, int prot, int flags, int fd, offset off)                         \
	{                                                                                                              \
		if (!dxs_hook_enter())                                                                                 \
			return DXS_NEXT(name, (addr, len, prot, flags, fd, off), SYS_mmap, addr, len, prot, flags, fd, \
					off);                                                                          \
		return dxs_hook_return_ptr(dxs_mmap(addr, len, prot, flags, fd, off, dxs_behind.name));                \
	}

MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

DXS_EXPORT int munmap(void *addr, size_t len)
{
	if (!dxs_hook_enter())
		return DXS_NEXT(munmap, (addr, len), SYS_munmap, addr, len);
	return (int)dxs_hook_return(dxs_munmap(addr, len));
}

DXS_EXPORT void *mremap(void *addr, size_t old_len, size_t new_len, int flags, ...)
{
	void *new_addr = NULL;
	va_list args;

	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_start(args, flags);
		new_addr = va_arg(args, void *);
		va_end(args);
	}
	if (!dxs_hook_enter())
		return DXS_NEXT(mremap, (addr, old_len, new_len, flags, new_addr), SYS_mremap, addr, old_len, new_len,
				flags, new_addr);
	return dxs_hook_return_ptr(dxs_mremap(addr, old_len, new_len, flags, new_addr));
}

DXS_EXPORT int mprotect(void *addr, size_t len, int prot)
{
	if (!dxs_hook_enter())
		return DXS_NEXT(mprotect, (addr, len, prot), SYS_mprotect, addr, len, prot);
	return (int)dxs_hook_return(dxs_mprotect(addr, len, prot, DXS_NO_PKEY));
}

DXS_EXPORT int pkey_mprotect(void *addr, size_t len, int prot, int pkey)
{
	if (!dxs_hook_enter())
		return DXS_NEXT(pkey_mprotect, (addr, len, prot, pkey), SYS_pkey_mprotect, addr, len, prot, pkey);
	return (int)dxs_hook_return(dxs_mprotect(addr, len, prot, pkey));
}

DXS_EXPORT int mseal(void *addr, size_t len, unsigned long flags)
{
	if (!dxs_hook_enter())
		return DXS_NEXT(mseal, (addr, len, flags), SYS_mseal, addr, len, flags);
	return (int)dxs_hook_return(dxs_mseal(addr, len, flags));
}

DXS_EXPORT int madvise(void *addr, size_t len, int advice)
{
	if (!dxs_hook_enter())
		return DXS_NEXT(madvise, (addr, len, advice), SYS_madvise, addr, len, advice);
	return (int)dxs_hook_return(dxs_madvise(-1, addr, len, advice, 0));
}

#define PIDFD_SELF (-10000) // and below, Linux 6.14: this process

// One range after the other, as the kernel does it: the bytes up to the first error, or that error (mm/madvise.c
// do_process_madvise, Linux 6.13). The process may be this one.
DXS_EXPORT ssize_t process_madvise(int pidfd, const struct iovec *iov, size_t nr, int advice, unsigned flags)
{
	struct iovec one = {0};
	ssize_t done = 0;
	size_t i;

	if (!dxs_hook_enter() || !dxs_known_any() || (pidfd < 0 && pidfd > PIDFD_SELF) || !nr || nr > UIO_MAXIOV)
		return DXS_NEXT(process_madvise, (pidfd, iov, nr, advice, flags), SYS_process_madvise, pidfd, iov, nr,
				advice, flags);
	for (i = 0; i < nr; i++) {
		int ret = dxs_peek(&one, &iov[i], sizeof(one))
				  ? dxs_madvise(pidfd, one.iov_base, one.iov_len, advice, flags)
				  : -EFAULT;

		if (ret < 0)
			return done ? done : dxs_hook_return(ret);
		done += (ssize_t)one.iov_len;
	}
	return done;
}

DXS_EXPORT int remap_file_pages(void *addr, size_t len, int prot, size_t pgoff, int flags)
{
	if (!dxs_hook_enter())
		return DXS_NEXT(remap_file_pages, (addr, len, prot, pgoff, flags), SYS_remap_file_pages, addr, len,
				prot, pgoff, flags);
	return (int)dxs_hook_return(dxs_remap_file_pages(addr, len, prot, pgoff, flags));
}

DXS_EXPORT void *shmat(int id, const void *addr, int flags)
{
	if (!dxs_hook_enter())
		return DXS_NEXT(shmat, (id, addr, flags), SYS_shmat, id, addr, flags);
	return dxs_hook_return_ptr(dxs_shmat(id, addr, flags));
}
