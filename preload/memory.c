// SPDX-License-Identifier: BSD-3-Clause
// memory.c: hooks of calls that make, change and take away mappings.
//
// They may be called before the constructor: allocators do. Then they are the raw system calls.
#include <stdarg.h>

#include "calls.h"
#include "hooks.h"
#include "pins.h"
#include "track.h"

DXS_EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (!dxs_hook_enter())
		return dxs_hook_return_ptr(dxs_sys_mmap(addr, len, prot, flags, fd, off));
	return dxs_hook_return_ptr(dxs_mmap(addr, len, prot, flags, fd, off));
}

DXS_EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t off)
{
	return mmap(addr, len, prot, flags, fd, off);
}

DXS_EXPORT int munmap(void *addr, size_t len)
{
	return (int)dxs_hook_return(dxs_hook_enter() ? dxs_munmap(addr, len) : dxs_sys_munmap(addr, len));
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
	if (dxs_hook_enter())
		return dxs_hook_return_ptr(dxs_mremap(addr, old_len, new_len, flags, new_addr));
	return dxs_hook_return_ptr(
		(void *)dxs_sys6(SYS_mremap, (long)addr, (long)old_len, (long)new_len, flags, (long)new_addr, 0));
}

DXS_EXPORT int mprotect(void *addr, size_t len, int prot)
{
	return (int)dxs_hook_return(dxs_hook_enter() ? dxs_mprotect(addr, len, prot, -1)
						     : dxs_sys_mprotect(addr, len, prot));
}

DXS_EXPORT int pkey_mprotect(void *addr, size_t len, int prot, int pkey)
{
	if (!dxs_hook_enter())
		return (int)dxs_hook_return(dxs_sys6(SYS_pkey_mprotect, (long)addr, (long)len, prot, pkey, 0, 0));
	return (int)dxs_hook_return(dxs_mprotect(addr, len, prot, pkey));
}

#define POPULATE_WRITE 23  // MADV_POPULATE_WRITE, Linux 5.14
#define DONTNEED_LOCKED 24 // MADV_DONTNEED_LOCKED, Linux 5.18
#define GUARD_INSTALL 102  // MADV_GUARD_INSTALL, Linux 6.13

// Advice that wants the pages open (M9). MADV_POPULATE_WRITE fails on pages that cannot be stored to.
// MADV_GUARD_INSTALL takes pages out of the page tables until none is left, and a write-protected one leaves a
// userfaultfd marker: it would go on for ever (mm/madvise.c, Linux 6.18).
static int madvise_open(void *addr, size_t len, int advice)
{
	struct dxs_pin pin;
	int ret;

	if (dxs_hook_pins(&pin))
		dxs_pin(&pin, addr, len);
	ret = (int)dxs_sys6(SYS_madvise, (long)addr, (long)len, advice, 0, 0, 0);
	dxs_unpin(&pin);
	return ret;
}

// MADV_DONTNEED empties page tables, in which the first sync of a mapping looks for what was stored to, and behind
// MADV_GUARD_INSTALL no page can be flushed: so that is synced before.
DXS_EXPORT int madvise(void *addr, size_t len, int advice)
{
	if (advice == MADV_REMOVE && dxs_hook_enter())
		return (int)dxs_hook_return(dxs_madvise_remove(addr, len));
	if ((advice == MADV_DONTNEED || advice == DONTNEED_LOCKED || advice == GUARD_INSTALL) && dxs_hook_enter())
		dxs_msync_bytes((uintptr_t)addr, (uintptr_t)addr + len);
	if (advice == POPULATE_WRITE || advice == GUARD_INSTALL)
		return (int)dxs_hook_return(madvise_open(addr, len, advice));
	return (int)dxs_hook_return(dxs_sys6(SYS_madvise, (long)addr, (long)len, advice, 0, 0, 0));
}
