// SPDX-License-Identifier: BSD-3-Clause
// space.c: where the library's own memory lies.
//
// The kernel puts a mapping for which no address was asked into the highest gap, downwards from the libraries, and programs
// rely on what that gives them: a gap that they have made is there when they map into it, and what lies behind a mapping
// stays free for it to grow. So the library maps its own an eighth of the address space below, where the kernel does not
// come unless all above is full. It is a place to ask for, nothing is reserved: it costs no address space.
#include "base/space.h"

#include <sys/mman.h>

#include "base/sys.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define TRIES 8                   // something of the program's may be there
#define AREA ((uintptr_t)1 << 38) // then it begins anew

// seq_cst, the default: release would do. Who sees `begin` sees a `next`; partner: place_take.
static _Atomic uintptr_t begin, next; // begin 0: not set up, the kernel chooses

void dxs_space_init(void)
{
	uintptr_t here = (uintptr_t)&begin; // as random as the addresses of libraries are

	atomic_store(&next, (here - here / 8) & ~(((uintptr_t)2 << 20) - 1));
	atomic_store(&begin, atomic_load(&next));
}

// The next addresses in turn: those that were given back come again much later.
static uintptr_t place_take(size_t len)
{
	uintptr_t first = atomic_load(&begin), at = atomic_load(&next), after;

	do
		after = at + len - first > AREA ? first : at + len;
	while (!atomic_compare_exchange_weak(&next, &at, after));
	return at;
}

void *dxs_space_map(size_t len, int prot, int flags, int fd)
{
	size_t whole = (len + DXS_PAGE_SIZE - 1) & ~(DXS_PAGE_SIZE - 1);
	int tries;

	for (tries = 0; tries < TRIES && atomic_load(&begin) && whole < AREA; tries++) {
		void *at = (void *)place_take(whole);
		void *ret = dxs_sys_mmap(at, len, prot, flags | MAP_FIXED_NOREPLACE, fd, 0);

		if (ret == at)
			return ret;
		if (!dxs_is_err(ret)) // Linux before 4.17 took it for a wish
			dxs_sys_munmap(ret, len);
		else if (ret != (void *)-EEXIST)
			break;
	}
	return dxs_sys_mmap(NULL, len, prot, flags, fd, 0);
}
