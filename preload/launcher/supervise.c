// SPDX-License-Identifier: BSD-3-Clause
// supervise.c: the parent of a program whose end must be observed.
//
// The program stays in the launcher's process group, so the terminal's own signals (^C, ^Z, hang-up) reach it directly.
// The launcher takes its signals with sigwaitinfo and passes on only those that the program has not received yet: the
// ones sent to the launcher by kill(2) from outside of the group. A shell that signals the whole group (`kill %1`)
// looks the same as one that signals the launcher alone; in that case the program may receive the signal twice.
#include "supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "keeper.h"
#include "launcher.h"
#include "program.h"

static const int handed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP, SIGCONT};

struct signals {
	sigset_t mask;          // of the launcher's caller
	struct sigaction child; // its SIGCHLD: if ignored, there would be no status to wait for
	sigset_t taken;
	int fd; // readable when there is one
};

// execvp(3) gives a shell whatever the kernel cannot execute: also a program for another machine.
static int execute(char **argv)
{
	struct dxs_program program;
	char path[PATH_MAX];

	if (!dxs_program_find(argv[0], path, sizeof(path)) && !dxs_program_examine(path, &program) &&
	    program.is_program)
		return execv(path, argv);
	return execvp(argv[0], argv);
}

int dxs_supervise_exec(char **argv)
{
	int err;

	execute(argv);
	err = errno;
	dxs_error("%s cannot be executed: %s", argv[0], strerrordesc_np(err));
	return err == ENOENT || err == ENOTDIR ? DXS_EXIT_NOT_FOUND : DXS_EXIT_CANNOT_EXEC;
}

static void take_signals(struct signals *signals)
{
	struct sigaction action = {.sa_handler = SIG_DFL};

	sigemptyset(&signals->taken);
	sigaddset(&signals->taken, SIGCHLD);
	for (size_t i = 0; i < sizeof(handed_on) / sizeof(handed_on[0]); i++)
		sigaddset(&signals->taken, handed_on[i]);
	sigaction(SIGCHLD, &action, &signals->child);
	sigprocmask(SIG_BLOCK, &signals->taken, &signals->mask);
	signals->fd = signalfd(-1, &signals->taken, SFD_CLOEXEC);
}

static void give_signals_back(const struct signals *signals)
{
	sigaction(SIGCHLD, &signals->child, NULL);
	sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}

// Whoever kills the launcher with SIGKILL means the program.
static void die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) // it has died before the call
		raise(SIGKILL);
}

static pid_t start(char **argv, const struct signals *signals)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	die_with(parent);
	give_signals_back(signals);
	_exit(dxs_supervise_exec(argv));
}

static bool is_for_launcher_only(const siginfo_t *info)
{
	return info->si_code <= 0 && (!info->si_pid || getpgid(info->si_pid) != getpgrp());
}

// The shell waits for the launcher, so this has to stop too when ^Z or terminal access from the background stops the
// program. Whoever stopped the program by its process id alone will continue it in the same way.
static void stop_with_child(int status)
{
	if (WSTOPSIG(status) == SIGTSTP || WSTOPSIG(status) == SIGTTIN || WSTOPSIG(status) == SIGTTOU)
		raise(SIGSTOP);
}

// Whether the program has ended; stops are seen on the way.
static bool has_ended(pid_t pid, int *status)
{
	while (waitpid(pid, status, WNOHANG | WUNTRACED) == pid) {
		if (!WIFSTOPPED(*status))
			return true;
		stop_with_child(*status);
	}
	return false;
}

// The next of the signals; less than 0: none yet, the keeper had work.
static int next_signal(const struct signals *signals, struct dxs_keeper *keeper, siginfo_t *info)
{
	struct pollfd ready[2] = {{.fd = signals->fd, .events = POLLIN}, {.events = POLLIN}};

	if (!keeper)
		return sigwaitinfo(&signals->taken, info);
	ready[1].fd = keeper->poll_fd;
	poll(ready, 2, -1);
	if (ready[1].revents)
		dxs_keeper_turn(keeper);
	return sigtimedwait(&signals->taken, info, &(struct timespec){0});
}

static int wait_for(pid_t pid, const struct signals *signals, struct dxs_keeper *keeper)
{
	int status;

	while (!has_ended(pid, &status)) {
		siginfo_t info;
		int sig = next_signal(signals, keeper, &info);

		if (sig > 0 && sig != SIGCHLD && is_for_launcher_only(&info))
			kill(pid, sig);
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int dxs_supervise(char **argv, struct dxs_keeper *keeper)
{
	struct signals signals;
	pid_t pid;

	take_signals(&signals);
	pid = start(argv, &signals);
	if (pid < 0) {
		dxs_error("%s cannot be started: %s", argv[0], strerrordesc_np(errno));
		return DXS_EXIT_ERROR;
	}
	if (keeper)
		dxs_keeper_begin(keeper, pid);
	return wait_for(pid, &signals, signals.fd < 0 ? NULL : keeper); // or it gets its turn at the end
}
