// SPDX-License-Identifier: BSD-3-Clause
// cases_results.c: every call of libc's by which the kernel returns something small, into closed pages (M9).
//
// Each call is made three times: into a page that was closed by a sync, across two of them, and into memory of the
// program's own. It must do the same each time, and a later sync must cover what came.
#include <aio.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"

#define ROOM 2048 // at most, for one result

int capget(void *header, void *data); // of libc's, without a header of its own

static int open_dev; // a directory
static const struct timespec no_time;
static const struct itimerval no_interval;
static const struct itimerspec no_timer;

static char *mapped; // where the call stores to, NULL: not in a mapping

// What a call is given in the same place has been stored: closes its page again.
static void prepared(void)
{
	if (mapped)
		sync_all(mapped, FILE_SIZE);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static int file, pipes[2], sockets[2], event, timer_fd, epoll, listener, terminal = -1;
static timer_t timer;
static char link_name[] = "/dev/shm/daxsync-result.XXXXXX";
static mqd_t queue = (mqd_t)-1;
static int messages = -1, semaphores = -1, memories = -1;

static void things_make(void)
{
	struct sockaddr_un {
		sa_family_t family;
		char path[108];
	} name = {.family = AF_UNIX};
	struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 64};
	struct epoll_event out = {.events = EPOLLOUT};
	struct sigevent none = {.sigev_notify = SIGEV_NONE};
	int slave;

	open_dev = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	file = memfd_create("data", MFD_CLOEXEC);
	CHECK(file >= 0 && !ftruncate(file, 65536));
	CHECK(!pipe2(pipes, O_CLOEXEC));
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets));
	event = eventfd(0, EFD_CLOEXEC);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	CHECK(!epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[1], &out));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(name.path + 1, 100, "daxsync-results-%d", getpid());
	CHECK(!bind(listener, (struct sockaddr *)&name, sizeof(name)) && !listen(listener, 64));
	CHECK(!timer_create(CLOCK_MONOTONIC, &none, &timer));
	CHECK(mkdtemp(link_name) && !rmdir(link_name) && !symlink("where it leads", link_name));
	queue = mq_open("/daxsync-results", O_CREAT | O_RDWR | O_CLOEXEC, 0600, &attr);
	mq_unlink("/daxsync-results");
	messages = msgget(IPC_PRIVATE, 0600);
	semaphores = semget(IPC_PRIVATE, 2, 0600);
	memories = shmget(IPC_PRIVATE, 4096, 0600);
	if (openpty(&terminal, &slave, NULL, NULL, NULL))
		terminal = -1;
}

static void things_remove(void)
{
	unlink(link_name);
	msgctl(messages, IPC_RMID, NULL);
	semctl(semaphores, 0, IPC_RMID);
	shmctl(memories, IPC_RMID, NULL);
}

static void feed(size_t len)
{
	static const char data[256] = "what is sent";

	CHECK(send(sockets[1], data, len, 0) == (ssize_t)len);
}

static int connected(void)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(!getsockname(listener, (struct sockaddr *)&name, &len));
	CHECK(!connect(fd, (struct sockaddr *)&name, len));
	return fd;
}

static long closed(long fd)
{
	if (fd >= 0)
		close((int)fd);
	return fd >= 0 ? 0 : -1;
}

static long accepted(char *to, bool four)
{
	int fd = connected(), got;
	socklen_t *len = (socklen_t *)to;

	*len = 128;
	prepared();
	got = four ? accept4(listener, (struct sockaddr *)(to + 8), len, SOCK_CLOEXEC)
		   : accept(listener, (struct sockaddr *)(to + 8), len);
	close(fd);
	return closed(got);
}

static long waited(char *to, int how)
{
	pid_t pid = fork(), got = -1;
	int *status = (int *)to;

	if (!pid)
		_exit(3);
	switch (how) {
	case 0:
		got = wait(status);
		break;
	case 1:
		got = waitpid(pid, status, 0);
		break;
	case 2:
		got = wait3(status, 0, (struct rusage *)(to + 8));
		break;
	case 3:
		got = wait4(pid, status, 0, (struct rusage *)(to + 8));
		break;
	default:
		return waitid(P_PID, (id_t)pid, (siginfo_t *)to, WEXITED) ? -1 : ((siginfo_t *)to)->si_status;
	}
	return got == pid && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
}

static long pair_closed(const char *to, int ret)
{
	const int *fds = (const int *)to;

	if (ret)
		return -1;
	return close(fds[0]) || close(fds[1]) ? -2 : 0;
}

static long by_aio(char *to, bool list)
{
	struct aiocb aio = {.aio_fildes = file, .aio_buf = to, .aio_nbytes = 100, .aio_lio_opcode = LIO_READ};
	struct aiocb *const one[] = {&aio};

	if (list ? lio_listio(LIO_WAIT, one, 1, NULL) : aio_read(&aio))
		return -1;
	while (aio_error(&aio) == EINPROGRESS)
		usleep(1000);
	return aio_return(&aio);
}

static long message(char *to, bool many)
{
	struct mmsghdr *msg = (struct mmsghdr *)to;
	struct iovec *iov = (struct iovec *)(to + 128);

	feed(20);
	*iov = (struct iovec){to + 256, 64};
	*msg = (struct mmsghdr){.msg_hdr = {.msg_iov = iov, .msg_iovlen = 1, .msg_name = to + 512, .msg_namelen = 64}};
	prepared();
	return many ? recvmmsg(sockets[0], msg, 1, 0, NULL) : recvmsg(sockets[0], &msg->msg_hdr, 0);
}

static long sent(char *to)
{
	struct mmsghdr *msg = (struct mmsghdr *)to;
	struct iovec *iov = (struct iovec *)(to + 128);
	char text[] = "what is sent", got[32];
	long ret;

	*iov = (struct iovec){text, 12};
	*msg = (struct mmsghdr){.msg_hdr = {.msg_iov = iov, .msg_iovlen = 1}};
	prepared();
	ret = sendmmsg(sockets[1], msg, 1, 0);
	CHECK(recv(sockets[0], got, sizeof(got), MSG_DONTWAIT) == 12);
	return ret * 100 + msg->msg_len;
}

static long capabilities(char *to)
{
	uint32_t *header = (uint32_t *)to;

	header[0] = 0; // unknown: the kernel says which version it prefers
	header[1] = 0;
	prepared();
	(void)capget(header, NULL);
	prepared();
	return capget(header, to + 64) ? -3 : (long)(header[0] & 0xfff);
}

static long entries(char *to)
{
	off_t base = 0;

	return getdirentries(open_dev, to, 1000, &base) > 0;
}

static long from_socket(char *to)
{
	socklen_t *len = (socklen_t *)(to + 300);

	feed(20);
	*len = 100;
	prepared();
	return recvfrom(sockets[0], to, 64, 0, (struct sockaddr *)(to + 400), len);
}

static long socket_option(char *to)
{
	socklen_t *len = (socklen_t *)to;

	*len = sizeof(int);
	prepared();
	return getsockopt(sockets[0], SOL_SOCKET, SO_TYPE, to + 8, len);
}

static long socket_name(char *to, bool peer)
{
	socklen_t *len = (socklen_t *)to;

	*len = 128;
	prepared();
	return peer ? getpeername(sockets[0], (struct sockaddr *)(to + 8), len)
		    : getsockname(listener, (struct sockaddr *)(to + 8), len);
}

static long polled(char *to, bool with_mask)
{
	struct pollfd *fds = (struct pollfd *)to;
	struct timespec none = {0, 0};

	*fds = (struct pollfd){.fd = pipes[1], .events = POLLOUT};
	prepared();
	return with_mask ? ppoll(fds, 1, &none, NULL) : poll(fds, 1, 0);
}

static long selected(char *to, bool with_mask)
{
	fd_set *set = (fd_set *)to;
	struct timeval none = {0, 0}, *timeout = (struct timeval *)(to + sizeof(*set));
	struct timespec none_too = {0, 0};

	FD_ZERO(set);
	FD_SET(pipes[1], set);
	*timeout = none;
	prepared();
	return with_mask ? pselect(pipes[1] + 1, NULL, set, NULL, &none_too, NULL)
			 : select(pipes[1] + 1, NULL, set, NULL, timeout);
}

// A signal that comes again and again: one that is early, on a slow machine, is not the only one.
static void alarms(bool on)
{
	struct itimerval soon = {.it_interval = {0, 20000}, .it_value = {0, 20000}};

	signal(SIGALRM, on_alarm);
	CHECK(!setitimer(ITIMER_REAL, on ? &soon : &no_interval, NULL));
}

static long interrupted_sleep(char *to, int how)
{
	struct timespec long_time = {60, 0}, *rest = (struct timespec *)to;
	int ret, err;

	alarms(true);
	if (how == 0)
		ret = nanosleep(&long_time, rest);
	else if (how == 1)
		ret = clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, rest);
	else
		ret = thrd_sleep(&long_time, rest);
	err = how == 1 ? ret : errno;
	alarms(false);
	return how == 2 ? ret == -1 : err == EINTR;
}

static long queue_received(char *to, bool timed)
{
	struct timespec none = {0, 0};
	unsigned *priority = (unsigned *)(to + 100);

	if (mq_send(queue, "message", 8, 5))
		return -errno;
	return timed ? mq_timedreceive(queue, to, 64, priority, &none) : mq_receive(queue, to, 64, priority);
}

static long message_received(char *to)
{
	struct {
		long type;
		char text[16];
	} sent = {5, "message"};

	if (msgsnd(messages, &sent, sizeof(sent.text), 0))
		return -errno;
	return msgrcv(messages, to, sizeof(sent.text), 0, 0);
}

static long event_read(char *to)
{
	CHECK(!eventfd_write(event, 77));
	return eventfd_read(event, (eventfd_t *)to);
}

static long moved(char *to, int how)
{
	off_t *off = (off_t *)to;
	int other = memfd_create("other", MFD_CLOEXEC);
	long ret = -1;

	*off = 100;
	prepared();
	switch (how) {
	case 0:
		ret = sendfile(other, file, off, 50);
		break;
	case 1:
		ret = copy_file_range(file, off, other, NULL, 50, 0);
		break;
	default:
		ret = splice(file, off, pipes[1], NULL, 50, 0);
		CHECK(ret != 50 || read(pipes[0], (char[50]){0}, 50) == 50);
	}
	close(other);
	return ret == 50 ? *off : ret;
}

static long record_lock(char *to)
{
	struct flock *lock = (struct flock *)to;

	*lock = (struct flock){.l_type = F_WRLCK};
	prepared();
	return fcntl(file, F_GETLK, lock) ? -1 : lock->l_type;
}

static long stream(char *to, int how)
{
	FILE *input = fdopen(dup(file), "r");
	char one[10];
	long ret;

	CHECK(input && !fseek(input, 0, SEEK_SET));
	if (!how)
		setvbuf(input, NULL, _IONBF, 0);
	if (how == 1)
		setbuffer(input, to, 512);
	if (how == 2)
		setvbuf(input, to, _IOFBF, 512);
	if (how == 3)
		setbuf(input, to);
	ret = (long)(how ? fread(one, 1, 10, input) : fread(to, 1, 1500, input));
	fclose(input);
	return ret;
}

static long at_pages(char *to)
{
	return mincore((void *)((uintptr_t)&errno & ~4095UL), 4096, (unsigned char *)to);
}

static long handle_of(char *to)
{
	struct file_handle *handle = (struct file_handle *)to;

	handle->handle_bytes = 64;
	prepared();
	return name_to_handle_at(AT_FDCWD, "/dev/shm", handle, (int *)(to + 200), 0);
}

static long spliced(char *to)
{
	struct iovec iov = {to, 10};

	CHECK(write(pipes[1], "0123456789", 10) == 10);
	return vmsplice(pipes[0], &iov, 1, 0);
}

static long copied(char *to)
{
	static char data[] = "from here";
	struct iovec local = {data, 9}, remote = {to, 9};

	return process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
}

static long mask_asked(char *to)
{
	return sigprocmask(SIG_BLOCK, NULL, (sigset_t *)to) + sigpending((sigset_t *)(to + 128)) +
	       sigaction(SIGUSR1, NULL, (struct sigaction *)(to + 256)) + sigaltstack(NULL, (stack_t *)(to + 512));
}

static long signal_waited(char *to)
{
	sigset_t set;
	long ret;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL) && !raise(SIGUSR2));
	ret = sigwaitinfo(&set, (siginfo_t *)to);
	CHECK(!raise(SIGUSR2));
	return ret * 100 + sigwait(&set, (int *)(to + 200));
}

// clang-format off
#define RESULTS(X) \
	X(stat, stat("/dev/shm", (struct stat *)to)) \
	X(lstat, lstat("/dev/shm", (struct stat *)to)) \
	X(fstat, fstat(file, (struct stat *)to)) \
	X(fstatat, fstatat(AT_FDCWD, "/dev/shm", (struct stat *)to, 0)) \
	X(statx, statx(AT_FDCWD, "/dev/shm", 0, STATX_ALL, (struct statx *)to)) \
	X(statfs, statfs("/dev/shm", (struct statfs *)to)) \
	X(fstatfs, fstatfs(file, (struct statfs *)to)) \
	X(statvfs, statvfs("/dev/shm", (struct statvfs *)to)) \
	X(fstatvfs, fstatvfs(file, (struct statvfs *)to)) \
	X(readlink, readlink(link_name, to, 100)) \
	X(readlinkat, readlinkat(AT_FDCWD, link_name, to, 100)) \
	X(realpath, realpath("/dev/../dev/null", to) == to ? 0 : -1) \
	X(getcwd, getcwd(to, 1000) == to ? 0 : -1) \
	X(getdents64, getdents64(open_dev, to, 1000) > 0) \
	X(getdirentries, entries(to)) \
	X(getxattr, getxattr("/dev/shm", "user.none", to, 100)) \
	X(listxattr, listxattr("/dev/shm", to, 1000)) \
	X(flistxattr, flistxattr(file, to, 1000)) \
	X(name_to_handle_at, handle_of(to)) \
	X(mincore, at_pages(to)) \
	X(poll, polled(to, false)) \
	X(ppoll, polled(to, true)) \
	X(select, selected(to, false)) \
	X(pselect, selected(to, true)) \
	X(epoll_wait, epoll_wait(epoll, (struct epoll_event *)to, 4, 0)) \
	X(epoll_pwait, epoll_pwait(epoll, (struct epoll_event *)to, 4, 0, NULL)) \
	X(epoll_pwait2, epoll_pwait2(epoll, (struct epoll_event *)to, 4, &no_time, NULL)) \
	X(accept, accepted(to, false)) \
	X(accept4, accepted(to, true)) \
	X(getsockname, socket_name(to, false)) \
	X(getpeername, socket_name(to, true)) \
	X(getsockopt, socket_option(to)) \
	X(recvfrom, from_socket(to)) \
	X(recvmsg, message(to, false)) \
	X(recvmmsg, message(to, true)) \
	X(sendmmsg, sent(to)) \
	X(wait, waited(to, 0)) \
	X(waitpid, waited(to, 1)) \
	X(wait3, waited(to, 2)) \
	X(wait4, waited(to, 3)) \
	X(waitid, waited(to, 4)) \
	X(pipe, pair_closed(to, pipe((int *)to))) \
	X(pipe2, pair_closed(to, pipe2((int *)to, O_CLOEXEC))) \
	X(socketpair, pair_closed(to, socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)to))) \
	X(uname, uname((struct utsname *)to)) \
	X(gethostname, gethostname(to, 100)) \
	X(sysinfo, sysinfo((struct sysinfo *)to)) \
	X(getrusage, getrusage(RUSAGE_SELF, (struct rusage *)to)) \
	X(getrlimit, getrlimit(RLIMIT_CORE, (struct rlimit *)to)) \
	X(prlimit, prlimit(0, RLIMIT_CORE, NULL, (struct rlimit *)to)) \
	X(getgroups, getgroups(100, (gid_t *)to) >= 0) \
	X(getresuid, getresuid((uid_t *)to, (uid_t *)to + 1, (uid_t *)to + 2)) \
	X(getresgid, getresgid((gid_t *)to, (gid_t *)to + 1, (gid_t *)to + 2)) \
	X(sched_getaffinity, sched_getaffinity(0, sizeof(cpu_set_t), (cpu_set_t *)to)) \
	X(pthread_getaffinity_np, pthread_getaffinity_np(pthread_self(), sizeof(cpu_set_t), (cpu_set_t *)to)) \
	X(pthread_getname_np, pthread_getname_np(pthread_self(), to, 64)) \
	X(sched_getparam, sched_getparam(0, (struct sched_param *)to)) \
	X(sched_rr_get_interval, sched_rr_get_interval(0, (struct timespec *)to)) \
	X(getitimer, getitimer(ITIMER_VIRTUAL, (struct itimerval *)to)) \
	X(setitimer, setitimer(ITIMER_VIRTUAL, &no_interval, (struct itimerval *)to)) \
	X(nanosleep, interrupted_sleep(to, 0)) \
	X(clock_nanosleep, interrupted_sleep(to, 1)) \
	X(thrd_sleep, interrupted_sleep(to, 2)) \
	X(clock_getres, clock_getres(CLOCK_PROCESS_CPUTIME_ID, (struct timespec *)to)) \
	X(clock_gettime, clock_gettime(CLOCK_PROCESS_CPUTIME_ID, (struct timespec *)to)) \
	X(clock_gettime_real, clock_gettime(CLOCK_REALTIME, (struct timespec *)to)) \
	X(gettimeofday, gettimeofday((struct timeval *)to, NULL)) \
	X(time, time((time_t *)to) > 0) \
	X(timer_gettime, timer_gettime(timer, (struct itimerspec *)to)) \
	X(timer_settime, timer_settime(timer, 0, &no_timer, (struct itimerspec *)to)) \
	X(timerfd_gettime, timerfd_gettime(timer_fd, (struct itimerspec *)to)) \
	X(timerfd_settime, timerfd_settime(timer_fd, 0, &no_timer, (struct itimerspec *)to)) \
	X(adjtimex, (memset(to, 0, sizeof(struct timex)), prepared(), adjtimex((struct timex *)to) >= 0)) \
	X(semctl, semctl(semaphores, 0, IPC_STAT, to)) \
	X(semctl_all, semctl(semaphores, 0, GETALL, to)) \
	X(shmctl, shmctl(memories, IPC_STAT, (struct shmid_ds *)to)) \
	X(msgctl, msgctl(messages, IPC_STAT, (struct msqid_ds *)to)) \
	X(msgrcv, message_received(to)) \
	X(mq_receive, queue_received(to, false)) \
	X(mq_timedreceive, queue_received(to, true)) \
	X(mq_getattr, mq_getattr(queue, (struct mq_attr *)to)) \
	X(eventfd_read, event_read(to)) \
	X(ioctl, ioctl(pipes[0], FIONREAD, to)) \
	X(tcgetattr, tcgetattr(terminal, (struct termios *)to)) \
	X(ttyname_r, ttyname_r(terminal, to, 100)) \
	X(fcntl, record_lock(to)) \
	X(prctl, prctl(PR_GET_NAME, to)) \
	X(vmsplice, spliced(to)) \
	X(process_vm_writev, copied(to)) \
	X(sendfile, moved(to, 0)) \
	X(copy_file_range, moved(to, 1)) \
	X(splice, moved(to, 2)) \
	X(fread, stream(to, 0)) \
	X(setbuffer, stream(to, 1)) \
	X(setvbuf, stream(to, 2)) \
	X(aio_read, by_aio(to, false)) \
	X(lio_listio, by_aio(to, true)) \
	X(capget, capabilities(to)) \
	X(signal_state, mask_asked(to)) \
	X(sigwaitinfo, signal_waited(to)) \
	X(arc4random_buf, (arc4random_buf(to, 200), 0)) // ends the program when it fails
// clang-format on

#define X(name, expression)                                                                                            \
	static long call_##name(char *to)                                                                              \
	{                                                                                                              \
		return (long)(expression);                                                                             \
	}
RESULTS(X)
#undef X

static const struct {
	const char *name;
	long (*call)(char *to);
} results[] = {
#define X(name, expression) {#name, call_##name},
	RESULTS(X)
#undef X
};

// What a call says: its value, or its error.
static long outcome(long (*call)(char *to), char *to)
{
	long ret;

	CHECK(lseek(open_dev, 0, SEEK_SET) == 0);
	errno = 0;
	ret = call(to);
	return ret == -1 ? -errno : ret;
}

// On a page, and across two.
static bool is_same_in_closed_pages(size_t nr)
{
	static _Alignas(64) char plain[ROOM];
	char *map = map_closed(file_new(FILE_SIZE));
	const size_t at[] = {page, 4 * page - 8};
	long expected = outcome(results[nr].call, plain);
	bool same = true;
	size_t i;

	for (i = 0; i < 2; i++) {
		long seen;

		memset(map + at[i], 0, ROOM);
		sync_all(map, FILE_SIZE);
		mapped = map;
		seen = outcome(results[nr].call, map + at[i]);
		mapped = NULL;
		sync_all(map, FILE_SIZE);
		if (seen == expected)
			continue;
		fprintf(stderr, "%s %ld, not %ld; ", results[nr].name, seen, expected);
		same = false;
	}
	CHECK(!munmap(map, FILE_SIZE));
	return same;
}

static void results_into_closed_pages(void)
{
	bool same = true;
	size_t i;

	things_make();
	for (i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		same &= is_same_in_closed_pages(i);
	things_remove();
	CHECK(same);
}

const struct test_case cases_results[] = {
	CASE(results_into_closed_pages, SMALL),
	END_OF_CASES,
};
