// SPDX-License-Identifier: BSD-3-Clause
// stat.c: `daxsync stat` prints the statistics of running processes.
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "launcher.h"
#include "report/stats.h"
#include "sealed.h"

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

int dxs_stat_failed(int pid, int err)
{
	if (err == -ENODATA) {
		dxs_error("process %d has no statistics: daxsync is not in it, or has not tracked a file yet", pid);
		return DXS_EXIT_NOT_SERVED;
	}
	if (err == -EINVAL)
		dxs_error("process %d runs with another version of daxsync", pid);
	else if (err == -ENOENT && access("/proc/self", F_OK))
		dxs_error("the statistics of process %d cannot be read: /proc is not mounted", pid);
	else if (err == -ENOENT)
		dxs_error("there is no process %d", pid);
	else
		dxs_error("the statistics of process %d cannot be read: %s", pid, strerrordesc_np(-err));
	return DXS_EXIT_ERROR;
}

static int stat_process(int pid)
{
	int fd = dxs_sealed_open(pid), err = fd;

	if (fd >= 0) {
		err = dxs_stats_write_json_of(pid, fd, STDOUT_FILENO);
		close(fd);
	}
	return err ? dxs_stat_failed(pid, err) : 0;
}

int dxs_pid_of(const char *arg)
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
		int pid = dxs_pid_of(*argv), ret = DXS_EXIT_ERROR;

		if (pid)
			ret = stat_process(pid);
		else
			dxs_error("\"%s\" is no process id (\"daxsync stat --help\" tells more)", *argv);
		status = ret > status ? ret : status;
	}
	return status;
}
