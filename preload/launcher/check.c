// SPDX-License-Identifier: BSD-3-Clause
// check.c: `daxsync check` tells what a machine, a place and a program can do.
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "base/utf8.h"
#include "launcher.h"
#include "program.h"

static const char help[] =
	"Usage: daxsync check [PATH | PROGRAM]...\n"
	"\n"
	"Tells, line by line, what this machine offers and whether daxsync can serve\n"
	"\n"
	"  PATH     a mapping of this file, or of a new file in this directory: which mode and engine\n"
	"           it would get, and why, under the DAXSYNC_ variables of this environment\n"
	"  PROGRAM  this program (a name without a slash is looked up in $PATH): a static program,\n"
	"           a Go program without C code or a set-uid one is out of reach\n"
	"\n"
	"Options:\n"
	"  --emulate  a place counts as served if it would be with DAXSYNC_EMULATE=1 [DAXSYNC_EMULATE]\n"
	"  --help     print this\n"
	"\n"
	"Exit status: 0 if all that was asked for can be served (without arguments: this machine, in\n"
	"emulation at least), 1 if not, 125 for a wrong option.\n";

void dxs_check_say(const char *name, const char *fmt, ...)
{
	char text[3 * PATH_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	dxs_utf8_plain(text);
	printf("  %-24s%s\n", name, text);
}

static bool check_program(const struct dxs_program *program)
{
	const char *answer = program->is_reachable ? "can be served" : "out of reach";

	dxs_check_say("program", "%s", program->kind);
	dxs_check_say("conclusion", "%s%s%s", answer, *program->reason ? ": " : "", program->reason);
	return program->is_reachable;
}

// A regular file that can be executed and is ELF or a script is a program; everything else is a place for data.
static bool is_program(const char *path, struct dxs_program *program)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && (st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) &&
	       !dxs_program_examine(path, program) && program->is_program;
}

static bool check_argument(const char *arg)
{
	struct dxs_program program;
	char path[PATH_MAX], shown[PATH_MAX];

	if (access(arg, F_OK) && !strchr(arg, '/') && !dxs_program_find(arg, path, sizeof(path)))
		arg = path;
	snprintf(shown, sizeof(shown), "%s", arg);
	dxs_utf8_plain(shown);
	printf("\n%s\n", shown);
	if (is_program(arg, &program))
		return check_program(&program);
	return dxs_check_place(arg);
}

// Leaves *argv at the first argument. 0, 1 if only help was asked for, or -EINVAL after one line on stderr.
static int take_options(char ***argv)
{
	for (; **argv && ***argv == '-'; (*argv)++) {
		if (!strcmp(**argv, "--help") || !strcmp(**argv, "-h"))
			return 1;
		if (!strcmp(**argv, "--")) {
			(*argv)++;
			return 0;
		}
		if (strcmp(**argv, "--emulate")) {
			dxs_error("%s is no option of \"daxsync check\" (\"daxsync check --help\" lists them)", **argv);
			return -EINVAL;
		}
		setenv("DAXSYNC_EMULATE", "1", 1);
	}
	return 0;
}

int dxs_cmd_check(char **argv)
{
	int ret = take_options(&argv);
	bool is_served;

	if (ret > 0)
		fputs(help, stdout);
	if (ret)
		return ret > 0 ? 0 : DXS_EXIT_ERROR;
	signal(SIGXFSZ, SIG_IGN); // what RLIMIT_FSIZE refuses is an error like others
	dxs_config_load();
	is_served = dxs_check_machine() || *argv;
	for (; *argv; argv++)
		is_served &= check_argument(*argv);
	return is_served ? 0 : DXS_EXIT_NOT_SERVED;
}
