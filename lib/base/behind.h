// SPDX-License-Identifier: BSD-3-Clause
// behind.h: the program's calls that the library passes on.
//
// Another library may stand behind the shim and have such a function of its own: it would have got the call, so it does.
// What the library calls for itself goes to the kernel always (sys.h).
#ifndef DXS_BEHIND_H
#define DXS_BEHIND_H

#include <pthread.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/sys.h"

typedef typeof(&mmap) dxs_mmap_fn;

// clang-format off
#define DXS_BEHIND_CALLS(X)                                                                                            \
	X(mmap) X(mmap64) X(munmap) X(mremap) X(mprotect) X(pkey_mprotect) X(madvise) X(process_madvise)               \
	X(remap_file_pages) X(shmat) X(msync) X(fsync) X(fdatasync)
// clang-format on

#pragma GCC visibility push(default) // the shim uses these; it fills dxs_behind before the program runs

// NULL: nobody is there, and the call is the kernel's. libc's own are not here: threads can be cancelled in them.
struct dxs_behind {
#define X(name) typeof(&(name)) name;
	DXS_BEHIND_CALLS(X)
#undef X
};

extern struct dxs_behind dxs_behind;

// Not 0 while the calling thread is inside a change, or in a library that we call: calls that come out of that (a library being
// loaded, a thread being started, libunwind reading a file) are the kernel's. Signals are blocked, so no handler of the
// program sees it set.
extern DXS_THREAD int dxs_inside;
#pragma GCC visibility pop

// What a function of libc's kind has returned, as -errno. The caller's errno is kept, and a thread that somebody has
// cancelled goes on: it may hold what it has to give back.
#define DXS_BEHIND_CALL(call)                                                                                          \
	({                                                                                                             \
		int saved_ = errno, state_;                                                                            \
		long ret_;                                                                                             \
                                                                                                                       \
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state_);                                               \
		ret_ = (long)(call);                                                                                   \
		pthread_setcancelstate(state_, &state_);                                                               \
		if (ret_ == -1)                                                                                        \
			ret_ = -errno;                                                                                 \
		errno = saved_;                                                                                        \
		ret_;                                                                                                  \
	})

// Passes a call of the program's on: a value or -errno.
#define DXS_BEHIND(name, args, ...)                                                                                    \
	(dxs_likely(!dxs_behind.name) ? dxs_sys6(__VA_ARGS__) : DXS_BEHIND_CALL(dxs_behind.name args))

#endif
