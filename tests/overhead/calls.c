// SPDX-License-Identifier: BSD-3-Clause
// calls.c: how many system calls the calls of libc make that have nothing to do with a mapping, while two files are tracked.
//
// Each row is carried out twice in a traced child, and the second time counted: "NAME: COUNT". Under the shim it must be as
// many as without; where the library has to ask something, a row says how often, and that is taken off there.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define NR_PARTS 8
#define MARK 100000 // no system call: the begin of a row; the next one is its end

static int null, zero, file, pair[2], stream[2], pipes[2], poller;
static char *buf; // between two mappings that are tracked
static struct iovec *parts;
static struct mmsghdr *messages;
static void *anonymous;

static void fail(const char *what)
{
	perror(what);
	_exit(1); // and the counts of the other rows are missing
}

static void call_write(void)
{
	(void)!write(null, buf, 64);
}

static void call_writev(void)
{
	(void)!writev(null, parts, NR_PARTS);
}

static void call_pwrite(void)
{
	(void)!pwrite(file, buf, 64, 0);
}

static void call_pwritev(void)
{
	(void)!pwritev(file, parts, NR_PARTS, 0);
}

static void call_pwritev2(void)
{
	(void)!pwritev2(file, parts, NR_PARTS, 0, 0);
}

static void call_write_file(void)
{
	(void)!write(file, buf, 64);
}

static void call_write_socket(void)
{
	(void)!write(stream[0], buf, 1);
	(void)!read(stream[1], buf, 1);
}

static void call_dprintf(void)
{
	dprintf(null, "%d", 1);
}

static void call_read(void)
{
	(void)!read(zero, buf, 64);
}

static void call_readv(void)
{
	(void)!readv(zero, parts, NR_PARTS);
}

static void call_pread(void)
{
	(void)!pread(file, buf, 64, 0);
}

static void call_preadv(void)
{
	(void)!preadv(file, parts, NR_PARTS, 0);
}

static void call_preadv2(void)
{
	(void)!preadv2(file, parts, NR_PARTS, 0, 0);
}

static void call_recv(void)
{
	send(pair[0], buf, 8, 0);
	recv(pair[1], buf, 64, 0);
}

static void call_recvfrom(void)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);

	send(pair[0], buf, 8, 0);
	recvfrom(pair[1], buf, 64, 0, (struct sockaddr *)&from, &len);
}

static void call_recvmsg(void)
{
	sendmsg(pair[0], &messages[0].msg_hdr, 0);
	recvmsg(pair[1], &messages[0].msg_hdr, 0);
}

static void call_recvmmsg(void)
{
	sendmmsg(pair[0], messages, 2, 0);
	recvmmsg(pair[1], messages, 2, 0, NULL);
}

static void call_fsync(void)
{
	fsync(file);
	fsync(null);
}

static void call_fdatasync(void)
{
	fdatasync(file);
}

static void call_sync_file_range(void)
{
	sync_file_range(file, 0, PAGE, SYNC_FILE_RANGE_WRITE);
}

static void call_msync(void)
{
	msync(anonymous, PAGE, MS_SYNC);
}

static void call_ftruncate(void)
{
	(void)!ftruncate(file, PAGE);
}

static void call_fallocate(void)
{
	fallocate(file, 0, 0, PAGE);
	posix_fallocate(file, 0, PAGE);
}

static void call_lseek(void)
{
	lseek(file, 0, SEEK_SET);
}

static void call_copy(void)
{
	off64_t in = 0, out = 64;

	(void)!copy_file_range(file, &in, file, &out, 32, 0);
	in = 0;
	(void)!sendfile(null, file, &in, 8);
}

static void call_splice(void)
{
	(void)!write(pipes[1], buf, 1);
	(void)!splice(pipes[0], NULL, null, NULL, 1, 0);
}

static void call_madvise(void)
{
	madvise(anonymous, PAGE, MADV_DONTNEED);
	madvise(buf, PAGE, MADV_NORMAL);
}

static void call_mprotect(void)
{
	mprotect(anonymous, PAGE, PROT_READ);
	mprotect(anonymous, PAGE, PROT_READ | PROT_WRITE);
}

static void call_mmap(void)
{
	munmap(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE);
}

static void call_mmap_file(void)
{
	munmap(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0), PAGE);
}

static void call_map_fixed(void)
{
	mmap(anonymous, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void call_mremap(void)
{
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(mremap(at, PAGE, 2 * PAGE, MREMAP_MAYMOVE), 2 * PAGE);
}

static void call_open(void)
{
	close(open("/dev/null", O_RDWR));
	close(openat(AT_FDCWD, "/dev/null", O_RDONLY));
}

static void call_open_trunc(void)
{
	close(open("/dev/null", O_WRONLY | O_TRUNC));
}

static void call_truncate(void)
{
	(void)!truncate("/dev/null", 0);
}

static void call_fopen(void)
{
	fclose(fopen("/dev/null", "r"));
}

static void call_dup(void)
{
	int fd = dup(null);

	dup2(file, fd);
	dup3(null, fd, O_CLOEXEC);
	close(fd);
	close(fcntl(null, F_DUPFD, 0));
	close_range(1000, 1001, 0);
}

static void call_written_after_dup(void)
{
	int fd = dup(null);

	(void)!write(fd, buf, 1); // one question for each new meaning of a number
	(void)!write(fd, buf, 1);
	close(fd);
}

static void call_stat(void)
{
	struct stat st;

	fstat(null, &st);
	stat("/dev/null", (struct stat *)buf);
}

static void call_fcntl(void)
{
	fcntl(null, F_GETFL);
	ioctl(stream[0], FIONREAD, buf);
}

static void call_poll(void)
{
	struct pollfd *one = (struct pollfd *)buf;
	struct timeval none = {0, 0};
	struct epoll_event event;
	fd_set set;

	*one = (struct pollfd){.fd = null, .events = POLLIN};
	poll(one, 1, 0);
	FD_ZERO(&set);
	FD_SET(null, &set);
	select(null + 1, &set, NULL, NULL, &none);
	epoll_wait(poller, &event, 1, 0);
}

static void call_socket(void)
{
	int type, two[2];
	socklen_t len = sizeof(type);

	getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &type, &len);
	len = PAGE;
	getsockname(pair[0], (struct sockaddr *)buf, &len);
	if (pipe(two) || close(two[0]) || close(two[1]))
		fail("pipe");
}

static void call_random(void)
{
	(void)!getrandom(buf, 8, 0);
	(void)!getentropy(buf, 8);
}

static void call_process_vm(void)
{
	struct iovec local = {buf, 8}, remote = {anonymous, 8};

	process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
}

static void call_others(void)
{
	struct timespec time = {0, 1};
	struct itimerval timer;
	stack_t stack;

	uname((struct utsname *)buf);
	getitimer(ITIMER_REAL, &timer);
	nanosleep(&time, NULL);
	sigaltstack(NULL, &stack);
	stack = (stack_t){.ss_sp = anonymous, .ss_size = (size_t)PAGE * 4};
	sigaltstack(&stack, NULL);
	waitpid(-1, NULL, WNOHANG);
}

static void call_bad_lists(void)
{
	void *volatile nowhere = (void *)8;

	if (readv(zero, nowhere, NR_PARTS) != -1 || errno != EFAULT)
		fail("readv");
	if (writev(null, nowhere, NR_PARTS) != -1 || errno != EFAULT)
		fail("writev");
	if (recvmsg(pair[1], nowhere, MSG_DONTWAIT) != -1 || errno != EFAULT)
		fail("recvmsg");
}

static const struct row {
	const char *name;
	void (*call)(void);
	unsigned asked; // system calls of the library's own
} rows[] = {
	{"write", call_write, 0},
	{"writev of 8", call_writev, 0},
	{"pwrite", call_pwrite, 0},
	{"pwritev of 8", call_pwritev, 0},
	{"pwritev2 of 8", call_pwritev2, 0},
	{"write to a file", call_write_file, 0},
	{"write to a socket", call_write_socket, 0},
	{"dprintf", call_dprintf, 0},
	{"read", call_read, 0},
	{"readv of 8", call_readv, 0},
	{"pread", call_pread, 0},
	{"preadv of 8", call_preadv, 0},
	{"preadv2 of 8", call_preadv2, 0},
	{"recv", call_recv, 0},
	{"recvfrom", call_recvfrom, 0},
	{"recvmsg of 8", call_recvmsg, 0},
	{"recvmmsg of 8", call_recvmmsg, 0},
	{"fsync", call_fsync, 0},
	{"fdatasync", call_fdatasync, 0},
	{"sync_file_range", call_sync_file_range, 0},
	{"msync", call_msync, 0},
	{"ftruncate", call_ftruncate, 0},
	{"fallocate", call_fallocate, 0},
	{"lseek", call_lseek, 0},
	{"copy_file_range, sendfile", call_copy, 0},
	{"splice", call_splice, 0},
	{"madvise", call_madvise, 0},
	{"mprotect", call_mprotect, 0},
	{"mmap, munmap", call_mmap, 0},
	{"mmap, munmap of a file", call_mmap_file, 0},
	{"MAP_FIXED", call_map_fixed, 0},
	{"mremap", call_mremap, 0},
	{"open, close", call_open, 0},
	{"open with O_TRUNC", call_open_trunc, 1}, // which file: before it is cut off
	{"truncate", call_truncate, 1},
	{"fopen, fclose", call_fopen, 0},
	{"dup", call_dup, 0},
	{"write to a new descriptor", call_written_after_dup, 2}, // fstat, getpid
	{"stat", call_stat, 0},
	{"fcntl, ioctl", call_fcntl, 0},
	{"poll, select, epoll_wait", call_poll, 0},
	{"getsockopt, getsockname, pipe", call_socket, 0},
	{"getrandom, getentropy", call_random, 0},
	{"process_vm_readv", call_process_vm, 0},
	{"uname, timers, sigaltstack, waitpid", call_others, 0},
	{"lists of buffers that are nowhere", call_bad_lists, 2}, // the way back from a fault
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static void *anonymous_new(size_t len)
{
	void *addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (addr == MAP_FAILED)
		fail("mmap");
	return addr;
}

static int file_new(void)
{
	char path[] = "/dev/shm/daxsync-overhead.XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0 || unlink(path) || ftruncate(fd, PAGE))
		fail(path);
	return fd;
}

static void track(char *at)
{
	char *map = mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file_new(), 0);

	if (map != at)
		fail("mmap");
	map[0] = 1;
	msync(map, PAGE, MS_SYNC);
}

static void prepare(void)
{
	size_t i;
	char *at = anonymous_new((size_t)PAGE * 3);

	track(at);
	track(at + 2 * PAGE);
	buf = at + PAGE;
	parts = (struct iovec *)(buf + 1024);
	messages = (struct mmsghdr *)(buf + 2048);
	for (i = 0; i < NR_PARTS; i++)
		parts[i] = (struct iovec){buf + i * 8, 8};
	for (i = 0; i < 2; i++)
		messages[i].msg_hdr = (struct msghdr){.msg_iov = parts, .msg_iovlen = NR_PARTS};
	anonymous = anonymous_new((size_t)PAGE * 4);
	null = open("/dev/null", O_RDWR);
	zero = open("/dev/zero", O_RDONLY);
	file = file_new();
	poller = epoll_create1(0);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) || socketpair(AF_UNIX, SOCK_STREAM, 0, stream) || pipe(pipes))
		fail("socketpair");
}

static void traced(void)
{
	size_t i;

	prepare();
	if (ptrace(PTRACE_TRACEME, 0, 0, 0)) {
		printf("SKIP: ptrace is not allowed\n");
		exit(77);
	}
	raise(SIGSTOP);
	for (i = 0; i < NR_ROWS; i++) {
		rows[i].call();
		syscall(MARK);
		rows[i].call();
		syscall(MARK);
	}
	_exit(0);
}

// Goes on to the next stop. False: the child has ended.
static bool next_stop(pid_t pid, int *status)
{
	int sig = WIFSTOPPED(*status) ? WSTOPSIG(*status) : 0;

	if (sig == SIGSTOP || sig == SIGTRAP || sig == (SIGTRAP | 0x80))
		sig = 0;
	ptrace(PTRACE_SYSCALL, pid, 0, sig);
	return waitpid(pid, status, 0) == pid && WIFSTOPPED(*status);
}

static void count(pid_t pid, int *status, bool shim)
{
	struct __ptrace_syscall_info info;
	bool counting = false;
	size_t row = 0;
	unsigned nr = 0;

	while (next_stop(pid, status)) {
		if (WSTOPSIG(*status) != (SIGTRAP | 0x80) ||
		    ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
		    info.op != PTRACE_SYSCALL_INFO_ENTRY)
			continue;
		if (info.entry.nr != MARK) {
			nr++;
			continue;
		}
		if (counting) {
			printf("%s: %d\n", rows[row].name, (int)nr - (shim ? (int)rows[row].asked : 0));
			row++;
		}
		counting = !counting;
		nr = 0;
	}
}

int main(void)
{
	bool shim = dlsym(RTLD_DEFAULT, "daxsync_stats_get");
	pid_t pid = fork();
	int status = 0;

	if (!pid)
		traced();
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fail("fork");
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	count(pid, &status, shim);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		printf("ended with status %#x\n", (unsigned)status);
		return 1;
	}
	return 0;
}
