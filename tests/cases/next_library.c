// SPDX-License-Identifier: BSD-3-Clause
// next_library.c: Another library behind the shim, which has every function that the shim hooks, must get each call
// that it would get without the shim, once and by its name. The shim made many of them itself, as raw system calls,
// and passed it over.
//
// A row for each hooked function: a call of it, in a child of its own. next_library.sh makes the library, which
// counts, and compares what is printed here, natively and under the shim; it fails where a hooked function has no row.
#include <aio.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static long *count; // of the library behind; by the order of its names
static const char *const *behind_name;
static size_t nr_behind;
static const char *path;
static int fd; // of the file there

struct row {
	const char *label, *name;
	void (*run)(void *f);
};

// What was counted so far was the row's preparation.
static void reset(void)
{
	memset(count, 0, nr_behind * sizeof(*count));
}

static void *tracked(void)
{
	void *addr = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (addr == MAP_FAILED || ftruncate(fd, 65536))
		abort();
	*(char *)addr = 1;
	reset();
	return addr;
}

static void on_signal(int sig)
{
	(void)sig;
}

// SIGUSR1 has come, and waits.
static sigset_t pending(void)
{
	sigset_t set, none;

	signal(SIGUSR1, on_signal);
	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	reset();
	return none;
}

static sigset_t usr1(void)
{
	sigset_t set = pending();

	sigaddset(&set, SIGUSR1);
	return set;
}

static void *nothing(void *arg)
{
	return arg;
}

static int cloned(void *arg)
{
	(void)arg;
	syscall(SYS_exit_group, 0);
	return 0;
}

static FILE *stream(void)
{
	FILE *file = fopen(path, "r+");

	reset();
	return file;
}

static int va(int (*f)(int, const char *, va_list), ...)
{
	va_list args;
	int ret;

	va_start(args, f);
	ret = f(-1, "x", args);
	va_end(args);
	return ret;
}

static int va_chk(int (*f)(int, int, const char *, va_list), ...)
{
	va_list args;
	int ret;

	va_start(args, f);
	ret = f(-1, 1, "x", args);
	va_end(args);
	return ret;
}

#define AS(type, ...) ((type(*)(__VA_ARGS__))f)

// Refused by libc or by the kernel, which are reached all the same.
static void refused(void *f)
{
	AS(long, long, long, long, long, long, long)(-1, -1, -1, -1, -1, -1);
}

#define ROW(label, ...)                                                                                                \
	static void row_##label(void *f)                                                                               \
	{                                                                                                              \
		__VA_ARGS__;                                                                                           \
	}

#define ANYWHERE (void *)0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0
#define OF_FILE (void *)0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0
#define NO_ARGS ((char *[]){"x", NULL})

// clang-format off
#define SPECIAL(X)                                                                                                     \
	X(mmap, AS(void *, void *, size_t, int, int, int, off_t)(ANYWHERE)) \
	X(mmap64, AS(void *, void *, size_t, int, int, int, off_t)(ANYWHERE)) \
	X(mremap, AS(void *, void *, size_t, size_t, int, void *)((void *)4096, 4096, 8192, 0, NULL)) \
	X(close_range, AS(int, unsigned, unsigned, int)(5000, 5001, 0)) \
	X(closefrom, AS(void, int)(5000)) \
	X(sync, AS(void, void)()) \
	X(aio_read, struct aiocb cb = {.aio_fildes = -1}; AS(int, void *)(&cb)) \
	X(aio_read64, struct aiocb cb = {.aio_fildes = -1}; AS(int, void *)(&cb)) \
	X(aio_write, struct aiocb cb = {.aio_fildes = -1}; AS(int, void *)(&cb)) \
	X(aio_write64, struct aiocb cb = {.aio_fildes = -1}; AS(int, void *)(&cb)) \
	X(aio_fsync, struct aiocb cb = {.aio_fildes = -1}; AS(int, int, void *)(O_SYNC, &cb)) \
	X(aio_fsync64, struct aiocb cb = {.aio_fildes = -1}; AS(int, int, void *)(O_SYNC, &cb)) \
	X(lio_listio, AS(int, int, void *, int, void *)(LIO_NOWAIT, NULL, 0, NULL)) \
	X(lio_listio64, AS(int, int, void *, int, void *)(LIO_NOWAIT, NULL, 0, NULL)) \
	X(dprintf, AS(int, int, const char *, ...)(-1, "x")) \
	X(__dprintf_chk, AS(int, int, int, const char *, ...)(-1, 1, "x")) \
	X(vdprintf, va(f)) \
	X(__vdprintf_chk, va_chk(f)) \
	X(fread, FILE *s = stream(); char b[4]; AS(size_t, void *, size_t, size_t, FILE *)(b, 1, 4, s)) \
	X(fread_unlocked, FILE *s = stream(); char b[4]; AS(size_t, void *, size_t, size_t, FILE *)(b, 1, 4, s)) \
	X(__fread_chk, FILE *s = stream(); char b[4]; \
	  AS(size_t, void *, size_t, size_t, size_t, FILE *)(b, 4, 1, 4, s))                                           \
	X(__fread_unlocked_chk, FILE *s = stream(); char b[4]; \
	  AS(size_t, void *, size_t, size_t, size_t, FILE *)(b, 4, 1, 4, s))                                           \
	X(fopen, AS(FILE *, const char *, const char *)(path, "r")) \
	X(fopen64, AS(FILE *, const char *, const char *)(path, "r")) \
	X(fdopen, AS(FILE *, int, const char *)(fd, "r")) \
	X(freopen, FILE *s = stream(); AS(FILE *, const char *, const char *, FILE *)(path, "r", s)) \
	X(freopen64, FILE *s = stream(); AS(FILE *, const char *, const char *, FILE *)(path, "r", s)) \
	X(tmpfile, AS(FILE *, void)()) \
	X(tmpfile64, AS(FILE *, void)()) \
	X(fclose, FILE *s = stream(); AS(int, FILE *)(s)) \
	X(setvbuf, FILE *s = stream(); AS(int, FILE *, char *, int, size_t)(s, NULL, _IONBF, 0)) \
	X(setbuf, FILE *s = stream(); AS(void, FILE *, char *)(s, NULL)) \
	X(setbuffer, FILE *s = stream(); AS(void, FILE *, char *, size_t)(s, NULL, 0)) \
	X(sigaction, AS(int, int, void *, void *)(SIGUSR1, NULL, NULL)) \
	X(__sigaction, AS(int, int, void *, void *)(SIGUSR1, NULL, NULL)) \
	X(signal, AS(void *, int, sighandler_t)(SIGUSR1, on_signal)) \
	X(bsd_signal, AS(void *, int, sighandler_t)(SIGUSR1, on_signal)) \
	X(ssignal, AS(void *, int, sighandler_t)(SIGUSR1, on_signal)) \
	X(sysv_signal, AS(void *, int, sighandler_t)(SIGUSR1, on_signal)) \
	X(__sysv_signal, AS(void *, int, sighandler_t)(SIGUSR1, on_signal)) \
	X(sigset, AS(void *, int, sighandler_t)(SIGUSR1, on_signal)) \
	X(sigignore, AS(int, int)(SIGUSR1)) \
	X(siginterrupt, AS(int, int, int)(SIGUSR1, 0)) \
	X(sigprocmask, sigset_t old; AS(int, int, void *, void *)(SIG_BLOCK, NULL, &old)) \
	X(pthread_sigmask, sigset_t old; AS(int, int, void *, void *)(SIG_BLOCK, NULL, &old)) \
	X(sigblock, AS(int, int)(0)) \
	X(sigsetmask, AS(int, int)(0)) \
	X(siggetmask, AS(int, void)()) \
	X(sighold, AS(int, int)(SIGUSR2)) \
	X(sigrelse, AS(int, int)(SIGUSR2)) \
	X(sigpending, sigset_t set; AS(int, void *)(&set)) \
	X(sigsuspend, sigset_t set = pending(); AS(int, void *)(&set)) \
	X(__sigsuspend, sigset_t set = pending(); AS(int, void *)(&set)) \
	X(sigpause, pending(); AS(int, int)(0)) \
	X(__sigpause, pending(); AS(int, int, int)(0, 0)) \
	X(__xpg_sigpause, pending(); AS(int, int)(SIGUSR1)) \
	X(sigwait, sigset_t set = usr1(); int sig; AS(int, void *, void *)(&set, &sig)) \
	X(sigwaitinfo, sigset_t set = usr1(); AS(int, void *, void *)(&set, NULL)) \
	X(sigtimedwait, sigset_t set = usr1(); AS(int, void *, void *, void *)(&set, NULL, NULL)) \
	X(pselect, AS(int, int, void *, void *, void *, void *, void *)(-1, NULL, NULL, NULL, NULL, NULL)) \
	X(ppoll, AS(int, void *, long, void *, void *)(NULL, -1, NULL, NULL)) \
	X(__ppoll_chk, AS(int, void *, long, void *, void *, long)(NULL, 0, &(struct timespec){0}, NULL, 0)) \
	X(epoll_pwait, AS(int, int, void *, int, int, void *)(-1, NULL, 1, 0, NULL)) \
	X(epoll_pwait2, AS(int, int, void *, int, void *, void *)(-1, NULL, 1, NULL, NULL)) \
	X(longjmp, jmp_buf env; if (!_setjmp(env)) AS(void, void *, int)(env, 1)) \
	X(_longjmp, jmp_buf env; if (!_setjmp(env)) AS(void, void *, int)(env, 1)) \
	X(siglongjmp, jmp_buf env; if (!_setjmp(env)) AS(void, void *, int)(env, 1)) \
	X(__longjmp_chk, jmp_buf env; if (!_setjmp(env)) AS(void, void *, int)(env, 1)) \
	X(setjmp, sigjmp_buf env; AS(int, void *)(env)) \
	X(__sigsetjmp, sigjmp_buf env; AS(int, void *, int)(env, 1)) \
	X(setcontext, ucontext_t to; volatile int n = 0; getcontext(&to); if (!n++) AS(int, void *)(&to)) \
	X(swapcontext, ucontext_t to; ucontext_t from; volatile int n = 0; getcontext(&to); \
	  if (!n++) AS(int, void *, void *)(&from, &to))                                                               \
	X(pthread_create, pthread_t t; AS(int, void *, void *, void *, void *)(&t, NULL, nothing, NULL)) \
	X(thrd_create, pthread_t t; AS(int, void *, void *, void *)(&t, cloned, NULL)) \
	X(closedir, DIR *d = opendir("/"); AS(int, DIR *)(d)) \
	X(pclose, FILE *s = popen("true", "r"); AS(int, FILE *)(s)) \
	X(shm_open, AS(int, const char *, int, int)("/nonexistent", O_RDONLY, 0)) \
	X(pthread_exit, AS(void, void *)(NULL)) \
	X(posix_spawn, pid_t p; AS(int, void *, const char *, void *, void *, void *, \
				   void *)(&p, "/nonexistent", NULL, NULL, NO_ARGS, NO_ARGS))                          \
	X(posix_spawnp, pid_t p; AS(int, void *, const char *, void *, void *, void *, \
				    void *)(&p, "/nonexistent", NULL, NULL, NO_ARGS, NO_ARGS))                         \
	X(timer_create, timer_t t; AS(int, int, void *, void *)(CLOCK_MONOTONIC, NULL, &t)) \
	X(mq_notify, AS(int, int, void *)(-1, NULL)) \
	X(execve, AS(int, const char *, void *, void *)("/nonexistent", NO_ARGS, NO_ARGS)) \
	X(execv, AS(int, const char *, void *)("/nonexistent", NO_ARGS)) \
	X(execvp, AS(int, const char *, void *)("/nonexistent", NO_ARGS)) \
	X(execvpe, AS(int, const char *, void *, void *)("/nonexistent", NO_ARGS, NO_ARGS)) \
	X(execl, AS(int, const char *, const char *, ...)("/nonexistent", "x", "y", NULL)) \
	X(execlp, AS(int, const char *, const char *, ...)("/nonexistent", "x", NULL)) \
	X(execle, AS(int, const char *, const char *, ...)("/nonexistent", "x", NULL, NO_ARGS)) \
	X(fexecve, AS(int, int, void *, void *)(-1, NO_ARGS, NO_ARGS)) \
	X(execveat, AS(int, int, const char *, void *, void *, int)(-1, "nonexistent", NO_ARGS, NO_ARGS, 0)) \
	X(_exit, AS(void, int)(0)) \
	X(_Exit, AS(void, int)(0)) \
	X(_Fork, if (!AS(pid_t, void)()) syscall(SYS_exit_group, 0)) \
	X(clone, static char stack[65536]; AS(int, void *, void *, int, void *, void *, void *, \
					      void *)(cloned, stack + sizeof(stack), SIGCHLD, NULL, NULL, NULL, NULL)) \
	X(getentropy, char b[4]; AS(int, void *, size_t)(b, 4)) \
	X(arc4random_buf, char b[4]; AS(void, void *, size_t)(b, 4)) \
	X(sigaltstack, AS(int, void *, void *)(NULL, NULL)) \
	X(pthread_getaffinity_np, cpu_set_t s; AS(int, pthread_t, size_t, void *)(pthread_self(), sizeof(s), &s)) \
	X(pthread_getname_np, char b[16]; AS(int, pthread_t, char *, size_t)(pthread_self(), b, 16)) \
	X(fcntl, AS(int, int, int, ...)(-1, F_DUPFD, 0)) \
	X(fcntl64, AS(int, int, int, ...)(-1, F_DUPFD, 0)) \
	X(__fcntl, AS(int, int, int, ...)(-1, F_DUPFD, 0)) \
	X(prctl, AS(int, int, ...)(-1, 0, 0, 0, 0)) \
	X(semctl, AS(int, int, int, int, ...)(-1, 0, 0, 0))

#define REFUSED(X) \
	X(munmap) X(mprotect) X(pkey_mprotect) X(mseal) X(madvise) X(process_madvise) X(remap_file_pages) X(shmat) X(msync) \
	X(fsync) X(fdatasync) X(syncfs) X(sync_file_range) X(open) X(open64) X(__open) X(__open64) X(openat) \
	X(openat64) X(creat) X(creat64) X(__open_2) X(__open64_2) X(__openat_2) X(__openat64_2) X(write) X(__write) \
	X(pwrite) X(pwrite64) X(__pwrite64) X(writev) X(pwritev) X(pwritev64) X(pwritev2) X(pwritev64v2) \
	X(copy_file_range) X(sendfile) X(sendfile64) X(splice) X(ftruncate) X(ftruncate64) X(truncate) X(truncate64) \
	X(fallocate) X(fallocate64) X(posix_fallocate) X(posix_fallocate64) X(read) X(pread) X(pread64) X(readv) \
	X(preadv) X(preadv64) X(preadv2) X(preadv64v2) X(recv) X(recvfrom) X(recvmsg) X(recvmmsg) X(getrandom) \
	X(vmsplice) X(process_vm_readv) X(process_vm_writev) X(__read) X(__pread64) X(__read_chk) X(__pread_chk) \
	X(__pread64_chk) X(__recv_chk) X(__recvfrom_chk) X(close) X(__close) X(dup) X(dup2) X(__dup2) X(dup3) \
	X(open_by_handle_at) X(pidfd_getfd) X(fanotify_init) X(unshare) X(stat) X(stat64) X(lstat) \
	X(lstat64) X(fstat) X(fstat64) X(fstatat) X(fstatat64) X(__xstat) X(__xstat64) X(__lxstat) X(__lxstat64) \
	X(__fxstat) X(__fxstat64) X(__fxstatat) X(__fxstatat64) X(statx) X(statfs) X(statfs64) X(__statfs) X(fstatfs) \
	X(fstatfs64) X(readlink) X(readlinkat) X(__readlink_chk) X(__readlinkat_chk) X(getcwd) X(getwd) \
	X(__getcwd_chk) X(__getwd_chk) X(ttyname_r) X(__ttyname_r_chk) X(getdents64) X(getdirentries) \
	X(getdirentries64) X(name_to_handle_at) X(getxattr) X(lgetxattr) X(fgetxattr) X(listxattr) X(llistxattr) \
	X(flistxattr) X(mincore) X(poll) X(__poll) X(__poll_chk) X(select) X(__select) X(epoll_wait) X(wait) X(__wait) \
	X(waitpid) X(__waitpid) X(wait3) X(wait4) X(waitid) X(accept) X(accept4) X(getsockname) X(getpeername) \
	X(getsockopt) X(sendmmsg) X(pipe) X(__pipe) X(pipe2) X(socketpair) X(uname) X(sysinfo) X(getrusage) \
	X(getrlimit) X(getrlimit64) X(prlimit) X(prlimit64) X(getgroups) X(__getgroups_chk) X(getresuid) X(getresgid) \
	X(sched_getaffinity) X(sched_getparam) X(__sched_getparam) X(sched_rr_get_interval) X(times) X(getitimer) \
	X(setitimer) X(nanosleep) X(__nanosleep) X(clock_nanosleep) X(thrd_sleep) X(clock_getres) X(clock_gettime) \
	X(gettimeofday) X(timer_delete) X(timer_gettime) X(timer_settime) X(timerfd_gettime) X(timerfd_settime) \
	X(adjtimex) X(ntp_adjtime) X(clock_adjtime) X(shmctl) X(msgctl) X(msgrcv) X(mq_receive) X(mq_timedreceive) \
	X(mq_getattr) X(mq_setattr) X(eventfd_read) X(capget) X(quotactl) X(klogctl) X(ioctl)

// Where something is tracked.
#define TRACKED(X)                                                                                                     \
	X(mmap, AS(void *, void *, size_t, int, int, int, off_t)(OF_FILE)) \
	X(mmap64, AS(void *, void *, size_t, int, int, int, off_t)(OF_FILE)) \
	X(munmap, void *p = tracked(); AS(int, void *, size_t)(p, 4096)) \
	X(mremap, void *p = tracked(); \
	  AS(void *, void *, size_t, size_t, int, void *)(p, 4096, 16384, MREMAP_MAYMOVE, NULL))                       \
	X(mprotect, void *p = tracked(); AS(int, void *, size_t, int)(p, 4096, PROT_READ)) \
	X(madvise, void *p = tracked(); AS(int, void *, size_t, int)(p, 4096, MADV_RANDOM)) \
	X(remap_file_pages, void *p = tracked(); AS(int, void *, size_t, int, size_t, int)(p, 4096, 0, 1, 0)) \
	X(fsync, tracked(); AS(int, int)(fd)) \
	X(fdatasync, tracked(); AS(int, int)(fd)) \
	X(ftruncate, tracked(); AS(int, int, off_t)(fd, 8192)) \
	X(write, tracked(); AS(ssize_t, int, const void *, size_t)(fd, "x", 1)) \
	X(pwrite64, tracked(); AS(ssize_t, int, const void *, size_t, off_t)(fd, "x", 1, 0)) \
	X(pread, void *p = tracked(); AS(ssize_t, int, void *, size_t, off_t)(fd, p, 1, 0)) \
	X(readlink, void *p = tracked(); AS(ssize_t, const char *, char *, size_t)("/proc/self/exe", p, 10)) \
	X(ioctl, void *p = tracked(); AS(int, int, unsigned long, ...)(fd, 0x541B, p)) \
	X(dup2, tracked(); AS(int, int, int)(fd, 700)) \
	X(open, tracked(); AS(int, const char *, int, ...)(path, O_RDONLY | O_TRUNC)) \
	X(close, tracked(); AS(int, int)(fd))

// clang-format on

SPECIAL(ROW)
#define ROW_TRACKED(name, ...) ROW(tracked_##name, __VA_ARGS__)
TRACKED(ROW_TRACKED)

#define X1(name, ...) {#name, #name, row_##name},
#define X2(name) {#name, #name, refused},
#define X3(name, ...) {"tracked " #name, #name, row_tracked_##name},
static const struct row rows[] = {SPECIAL(X1) REFUSED(X2) TRACKED(X3)};
#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static void row_run(const struct row *row)
{
	void *f = dlsym(RTLD_DEFAULT, row->name);
	size_t nr = 0;
	pid_t child;

	while (nr < nr_behind && strcmp(behind_name[nr], row->name))
		nr++;
	printf("%s:", row->label);
	fflush(stdout);
	if (!f || nr == nr_behind) {
		puts(" absent");
		return;
	}
	child = fork();
	if (!child) {
		alarm(20);
		if (!freopen("/dev/null", "w", stderr)) // fortified functions complain
			abort();
		reset();
		row->run(f);
		syscall(SYS_exit_group, 0);
	}
	syscall(SYS_wait4, child, NULL, 0, NULL);
	printf(" %ld\n", count[nr]); // what the library calls for itself is not looked at
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc > 1 && !strcmp(argv[1], "--names")) {
		for (i = 0; i < NR_ROWS; i++)
			puts(rows[i].name);
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "--absent")) { // from this libc
		for (i = 0; i < NR_ROWS; i++)
			if (!dlsym(RTLD_DEFAULT, rows[i].name))
				puts(rows[i].name);
		return 0;
	}
	path = argv[1];
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, 65536) || !dlsym(RTLD_DEFAULT, "behind_count"))
		return 1;
	count = *(long **)dlsym(RTLD_DEFAULT, "behind_count");
	behind_name = *(const char *const **)dlsym(RTLD_DEFAULT, "behind_names");
	nr_behind = *(size_t *)dlsym(RTLD_DEFAULT, "behind_nr");
	for (i = 0; i < NR_ROWS; i++)
		row_run(&rows[i]);
	return 0;
}
