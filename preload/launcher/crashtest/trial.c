// SPDX-License-Identifier: BSD-3-Clause
// trial.c: runs the checker.
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "interrupt.h"
#include "launcher.h"
#include "memory.h"
#include "recorder.h"
#include "supervise.h"

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)at;
	if (type == FTW_D || type == FTW_DNR)
		chmod(path, 0700);
	(void)remove(path);
	return 0;
}

void dxs_remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int dir_make(const char *path)
{
	dxs_remove_tree(path);
	if (mkdir(path, 0700))
		return -errno;
	return 0;
}

// The beginning of the program's output, as far as it had been written at the cut.
static int output_write(int from, uint64_t len, const char *path)
{
	int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	off_t at = 0;
	ssize_t done = 1;

	if (to < 0)
		return -errno;
	while ((uint64_t)at < len && done > 0)
		done = copy_file_range(from, &at, to, NULL, len - (uint64_t)at, 0);
	close(to);
	return (uint64_t)at < len ? -EIO : 0;
}

// "%o" in the command stands for the output's path, which a variable holds.
static char *command_of(const char *command)
{
	static const char variable[] = "\"$DAXSYNC_OUTPUT\"";
	char *text = dxs_need(NULL, strlen(command) * sizeof(variable) + 1), *to = text;

	while (*command) {
		if (strncmp(command, "%o", 2) != 0) {
			*to++ = *command++;
			continue;
		}
		memcpy(to, variable, sizeof(variable) - 1);
		to += sizeof(variable) - 1;
		command += 2;
	}
	*to = '\0';
	return text;
}

static void child(const struct dxs_checker *checker, const char *dir)
{
	char output[PATH_MAX], said[PATH_MAX], files[PATH_MAX];
	int fd, null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	snprintf(output, sizeof(output), "%s/" DXS_OUTPUT_FILE, dir);
	snprintf(said, sizeof(said), "%s/" DXS_SAID_FILE, dir);
	snprintf(files, sizeof(files), "%s/" DXS_FILES_DIR, dir);
	fd = open(said, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (setpgid(0, 0) || fd < 0 || chdir(files) || dup2(null, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
	    dup2(fd, STDERR_FILENO) < 0 || setenv("DAXSYNC_OUTPUT", output, 1))
		_exit(DXS_EXIT_ERROR);
	dxs_interrupt_default();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!checker->command)
		_exit(dxs_supervise_exec(checker->argv));
	execl("/bin/sh", "sh", "-c", command_of(checker->command), (char *)NULL);
	_exit(DXS_EXIT_ERROR);
}

// 1; 0 if it has not ended in time; or -errno.
static int wait_for(pid_t pid, unsigned seconds, int *status)
{
	int fd = pidfd_open(pid, 0), ret = fd < 0 ? -errno : 0;
	struct pollfd poll_fd = {fd, POLLIN, 0};

	if (fd >= 0)
		while ((ret = poll(&poll_fd, 1, (int)dxs_min64(seconds * 1000ULL, INT_MAX))) < 0 && errno == EINTR)
			;
	if (fd >= 0)
		close(fd);
	kill(-pid, SIGKILL); // what it has left behind, or all of it
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	return ret;
}

static volatile pid_t running; // the check's group; 0: none

static void abandon(int sig)
{
	(void)sig;
	if (running)
		kill(-running, SIGKILL);
	_exit(0);
}

void dxs_trial_abandon_on(int sig)
{
	signal(sig, abandon);
}

static struct dxs_trial check(const struct dxs_checker *checker, const char *dir)
{
	struct dxs_trial trial = {DXS_VERDICT_FINE, 0};
	pid_t pid = fork();
	int status = 0, ended;

	if (!pid)
		child(checker, dir);
	if (pid < 0)
		return (struct dxs_trial){DXS_VERDICT_ERROR, -errno};
	setpgid(pid, pid); // whoever comes first
	running = pid;
	ended = wait_for(pid, checker->timeout, &status);
	running = 0;
	if (ended < 0)
		return (struct dxs_trial){DXS_VERDICT_ERROR, ended};
	if (!ended)
		return (struct dxs_trial){DXS_VERDICT_HUNG, 0};
	trial.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	if (trial.status)
		trial.verdict = DXS_VERDICT_BROKE;
	return trial;
}

struct dxs_trial dxs_trial_run(const struct dxs_checker *checker, const struct dxs_state *state,
			       const unsigned char *fate, const char *dir)
{
	char files[PATH_MAX], output[PATH_MAX];
	int err, fd;

	snprintf(files, sizeof(files), "%s/" DXS_FILES_DIR, dir);
	snprintf(output, sizeof(output), "%s/" DXS_OUTPUT_FILE, dir);
	err = dir_make(files);
	fd = err ? -1 : open(files, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!err && fd < 0)
		err = -errno;
	if (!err)
		err = dxs_state_write(state, fate, fd);
	if (fd >= 0)
		close(fd);
	if (!err)
		err = output_write(checker->output, state->data.output, output);
	return err ? (struct dxs_trial){DXS_VERDICT_ERROR, err} : check(checker, dir);
}
