// SPDX-License-Identifier: BSD-3-Clause
// results.c: hooks of functions with which the kernel stores a result of known size at an address of the program's
// (M9).
//
// Functions whose result libc itself stores need no hook, because such a store causes an ordinary write fault: statvfs,
// tcgetattr, realpath, gethostname, readdir, fgets and getline (from the stream's buffer), and what the vDSO answers
// without a system call.
#include "results.h"

#include <dlfcn.h>
#include <linux/fs.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <threads.h>

#include "call/calls.h"
#include "hooks.h"
#include "pins.h"
#include "space/track.h"

// What programs that were built long ago, or with _FORTIFY_SOURCE, call.
int __xstat(int version, const char *path, struct stat *st);
int __xstat64(int version, const char *path, struct stat64 *st);
int __lxstat(int version, const char *path, struct stat *st);
int __lxstat64(int version, const char *path, struct stat64 *st);
int __fxstat(int version, int fd, struct stat *st);
int __fxstat64(int version, int fd, struct stat64 *st);
int __fxstatat(int version, int dir, const char *path, struct stat *st, int flags);
int __fxstatat64(int version, int dir, const char *path, struct stat64 *st, int flags);
ssize_t __readlink_chk(const char *path, char *buf, size_t len, size_t size);
ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t len, size_t size);
char *__getcwd_chk(char *buf, size_t len, size_t size);
char *__getwd_chk(char *buf, size_t size);
int __ttyname_r_chk(int fd, char *buf, size_t len, size_t size);
int __getgroups_chk(int nr, gid_t *list, size_t size);
int __poll(struct pollfd *fds, nfds_t nr, int timeout);
int __poll_chk(struct pollfd *fds, nfds_t nr, int timeout, size_t size);
int __select(int nr, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout);
pid_t __wait(int *status);
pid_t __waitpid(pid_t pid, int *status, int flags);
int __pipe(int fds[2]);
int __nanosleep(const struct timespec *time, struct timespec *rest);
int __statfs(const char *path, struct statfs *st);
int __sched_getparam(pid_t pid, struct sched_param *param);

// What libc exports and no header of its own declares.
int capget(void *header, void *data);
int quotactl(int cmd, const char *special, int id, char *addr);

#define NAME_MAX_LEN 4096 // what getwd may store
#define WORDS 64          // what a small structure has room in
#define CAP_HEADER 8      // <linux/capability.h>: the kernel says its version there
#define CAP_DATA 24
#define FD_BYTES(nr) (((size_t)(nr) + 63) / 64 * 8)

// X(type, name, parameters, arguments, what to pin). P(address, length) pins.
#define P(addr, len) dxs_pin(&pin, (void *)(addr), (size_t)(len));
#define P_ONE(ptr) P(ptr, sizeof(*(ptr)))
#define P_SOCKET(addr, len) dxs_pin_socket_address(&pin, (void *)(addr), len);

// A stack for signals stays open for good: the kernel puts their frames there at any time.
static void stack_stays(const stack_t *stack)
{
	struct dxs_pin pin = {.nr = 0};
	stack_t copy = {0};

	if (stack && dxs_peek(&copy, stack, sizeof(copy)) && !(copy.ss_flags & SS_DISABLE))
		dxs_pin(&pin, copy.ss_sp, copy.ss_size);
}

// clang-format off
#define RESULTS(X) \
	X(int, stat, (const char *path, struct stat *st), (path, st), P_ONE(st)) \
	X(int, stat64, (const char *path, struct stat64 *st), (path, st), P_ONE(st)) \
	X(int, lstat, (const char *path, struct stat *st), (path, st), P_ONE(st)) \
	X(int, lstat64, (const char *path, struct stat64 *st), (path, st), P_ONE(st)) \
	X(int, fstat, (int fd, struct stat *st), (fd, st), P_ONE(st)) \
	X(int, fstat64, (int fd, struct stat64 *st), (fd, st), P_ONE(st)) \
	X(int, fstatat, (int dir, const char *path, struct stat *st, int flags), (dir, path, st, flags), P_ONE(st)) \
	X(int, fstatat64, (int dir, const char *path, struct stat64 *st, int flags), (dir, path, st, flags), P_ONE(st)) \
	X(int, __xstat, (int version, const char *path, struct stat *st), (version, path, st), P_ONE(st)) \
	X(int, __xstat64, (int version, const char *path, struct stat64 *st), (version, path, st), P_ONE(st)) \
	X(int, __lxstat, (int version, const char *path, struct stat *st), (version, path, st), P_ONE(st)) \
	X(int, __lxstat64, (int version, const char *path, struct stat64 *st), (version, path, st), P_ONE(st)) \
	X(int, __fxstat, (int version, int fd, struct stat *st), (version, fd, st), P_ONE(st)) \
	X(int, __fxstat64, (int version, int fd, struct stat64 *st), (version, fd, st), P_ONE(st)) \
	X(int, __fxstatat, (int version, int dir, const char *path, struct stat *st, int flags), \
	  (version, dir, path, st, flags), P_ONE(st)) \
	X(int, __fxstatat64, (int version, int dir, const char *path, struct stat64 *st, int flags), \
	  (version, dir, path, st, flags), P_ONE(st)) \
	X(int, statx, (int dir, const char *path, int flags, unsigned mask, struct statx *st), \
	  (dir, path, flags, mask, st), P_ONE(st)) \
	X(int, statfs, (const char *path, struct statfs *st), (path, st), P_ONE(st)) \
	X(int, statfs64, (const char *path, struct statfs64 *st), (path, st), P_ONE(st)) \
	X(int, __statfs, (const char *path, struct statfs *st), (path, st), P_ONE(st)) \
	X(int, fstatfs, (int fd, struct statfs *st), (fd, st), P_ONE(st)) \
	X(int, fstatfs64, (int fd, struct statfs64 *st), (fd, st), P_ONE(st)) \
	X(ssize_t, readlinkat, (int dir, const char *path, char *buf, size_t len), (dir, path, buf, len), P(buf, len)) \
	X(ssize_t, __readlink_chk, (const char *path, char *buf, size_t len, size_t size), (path, buf, len, size), \
	  P(buf, len)) \
	X(ssize_t, __readlinkat_chk, (int dir, const char *path, char *buf, size_t len, size_t size), \
	  (dir, path, buf, len, size), P(buf, len)) \
	X(char *, getcwd, (char *buf, size_t len), (buf, len), P(buf, len)) \
	X(char *, __getcwd_chk, (char *buf, size_t len, size_t size), (buf, len, size), P(buf, len)) \
	X(char *, getwd, (char *buf), (buf), P(buf, NAME_MAX_LEN)) \
	X(char *, __getwd_chk, (char *buf, size_t size), (buf, size), P(buf, NAME_MAX_LEN)) \
	X(int, ttyname_r, (int fd, char *buf, size_t len), (fd, buf, len), P(buf, len)) \
	X(int, __ttyname_r_chk, (int fd, char *buf, size_t len, size_t size), (fd, buf, len, size), P(buf, len)) \
	X(ssize_t, getdents64, (int fd, void *buf, size_t len), (fd, buf, len), P(buf, len)) \
	X(ssize_t, getdirentries, (int fd, char *buf, size_t len, off_t *base), (fd, buf, len, base), P(buf, len)) \
	X(ssize_t, getdirentries64, (int fd, char *buf, size_t len, off64_t *base), (fd, buf, len, base), P(buf, len)) \
	X(ssize_t, getxattr, (const char *path, const char *name, void *buf, size_t len), (path, name, buf, len), \
	  P(buf, len)) \
	X(ssize_t, lgetxattr, (const char *path, const char *name, void *buf, size_t len), (path, name, buf, len), \
	  P(buf, len)) \
	X(ssize_t, fgetxattr, (int fd, const char *name, void *buf, size_t len), (fd, name, buf, len), P(buf, len)) \
	X(ssize_t, listxattr, (const char *path, char *buf, size_t len), (path, buf, len), P(buf, len)) \
	X(ssize_t, llistxattr, (const char *path, char *buf, size_t len), (path, buf, len), P(buf, len)) \
	X(ssize_t, flistxattr, (int fd, char *buf, size_t len), (fd, buf, len), P(buf, len)) \
	X(int, name_to_handle_at, (int dir, const char *path, struct file_handle *handle, int *mount, int flags), \
	  (dir, path, handle, mount, flags), P(handle, sizeof(*handle) + MAX_HANDLE_SZ) P_ONE(mount)) \
	X(int, mincore, (void *addr, size_t len, unsigned char *vec), (addr, len, vec), P(vec, len / DXS_PAGE_SIZE + 1)) \
	X(int, poll, (struct pollfd *fds, nfds_t nr, int timeout), (fds, nr, timeout), P(fds, nr * sizeof(*fds))) \
	X(int, __poll, (struct pollfd *fds, nfds_t nr, int timeout), (fds, nr, timeout), P(fds, nr * sizeof(*fds))) \
	X(int, __poll_chk, (struct pollfd *fds, nfds_t nr, int timeout, size_t size), (fds, nr, timeout, size), \
	  P(fds, nr * sizeof(*fds))) \
	X(int, select, (int nr, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout), \
	  (nr, in, out, except, timeout), \
	  P(in, FD_BYTES(nr)) P(out, FD_BYTES(nr)) P(except, FD_BYTES(nr)) P_ONE(timeout)) \
	X(int, __select, (int nr, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout), \
	  (nr, in, out, except, timeout), \
	  P(in, FD_BYTES(nr)) P(out, FD_BYTES(nr)) P(except, FD_BYTES(nr)) P_ONE(timeout)) \
	X(int, epoll_wait, (int fd, struct epoll_event *events, int nr, int timeout), (fd, events, nr, timeout), \
	  P(events, nr > 0 ? (size_t)nr * sizeof(*events) : 0)) \
	X(int, accept, (int fd, struct sockaddr *addr, socklen_t *len), (fd, addr, len), P_SOCKET(addr, len)) \
	X(int, accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags), (fd, addr, len, flags), \
	  P_SOCKET(addr, len)) \
	X(int, getsockname, (int fd, struct sockaddr *addr, socklen_t *len), (fd, addr, len), P_SOCKET(addr, len)) \
	X(int, getpeername, (int fd, struct sockaddr *addr, socklen_t *len), (fd, addr, len), P_SOCKET(addr, len)) \
	X(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *len), (fd, level, name, value, len), \
	  P_SOCKET(value, len)) \
	X(int, sendmmsg, (int fd, struct mmsghdr *msg, unsigned nr, int flags), (fd, msg, nr, flags), \
	  P(msg, nr * sizeof(*msg))) \
	X(pid_t, wait, (int *status), (status), P_ONE(status)) \
	X(pid_t, __wait, (int *status), (status), P_ONE(status)) \
	X(pid_t, waitpid, (pid_t pid, int *status, int flags), (pid, status, flags), P_ONE(status)) \
	X(pid_t, __waitpid, (pid_t pid, int *status, int flags), (pid, status, flags), P_ONE(status)) \
	X(pid_t, wait3, (int *status, int flags, struct rusage *usage), (status, flags, usage), \
	  P_ONE(status) P_ONE(usage)) \
	X(pid_t, wait4, (pid_t pid, int *status, int flags, struct rusage *usage), (pid, status, flags, usage), \
	  P_ONE(status) P_ONE(usage)) \
	X(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int flags), (type, id, info, flags), P_ONE(info)) \
	X(int, pipe, (int fds[2]), (fds), P(fds, 2 * sizeof(int))) \
	X(int, __pipe, (int fds[2]), (fds), P(fds, 2 * sizeof(int))) \
	X(int, pipe2, (int fds[2], int flags), (fds, flags), P(fds, 2 * sizeof(int))) \
	X(int, socketpair, (int domain, int type, int protocol, int fds[2]), (domain, type, protocol, fds), \
	  P(fds, 2 * sizeof(int))) \
	X(int, uname, (struct utsname *name), (name), P_ONE(name)) \
	X(int, sysinfo, (struct sysinfo *info), (info), P_ONE(info)) \
	X(int, getrusage, (__rusage_who_t who, struct rusage *usage), (who, usage), P_ONE(usage)) \
	X(int, getrlimit, (__rlimit_resource_t which, struct rlimit *limit), (which, limit), P_ONE(limit)) \
	X(int, getrlimit64, (__rlimit_resource_t which, struct rlimit64 *limit), (which, limit), P_ONE(limit)) \
	X(int, prlimit, (pid_t pid, __rlimit_resource_t which, const struct rlimit *limit, struct rlimit *old), \
	  (pid, which, limit, old), P_ONE(old)) \
	X(int, prlimit64, (pid_t pid, __rlimit_resource_t which, const struct rlimit64 *limit, struct rlimit64 *old), \
	  (pid, which, limit, old), P_ONE(old)) \
	X(int, getgroups, (int nr, gid_t *list), (nr, list), P(list, nr > 0 ? (size_t)nr * sizeof(*list) : 0)) \
	X(int, __getgroups_chk, (int nr, gid_t *list, size_t size), (nr, list, size), \
	  P(list, nr > 0 ? (size_t)nr * sizeof(*list) : 0)) \
	X(int, getresuid, (uid_t *real, uid_t *effective, uid_t *saved), (real, effective, saved), \
	  P_ONE(real) P_ONE(effective) P_ONE(saved)) \
	X(int, getresgid, (gid_t *real, gid_t *effective, gid_t *saved), (real, effective, saved), \
	  P_ONE(real) P_ONE(effective) P_ONE(saved)) \
	X(int, sched_getaffinity, (pid_t pid, size_t size, cpu_set_t *set), (pid, size, set), P(set, size)) \
	X(int, pthread_getaffinity_np, (pthread_t thread, size_t size, cpu_set_t *set), (thread, size, set), P(set, size)) \
	X(int, pthread_getname_np, (pthread_t thread, char *buf, size_t len), (thread, buf, len), P(buf, len)) \
	X(int, sched_getparam, (pid_t pid, struct sched_param *param), (pid, param), P_ONE(param)) \
	X(int, __sched_getparam, (pid_t pid, struct sched_param *param), (pid, param), P_ONE(param)) \
	X(int, sched_rr_get_interval, (pid_t pid, struct timespec *time), (pid, time), P_ONE(time)) \
	X(clock_t, times, (struct tms *buf), (buf), P_ONE(buf)) \
	X(int, getitimer, (__itimer_which_t which, struct itimerval *value), (which, value), P_ONE(value)) \
	X(int, setitimer, (__itimer_which_t which, const struct itimerval *value, struct itimerval *old), \
	  (which, value, old), P_ONE(old)) \
	X(int, nanosleep, (const struct timespec *time, struct timespec *rest), (time, rest), P_ONE(rest)) \
	X(int, __nanosleep, (const struct timespec *time, struct timespec *rest), (time, rest), P_ONE(rest)) \
	X(int, clock_nanosleep, (clockid_t clock, int flags, const struct timespec *time, struct timespec *rest), \
	  (clock, flags, time, rest), P_ONE(rest)) \
	X(int, thrd_sleep, (const struct timespec *time, struct timespec *rest), (time, rest), P_ONE(rest)) \
	X(int, clock_getres, (clockid_t clock, struct timespec *time), (clock, time), P_ONE(time)) \
	X(int, clock_gettime, (clockid_t clock, struct timespec *time), (clock, time), P_ONE(time)) \
	X(int, gettimeofday, (struct timeval *time, void *zone), (time, zone), P_ONE(time) P(zone, WORDS)) \
	X(int, timer_gettime, (timer_t timer, struct itimerspec *value), (timer, value), P_ONE(value)) \
	X(int, timer_settime, (timer_t timer, int flags, const struct itimerspec *value, struct itimerspec *old), \
	  (timer, flags, value, old), P_ONE(old)) \
	X(int, timerfd_gettime, (int fd, struct itimerspec *value), (fd, value), P_ONE(value)) \
	X(int, timerfd_settime, (int fd, int flags, const struct itimerspec *value, struct itimerspec *old), \
	  (fd, flags, value, old), P_ONE(old)) \
	X(int, adjtimex, (struct timex *time), (time), P_ONE(time)) \
	X(int, ntp_adjtime, (struct timex *time), (time), P_ONE(time)) \
	X(int, clock_adjtime, (clockid_t clock, struct timex *time), (clock, time), P_ONE(time)) \
	X(int, sigaltstack, (const stack_t *stack, stack_t *old), (stack, old), P_ONE(old) stack_stays(stack);) \
	X(int, shmctl, (int id, int cmd, struct shmid_ds *buf), (id, cmd, buf), P_ONE(buf)) \
	X(int, msgctl, (int id, int cmd, struct msqid_ds *buf), (id, cmd, buf), P_ONE(buf)) \
	X(ssize_t, msgrcv, (int id, void *buf, size_t len, long type, int flags), (id, buf, len, type, flags), \
	  P(buf, sizeof(long) + len)) \
	X(ssize_t, mq_receive, (mqd_t queue, char *buf, size_t len, unsigned *priority), (queue, buf, len, priority), \
	  P(buf, len) P_ONE(priority)) \
	X(ssize_t, mq_timedreceive, \
	  (mqd_t queue, char *buf, size_t len, unsigned *priority, const struct timespec *timeout), \
	  (queue, buf, len, priority, timeout), P(buf, len) P_ONE(priority)) \
	X(int, mq_getattr, (mqd_t queue, struct mq_attr *attr), (queue, attr), P_ONE(attr)) \
	X(int, mq_setattr, (mqd_t queue, const struct mq_attr *attr, struct mq_attr *old), (queue, attr, old), P_ONE(old)) \
	X(int, eventfd_read, (int fd, eventfd_t *value), (fd, value), P_ONE(value)) \
	X(int, capget, (void *header, void *data), (header, data), P(header, CAP_HEADER) P(data, CAP_DATA)) \
	X(int, quotactl, (int cmd, const char *special, int id, char *addr), (cmd, special, id, addr), \
	  P(addr, DXS_PAGE_SIZE)) \
	X(int, klogctl, (int type, char *buf, int len), (type, buf, len), P(buf, len > 0 ? len : 0))
// clang-format on

// Of functions with another kind of hook, below.
#define OTHERS(X)                                                                                                      \
	X(fcntl)                                                                                                       \
	X(fcntl64)                                                                                                     \
	X(__fcntl) X(ioctl) X(prctl) X(readlink) X(semctl) X(arc4random_buf) X(setvbuf) X(setbuf) X(setbuffer)

int __fcntl(int fd, int cmd, ...);

static struct {
#define X(type, name, params, args, pins) typeof(&(name)) name;
	RESULTS(X)
#undef X
#define X(name) typeof(&(name)) name;
	OTHERS(X)
#undef X
} next;

const struct dxs_result dxs_results[] = {
#define X(type, name, params, args, pins) {#name, (void **)&next.name},
	RESULTS(X)
#undef X
#define X(name) {#name, (void **)&next.name},
		OTHERS(X)
#undef X
};
const size_t dxs_nr_results = sizeof(dxs_results) / sizeof(dxs_results[0]);

#define X(type, name, params, args, pins)                                                                              \
	DXS_EXPORT type name params                                                                                    \
	{                                                                                                              \
		struct dxs_pin pin;                                                                                    \
                                                                                                                       \
		if (dxs_unlikely(!next.name))                                                                          \
			dxs_hooks_fill();                                                                              \
		if (dxs_hook_pins(&pin)) {                                                                             \
			pins                                                                                           \
		}                                                                                                      \
		return DXS_PINNED(&pin, next.name args);                                                               \
	}
RESULTS(X)
#undef X

// Allocators ask for their settings by it before anything can be looked up. Our own never comes here (private_malloc.c).
DXS_EXPORT ssize_t readlink(const char *path, char *buf, size_t len)
{
	struct dxs_pin pin;

	if (dxs_hook_pins(&pin))
		dxs_pin(&pin, buf, len);
	return DXS_PINNED(&pin, next.readlink ? next.readlink(path, buf, len)
					      : syscall(SYS_readlinkat, AT_FDCWD, path, buf, len));
}

// The last argument of a variadic call, whatever it is: an address, a number, or not given.
#define LAST_ARGUMENT(last, args)                                                                                      \
	({                                                                                                             \
		void *last_;                                                                                           \
                                                                                                                       \
		va_start(args, last);                                                                                  \
		last_ = va_arg(args, void *);                                                                          \
		va_end(args);                                                                                          \
		last_;                                                                                                 \
	})

// What a request stores cannot be known: as much as it says, but a page at least, most say nothing.
static int pinned_ioctl(int fd, unsigned long request, void *arg)
{
	size_t size = _IOC_SIZE(request) > DXS_PAGE_SIZE ? _IOC_SIZE(request) : DXS_PAGE_SIZE;
	struct dxs_pin pin;

	if (dxs_hook_pins(&pin))
		dxs_pin(&pin, arg, size);
	return DXS_PINNED(&pin, next.ioctl ? next.ioctl(fd, request, arg) : (int)syscall(SYS_ioctl, fd, request, arg));
}

// Clones, moves of extents and the like put other blocks under a file: what the file systems' own requests do is not
// known one by one. To ask them for something changes nothing.
static bool may_change_blocks(unsigned long request)
{
	unsigned type = _IOC_TYPE(request);

	return _IOC_DIR(request) & _IOC_WRITE && (type == _IOC_TYPE(FICLONE) || type == 'f' || type == 'X');
}

DXS_EXPORT int ioctl(int fd, unsigned long request, ...)
{
	bool changes = may_change_blocks(request) && dxs_hook_enter() && dxs_known_any();
	struct dxs_file *file = changes ? dxs_resize_begin(fd) : NULL;
	va_list args;
	void *arg = LAST_ARGUMENT(request, args);
	int ret = pinned_ioctl(fd, request, arg);

	if (file)
		dxs_holes_end(file, 0, ret ? 0 : INT64_MAX, dxs_end_of(fd));
	return changes ? dxs_hook_given(ret) : ret; // XFS opens files by a handle
}

#define FCNTL(name)                                                                                                    \
	DXS_EXPORT int name(int fd, int cmd, ...)                                                                      \
	{                                                                                                              \
		struct dxs_pin pin;                                                                                    \
		va_list args;                                                                                          \
		void *arg = LAST_ARGUMENT(cmd, args);                                                                  \
		int ret;                                                                                               \
                                                                                                                       \
		if (dxs_unlikely(!next.name))                                                                          \
			dxs_hooks_fill();                                                                              \
		if (dxs_hook_pins(&pin))                                                                               \
			dxs_pin(&pin, arg, WORDS);                                                                     \
		ret = DXS_PINNED(&pin, next.name(fd, cmd, arg));                                                       \
		if (cmd != F_DUPFD && cmd != F_DUPFD_CLOEXEC)                                                          \
			return ret;                                                                                    \
		return dxs_hook_given(dxs_hook_lowest(ret, fd, cmd, (int)(intptr_t)arg));                              \
	}

FCNTL(fcntl)
FCNTL(fcntl64)
FCNTL(__fcntl)

DXS_EXPORT int prctl(int option, ...)
{
	unsigned long arg[4];
	struct dxs_pin pin;
	va_list args;
	int i;

	va_start(args, option);
	for (i = 0; i < 4; i++)
		arg[i] = va_arg(args, unsigned long);
	va_end(args);
	if (option == PR_SET_SECCOMP && dxs_hook_enter())
		dxs_filter_begin();
	if (dxs_hook_pins(&pin))
		dxs_pin(&pin, (void *)arg[0], WORDS);
	return DXS_PINNED(&pin, next.prctl ? next.prctl(option, arg[0], arg[1], arg[2], arg[3])
					   : (int)syscall(SYS_prctl, option, arg[0], arg[1], arg[2], arg[3]));
}

DXS_EXPORT int semctl(int id, int nr, int cmd, ...)
{
	struct dxs_pin pin;
	va_list args;
	void *arg = LAST_ARGUMENT(cmd, args);

	if (dxs_unlikely(!next.semctl))
		dxs_hooks_fill();
	if (dxs_hook_pins(&pin))
		dxs_pin(&pin, arg, cmd == GETALL ? 65536 : sizeof(struct semid_ds));
	return DXS_PINNED(&pin, next.semctl(id, nr, cmd, arg));
}

DXS_EXPORT void arc4random_buf(void *buf, size_t len)
{
	struct dxs_pin pin;

	if (dxs_unlikely(!next.arc4random_buf))
		dxs_hooks_fill();
	if (dxs_hook_pins(&pin))
		dxs_pin(&pin, buf, len);
	next.arc4random_buf(buf, len);
	dxs_unpin(&pin);
}

#define SETS_BUFFER(type, name, size, params, args)                                                                    \
	DXS_EXPORT type name params                                                                                    \
	{                                                                                                              \
		if (dxs_unlikely(!next.name))                                                                          \
			dxs_hooks_fill();                                                                              \
		if (buf)                                                                                               \
			dxs_pin_for_good(buf, size);                                                                   \
		return next.name args;                                                                                 \
	}

SETS_BUFFER(int, setvbuf, size, (FILE * file, char *buf, int mode, size_t size), (file, buf, mode, size))
SETS_BUFFER(void, setbuf, BUFSIZ, (FILE * file, char *buf), (file, buf))
SETS_BUFFER(void, setbuffer, size, (FILE * file, char *buf, size_t size), (file, buf, size))
