// SPDX-License-Identifier: BSD-3-Clause
// numbers.c: A descriptor is known to name no tracked file, and then its number comes to name one. What is written
// through it from then on is the kernel's to make durable: the msync that follows has to call the kernel, and an fsync
// through it is one of the tracked file. Each row is a way in which a number changes its meaning, in a process of its
// own; failure looks like "msync has not called the kernel".
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <daxsync/daxsync.h>

#define SIZE 4096
#define N 40 // the number; all below are taken

int __close(int fd);
int __dup2(int from, int to);

static char path[128], name[64]; // of the tracked file, and as shm_open wants it
static int tracked;              // a descriptor of it
static char *map;

static uint64_t nr_kernel_syncs(void)
{
	int (*get)(struct daxsync_stats *) = NULL;
	struct daxsync_stats now = {.size = sizeof(now)};
	static uint64_t native; // without the library every call is the kernel's

	*(void **)&get = dlsym(RTLD_DEFAULT, "daxsync_stats_get");
	return get && !get(&now) ? now.kernel_syncs : native++;
}

static void not_here(const char *what)
{
	printf("%s cannot be done here\n", what);
	fflush(stdout);
	_exit(0);
}

// A system call that passes libc by.
static long raw(long nr, long a, long b, long c, long d)
{
#ifdef __x86_64__
	register long r10 __asm__("r10");
	long ret;

	r10 = d;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return ret;
#else
	return syscall(nr, a, b, c, d);
#endif
}

// N is given out next.
static void fill_below(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < N);
	close(fd);
}

// The same descriptor, out of the way.
static int high(int fd)
{
	int moved = fcntl(fd, F_DUPFD, 2 * N);

	close(fd);
	return moved;
}

// N names something else, and was written to.
static void foreign_by(int fd)
{
	if (fd != N) {
		dup2(fd, N);
		close(fd);
	}
	if (write(N, "x", 1) == 1 && write(N, "x", 1) == 1)
		return;
	fsync(N);
	fsync(N);
}

static void foreign(void)
{
	foreign_by(open("/dev/null", O_RDWR));
}

// The number is given up by a raw system call, and given out again where libc sees it.
#define REOPENED(how)                                                                                                  \
	foreign();                                                                                                     \
	raw(SYS_close, N, 0, 0, 0);                                                                                    \
	(void)(how)

static void by_open(void)
{
	REOPENED(open(path, O_RDWR));
}

static void by_openat(void)
{
	REOPENED(openat(AT_FDCWD, path, O_RDWR));
}

static void by_dup(void)
{
	REOPENED(dup(tracked));
}

static void by_dup2(void)
{
	foreign();
	dup2(tracked, N);
}

static void by_old_dup2(void)
{
	foreign();
	__dup2(tracked, N);
}

static void by_dup3(void)
{
	foreign();
	dup3(tracked, N, O_CLOEXEC);
}

static void by_fcntl(void)
{
	REOPENED(fcntl(tracked, F_DUPFD, N));
}

static void by_fcntl_cloexec(void)
{
	REOPENED(fcntl(tracked, F_DUPFD_CLOEXEC, N));
}

static void by_fopen(void)
{
	REOPENED(fopen(path, "r")); // cppcheck-suppress leakReturnValNotUsed // it stays open to the end
}

static void by_freopen(void)
{
	FILE *stream;

	stream = fopen("/dev/null", "r");
	fsync(N);
	fsync(N);
	if (!stream || !freopen(path, "r", stream)) // cppcheck-suppress leakReturnValNotUsed
		abort();
	// cppcheck-suppress resourceLeak
}

static void by_shm_open(void)
{
	REOPENED(shm_open(name, O_RDWR, 0));
}

static void by_pidfd(void)
{
	int pidfd = high((int)syscall(SYS_pidfd_open, getpid(), 0));

	if (pidfd < 0)
		not_here("pidfd_open");
	REOPENED(pidfd_getfd(pidfd, tracked, 0));
}

static void by_handle(void)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} at = {.handle.handle_bytes = MAX_HANDLE_SZ};
	int mount, directory = high(open("/dev/shm", O_RDONLY));

	if (name_to_handle_at(AT_FDCWD, path, &at.handle, &mount, 0))
		not_here("name_to_handle_at");
	REOPENED(open_by_handle_at(directory, &at.handle, O_RDWR));
}

struct rights {
	struct iovec part;
	char byte, room[CMSG_SPACE(sizeof(int))];
	struct mmsghdr message;
	int socket[2];
};

static struct cmsghdr *rights_begin(struct rights *to)
{
	struct msghdr *msg = &to->message.msg_hdr;

	memset(to, 0, sizeof(*to));
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, to->socket))
		abort();
	to->socket[0] = high(to->socket[0]);
	to->socket[1] = high(to->socket[1]);
	to->part = (struct iovec){&to->byte, 1};
	*msg = (struct msghdr){
		.msg_iov = &to->part, .msg_iovlen = 1, .msg_control = to->room, .msg_controllen = sizeof(to->room)};
	return CMSG_FIRSTHDR(msg);
}

static void rights_send(struct rights *to)
{
	struct cmsghdr *control = rights_begin(to);

	*control = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(control), &tracked, sizeof(int));
	if (sendmsg(to->socket[0], &to->message.msg_hdr, 0) != 1)
		abort();
}

static void by_recvmsg(void)
{
	struct rights rights;

	rights_send(&rights);
	REOPENED(recvmsg(rights.socket[1], &rights.message.msg_hdr, 0));
}

static void by_recvmmsg(void)
{
	struct rights rights;

	rights_send(&rights);
	REOPENED(recvmmsg(rights.socket[1], &rights.message, 1, 0, NULL));
}

static void by_fanotify(void)
{
	int watch = high(fanotify_init(FAN_CLASS_NOTIF, O_RDWR));
	struct fanotify_event_metadata event;

	if (watch < 0 || fanotify_mark(watch, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, path))
		not_here("fanotify");
	close(open(path, O_RDONLY));
	REOPENED(read(watch, &event, sizeof(event)));
}

// The number is given up where libc sees it, and given out again by a raw system call.
static void raw_open(void)
{
	if (raw(SYS_openat, AT_FDCWD, (long)path, O_RDWR, 0) != N)
		abort();
}

static void after_close(void)
{
	foreign();
	close(N);
	raw_open();
}

static void after_old_close(void)
{
	foreign();
	__close(N);
	raw_open();
}

static void after_close_range(void)
{
	foreign();
	close_range(N, N, 0);
	raw_open();
}

static void after_closefrom(void)
{
	foreign();
	closefrom(N);
	raw_open();
}

static void after_fclose(void)
{
	FILE *stream;

	foreign();
	stream = fdopen(N, "r+");
	fclose(stream);
	raw_open();
}

static void after_pclose(void)
{
	FILE *stream;

	close(N - 1);
	stream = popen("cat >/dev/null", "w");
	open("/dev/null", O_RDWR); // N - 1
	if (!stream || fileno(stream) != N)
		abort();
	foreign_by(N);
	pclose(stream);
	raw_open();
}

static void after_closedir(void)
{
	DIR *directory;

	foreign_by(open("/dev/shm", O_RDONLY | O_DIRECTORY));
	directory = fdopendir(N);
	closedir(directory);
	raw_open();
}

// Somebody with a table of descriptors of their own, in which N is something else.
static void write_elsewhere(void)
{
	int fd = open("/dev/null", O_RDWR);

	dup2(fd, N);
	close(fd);
	if (write(N, "x", 1) != 1 || write(N, "x", 1) != 1)
		abort();
}

static void beside_vfork(void)
{
	pid_t pid;

	dup2(tracked, N);
	pid = vfork();
	if (!pid) {
		write_elsewhere();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void *unshared(void *arg)
{
	if (arg ? close_range(1000, 1001, CLOSE_RANGE_UNSHARE) : unshare(CLONE_FILES))
		abort();
	write_elsewhere();
	return NULL;
}

static void beside_thread(void *arg)
{
	pthread_t thread;

	dup2(tracked, N);
	if (pthread_create(&thread, NULL, unshared, arg) || pthread_join(thread, NULL))
		abort();
}

static void beside_unshare(void)
{
	beside_thread(NULL);
}

static void beside_close_range(void)
{
	beside_thread(path);
}

static char stack[1 << 18];

static int dup_in_clone(void *arg)
{
	(void)arg;
	dup2(tracked, N);
	return 0;
}

static void by_clone_with_descriptors(void)
{
	int pid;

	foreign();
	pid = clone(dup_in_clone, stack + sizeof(stack), CLONE_FILES | SIGCHLD, NULL);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		abort();
}

// To the child N is the tracked file, and it writes there when the parent knows its own N to be something else.
static int go[2], ready[2];

static int write_in_clone(void *arg)
{
	char byte = 0;

	(void)arg;
	dup2(tracked, N);
	return write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1 || pwrite(N, "written", 7, 100) != 7;
}

static void beside_clone_with_memory(void)
{
	uint64_t before;
	char byte = 0;
	int pid, i;

	if (pipe(go) || pipe(ready))
		abort();
	for (i = 0; i < 2; i++) {
		go[i] = high(go[i]);
		ready[i] = high(ready[i]);
	}
	pid = clone(write_in_clone, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	if (pid < 0 || read(ready[0], &byte, 1) != 1)
		abort();
	foreign();
	msync(map, SIZE, MS_SYNC);
	before = nr_kernel_syncs();
	if (write(go[1], &byte, 1) != 1 || waitpid(pid, NULL, 0) != pid)
		abort();
	msync(map, SIZE, MS_SYNC);
	if (nr_kernel_syncs() <= before)
		printf("what a clone has written was not noticed\n");
	dup2(tracked, N);
}

static void map_tracked(void)
{
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, tracked, 0);
	if (map == MAP_FAILED)
		abort();
	map[0] = 'm';
	msync(map, SIZE, MS_SYNC);
}

// Nothing changes about the number: its file is mapped again.
static void by_mmap(void)
{
	munmap(map, SIZE);
	dup2(tracked, N);
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, open("/dev/shm", O_TMPFILE | O_RDWR, 0600), 0);
	fsync(N);
	fsync(N);
	map_tracked();
}

static const struct row {
	const char *name;
	void (*change)(void);
	bool reads; // N cannot be written to
} rows[] = {
	{"open", by_open, false},
	{"openat", by_openat, false},
	{"dup", by_dup, false},
	{"dup2", by_dup2, false},
	{"__dup2", by_old_dup2, false},
	{"dup3", by_dup3, false},
	{"F_DUPFD", by_fcntl, false},
	{"F_DUPFD_CLOEXEC", by_fcntl_cloexec, false},
	{"fopen", by_fopen, true},
	{"freopen", by_freopen, true},
	{"shm_open", by_shm_open, false},
	{"pidfd_getfd", by_pidfd, false},
	{"open_by_handle_at", by_handle, false},
	{"recvmsg", by_recvmsg, false},
	{"recvmmsg", by_recvmmsg, false},
	{"fanotify", by_fanotify, false},
	{"close", after_close, false},
	{"__close", after_old_close, false},
	{"close_range", after_close_range, false},
	{"closefrom", after_closefrom, false},
	{"fclose", after_fclose, false},
	{"pclose", after_pclose, false},
	{"closedir", after_closedir, false},
	{"vfork", beside_vfork, false},
	{"unshare", beside_unshare, false},
	{"CLOSE_RANGE_UNSHARE", beside_close_range, false},
	{"clone, shared descriptors", by_clone_with_descriptors, false},
	{"clone, shared memory", beside_clone_with_memory, false},
	{"mmap", by_mmap, false},
};

static void check(const struct row *row)
{
	uint64_t before;

	msync(map, SIZE, MS_SYNC);
	before = nr_kernel_syncs();
	if (!row->reads && pwrite(N, "written", 7, 100) != 7) {
		printf("%s: N is not the tracked file\n", row->name);
		return;
	}
	msync(map, SIZE, MS_SYNC);
	if (!row->reads && nr_kernel_syncs() <= before)
		printf("%s: msync has not called the kernel\n", row->name);
	map[0]++;
	before = nr_kernel_syncs();
	fsync(N);
	printf("%s: %s\n", row->name, nr_kernel_syncs() > before ? "noticed" : "fsync was not of the tracked file");
}

static void run(const struct row *row)
{
	alarm(30);
	snprintf(name, sizeof(name), "/daxsync-numbers.%d", (int)getpid());
	snprintf(path, sizeof(path), "/dev/shm%s", name);
	tracked = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (tracked < 0 || ftruncate(tracked, SIZE))
		abort();
	map_tracked();
	fill_below();
	row->change();
	check(row);
	fflush(stdout);
}

int main(void)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pid_t pid = fork();
		char left[64];
		int status;

		if (!pid) {
			run(&rows[i]);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		if (status)
			printf("%s: status %#x\n", rows[i].name, status);
		fflush(stdout);
		snprintf(left, sizeof(left), "/daxsync-numbers.%d", (int)pid);
		shm_unlink(left);
	}
	return 0;
}
