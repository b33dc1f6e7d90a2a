// SPDX-License-Identifier: BSD-3-Clause
// sys.h: the system calls that hooks, traps and the sync point use.
//
// Results are -errno or a value; the caller's errno is never changed. Nothing here is a cancellation point, takes a
// lock or allocates, so everything here may be used in every context (doc/design.md, "Contexts").
#ifndef DXS_SYS_H
#define DXS_SYS_H

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462 // Linux 6.10
#endif

#define DXS_PAGE_SHIFT 12
#define DXS_PAGE_SIZE ((size_t)1 << DXS_PAGE_SHIFT)

#define dxs_likely(x) __builtin_expect(!!(x), 1)
#define dxs_unlikely(x) __builtin_expect(!!(x), 0)

// A thread-local object that a trap may touch: initial-exec, because the general model may allocate at first use.
#define DXS_THREAD __thread __attribute__((tls_model("initial-exec")))

#pragma GCC visibility push(default) // the shim uses it
// An injector's (injector.h): -errno in the place of a call, or 0. A source file that defines DXS_SYS_SPARED is left out:
// what only emulates.
extern long (*dxs_sys_injected)(long nr);

// A call that writes or makes a file larger. Where RLIMIT_FSIZE forbids that the kernel sends SIGXFSZ as well, and where a
// pipe has no reader SIGPIPE, which end a process: the signal is taken back, and what is left is -EFBIG or -EPIPE.
long dxs_sys_grow(long nr, long a, long b, long c, long d);
#pragma GCC visibility pop

static inline long dxs_sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long ret;

#ifndef DXS_SYS_SPARED
	if (dxs_unlikely(dxs_sys_injected != NULL)) {
		ret = dxs_sys_injected(nr);
		if (ret)
			return ret;
	}
#endif
	ret = syscall(nr, a, b, c, d, e, f);
	if (ret == -1)
		ret = -errno;
	errno = saved;
	return ret;
}

static inline bool dxs_is_err(const void *ptr)
{
	return (uintptr_t)ptr > (uintptr_t)-4096;
}

static inline void *dxs_sys_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return (void *)dxs_sys6(SYS_mmap, (long)addr, (long)len, prot, flags, fd, off);
}

static inline int dxs_sys_munmap(void *addr, size_t len)
{
	return (int)dxs_sys6(SYS_munmap, (long)addr, (long)len, 0, 0, 0, 0);
}

static inline int dxs_sys_mprotect(void *addr, size_t len, int prot)
{
	return (int)dxs_sys6(SYS_mprotect, (long)addr, (long)len, prot, 0, 0, 0);
}

static inline int dxs_sys_ioctl(int fd, unsigned long request, void *arg)
{
	return (int)dxs_sys6(SYS_ioctl, fd, (long)request, (long)arg, 0, 0, 0);
}

static inline long dxs_sys_write(int fd, const void *buf, size_t len)
{
	return dxs_sys_grow(SYS_write, fd, (long)buf, (long)len, 0);
}

static inline long dxs_sys_pread(int fd, void *buf, size_t len, off_t off)
{
	return dxs_sys6(SYS_pread64, fd, (long)buf, (long)len, off, 0, 0);
}

static inline int dxs_sys_close(int fd)
{
	return (int)dxs_sys6(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline int dxs_sys_openat(int dir, const char *path, int flags, int mode)
{
	return (int)dxs_sys6(SYS_openat, dir, (long)path, flags, mode, 0, 0);
}

static inline int dxs_sys_tid(void)
{
	return (int)dxs_sys6(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

static inline void dxs_futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
	dxs_sys6(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, seen, 0, 0, 0);
}

static inline void dxs_futex_wake(_Atomic uint32_t *word, int nr)
{
	dxs_sys6(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, nr, 0, 0, 0);
}

// The kernel's own signal set, 64 signals in one word. The raw call is used because glibc's pthread_sigmask never
// blocks signals 32 and 33, which cancel threads and change ids.
typedef uint64_t dxs_sigset;

static inline dxs_sigset dxs_sig_setmask(dxs_sigset set)
{
	dxs_sigset old = 0;

	dxs_sys6(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, (long)&set, (long)&old, sizeof(set), 0, 0);
	return old;
}

// Blocks every signal but SIGSEGV and SIGBUS (blocked, these would kill the process when raised by a fault).
#define DXS_SIG_ALL (~((1ULL << (11 - 1)) | (1ULL << (7 - 1))))

static inline dxs_sigset dxs_sig_block(void)
{
	return dxs_sig_setmask(DXS_SIG_ALL);
}

static inline uint64_t dxs_min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t dxs_max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
