// SPDX-License-Identifier: BSD-3-Clause
// stat.c: `daxsync stat`: the statistics of running processes.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launcher.h"
#include "log.h"
#include "stats.h"

static const char help[] =
	"Usage: daxsync stat PID...\n"
	"\n"
	"Prints the statistics of running processes, each as one JSON object: what DAXSYNC_STATS gives at\n"
	"their exit, as it is now. It needs the right to look into the process (the same user, or root).\n"
	"\n"
	"Options:\n"
	"  --help     print this\n"
	"\n"
	"Exit status: 0; 1 if a process has no statistics, because the library is not in it or has not\n"
	"tracked a file yet; 125 for a wrong argument, or if a process is not there or not yours.\n";

static bool is_stats(int dir, const char *name)
{
	static const char wanted[] = "/memfd:" DXS_STATS_NAME " (deleted)";
	char target[sizeof(wanted) + 1];
	ssize_t len = readlinkat(dir, name, target, sizeof(target));

	return len == (ssize_t)sizeof(wanted) - 1 && !memcmp(target, wanted, sizeof(wanted) - 1);
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
			fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		fd = -errno;
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
