// SPDX-License-Identifier: BSD-3-Clause
// stat.c: `daxsync stat` prints the statistics of running processes.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"
#include "launcher.h"
#include "report/stats.h"

static const char help[] =
	"Usage: daxsync stat PID...\n"
	"\n"
	"Prints the statistics of running processes, each as one JSON object: what DAXSYNC_STATS gives at\n"
	"their exit, as it is now. It needs the right to look into the process (the same user, or root).\n"
	"\n"
	"Options:\n"
	"  --keys     print what the keys mean: a line each, with its unit\n"
	"  --help     print this\n"
	"\n"
	"Exit status: 0; 1 if a process has no statistics, because the library is not in it or has not\n"
	"tracked a file yet; 125 for a wrong argument, or if a process is not there or not yours.\n";

static int print_keys(void)
{
	size_t nr;
	const struct dxs_stats_row *rows = dxs_stats_rows(&nr);

	for (size_t i = 0; i < nr; i++)
		printf("%-20s %-8s %s\n", rows[i].key, rows[i].unit, rows[i].meaning);
	return 0;
}

static bool is_stats(int dir, const char *name)
{
	static const char wanted[] = "/memfd:" DXS_STATS_NAME " (deleted)";
	char target[sizeof(wanted) + 1];
	ssize_t len = readlinkat(dir, name, target, sizeof(target));

	return len == (ssize_t)sizeof(wanted) - 1 && !memcmp(target, wanted, sizeof(wanted) - 1);
}

// The device of the kernel's own tmpfs, which every memfd is on and nobody can mount.
static dev_t memfd_dev(void)
{
	int fd = memfd_create("daxsync stat", MFD_CLOEXEC);
	struct stat st = {0};

	if (fd < 0 || fstat(fd, &st))
		st.st_dev = 0;
	if (fd >= 0)
		close(fd);
	return st.st_dev;
}

// Anything may bear the name: a FIFO, a file whose server never answers. So it is looked at before it is opened, without
// asking a server, and only a sealed memfd is read: its size stays what it is. -ENODATA: it is not.
static int open_sealed(int dir, const char *name)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int fd = -1, path_fd = openat(dir, name, O_PATH | O_CLOEXEC);
	dev_t dev = memfd_dev();
	char path[32];
	struct statx st;

	if (path_fd < 0)
		return -ENODATA; // closed meanwhile
	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	if (!statx(path_fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) && S_ISREG(st.stx_mode) &&
	    makedev(st.stx_dev_major, st.stx_dev_minor) == dev)
		fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	close(path_fd);
	if (fd >= 0 && (fcntl(fd, F_GET_SEALS) & seals) == seals)
		return fd;
	if (fd >= 0)
		close(fd);
	return -ENODATA;
}

// A descriptor of the statistics of a process, or -errno; -ENODATA: it has none.
static int stats_open(int pid)
{
	const struct dirent *entry;
	int fd = -ENODATA;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (fd == -ENODATA && (entry = readdir(dir)))
		if (is_stats(dirfd(dir), entry->d_name))
			fd = open_sealed(dirfd(dir), entry->d_name);
	closedir(dir);
	return fd;
}

static int stat_process(int pid)
{
	int err = 0, fd = stats_open(pid);

	if (fd >= 0) {
		err = dxs_stats_write_json_of(pid, fd, STDOUT_FILENO);
		close(fd);
	}
	if (fd == -ENODATA) {
		dxs_error("process %d has no statistics: daxsync is not in it, or has not tracked a file yet", pid);
		return DXS_EXIT_NOT_SERVED;
	}
	if (err == -EINVAL)
		dxs_error("process %d runs with another version of daxsync", pid);
	else if (fd == -ENOENT && access("/proc/self", F_OK))
		dxs_error("the statistics of process %d cannot be read: /proc is not mounted", pid);
	else if (fd == -ENOENT)
		dxs_error("there is no process %d", pid);
	else if (fd < 0 || err)
		dxs_error("the statistics of process %d cannot be read: %s", pid, strerrordesc_np(fd < 0 ? -fd : -err));
	return fd < 0 || err ? DXS_EXIT_ERROR : 0;
}

static int pid_of(const char *arg)
{
	char *end;
	long pid = strtol(arg, &end, 10);

	return *arg < '0' || *arg > '9' || *end || pid < 1 || pid > INT_MAX ? 0 : (int)pid;
}

int dxs_cmd_stat(char **argv)
{
	int status = 0;

	if (*argv && (!strcmp(*argv, "--help") || !strcmp(*argv, "-h"))) {
		fputs(help, stdout);
		return 0;
	}
	if (*argv && !strcmp(*argv, "--keys"))
		return print_keys();
	if (!*argv) {
		dxs_error("no process is given (\"daxsync stat --help\" tells more)");
		return DXS_EXIT_ERROR;
	}
	for (; *argv; argv++) {
		int pid = pid_of(*argv), ret = DXS_EXIT_ERROR;

		if (pid)
			ret = stat_process(pid);
		else
			dxs_error("\"%s\" is no process id (\"daxsync stat --help\" tells more)", *argv);
		status = ret > status ? ret : status;
	}
	return status;
}
