// SPDX-License-Identifier: BSD-3-Clause
// bad_pointers.c: Pointers that lead nowhere, or to a page that must not be written, given to the calls around
// signals, each in a child of its own: what the call returns, which errno, what the mask is afterwards, or the signal
// that ends the child. Natively libc reads some arguments itself, and the program crashes; the kernel reads and writes
// the others, and says EFAULT. The shim read the action of sigaction() with a lock held that the crash needs, and
// hung; sigpending() and other calls crashed where they should have said EFAULT. Failure: another line than natively;
// signal 14 stands for a call that hung.
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define SET_AT 64 // in the page that may be read: a set with SIGUSR1

struct outcome {
	int ret, err, blocked;
};
static struct outcome *outcome; // of a child

static sigset_t both; // SIGUSR1 and SIGSEGV
static struct timespec none;
static struct pollfd no_poll;
static fd_set no_fds;
static struct epoll_event event;
static siginfo_t info;
static int got;
static timer_t timer;
static struct itimerspec spec;

// A signal of each kind waits, blocked.
static void *waiting(void *bad)
{
	sigprocmask(SIG_BLOCK, &both, NULL);
	raise(SIGUSR1);
	raise(SIGSEGV);
	return bad;
}

static sigset_t only(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return set;
}

static int one(int sig, int (*call)(const sigset_t *set, siginfo_t *to), void *to)
{
	sigset_t set = only(sig);

	return call(&set, to);
}

static int action_of(int sig, const void *act, void *old)
{
	return sigaction(sig, act, old);
}

static int simple_timer(void)
{
	struct sigevent thing = {.sigev_notify = SIGEV_NONE};

	return timer_create(CLOCK_MONOTONIC, &thing, &timer);
}

static int threads_timer(void *to)
{
	struct sigevent thing = {.sigev_notify = SIGEV_THREAD};

	return timer_create(CLOCK_MONOTONIC, &thing, to);
}

static int epoll(void)
{
	int fd = epoll_create1(0), pair[2];

	if (!pipe(pair)) {
		event.events = EPOLLOUT;
		epoll_ctl(fd, EPOLL_CTL_ADD, pair[1], &event);
	}
	return fd;
}

static int many(int fd, void *to)
{
	struct mmsghdr one = {.msg_hdr = {.msg_iov = to, .msg_iovlen = 1}};

	return recvmmsg(fd, &one, 1, MSG_DONTWAIT, NULL);
}

static int udp(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) || write(pair[0], "x", 1) != 1)
		return -1;
	return pair[1];
}

#define CALLS(X)                                                                                                       \
	X(action_of(SIGUSR1, bad, NULL))                                                                               \
	X(action_of(SIGUSR1, NULL, bad))                                                                               \
	X(action_of(SIGSEGV, bad, NULL))                                                                               \
	X(action_of(SIGSEGV, NULL, bad))                                                                               \
	X(action_of(SIGBUS, bad, bad))                                                                                 \
	X(action_of(SIGKILL, bad, NULL))                                                                               \
	X(action_of(33, bad, NULL))                                                                                    \
	X(action_of(1000, bad, NULL))                                                                                  \
	X(sigprocmask(SIG_BLOCK, bad, NULL))                                                                           \
	X(sigprocmask(SIG_BLOCK, NULL, bad))                                                                           \
	X(sigprocmask(SIG_BLOCK, &both, bad))                                                                          \
	X(sigprocmask(77, &both, bad))                                                                                 \
	X(sigprocmask(77, NULL, bad))                                                                                  \
	X(pthread_sigmask(SIG_SETMASK, bad, NULL))                                                                     \
	X(pthread_sigmask(SIG_SETMASK, &both, bad))                                                                    \
	X(sigpending(bad))                                                                                             \
	X(sigpending(waiting(bad)))                                                                                    \
	X(sigsuspend(waiting(set)))                                                                                    \
	X(sigwait(waiting(set), &got))                                                                                 \
	X(sigwait(&both, waiting(bad)))                                                                                \
	X(sigwaitinfo(waiting(set), &info))                                                                            \
	X(one(SIGUSR1, sigwaitinfo, waiting(bad)))                                                                     \
	X(one(SIGSEGV, sigwaitinfo, waiting(bad)))                                                                     \
	X(one(SIGSEGV, sigwaitinfo, waiting((char *)bad - 64)))                                                        \
	X(one(SIGSEGV, sigwaitinfo, waiting(NULL)))                                                                    \
	X(sigtimedwait(waiting(set), &info, &none))                                                                    \
	X(sigtimedwait(&both, bad, &none))                                                                             \
	X(ppoll(bad, 1, &none, NULL))                                                                                  \
	X(ppoll(&no_poll, 1, &none, bad))                                                                              \
	X(ppoll(&no_poll, 1, &none, waiting(bad)))                                                                     \
	X(ppoll(&no_poll, 1, bad, &both))                                                                              \
	X(pselect(1, bad, NULL, NULL, &none, &both))                                                                   \
	X(pselect(0, &no_fds, NULL, NULL, &none, bad))                                                                 \
	X(epoll_pwait(epoll(), bad, 1, 0, &both))                                                                      \
	X(epoll_pwait(epoll(), &event, 1, 0, bad))                                                                     \
	X(epoll_pwait2(epoll(), &event, 1, &none, bad))                                                                \
	X(epoll_pwait2(epoll(), &event, 1, bad, NULL))                                                                 \
	X(sigaltstack(bad, NULL))                                                                                      \
	X(sigaltstack(NULL, bad))                                                                                      \
	X(signalfd(-1, bad, 0) < 0 ? -1 : 0)                                                                           \
	X(timer_create(CLOCK_MONOTONIC, bad, &timer))                                                                  \
	X(threads_timer(bad))                                                                                          \
	X(simple_timer() ? 0 : timer_settime(timer, 0, bad, NULL))                                                     \
	X(simple_timer() ? 0 : timer_settime(timer, 0, &spec, bad))                                                    \
	X(simple_timer() ? 0 : timer_gettime(timer, bad))                                                              \
	X(mq_notify(0, bad))                                                                                           \
	X((int)recvmsg(udp(), bad, MSG_DONTWAIT))                                                                      \
	X(recvmmsg(udp(), bad, 1, MSG_DONTWAIT, NULL))                                                                 \
	X(many(udp(), bad))                                                                                            \
	X((int)readv(udp(), bad, 1))                                                                                   \
	X(wait(bad) < 0 ? -1 : 0)

static int blocked_now(void)
{
	sigset_t now;

	pthread_sigmask(SIG_BLOCK, NULL, &now);
	return sigismember(&now, SIGUSR1) * 2 + sigismember(&now, SIGSEGV);
}

static void show(const char *kind, const char *call, int status)
{
	if (WIFSIGNALED(status))
		printf("%s %s: signal %d\n", kind, call, WTERMSIG(status));
	else
		printf("%s %s: %d, errno %d, blocked %d\n", kind, call, outcome->ret, outcome->err, outcome->blocked);
}

static void calls_with(void *bad, const char *kind)
{
	void *set = (char *)bad + SET_AT;
	int status;
	pid_t pid;

#define X(call)                                                                                                        \
	fflush(stdout);                                                                                                \
	*outcome = (struct outcome){0};                                                                                \
	pid = fork();                                                                                                  \
	if (!pid) {                                                                                                    \
		alarm(20);                                                                                             \
		errno = 0;                                                                                             \
		outcome->ret = (call);                                                                                 \
		outcome->err = errno;                                                                                  \
		outcome->blocked = blocked_now();                                                                      \
		_exit(0);                                                                                              \
	}                                                                                                              \
	waitpid(pid, &status, 0);                                                                                      \
	show(kind, #call, status);
	CALLS(X)
#undef X
}

int main(int argc, char **argv)
{
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *map;
	int fd = open(argv[argc - 1], O_RDWR | O_CREAT, 0600);

	(void)ftruncate(fd, PAGE);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	map[0] = 1;
	msync(map, PAGE, MS_SYNC); // from now on the library's handlers are in place
	outcome = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigemptyset(&both);
	sigaddset(&both, SIGUSR1);
	sigaddset(&both, SIGSEGV);
	*(sigset_t *)(pages + PAGE + SET_AT) = only(SIGUSR1);
	mprotect(pages + PAGE, PAGE, PROT_READ);
	calls_with(pages + PAGE, "read-only");
	munmap(pages + PAGE, PAGE);
	calls_with(pages + PAGE, "gone");
	return 0;
}
