// SPDX-License-Identifier: BSD-3-Clause
// main.c: the program `daxsync`.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "launcher.h"

static const char help[] = "Usage: daxsync run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
			   "       daxsync check [OPTION]... [PATH | PROGRAM]...\n"
			   "       daxsync stat PID...\n"
			   "       daxsync top PID\n"
			   "       daxsync crashtest [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
			   "       daxsync plot FILE.json [-o OUT.svg]\n"
			   "       daxsync --help | --version\n"
			   "\n"
			   "Serves the msync and fsync calls of programs that map files on persistent memory (DAX)\n"
			   "in user space.\n"
			   "\n"
			   "  run        starts PROGRAM with the library preloaded\n"
			   "  check      tells what this machine, a file, a directory or a program can do\n"
			   "  stat       prints the statistics of a running process\n"
			   "  top        shows them, for people, every second\n"
			   "  crashtest  tells what power cuts would leave of a program's files\n"
			   "  plot       draws what these have written as JSON\n"
			   "\n"
			   "\"daxsync COMMAND --help\" tells more.\n";

static int run_command(const char *command, char **argv)
{
	if (!strcmp(command, "run"))
		return dxs_cmd_run(argv);
	if (!strcmp(command, "check"))
		return dxs_cmd_check(argv);
	if (!strcmp(command, "stat"))
		return dxs_cmd_stat(argv);
	if (!strcmp(command, "top"))
		return dxs_cmd_top(argv);
	if (!strcmp(command, "crashtest"))
		return dxs_cmd_crashtest(argv);
	if (!strcmp(command, "plot"))
		return dxs_cmd_plot(argv);
	if (!strcmp(command, "--help") || !strcmp(command, "-h")) {
		fputs(help, stdout);
		return 0;
	}
	if (!strcmp(command, "--version")) {
		puts("daxsync " DXS_VERSION);
		return 0;
	}
	if (*command)
		dxs_error("\"%s\" is no command of daxsync (\"daxsync --help\" lists them)", command);
	else
		fputs(help, stderr);
	return DXS_EXIT_ERROR;
}

// A standard descriptor that is not there would be the next file that is opened, perhaps one of the user's data, and what
// is printed would go there. In the program it is as little there as before.
static void hold_standard_descriptors(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/", O_PATH | O_CLOEXEC); // which nobody can read or write
}

int main(int argc, char **argv)
{
	int status;

	hold_standard_descriptors();
	status = argc > 1 ? run_command(argv[1], argv + 2) : run_command("", argv);

	if (fflush(stdout)) {
		dxs_error("the output cannot be written: %s", strerrordesc_np(errno));
		return DXS_EXIT_ERROR;
	}
	return status;
}
