// SPDX-License-Identifier: BSD-3-Clause
// keeper.c: the statistics of the processes of a run.
//
// Each process under the shim sends the descriptor of its statistics, shared memory, to a socket of the launcher's when it
// begins (lib/report/keeper.c). So they are complete whatever ends the process: _exit, a signal, SIGKILL. It sends them again
// where they are other memory: a forked child its own, a program that the process executes its own.
//
// Who writes: the launcher, when the process has ended. Where that goes on after the run, the word `keeping` in its
// statistics says whose turn it is; both sides change it by one exchange (stats.h).
//
// The names: where the pattern has a %p, each process has its own. Without one, FILE is for the launcher's own child, and
// FILE.PID for others, where they have anything to tell. Of several programs that one process has executed, the last one has
// the name, and those before it, where they have anything to tell, NAME.1, NAME.2 and so on.
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "report.h"
#include "report/stats.h"
#include "sealed.h"

static int watch(const struct dxs_keeper *keeper, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(keeper->poll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

// An abstract name: nothing to remove, and no directory that the program's processes must reach.
static int listen_at(struct dxs_keeper *keeper)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int on = 1;
	uint64_t random = 0;
	int len;

	if (getrandom(&random, sizeof(random), 0) < 0)
		return -errno;
	len = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "daxsync-%d-%016lx", getpid(), random);
	if (setsockopt(keeper->socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ||
	    bind(keeper->socket, (struct sockaddr *)&address,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) ||
	    setenv(DXS_KEEPER_VARIABLE, address.sun_path + 1, 1))
		return -errno;
	return watch(keeper, keeper->socket);
}

static int open_report(struct dxs_keeper *keeper, const char *path)
{
	unsetenv(DXS_WATCH_VARIABLE);
	if (!path)
		return 0;
	keeper->report = strcmp(path, "-") ? fopen(path, "we") : stderr;
	if (keeper->report)
		return setenv(DXS_WATCH_VARIABLE, "1", 1) ? -errno : 0;
	dxs_error("the report cannot be written to %s: %s", path, strerrordesc_np(errno));
	return -EIO;
}

int dxs_keeper_open(struct dxs_keeper *keeper, const char *pattern, const char *report)
{
	int err = 0;

	*keeper = (struct dxs_keeper){.pattern = pattern};
	if (open_report(keeper, report))
		return -EIO;
	keeper->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	keeper->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (keeper->poll_fd < 0 || keeper->socket < 0)
		err = -errno;
	if (!err)
		err = listen_at(keeper);
	if (err)
		dxs_error("the statistics of the run cannot be kept: %s", strerrordesc_np(-err));
	return err;
}

void dxs_keeper_begin(struct dxs_keeper *keeper, pid_t child)
{
	keeper->child = child;
}

static bool has_ended(const struct dxs_kept_process *process)
{
	struct pollfd pidfd = {.fd = process->pidfd, .events = POLLIN};

	if (process->pidfd < 0)
		return kill(process->pid, 0) && errno == ESRCH;
	return poll(&pidfd, 1, 0) > 0;
}

static void name_of(const struct dxs_keeper *keeper, pid_t pid, int earlier, char *out, size_t size)
{
	struct dxs_text text;
	bool is_own;

	dxs_text_init(&text, out, size);
	is_own = dxs_stats_expand(&text, keeper->pattern, pid);
	if (!strcmp(keeper->pattern, "-"))
		return;
	if (!is_own && pid != keeper->child)
		dxs_text_add(&text, ".%d", pid);
	if (earlier)
		dxs_text_add(&text, ".%d", earlier);
}

static void report_one(struct dxs_keeper *keeper, pid_t pid)
{
	struct dxs_report report = {.pid = pid, .has_symbols = true};

	if (keeper->has_reported)
		fputc('\n', keeper->report);
	keeper->has_reported = true;
	dxs_report_print(keeper->report, &report);
	fflush(keeper->report);
}

static void write_one(struct dxs_keeper *keeper, pid_t pid, int fd, int earlier)
{
	char name[PATH_MAX + 64];
	bool is_wanted;

	if (dxs_stats_read(fd))
		return;
	if (keeper->report && dxs_stats_any())
		report_one(keeper, pid);
	if (!keeper->pattern)
		return;
	is_wanted = !earlier && (pid == keeper->child || strstr(keeper->pattern, "%p"));
	if (!is_wanted && !dxs_stats_any())
		return;
	name_of(keeper, pid, earlier, name, sizeof(name));
	dxs_stats_write_to(name, pid);
}

static void forget(struct dxs_keeper *keeper, struct dxs_kept_process *process)
{
	for (int i = 0; i < process->nr; i++)
		close(process->fd[i]);
	if (process->pidfd >= 0)
		close(process->pidfd); // which takes it out of what is polled
	free(process->fd);
	*process = keeper->process[--keeper->nr];
}

// The first nr of them, which are not the last program that the process has executed.
static void write_earlier(struct dxs_keeper *keeper, const struct dxs_kept_process *process, int nr)
{
	for (int i = 0, earlier = 0; i < nr; i++)
		if (!dxs_stats_read(process->fd[i]) && dxs_stats_any())
			write_one(keeper, process->pid, process->fd[i], ++earlier);
}

static void finish(struct dxs_keeper *keeper, struct dxs_kept_process *process)
{
	write_earlier(keeper, process, process->nr - 1);
	if (process->nr)
		write_one(keeper, process->pid, process->fd[process->nr - 1], 0);
	forget(keeper, process);
}

static struct dxs_kept_process *find(struct dxs_keeper *keeper, pid_t pid)
{
	for (size_t i = 0; i < keeper->nr; i++)
		if (keeper->process[i].pid == pid)
			return &keeper->process[i];
	return NULL;
}

static struct dxs_kept_process *make(struct dxs_keeper *keeper, pid_t pid)
{
	struct dxs_kept_process *all = realloc(keeper->process, (keeper->nr + 1) * sizeof(*all));

	if (!all)
		return NULL;
	keeper->process = all;
	all += keeper->nr++;
	*all = (struct dxs_kept_process){.pid = pid, .pidfd = (int)syscall(SYS_pidfd_open, pid, 0)};
	if (all->pidfd >= 0)
		watch(keeper, all->pidfd);
	return all;
}

static int add(struct dxs_keeper *keeper, pid_t pid, int fd)
{
	struct dxs_kept_process *process = find(keeper, pid);
	int *fds;

	if (!process)
		process = make(keeper, pid);
	fds = process ? realloc(process->fd, (size_t)(process->nr + 1) * sizeof(*fds)) : NULL;
	if (!fds)
		return -ENOMEM;
	fds[process->nr++] = fd;
	process->fd = fds;
	return 0;
}

// Whether the process has left its statistics to the launcher; if not, it will write them.
static bool give_back(int fd)
{
	struct dxs_stats *stats = mmap(NULL, sizeof(*stats), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint32_t keeping = DXS_STATS_KEPT;
	bool is_left = false;

	if (stats == MAP_FAILED)
		return false;
	is_left = !atomic_compare_exchange_strong(&stats->keeping, &keeping, DXS_STATS_GIVEN_BACK);
	munmap(stats, sizeof(*stats));
	return is_left;
}

// The first of the descriptors that were sent; there should be no more.
static int take_fd(const struct cmsghdr *part)
{
	size_t nr = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int fd = -1, other;

	for (size_t i = 0; i < nr; i++) {
		memcpy(&other, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
		if (i)
			close(other);
		else
			fd = other;
	}
	return fd;
}

// The sender's credentials and what it sent. False: nothing there.
static bool receive(int sock, struct ucred *from, int *fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t len = recvmsg(sock, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	*from = (struct ucred){.uid = (uid_t)-1};
	*fd = -1;
	for (struct cmsghdr *part = len >= 0 ? CMSG_FIRSTHDR(&message) : NULL; part;
	     part = CMSG_NXTHDR(&message, part)) {
		if (part->cmsg_type == SCM_RIGHTS)
			*fd = take_fd(part);
		if (part->cmsg_type == SCM_CREDENTIALS)
			memcpy(from, CMSG_DATA(part), sizeof(*from));
	}
	return len >= 0 && message.msg_controllen; // each message has the credentials, also an empty one
}

// What is not kept, its process writes, under the name that the launcher would have given it.
static void refuse(struct dxs_keeper *keeper, pid_t pid, int fd)
{
	struct dxs_kept_process *process = find(keeper, pid);

	if (!dxs_sealed_is(fd))
		return;
	give_back(fd);
	if (!process)
		return;
	write_earlier(keeper, process, process->nr);
	forget(keeper, process);
}

// Anybody may find the socket; only this user's processes are heard.
static void take_all(struct dxs_keeper *keeper)
{
	struct ucred from;
	int fd;

	while (receive(keeper->socket, &from, &fd)) {
		if (fd < 0)
			continue;
		if (dxs_sealed_is(fd) && from.uid == geteuid() && from.pid > 0 && !add(keeper, from.pid, fd))
			continue;
		refuse(keeper, from.pid, fd);
		close(fd);
	}
}

// Who has ended is asked before what was sent is taken: a program that a process has executed last may have sent its
// statistics and ended in between, and would look like another process with the same number.
void dxs_keeper_turn(struct dxs_keeper *keeper)
{
	for (size_t i = 0; i < keeper->nr; i++)
		keeper->process[i].has_ended = has_ended(&keeper->process[i]);
	take_all(keeper);
	for (size_t i = keeper->nr; i; i--)
		if (keeper->process[i - 1].has_ended)
			finish(keeper, &keeper->process[i - 1]);
}

// Of a process that goes on, only the last program does.
static void part(struct dxs_keeper *keeper, struct dxs_kept_process *process)
{
	if (!process->nr || give_back(process->fd[process->nr - 1])) {
		finish(keeper, process);
		return;
	}
	write_earlier(keeper, process, process->nr - 1);
	forget(keeper, process);
}

void dxs_keeper_close(struct dxs_keeper *keeper)
{
	shutdown(keeper->socket, SHUT_RD); // what comes later fails at its sender's, which then writes its own
	dxs_keeper_turn(keeper);
	dxs_keeper_turn(keeper); // and who was met in the first
	while (keeper->nr)
		part(keeper, &keeper->process[keeper->nr - 1]);
	if (keeper->report && !keeper->has_reported)
		fputs("daxsync: no process of the run has mapped a file shared and writable\n", keeper->report);
	if (keeper->report && (fflush(keeper->report) || ferror(keeper->report)))
		dxs_error("the report cannot be written: %s", strerrordesc_np(errno));
	if (keeper->report && keeper->report != stderr)
		fclose(keeper->report);
	free(keeper->process);
	close(keeper->socket);
	close(keeper->poll_fd);
}
