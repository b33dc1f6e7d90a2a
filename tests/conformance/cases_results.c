// SPDX-License-Identifier: BSD-3-Clause
// cases_results.c: every call by which the kernel stores into the program's memory, and every argument of it that says
// where (M9). Each argument is alone in a closed page, or across two of them; all others are in memory of the program's
// own. The call must do the same, and store the same, as where all of it is in such memory; and the next sync covers it.
//
// The table has a row for each hook of that kind, and for each pointer that preload/results.c pins;
// tests/lint/hooks.sh complains of one without.
#include <aio.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/quota.h>
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
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <threads.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "conformance.h"

#define ROOM 2048 // of what a call stores so much is looked at

#undef fread_unlocked // a macro in optimised builds

// What programs that were built long ago, or with _FORTIFY_SOURCE, call; and what has no header of its own.
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
int __ppoll_chk(struct pollfd *fds, nfds_t nr, const struct timespec *timeout, const sigset_t *set, size_t size);
int __select(int nr, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout);
pid_t __wait(int *status);
pid_t __waitpid(pid_t pid, int *status, int flags);
int __pipe(int fds[2]);
int __nanosleep(const struct timespec *time, struct timespec *rest);
int __statfs(const char *path, struct statfs *st);
int __sched_getparam(pid_t pid, struct sched_param *param);
int __fcntl(int fd, int cmd, ...);
int __sigaction(int sig, const struct sigaction *act, struct sigaction *old);
ssize_t __read(int fd, void *buf, size_t len);
ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __pread64(int fd, void *buf, size_t len, off64_t off);
ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off, size_t size);
ssize_t __pread64_chk(int fd, void *buf, size_t len, off64_t off, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *from,
		       socklen_t *from_len);
size_t __fread_chk(void *buf, size_t room, size_t size, size_t nr, FILE *stream);
size_t __fread_unlocked_chk(void *buf, size_t room, size_t size, size_t nr, FILE *stream);
int capget(void *header, void *data);

static int open_dev; // a directory
static const struct timespec no_time;
static const struct itimerval no_interval;
static const struct itimerspec no_timer;

static char *mapped;                     // where the call stores to, NULL: not in a mapping
static char *target;                     // the argument that is looked at,
static char before[ROOM];                // and what the call was given there
static _Alignas(64) char side[4][16384]; // all others

// What a call is given in the same place has been stored: closes its page again.
static void prepared(void)
{
	memcpy(before, target, ROOM);
	if (mapped)
		sync_all(mapped, FILE_SIZE);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static int file, listed, pipes[2], sockets[2], event, timer_fd, epoll, listener, terminal = -1;
static timer_t timer;
static char link_name[PATH_MAX + 8];
static char listed_name[PATH_MAX]; // a file with an extended attribute
static mqd_t queue = (mqd_t)-1;
static int messages = -1, semaphores = -1, memories = -1;

// Two datagram sockets that know each other by name, so that a message has a sender.
static void sockets_make(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int i, on = 1;

	for (i = 0; i < 2; i++) {
		sockets[i] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		snprintf(name.sun_path + 1, 100, "daxsync-results-%d-%d", getpid(), i);
		CHECK(!bind(sockets[i], (struct sockaddr *)&name, sizeof(name)));
		CHECK(!setsockopt(sockets[i], SOL_SOCKET, SO_PASSCRED, &on,
				  sizeof(on))); // so that there is control data
	}
	snprintf(name.sun_path + 1, 100, "daxsync-results-%d-0", getpid());
	CHECK(!connect(sockets[1], (struct sockaddr *)&name, sizeof(name)));
	snprintf(name.sun_path + 1, 100, "daxsync-results-%d-1", getpid());
	CHECK(!connect(sockets[0], (struct sockaddr *)&name, sizeof(name)));
}

static void things_make(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 64};
	struct epoll_event out = {.events = EPOLLOUT};
	struct sigevent none = {.sigev_notify = SIGEV_NONE};
	int slave;

	open_dev = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	file = memfd_create("data", MFD_CLOEXEC);
	CHECK(file >= 0 && !ftruncate(file, 65536));
	listed = named_file_new(0, listed_name);
	fsetxattr(listed, "user.daxsync", "value", 5, 0); // or there is none
	CHECK(!pipe2(pipes, O_CLOEXEC));
	sockets_make();
	event = eventfd(0, EFD_CLOEXEC);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	CHECK(!epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[1], &out));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(name.sun_path + 1, 100, "daxsync-results-%d", getpid());
	CHECK(!bind(listener, (struct sockaddr *)&name, sizeof(name)) && !listen(listener, 64));
	CHECK(!timer_create(CLOCK_MONOTONIC, &none, &timer));
	snprintf(link_name, sizeof(link_name), "%s.link", listed_name);
	CHECK(!symlink("where it leads", link_name));
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
	msgctl(messages, IPC_RMID, NULL);
	semctl(semaphores, 0, IPC_RMID);
	shmctl(memories, IPC_RMID, NULL);
}

static void feed(size_t len)
{
	static const char data[256] = "what is sent";

	CHECK(send(sockets[1], data, len, 0) == (ssize_t)len);
}

static void feed_pipe(void)
{
	CHECK(write(pipes[1], "0123456789", 10) == 10);
}

static int connected(void)
{
	struct sockaddr_un own = {.sun_family = AF_UNIX}, name;
	socklen_t len = sizeof(name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(own.sun_path + 1, 100, "daxsync-client-%d", getpid());
	CHECK(!bind(fd, (struct sockaddr *)&own, sizeof(own)));
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

static long accepted(char *name, char *len, bool four)
{
	int fd = connected(), got;

	*(socklen_t *)len = 120;
	prepared();
	got = four ? accept4(listener, (struct sockaddr *)name, (socklen_t *)len, SOCK_CLOEXEC)
		   : accept(listener, (struct sockaddr *)name, (socklen_t *)len);
	close(fd);
	return closed(got);
}

enum wait_call { WAIT, OLD_WAIT, WAITPID, OLD_WAITPID, WAIT3, WAIT4, WAITID };

static long waited(enum wait_call how, char *to, char *usage)
{
	pid_t pid = fork(), got = -1;
	int *status = (int *)to;

	if (!pid)
		_exit(3);
	switch (how) {
	case WAIT:
		got = wait(status);
		break;
	case OLD_WAIT:
		got = __wait(status);
		break;
	case WAITPID:
		got = waitpid(pid, status, 0);
		break;
	case OLD_WAITPID:
		got = __waitpid(pid, status, 0);
		break;
	case WAIT3:
		got = wait3(status, 0, (struct rusage *)usage);
		break;
	case WAIT4:
		got = wait4(pid, status, 0, (struct rusage *)usage);
		break;
	case WAITID:
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

enum aio_call { READ, READ64, WRITE, WRITE64, SYNC, SYNC64, LIST, LIST64 };

static long by_aio(enum aio_call how, char *request, char *buf)
{
	struct aiocb *aio = (struct aiocb *)request;
	struct aiocb64 *aio64 = (struct aiocb64 *)request; // the same on machines of 64 bits
	struct aiocb *one[] = {aio};
	int ret = -1;

	*aio = (struct aiocb){.aio_fildes = file, .aio_buf = buf, .aio_nbytes = 100, .aio_lio_opcode = LIO_READ};
	prepared();
	switch (how) {
	case READ:
		ret = aio_read(aio);
		break;
	case READ64:
		ret = aio_read64(aio64);
		break;
	case WRITE:
		ret = aio_write(aio);
		break;
	case WRITE64:
		ret = aio_write64(aio64);
		break;
	case SYNC:
		ret = aio_fsync(O_SYNC, aio);
		break;
	case SYNC64:
		ret = aio_fsync64(O_SYNC, aio64);
		break;
	case LIST:
		ret = lio_listio(LIO_WAIT, one, 1, NULL);
		break;
	case LIST64:
		ret = lio_listio64(LIO_WAIT, (struct aiocb64 **)one, 1, NULL);
		break;
	}
	if (ret)
		return -1;
	while (aio_error(aio) == EINPROGRESS)
		usleep(1000);
	return aio_return(aio);
}

// Where the parts of a message are; what is not given is in memory of the program's own.
struct message {
	char *header, *name, *control, *buf;
};

static struct iovec parts[2][2];

static void message_make(const struct message *in, struct msghdr *msg, int nr)
{
	parts[nr][0] = (struct iovec){side[3], 5};
	parts[nr][1] = (struct iovec){in->buf ? in->buf : side[3] + 64, 50};
	*msg = (struct msghdr){.msg_iov = parts[nr],
			       .msg_iovlen = 2,
			       .msg_name = in->name ? in->name : side[1],
			       .msg_namelen = 120,
			       .msg_control = in->control ? in->control : side[2],
			       .msg_controllen = 128};
}

static long message(struct message in)
{
	struct msghdr *msg = (struct msghdr *)(in.header ? in.header : side[0]);

	feed(20);
	message_make(&in, msg, 0);
	prepared();
	return recvmsg(sockets[0], msg, 0);
}

// Of two messages the second is what is looked at.
static long messages_of_two(struct message in, char *timeout)
{
	struct mmsghdr *msg = (struct mmsghdr *)(in.header ? in.header : side[0]);
	struct timespec *time = (struct timespec *)(timeout ? timeout : side[0] + 1024);

	feed(20);
	feed(20);
	message_make(&(struct message){0}, &msg[0].msg_hdr, 0);
	message_make(&in, &msg[1].msg_hdr, 1);
	*time = (struct timespec){5, 0};
	prepared();
	return recvmmsg(sockets[0], msg, 2, 0, time);
}

static long sent(char *to)
{
	struct mmsghdr *msg = (struct mmsghdr *)to;
	char text[] = "what is sent", got[32];
	struct iovec iov = {text, 12};
	long ret;

	*msg = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
	prepared();
	ret = sendmmsg(sockets[1], msg, 1, 0);
	CHECK(recv(sockets[0], got, sizeof(got), MSG_DONTWAIT) == 12);
	return ret * 100 + msg->msg_len;
}

static long capabilities(char *header, char *data)
{
	uint32_t *version = (uint32_t *)header;

	version[0] = data ? 0x20080522 : 0; // unknown: the kernel says which version it prefers
	version[1] = 0;
	prepared();
	return capget(header, data) ? -errno : 1;
}

static long entries(char *to, char *base, bool wide)
{
	return (wide ? getdirentries64(open_dev, to, 1000, (off64_t *)base)
		     : getdirentries(open_dev, to, 1000, (off_t *)base)) > 0;
}

static long from_socket(char *to, char *name, char *len, bool fortified)
{
	feed(20);
	*(socklen_t *)len = 100;
	prepared();
	return fortified ? __recvfrom_chk(sockets[0], to, 64, 64, 0, (struct sockaddr *)name, (socklen_t *)len)
			 : recvfrom(sockets[0], to, 64, 0, (struct sockaddr *)name, (socklen_t *)len);
}

static long socket_option(char *value, char *len)
{
	*(socklen_t *)len = 100; // more than it is
	prepared();
	return getsockopt(sockets[0], SOL_SOCKET, SO_TYPE, value, (socklen_t *)len);
}

static long socket_name(char *name, char *len, bool peer)
{
	*(socklen_t *)len = 120;
	prepared();
	return peer ? getpeername(sockets[0], (struct sockaddr *)name, (socklen_t *)len)
		    : getsockname(listener, (struct sockaddr *)name, (socklen_t *)len);
}

enum poll_call { POLL, OLD_POLL, POLL_CHK, PPOLL, PPOLL_CHK };

static long polled(enum poll_call how, char *to)
{
	struct pollfd *fds = (struct pollfd *)to;

	*fds = (struct pollfd){.fd = pipes[1], .events = POLLOUT};
	prepared();
	switch (how) {
	case POLL:
		return poll(fds, 1, 0);
	case OLD_POLL:
		return __poll(fds, 1, 0);
	case POLL_CHK:
		return __poll_chk(fds, 1, 0, 1000);
	case PPOLL:
		return ppoll(fds, 1, &no_time, NULL);
	case PPOLL_CHK:
		return __ppoll_chk(fds, 1, &no_time, NULL, 1000);
	}
	return -1;
}

enum select_call { SELECT, OLD_SELECT, PSELECT };

// Nothing can be read from the pipe: the kernel takes it out of the first and the third set.
static long selected(enum select_call how, char *in, char *out, char *except, char *timeout)
{
	char *const sets[] = {in, out, except};
	struct timeval *time = (struct timeval *)timeout;
	int i, nr = pipes[1] + 1;

	for (i = 0; i < 3; i++) {
		memset(sets[i], 0, sizeof(fd_set));
		FD_SET(pipes[0], (fd_set *)sets[i]);
		FD_SET(pipes[1], (fd_set *)sets[i]);
	}
	*time = (struct timeval){50, 0};
	prepared();
	if (how == PSELECT)
		return pselect(nr, (fd_set *)in, (fd_set *)out, (fd_set *)except, &no_time, NULL);
	return (how == SELECT ? select : __select)(nr, (fd_set *)in, (fd_set *)out, (fd_set *)except, time);
}

// A signal that comes again and again: one that is early, on a slow machine, is not the only one.
static void alarms(bool on)
{
	struct itimerval soon = {.it_interval = {0, 20000}, .it_value = {0, 20000}};

	signal(SIGALRM, on_alarm);
	CHECK(!setitimer(ITIMER_REAL, on ? &soon : &no_interval, NULL));
}

enum sleep_call { NANOSLEEP, OLD_NANOSLEEP, CLOCK_NANOSLEEP, THRD_SLEEP };

static long interrupted_sleep(enum sleep_call how, char *to)
{
	struct timespec long_time = {60, 0}, *rest = (struct timespec *)to;
	int ret = 0;

	alarms(true);
	errno = 0;
	switch (how) {
	case NANOSLEEP:
		ret = nanosleep(&long_time, rest);
		break;
	case OLD_NANOSLEEP:
		ret = __nanosleep(&long_time, rest);
		break;
	case CLOCK_NANOSLEEP:
		ret = clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, rest);
		break;
	case THRD_SLEEP:
		ret = thrd_sleep(&long_time, rest);
		break;
	}
	if (how == NANOSLEEP || how == OLD_NANOSLEEP)
		ret = errno;
	alarms(false);
	return ret == EINTR || (how == THRD_SLEEP && ret == -1);
}

static long queue_received(char *to, char *priority, bool timed)
{
	if (mq_send(queue, "message", 8, 5))
		return -errno;
	return timed ? mq_timedreceive(queue, to, 64, (unsigned *)priority, &no_time)
		     : mq_receive(queue, to, 64, (unsigned *)priority);
}

static long message_received(char *to)
{
	struct {
		long type;
		char text[16];
	} sending = {5, "message"};

	if (msgsnd(messages, &sending, sizeof(sending.text), 0))
		return -errno;
	return msgrcv(messages, to, sizeof(sending.text), 0, 0);
}

static long event_read(char *to)
{
	CHECK(!eventfd_write(event, 77));
	return eventfd_read(event, (eventfd_t *)to);
}

enum move_call { SENDFILE, SENDFILE64, COPY, SPLICE };

static long moved(enum move_call how, char *in, char *out)
{
	int other = memfd_create("other", MFD_CLOEXEC);
	long ret = -1;

	*(off_t *)in = 100;
	*(off_t *)out = 200;
	prepared();
	switch (how) {
	case SENDFILE:
		ret = sendfile(other, file, (off_t *)in, 50);
		break;
	case SENDFILE64:
		ret = sendfile64(other, file, (off64_t *)in, 50);
		break;
	case COPY:
		ret = copy_file_range(file, (off64_t *)in, other, (off64_t *)out, 50, 0);
		break;
	case SPLICE:
		ret = splice(file, (off64_t *)in, pipes[1], NULL, 50, 0);
		if (ret == 50)
			ret = splice(pipes[0], NULL, other, (off64_t *)out, 50, 0);
		break;
	}
	close(other);
	return ret;
}

static long record_lock(char *to, int (*call)(int, int, ...))
{
	struct flock *lock = (struct flock *)to;

	*lock = (struct flock){.l_type = F_WRLCK};
	prepared();
	return call(file, F_GETLK, lock) ? -1 : lock->l_type;
}

enum stream_call { FREAD, FREAD_UNLOCKED, FREAD_CHK, FREAD_UNLOCKED_CHK, SETBUFFER, SETVBUF, SETBUF };

static long stream(enum stream_call how, char *to)
{
	FILE *input = fdopen(dup(file), "r");
	char one[10];
	size_t ret = 0;

	CHECK(input && !fseek(input, 0, SEEK_SET));
	if (how < SETBUFFER)
		setvbuf(input, NULL, _IONBF, 0);
	switch (how) {
	case FREAD:
		ret = fread(to, 1, 1500, input);
		break;
	case FREAD_UNLOCKED:
		ret = fread_unlocked(to, 1, 1500, input);
		break;
	case FREAD_CHK:
		ret = __fread_chk(to, 1500, 1, 1500, input);
		break;
	case FREAD_UNLOCKED_CHK:
		ret = __fread_unlocked_chk(to, 1500, 1, 1500, input);
		break;
	case SETBUFFER:
		setbuffer(input, to, 512);
		break;
	case SETVBUF:
		setvbuf(input, to, _IOFBF, 512);
		break;
	case SETBUF:
		setbuf(input, to);
		break;
	}
	if (how >= SETBUFFER)
		ret = fread(one, 1, 10, input);
	fclose(input);
	return (long)ret;
}

static long at_pages(char *to)
{
	return mincore((void *)((uintptr_t)&errno & ~4095UL), 4096, (unsigned char *)to);
}

static long handle_of(char *to, char *mount)
{
	struct file_handle *handle = (struct file_handle *)to;

	handle->handle_bytes = 64;
	prepared();
	return name_to_handle_at(AT_FDCWD, "/dev/shm", handle, (int *)mount, 0);
}

enum vector_call { READV, PREADV, PREADV64, PREADV2, PREADV64V2, VMSPLICE, PROCESS_READV, PROCESS_WRITEV };

// By two buffers, of which the second is looked at.
static long by_vector(enum vector_call how, char *to)
{
	struct iovec two[] = {{side[0], 3}, {to, 7}};
	struct iovec data = {(char[]){"from here."}, 10};

	switch (how) {
	case READV:
		CHECK(lseek(file, 0, SEEK_SET) == 0);
		return readv(file, two, 2);
	case PREADV:
		return preadv(file, two, 2, 0);
	case PREADV64:
		return preadv64(file, two, 2, 0);
	case PREADV2:
		return preadv2(file, two, 2, 0, 0);
	case PREADV64V2:
		return preadv64v2(file, two, 2, 0, 0);
	case VMSPLICE:
		feed_pipe();
		return vmsplice(pipes[0], two, 2, 0);
	case PROCESS_READV:
		return process_vm_readv(getpid(), two, 2, &data, 1, 0);
	case PROCESS_WRITEV:
		return process_vm_writev(getpid(), &data, 1, two, 2, 0);
	}
	return -1;
}

static long received(char *to, bool fortified)
{
	feed(20);
	return fortified ? __recv_chk(sockets[0], to, 64, 64, 0) : recv(sockets[0], to, 64, 0);
}

enum signal_call { SIGWAIT, SIGWAITINFO, SIGTIMEDWAIT };

static long signal_waited(enum signal_call how, char *to)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL) && !raise(SIGUSR2));
	switch (how) {
	case SIGWAIT:
		return sigwait(&set, (int *)to);
	case SIGWAITINFO:
		return sigwaitinfo(&set, (siginfo_t *)to);
	case SIGTIMEDWAIT:
		return sigtimedwait(&set, (siginfo_t *)to, &no_time);
	}
	return -1;
}

static long swapped(char *to)
{
	ucontext_t *from = (ucontext_t *)to;
	volatile bool again = false;
	ucontext_t here;
	sigset_t mask;

	CHECK(!getcontext(&here));
	if (again) { // what is in the registers is never the same
		mask = from->uc_sigmask;
		memset(from, 0, sizeof(*from));
		memcpy(&from->uc_sigmask, &mask, 8);
		return 1;
	}
	again = true;
	return swapcontext(from, &here);
}

// Behind what the kernel stores, and between members, is what was on somebody's stack.
static long action_asked(char *to, int (*call)(int, const struct sigaction *, struct sigaction *))
{
	struct sigaction *action = (struct sigaction *)to;
	long ret = call(SIGUSR1, NULL, action);

	memset((char *)&action->sa_mask + 8, 0, sizeof(action->sa_mask) - 8);
	memset(&action->sa_flags + 1, 0,
	       offsetof(struct sigaction, sa_restorer) - offsetof(struct sigaction, sa_flags) -
		       sizeof(action->sa_flags));
	action->sa_restorer = NULL;
	return ret;
}

// What libc does not warn of, if it is called by no name.
static long directory_named(char *to)
{
	char *(*call)(char *) = NULL;

	*(void **)&call = dlsym(RTLD_DEFAULT, "getwd");
	return call && call(to) == to ? 0 : -1;
}

static void *do_nothing(void *arg)
{
	return arg;
}

static long thread_made(char *to)
{
	long ret = pthread_create((pthread_t *)to, NULL, do_nothing, NULL);

	return ret ? ret : pthread_join(*(pthread_t *)to, NULL);
}

static int do_nothing_c11(void *arg)
{
	(void)arg;
	return 0;
}

static long thread_made_c11(char *to)
{
	long ret = thrd_create((thrd_t *)to, do_nothing_c11, NULL);

	return ret != thrd_success ? ret : thrd_join(*(thrd_t *)to, NULL);
}

static long timer_made(char *to)
{
	struct sigevent none = {.sigev_notify = SIGEV_NONE};

	return timer_create(CLOCK_MONOTONIC, &none, (timer_t *)to) || timer_delete(*(timer_t *)to);
}

static long spawned(char *to, bool by_name)
{
	char *argv[] = {"true", NULL};
	int ret = (by_name ? posix_spawnp : posix_spawn)((pid_t *)to, "/bin/true", NULL, NULL, argv, environ), status;

	return ret || waitpid(*(pid_t *)to, &status, 0) < 0 ? -1 : status;
}

static long clock_asked(struct timex *time, int how)
{
	memset(time, 0, sizeof(*time));
	prepared();
	switch (how) {
	case 0:
		return adjtimex(time) >= 0;
	case 1:
		return ntp_adjtime(time) >= 0;
	default:
		return clock_adjtime(CLOCK_REALTIME, time) >= 0;
	}
}

#if defined(__x86_64__)
#define STAT_VERSION 1
#else
#define STAT_VERSION 0
#endif

// X(function, argument, expression)
// clang-format off
#define RESULTS(X) \
	X(stat, st, stat("/dev/shm", (struct stat *)to)) \
	X(stat64, st, stat64("/dev/shm", (struct stat64 *)to)) \
	X(lstat, st, lstat("/dev/shm", (struct stat *)to)) \
	X(lstat64, st, lstat64("/dev/shm", (struct stat64 *)to)) \
	X(fstat, st, fstat(file, (struct stat *)to)) \
	X(fstat64, st, fstat64(file, (struct stat64 *)to)) \
	X(fstatat, st, fstatat(AT_FDCWD, "/dev/shm", (struct stat *)to, 0)) \
	X(fstatat64, st, fstatat64(AT_FDCWD, "/dev/shm", (struct stat64 *)to, 0)) \
	X(__xstat, st, __xstat(STAT_VERSION, "/dev/shm", (struct stat *)to)) \
	X(__xstat64, st, __xstat64(STAT_VERSION, "/dev/shm", (struct stat64 *)to)) \
	X(__lxstat, st, __lxstat(STAT_VERSION, "/dev/shm", (struct stat *)to)) \
	X(__lxstat64, st, __lxstat64(STAT_VERSION, "/dev/shm", (struct stat64 *)to)) \
	X(__fxstat, st, __fxstat(STAT_VERSION, file, (struct stat *)to)) \
	X(__fxstat64, st, __fxstat64(STAT_VERSION, file, (struct stat64 *)to)) \
	X(__fxstatat, st, __fxstatat(STAT_VERSION, AT_FDCWD, "/dev/shm", (struct stat *)to, 0)) \
	X(__fxstatat64, st, __fxstatat64(STAT_VERSION, AT_FDCWD, "/dev/shm", (struct stat64 *)to, 0)) \
	X(statx, st, statx(AT_FDCWD, "/dev/shm", 0, STATX_ALL, (struct statx *)to)) \
	X(statfs, st, statfs("/proc", (struct statfs *)to)) \
	X(statfs64, st, statfs64("/proc", (struct statfs64 *)to)) \
	X(__statfs, st, __statfs("/proc", (struct statfs *)to)) \
	X(fstatfs, st, fstatfs(file, (struct statfs *)to)) \
	X(fstatfs64, st, fstatfs64(file, (struct statfs64 *)to)) \
	X(statvfs, st, statvfs("/proc", (struct statvfs *)to)) \
	X(fstatvfs, st, fstatvfs(file, (struct statvfs *)to)) \
	X(readlink, buf, readlink(link_name, to, 100)) \
	X(readlinkat, buf, readlinkat(AT_FDCWD, link_name, to, 100)) \
	X(__readlink_chk, buf, __readlink_chk(link_name, to, 100, 100)) \
	X(__readlinkat_chk, buf, __readlinkat_chk(AT_FDCWD, link_name, to, 100, 100)) \
	X(realpath, buf, realpath("/dev/../dev/null", to) == to ? 0 : -1) \
	X(getcwd, buf, getcwd(to, 1000) == to ? 0 : -1) \
	X(__getcwd_chk, buf, __getcwd_chk(to, 1000, 1000) == to ? 0 : -1) \
	X(getwd, buf, directory_named(to)) \
	X(__getwd_chk, buf, __getwd_chk(to, 4096) == to ? 0 : -1) \
	X(ttyname_r, buf, ttyname_r(terminal, to, 100)) \
	X(__ttyname_r_chk, buf, __ttyname_r_chk(terminal, to, 100, 100)) \
	X(getdents64, buf, getdents64(open_dev, to, 1000) > 0) \
	X(getdirentries, buf, entries(to, side[0], false)) \
	X(getdirentries, base, entries(side[0], to, false)) \
	X(getdirentries64, buf, entries(to, side[0], true)) \
	X(getdirentries64, base, entries(side[0], to, true)) \
	X(getxattr, buf, getxattr(listed_name, "user.daxsync", to, 100)) \
	X(lgetxattr, buf, lgetxattr(listed_name, "user.daxsync", to, 100)) \
	X(fgetxattr, buf, fgetxattr(listed, "user.daxsync", to, 100)) \
	X(listxattr, buf, listxattr(listed_name, to, 1000)) \
	X(llistxattr, buf, llistxattr(listed_name, to, 1000)) \
	X(flistxattr, buf, flistxattr(listed, to, 1000)) \
	X(name_to_handle_at, handle, handle_of(to, side[0])) \
	X(name_to_handle_at, mount, handle_of(side[0], to)) \
	X(mincore, vec, at_pages(to)) \
	X(poll, fds, polled(POLL, to)) \
	X(__poll, fds, polled(OLD_POLL, to)) \
	X(__poll_chk, fds, polled(POLL_CHK, to)) \
	X(ppoll, fds, polled(PPOLL, to)) \
	X(__ppoll_chk, fds, polled(PPOLL_CHK, to)) \
	X(select, in, selected(SELECT, to, side[0], side[1], side[2])) \
	X(select, out, selected(SELECT, side[0], to, side[1], side[2])) \
	X(select, except, selected(SELECT, side[0], side[1], to, side[2])) \
	X(select, timeout, selected(SELECT, side[0], side[1], side[2], to)) \
	X(__select, in, selected(OLD_SELECT, to, side[0], side[1], side[2])) \
	X(__select, out, selected(OLD_SELECT, side[0], to, side[1], side[2])) \
	X(__select, except, selected(OLD_SELECT, side[0], side[1], to, side[2])) \
	X(__select, timeout, selected(OLD_SELECT, side[0], side[1], side[2], to)) \
	X(pselect, in, selected(PSELECT, to, side[0], side[1], side[2])) \
	X(pselect, out, selected(PSELECT, side[0], to, side[1], side[2])) \
	X(pselect, except, selected(PSELECT, side[0], side[1], to, side[2])) \
	X(epoll_wait, events, epoll_wait(epoll, (struct epoll_event *)to, 4, 0)) \
	X(epoll_pwait, events, epoll_pwait(epoll, (struct epoll_event *)to, 4, 0, NULL)) \
	X(epoll_pwait2, events, epoll_pwait2(epoll, (struct epoll_event *)to, 4, &no_time, NULL)) \
	X(accept, addr, accepted(to, side[0], false)) \
	X(accept, len, accepted(side[0], to, false)) \
	X(accept4, addr, accepted(to, side[0], true)) \
	X(accept4, len, accepted(side[0], to, true)) \
	X(getsockname, addr, socket_name(to, side[0], false)) \
	X(getsockname, len, socket_name(side[0], to, false)) \
	X(getpeername, addr, socket_name(to, side[0], true)) \
	X(getpeername, len, socket_name(side[0], to, true)) \
	X(getsockopt, value, socket_option(to, side[0])) \
	X(getsockopt, len, socket_option(side[0], to)) \
	X(recv, buf, received(to, false)) \
	X(__recv_chk, buf, received(to, true)) \
	X(recvfrom, buf, from_socket(to, side[0], side[1], false)) \
	X(recvfrom, from, from_socket(side[0], to, side[1], false)) \
	X(recvfrom, from_len, from_socket(side[0], side[1], to, false)) \
	X(__recvfrom_chk, buf, from_socket(to, side[0], side[1], true)) \
	X(__recvfrom_chk, from, from_socket(side[0], to, side[1], true)) \
	X(__recvfrom_chk, from_len, from_socket(side[0], side[1], to, true)) \
	X(recvmsg, msg, message((struct message){.header = to})) \
	X(recvmsg, name, message((struct message){.name = to})) \
	X(recvmsg, control, message((struct message){.control = to})) \
	X(recvmsg, buf, message((struct message){.buf = to})) \
	X(recvmmsg, msg, messages_of_two((struct message){.header = to}, NULL)) \
	X(recvmmsg, name, messages_of_two((struct message){.name = to}, NULL)) \
	X(recvmmsg, control, messages_of_two((struct message){.control = to}, NULL)) \
	X(recvmmsg, buf, messages_of_two((struct message){.buf = to}, NULL)) \
	X(recvmmsg, timeout, messages_of_two((struct message){0}, to)) \
	X(sendmmsg, msg, sent(to)) \
	X(wait, status, waited(WAIT, to, NULL)) \
	X(__wait, status, waited(OLD_WAIT, to, NULL)) \
	X(waitpid, status, waited(WAITPID, to, NULL)) \
	X(__waitpid, status, waited(OLD_WAITPID, to, NULL)) \
	X(wait3, status, waited(WAIT3, to, side[0])) \
	X(wait3, usage, waited(WAIT3, side[0], to)) \
	X(wait4, status, waited(WAIT4, to, side[0])) \
	X(wait4, usage, waited(WAIT4, side[0], to)) \
	X(waitid, info, waited(WAITID, to, NULL)) \
	X(pipe, fds, pair_closed(to, pipe((int *)to))) \
	X(__pipe, fds, pair_closed(to, __pipe((int *)to))) \
	X(pipe2, fds, pair_closed(to, pipe2((int *)to, O_CLOEXEC))) \
	X(socketpair, fds, pair_closed(to, socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)to))) \
	X(uname, name, uname((struct utsname *)to)) \
	X(gethostname, name, gethostname(to, 100)) \
	X(sysinfo, info, sysinfo((struct sysinfo *)to)) \
	X(getrusage, usage, getrusage(RUSAGE_SELF, (struct rusage *)to)) \
	X(getrlimit, limit, getrlimit(RLIMIT_CORE, (struct rlimit *)to)) \
	X(getrlimit64, limit, getrlimit64(RLIMIT_CORE, (struct rlimit64 *)to)) \
	X(prlimit, old, prlimit(0, RLIMIT_CORE, NULL, (struct rlimit *)to)) \
	X(prlimit64, old, prlimit64(0, RLIMIT_CORE, NULL, (struct rlimit64 *)to)) \
	X(getgroups, list, getgroups(100, (gid_t *)to) >= 0) \
	X(__getgroups_chk, list, __getgroups_chk(100, (gid_t *)to, 400) >= 0) \
	X(getresuid, real, getresuid((uid_t *)to, (uid_t *)side[0], (uid_t *)side[1])) \
	X(getresuid, effective, getresuid((uid_t *)side[0], (uid_t *)to, (uid_t *)side[1])) \
	X(getresuid, saved, getresuid((uid_t *)side[0], (uid_t *)side[1], (uid_t *)to)) \
	X(getresgid, real, getresgid((gid_t *)to, (gid_t *)side[0], (gid_t *)side[1])) \
	X(getresgid, effective, getresgid((gid_t *)side[0], (gid_t *)to, (gid_t *)side[1])) \
	X(getresgid, saved, getresgid((gid_t *)side[0], (gid_t *)side[1], (gid_t *)to)) \
	X(sched_getaffinity, set, sched_getaffinity(0, sizeof(cpu_set_t), (cpu_set_t *)to)) \
	X(pthread_getaffinity_np, set, pthread_getaffinity_np(pthread_self(), sizeof(cpu_set_t), (cpu_set_t *)to)) \
	X(pthread_getname_np, buf, pthread_getname_np(pthread_self(), to, 64)) \
	X(sched_getparam, param, sched_getparam(0, (struct sched_param *)to)) \
	X(__sched_getparam, param, __sched_getparam(0, (struct sched_param *)to)) \
	X(sched_rr_get_interval, time, sched_rr_get_interval(0, (struct timespec *)to)) \
	X(times, buf, times((struct tms *)to) >= 0) \
	X(getitimer, value, getitimer(ITIMER_VIRTUAL, (struct itimerval *)to)) \
	X(setitimer, old, setitimer(ITIMER_VIRTUAL, &no_interval, (struct itimerval *)to)) \
	X(nanosleep, rest, interrupted_sleep(NANOSLEEP, to)) \
	X(__nanosleep, rest, interrupted_sleep(OLD_NANOSLEEP, to)) \
	X(clock_nanosleep, rest, interrupted_sleep(CLOCK_NANOSLEEP, to)) \
	X(thrd_sleep, rest, interrupted_sleep(THRD_SLEEP, to)) \
	X(clock_getres, time, clock_getres(CLOCK_PROCESS_CPUTIME_ID, (struct timespec *)to)) \
	X(clock_gettime, time, clock_gettime(CLOCK_PROCESS_CPUTIME_ID, (struct timespec *)to)) \
	X(clock_gettime, real, clock_gettime(CLOCK_REALTIME, (struct timespec *)to)) \
	X(gettimeofday, time, gettimeofday((struct timeval *)to, NULL)) \
	X(gettimeofday, zone, gettimeofday((struct timeval *)side[0], to)) \
	X(time, result, time((time_t *)to) > 0) \
	X(timer_create, timer, timer_made(to)) \
	X(timer_gettime, value, timer_gettime(timer, (struct itimerspec *)to)) \
	X(timer_settime, old, timer_settime(timer, 0, &no_timer, (struct itimerspec *)to)) \
	X(timerfd_gettime, value, timerfd_gettime(timer_fd, (struct itimerspec *)to)) \
	X(timerfd_settime, old, timerfd_settime(timer_fd, 0, &no_timer, (struct itimerspec *)to)) \
	X(adjtimex, time, clock_asked((struct timex *)to, 0)) \
	X(ntp_adjtime, time, clock_asked((struct timex *)to, 1)) \
	X(clock_adjtime, time, clock_asked((struct timex *)to, 2)) \
	X(semctl, stat, semctl(semaphores, 0, IPC_STAT, to)) \
	X(semctl, all, semctl(semaphores, 0, GETALL, to)) \
	X(shmctl, buf, shmctl(memories, IPC_STAT, (struct shmid_ds *)to)) \
	X(msgctl, buf, msgctl(messages, IPC_STAT, (struct msqid_ds *)to)) \
	X(msgrcv, buf, message_received(to)) \
	X(mq_receive, buf, queue_received(to, side[0], false)) \
	X(mq_receive, priority, queue_received(side[0], to, false)) \
	X(mq_timedreceive, buf, queue_received(to, side[0], true)) \
	X(mq_timedreceive, priority, queue_received(side[0], to, true)) \
	X(mq_getattr, attr, mq_getattr(queue, (struct mq_attr *)to)) \
	X(mq_setattr, old, mq_setattr(queue, &(struct mq_attr){.mq_flags = 0}, (struct mq_attr *)to)) \
	X(eventfd_read, value, event_read(to)) \
	X(ioctl, arg, ioctl(pipes[0], FIONREAD, to)) \
	X(tcgetattr, attr, tcgetattr(terminal, (struct termios *)to)) \
	X(fcntl, lock, record_lock(to, fcntl)) \
	X(fcntl64, lock, record_lock(to, fcntl64)) \
	X(__fcntl, lock, record_lock(to, __fcntl)) \
	X(prctl, name, prctl(PR_GET_NAME, to)) \
	X(read, buf, lseek(file, 0, SEEK_SET) + read(file, to, 100)) \
	X(__read, buf, lseek(file, 0, SEEK_SET) + __read(file, to, 100)) \
	X(__read_chk, buf, lseek(file, 0, SEEK_SET) + __read_chk(file, to, 100, 100)) \
	X(pread, buf, pread(file, to, 100, 0)) \
	X(pread64, buf, pread64(file, to, 100, 0)) \
	X(__pread64, buf, __pread64(file, to, 100, 0)) \
	X(__pread_chk, buf, __pread_chk(file, to, 100, 0, 100)) \
	X(__pread64_chk, buf, __pread64_chk(file, to, 100, 0, 100)) \
	X(readv, second, by_vector(READV, to)) \
	X(preadv, second, by_vector(PREADV, to)) \
	X(preadv64, second, by_vector(PREADV64, to)) \
	X(preadv2, second, by_vector(PREADV2, to)) \
	X(preadv64v2, second, by_vector(PREADV64V2, to)) \
	X(vmsplice, second, by_vector(VMSPLICE, to)) \
	X(process_vm_readv, second, by_vector(PROCESS_READV, to)) \
	X(process_vm_writev, second, by_vector(PROCESS_WRITEV, to)) \
	X(getrandom, buf, getrandom(to, 100, 0)) \
	X(getentropy, buf, getentropy(to, 100)) \
	X(arc4random_buf, buf, (arc4random_buf(to, 200), 0)) \
	X(sendfile, off, moved(SENDFILE, to, side[0])) \
	X(sendfile64, off, moved(SENDFILE64, to, side[0])) \
	X(copy_file_range, in_off, moved(COPY, to, side[0])) \
	X(copy_file_range, out_off, moved(COPY, side[0], to)) \
	X(splice, in_off, moved(SPLICE, to, side[0])) \
	X(splice, out_off, moved(SPLICE, side[0], to)) \
	X(fread, buf, stream(FREAD, to)) \
	X(fread_unlocked, buf, stream(FREAD_UNLOCKED, to)) \
	X(__fread_chk, buf, stream(FREAD_CHK, to)) \
	X(__fread_unlocked_chk, buf, stream(FREAD_UNLOCKED_CHK, to)) \
	X(setbuffer, buf, stream(SETBUFFER, to)) \
	X(setvbuf, buf, stream(SETVBUF, to)) \
	X(setbuf, buf, stream(SETBUF, to)) \
	X(aio_read, request, by_aio(READ, to, side[0])) \
	X(aio_read, buf, by_aio(READ, side[0], to)) \
	X(aio_read64, request, by_aio(READ64, to, side[0])) \
	X(aio_read64, buf, by_aio(READ64, side[0], to)) \
	X(aio_write, request, by_aio(WRITE, to, side[0])) \
	X(aio_write64, request, by_aio(WRITE64, to, side[0])) \
	X(aio_fsync, request, by_aio(SYNC, to, side[0])) \
	X(aio_fsync64, request, by_aio(SYNC64, to, side[0])) \
	X(lio_listio, request, by_aio(LIST, to, side[0])) \
	X(lio_listio, buf, by_aio(LIST, side[0], to)) \
	X(lio_listio64, request, by_aio(LIST64, to, side[0])) \
	X(lio_listio64, buf, by_aio(LIST64, side[0], to)) \
	X(capget, header, capabilities(to, NULL)) \
	X(capget, data, capabilities(side[0], to)) \
	X(quotactl, addr, quotactl(QCMD(Q_GETFMT, USRQUOTA), "/dev/none", 0, to)) \
	X(klogctl, buf, klogctl(3, to, 1000) > 0) \
	X(sigprocmask, old, sigprocmask(SIG_BLOCK, NULL, (sigset_t *)to)) \
	X(pthread_sigmask, old, pthread_sigmask(SIG_BLOCK, NULL, (sigset_t *)to)) \
	X(sigpending, set, sigpending((sigset_t *)to)) \
	X(sigaction, old, action_asked(to, sigaction)) \
	X(__sigaction, old, action_asked(to, __sigaction)) \
	X(sigaltstack, old, sigaltstack(NULL, (stack_t *)to)) \
	X(sigwait, sig, signal_waited(SIGWAIT, to)) \
	X(sigwaitinfo, info, signal_waited(SIGWAITINFO, to)) \
	X(sigtimedwait, info, signal_waited(SIGTIMEDWAIT, to)) \
	X(swapcontext, from, swapped(to)) \
	X(pthread_create, thread, thread_made(to)) \
	X(thrd_create, thread, thread_made_c11(to)) \
	X(posix_spawn, pid, spawned(to, false)) \
	X(posix_spawnp, pid, spawned(to, true))
// clang-format on

#define X(function, argument, expression)                                                                              \
	static long call_##function##_##argument(char *to)                                                             \
	{                                                                                                              \
		return (long)(expression);                                                                             \
	}
RESULTS(X)
#undef X

static const struct result {
	const char *name;
	long (*call)(char *to);
} results[] = {
#define X(function, argument, expression) {#function ", " #argument, call_##function##_##argument},
	RESULTS(X)
#undef X
};
#define NR_RESULTS (sizeof(results) / sizeof(results[0]))

// What a call says, its value or its error, and what it has stored.
struct outcome {
	long ret;
	bool stored;
	char bytes[ROOM];
};

static void call_to(const struct result *result, char *to, struct outcome *outcome)
{
	CHECK(lseek(open_dev, 0, SEEK_SET) == 0);
	memset(side, 0, sizeof(side));
	memset(to, 0x5a, ROOM);
	target = to;
	prepared();
	errno = 0;
	outcome->ret = result->call(to);
	if (outcome->ret == -1)
		outcome->ret = -errno;
	memcpy(outcome->bytes, to, ROOM);
	outcome->stored = memcmp(before, to, ROOM);
}

enum verdict { SAME, OTHER_BYTES, WRONG };

// What is not the same at each call, like a time, has to be there only.
static enum verdict judge(const struct outcome *seen, const struct outcome *first, const struct outcome *last)
{
	bool is_constant = !memcmp(first->bytes, last->bytes, ROOM);

	if (seen->ret != first->ret || seen->stored != first->stored)
		return WRONG;
	return is_constant && memcmp(seen->bytes, first->bytes, ROOM) ? OTHER_BYTES : SAME;
}

// On a page, and across two.
static enum verdict in_closed_pages(const struct result *result)
{
	static _Alignas(64) char plain[16384];
	static struct outcome first, last, seen[2];
	char *map = map_closed(file_new(FILE_SIZE));
	enum verdict verdict = SAME;
	size_t i;

	call_to(result, plain, &first);
	for (i = 0; i < 2; i++) {
		mapped = map;
		call_to(result, map + (i ? 4 * page - 8 : page), &seen[i]);
		mapped = NULL;
		sync_all(map, FILE_SIZE);
	}
	call_to(result, plain, &last);
	if (first.ret < 0 || !first.stored)
		printf("%s: not to be seen here (%ld)\n", result->name, first.ret);
	for (i = 0; i < 2 && verdict == SAME; i++) {
		verdict = judge(&seen[i], &first, &last);
		if (verdict != SAME)
			fprintf(stderr, "%s: %ld, stored %d, not %ld, %d%s; ", result->name, seen[i].ret,
				seen[i].stored, first.ret, first.stored, verdict == OTHER_BYTES ? ", other bytes" : "");
	}
	CHECK(!munmap(map, FILE_SIZE));
	return verdict;
}

// Some of what a call stores follows from the load of the machine, and changes now and then (the interval of
// sched_rr_get_interval under CFS): it is asked for again. Wrong bytes stay wrong.
static bool is_same_in_closed_pages(const struct result *result)
{
	enum verdict verdict;
	int i = 0;

	do
		verdict = in_closed_pages(result);
	while (verdict == OTHER_BYTES && ++i < 20);
	return verdict == SAME;
}

static void results_into_closed_pages(size_t part, size_t nr_parts)
{
	bool same = true;
	size_t i;

	things_make();
	for (i = part; i < NR_RESULTS; i += nr_parts)
		same &= is_same_in_closed_pages(&results[i]);
	things_remove();
	CHECK(same);
}

static void results_into_closed_pages_1(void)
{
	results_into_closed_pages(0, 2);
}

static void results_into_closed_pages_2(void)
{
	results_into_closed_pages(1, 2);
}

const struct test_case cases_results[] = {
	CASE(results_into_closed_pages_1, SMALL),
	CASE(results_into_closed_pages_2, SMALL),
	END_OF_CASES,
};
