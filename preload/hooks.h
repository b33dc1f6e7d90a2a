// SPDX-License-Identifier: BSD-3-Clause
// hooks.h: the table of hooks.
//
// A hook translates a libc call into a call of lib/. If the call is not for the library, the hook makes the next
// library's call of the same name, or the kernel's before the table is filled. Hooks do not allocate and do not use
// stdio, and they keep errno as libc does.
#ifndef DXS_HOOKS_H
#define DXS_HOOKS_H

#include <aio.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <threads.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/sys.h"

// What programs built with _FORTIFY_SOURCE call: no header declares them without it.
ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off, size_t size);
ssize_t __pread64_chk(int fd, void *buf, size_t len, off64_t off, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *from,
		       socklen_t *from_len);

int __dprintf_chk(int fd, int flag, const char *format, ...);
int __vdprintf_chk(int fd, int flag, const char *format, va_list args);

size_t __fread_chk(void *buf, size_t room, size_t size, size_t nr, FILE *file);
size_t __fread_unlocked_chk(void *buf, size_t room, size_t size, size_t nr, FILE *file);
void __longjmp_chk(struct __jmp_buf_tag env[1], int value) __attribute__((noreturn));

int mseal(void *addr, size_t len, unsigned long flags); // not in glibc 2.41

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

// Names of libc's that programs and libraries were built with.
int __close(int fd);
int __dup2(int from, int to);
int __open(const char *path, int flags, ...);
int __open64(const char *path, int flags, ...);
ssize_t __read(int fd, void *buf, size_t len);
ssize_t __write(int fd, const void *buf, size_t len);
ssize_t __pread64(int fd, void *buf, size_t len, off64_t off);
ssize_t __pwrite64(int fd, const void *buf, size_t len, off64_t off);
int __ppoll_chk(struct pollfd *fds, nfds_t nr, const struct timespec *timeout, const sigset_t *set, size_t size);
int __sigaction(int sig, const struct sigaction *act, struct sigaction *old);
int __sigsuspend(const sigset_t *set);
int __sigpause(int sig_or_mask, int is_sig);
int __xpg_sigpause(int sig);
sighandler_t bsd_signal(int sig, sighandler_t handler);
int siggetmask(void);

#undef fread_unlocked // macros in optimised builds
#undef sigpause
#undef siglongjmp
#undef setjmp

// Every hook, by the name of the function that it stands for.
// clang-format off
#define DXS_HOOKS(X)                                                                                                   \
	X(mmap) X(mmap64) X(munmap) X(mremap) X(mprotect) X(pkey_mprotect) X(madvise)                                          \
	X(process_madvise) X(remap_file_pages) X(shmat)                                                                \
	X(msync) X(fsync) X(fdatasync) X(sync) X(syncfs) X(sync_file_range)                                            \
	X(open) X(open64) X(__open) X(__open64) X(openat) X(openat64) X(creat) X(creat64)                              \
	X(__open_2) X(__open64_2) X(__openat_2) X(__openat64_2)                                                        \
	X(aio_read) X(aio_read64) X(aio_write) X(aio_write64) X(aio_fsync) X(aio_fsync64)                              \
	X(lio_listio) X(lio_listio64)                                                                                  \
	X(write) X(__write) X(pwrite) X(pwrite64) X(__pwrite64) X(writev)                                              \
	X(pwritev) X(pwritev64) X(pwritev2) X(pwritev64v2)                                                             \
	X(copy_file_range) X(sendfile) X(sendfile64) X(splice)                                                         \
	X(dprintf) X(vdprintf) X(__dprintf_chk) X(__vdprintf_chk)                                                      \
	X(ftruncate) X(ftruncate64) X(truncate) X(truncate64)                                                          \
	X(fallocate) X(fallocate64) X(posix_fallocate) X(posix_fallocate64)                                            \
	X(read) X(pread) X(pread64) X(readv) X(preadv) X(preadv64) X(preadv2) X(preadv64v2)                            \
	X(recv) X(recvfrom) X(recvmsg) X(recvmmsg) X(getrandom)                                                        \
	X(vmsplice) X(getentropy) X(process_vm_readv) X(process_vm_writev) X(fread) X(fread_unlocked)                  \
	X(__fread_chk) X(__fread_unlocked_chk) X(__read) X(__pread64)                                                  \
	X(__read_chk) X(__pread_chk) X(__pread64_chk) X(__recv_chk) X(__recvfrom_chk)                                  \
	X(fopen) X(fopen64) X(fdopen) X(freopen) X(freopen64) X(tmpfile) X(tmpfile64) X(fclose)                                                         \
	X(close) X(__close) X(close_range) X(closefrom) X(closedir) X(pclose)                                          \
	X(dup) X(dup2) X(__dup2) X(dup3) X(shm_open) X(open_by_handle_at) X(pidfd_getfd) X(fanotify_init) X(unshare)   \
	X(sigaction) X(__sigaction) X(signal) X(bsd_signal) X(ssignal) X(sysv_signal) X(__sysv_signal)                 \
	X(sigset) X(sigignore) X(siginterrupt)                                                                         \
	X(sigprocmask) X(pthread_sigmask) X(sigblock) X(sigsetmask) X(siggetmask) X(sighold) X(sigrelse)               \
	X(sigsuspend) X(__sigsuspend) X(__sigpause) X(__xpg_sigpause)                                                  \
	X(pselect) X(ppoll) X(__ppoll_chk) X(epoll_pwait) X(epoll_pwait2)                                              \
	X(sigpending) X(sigwait) X(sigwaitinfo) X(sigtimedwait)                                                        \
	X(longjmp) X(_longjmp) X(siglongjmp) X(__longjmp_chk) X(setcontext) X(swapcontext)                             \
	X(pthread_create) X(thrd_create) X(posix_spawn) X(posix_spawnp) X(timer_create) X(timer_delete)                \
	X(execve) X(execv) X(execvp) X(execvpe) X(execl) X(execlp) X(execle) X(fexecve) X(execveat)                    \
	X(_exit) X(_Exit) X(_Fork) X(clone) X(mseal)
// clang-format on

struct dxs_next {
#define X(name) typeof(&(name)) name;
	DXS_HOOKS(X)
#undef X
};

// The next library's functions; NULL until the constructor has run.
extern struct dxs_next dxs_next;

// The next library's function, or before the constructor the system call: constructors of other libraries run earlier
// and make calls, and allocators do so inside malloc, where nothing may be looked up.
#define DXS_NEXT(name, args, nr, ...)                                                                                  \
	(dxs_next.name ? dxs_next.name args : (typeof(dxs_next.name args))syscall(nr, __VA_ARGS__))

extern void *dxs_next_sigsetjmp, *dxs_next_setjmp; // jumps.c

// Fills the table if that has not happened yet, for hooks that are no single system call and that no allocator calls.
void dxs_hooks_fill(void);

// Whether hooks act. Before, and when the self-test failed, everything goes to the kernel.
extern bool dxs_hooks_active;

// The table is filled, every hook is in force.
#define DXS_EXPORT __attribute__((visibility("default")))

// Whether the program's signal masks and actions are followed.
bool dxs_hooks_spare(void);

// Whether this call is for the library: hooks act, and it is not the library's own call. Notices a child that was
// made without fork handlers.
bool dxs_hook_enter(void);

// A descriptor that a call has just returned, or -1: what was known of the number is forgotten.
int dxs_hook_given(int fd);

// What F_DUPFD of a descriptor has given: not more than it would be without ours in between.
int dxs_hook_lowest(int ret, int fd, int cmd, int from);

// Whether a stdio stream that can write is open on this file.
bool dxs_hooks_stdio_writes(dev_t dev, ino_t ino);

// The one place where -errno becomes -1 and errno.
static inline long dxs_hook_return(long ret)
{
	if (ret < 0 && ret > -4096) {
		errno = (int)-ret;
		return -1;
	}
	return ret;
}

static inline void *dxs_hook_return_ptr(void *ptr)
{
	if (!dxs_is_err(ptr))
		return ptr;
	errno = (int)-(intptr_t)ptr;
	return MAP_FAILED;
}

#endif
