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
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "launcher.h"
#include "program.h"

static const char help[] =
	"Usage: daxsync check [OPTION]... [PATH | PROGRAM]...\n"
	"\n"
	"Tells, in one line for each, whether daxsync can serve\n"
	"\n"
	"  PATH     a mapping of this file, or of a new file in this directory: which mode and engine\n"
	"           it would get, and why, under the DAXSYNC_ variables of this environment\n"
	"  PROGRAM  this program (a name without a slash is looked up in $PATH): a static program,\n"
	"           a Go program without C code or a set-uid one is out of reach\n"
	"\n"
	"and without arguments this machine.\n"
	"\n"
	"Options:\n"
	"  --verbose  print all that was found, line by line, of this machine too (-v)\n"
	"  --json     print the same as JSON: a list of objects\n"
	"  --emulate  a place counts as served if it would be with DAXSYNC_EMULATE=1 [DAXSYNC_EMULATE]\n"
	"  --help     print this\n"
	"\n"
	"Exit status: 0 if all that was asked for can be served (without arguments: this machine, in\n"
	"emulation at least), 1 if not, 125 for a wrong option.\n";

static enum { SHORT, VERBOSE, JSON } form;
static struct dxs_json json;
static char subject[PATH_MAX];
static char conclusion[3 * PATH_MAX];

static void subject_begin(const char *what)
{
	snprintf(subject, sizeof(subject), "%s", what);
	*conclusion = '\0';
	if (form == JSON) {
		dxs_json_open(&json, '{');
		dxs_json_key(&json, "subject");
		dxs_json_string(&json, subject);
		dxs_json_key(&json, "facts");
		dxs_json_open(&json, '[');
	}
	dxs_utf8_plain(subject);
	if (form == VERBOSE)
		printf("%s\n", subject);
}

static void say_json(const char *name, const char *text)
{
	dxs_json_open(&json, '{');
	dxs_json_key(&json, "name");
	dxs_json_string(&json, name + strspn(name, " "));
	dxs_json_key(&json, "text");
	dxs_json_string(&json, text);
	dxs_json_close(&json, '}');
}

void dxs_check_say(const char *name, const char *fmt, ...)
{
	bool is_conclusion = !strcmp(name, "conclusion");
	char text[sizeof(conclusion)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (is_conclusion)
		memcpy(conclusion, text, sizeof(text));
	else if (form == JSON)
		say_json(name, text);
	dxs_utf8_plain(text);
	if (form == VERBOSE)
		printf("  %-24s%s\n", name, text);
	else if (form == SHORT && is_conclusion)
		printf("%s: %s\n", subject, text);
}

static bool subject_end(bool is_served)
{
	if (form != JSON)
		return is_served;
	dxs_json_close(&json, ']');
	dxs_json_key(&json, "conclusion");
	dxs_json_string(&json, conclusion);
	dxs_json_key(&json, "served");
	dxs_json_bool(&json, is_served);
	dxs_json_close(&json, '}');
	return is_served;
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
	char path[PATH_MAX];

	if (access(arg, F_OK) && !strchr(arg, '/') && !dxs_program_find(arg, path, sizeof(path)))
		arg = path;
	if (form == VERBOSE)
		putchar('\n');
	subject_begin(arg);
	return subject_end(is_program(arg, &program) ? check_program(&program) : dxs_check_place(arg));
}

static bool check_machine(void)
{
	subject_begin("this machine");
	return subject_end(dxs_check_machine());
}

// False: there is no such option.
static bool take_option(const char *option)
{
	if (!strcmp(option, "-v") || !strcmp(option, "--verbose"))
		form = VERBOSE;
	else if (!strcmp(option, "--json"))
		form = JSON;
	else if (!strcmp(option, "--emulate"))
		setenv("DAXSYNC_EMULATE", "1", 1);
	else
		return false;
	return true;
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
		if (!take_option(**argv)) {
			dxs_error("%s is no option of \"daxsync check\" (\"daxsync check --help\" lists them)", **argv);
			return -EINVAL;
		}
	}
	return 0;
}

static bool check_all(char **argv)
{
	bool is_served = true;

	if (!*argv || form != SHORT)
		is_served = check_machine() || *argv;
	for (; *argv; argv++)
		is_served &= check_argument(*argv);
	return is_served;
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
	dxs_json_init(&json, STDOUT_FILENO);
	if (form == JSON)
		dxs_json_open(&json, '[');
	is_served = check_all(argv);
	if (form == JSON)
		dxs_json_close(&json, ']');
	ret = form == JSON ? dxs_json_finish(&json) : 0;
	if (ret)
		dxs_error("the output cannot be written: %s", strerrordesc_np(-ret));
	return ret ? DXS_EXIT_ERROR : is_served ? 0 : DXS_EXIT_NOT_SERVED;
}
