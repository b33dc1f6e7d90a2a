// SPDX-License-Identifier: BSD-3-Clause
// top.c: `daxsync top` shows a running process's statistics, again and again.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"
#include "launcher.h"
#include "report.h"
#include "report/stats.h"
#include "sealed.h"

#define PERIOD_MS 1000
#define CLEAR "\033[H\033[J"

static const char help[] =
	"Usage: daxsync top PID\n"
	"\n"
	"Shows what \"daxsync run --report\" prints, of a running process, every second until that ends. q or\n"
	"^C ends it. Where the output is no terminal, one screen follows the other. Call sites are there if\n"
	"the process was started with --report; they are given by file and offset.\n"
	"\n"
	"Options:\n"
	"  --help     print this\n"
	"\n"
	"Exit status: 0; 1 if the process has no statistics; 125 for a wrong argument, or if the process is\n"
	"not there or not yours.\n";

static volatile sig_atomic_t is_ended;

static void on_signal(int sig)
{
	(void)sig;
	is_ended = 1;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal}; // no SA_RESTART: poll is to return

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

// Keys come at once, and are not shown. False: it is no terminal.
static bool terminal_begin(struct termios *before)
{
	struct termios now;

	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, before))
		return false;
	now = *before;
	now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	now.c_cc[VMIN] = 0;
	now.c_cc[VTIME] = 0;
	return !tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

// Waits for the next turn. False: it is to end.
static bool wait_turn(bool is_terminal)
{
	struct pollfd keys = {.fd = is_terminal ? STDIN_FILENO : -1, .events = POLLIN};
	char key = 0;

	if (is_ended)
		return false;
	if (poll(&keys, 1, PERIOD_MS) > 0 && (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q'))
		return false;
	return !is_ended;
}

// 0, or the error: -ESRCH: the process has ended, or has executed a program without statistics.
static int show(int pid, bool is_terminal)
{
	struct dxs_report report = {.pid = pid, .is_running = true};
	int fd = dxs_sealed_open(pid), err;

	if (fd < 0)
		return fd;
	err = dxs_stats_read(fd);
	close(fd);
	if (err)
		return err;
	if (is_terminal)
		fputs(CLEAR, stdout);
	dxs_report_print(stdout, &report);
	fputs(is_terminal ? "q ends this\n" : "\n", stdout);
	return fflush(stdout) ? -errno : 0;
}

static int show_all(int pid)
{
	struct termios before;
	bool is_terminal = terminal_begin(&before);
	bool any = false;
	int err = 0;

	catch_signals();
	while (!(err = show(pid, is_terminal))) {
		any = true;
		if (!wait_turn(is_terminal))
			break;
	}
	if (is_terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	// A process that has ended meanwhile is no error.
	return any && (err == -ENOENT || err == -ENODATA) ? 0 : err;
}

int dxs_cmd_top(char **argv)
{
	int pid, err;

	if (*argv && (!strcmp(*argv, "--help") || !strcmp(*argv, "-h"))) {
		fputs(help, stdout);
		return 0;
	}
	if (!*argv || argv[1]) {
		dxs_error("one process is to be given (\"daxsync top --help\" tells more)");
		return DXS_EXIT_ERROR;
	}
	pid = dxs_pid_of(*argv);
	if (!pid) {
		dxs_error("\"%s\" is no process id (\"daxsync top --help\" tells more)", *argv);
		return DXS_EXIT_ERROR;
	}
	err = show_all(pid);
	return err ? dxs_stat_failed(pid, err) : 0;
}
