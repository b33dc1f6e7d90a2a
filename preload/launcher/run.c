// SPDX-License-Identifier: BSD-3-Clause
// run.c: `daxsync run` turns options into environment variables, preloads the shim and starts the program.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "emulate/run.h"
#include "imagedir.h"
#include "keeper.h"
#include "launcher.h"
#include "library.h"
#include "program.h"
#include "report/unserved.h"
#include "supervise.h"
#include "writers/directory.h"

static const char help_head[] =
	"Usage: daxsync run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
	"\n"
	"Starts PROGRAM with " DXS_PRELOAD " preloaded, so that its msync and fsync calls for files on\n"
	"persistent memory are served in user space. An option sets the environment variable in\n"
	"brackets, which can be set directly as well.\n"
	"\n";

static const char help_tail[] =
	"\n"
	"Exit status: that of PROGRAM; 128 + N if signal N killed it; if PROGRAM succeeded, 120 when the\n"
	"verifier found missed pages, 121 when --verify verified nothing, 122 when --powercut was not\n"
	"reached; 125 if daxsync itself failed; 126 if PROGRAM cannot be executed; 127 if it is not found.\n"
	"\n"
	"With --stats the statistics of each process of the run are written when it has ended, whatever has\n"
	"ended it. FILE is that of PROGRAM's process; other processes that have mapped a file get\n"
	"FILE.PID, or all their own with a %p in the name. \"daxsync stat --keys\" explains them.\n"
	"\n"
	"With --stats, --report, --verify or --powercut PROGRAM runs as a child of daxsync. If no image directory is\n"
	"given, a temporary one is made and removed when PROGRAM ends (not after a power cut);\n"
	"give one to a PROGRAM that goes on in the background.\n";

static void print_option(const struct dxs_config_row *row)
{
	if (row->kind == DXS_CONFIG_FLAG)
		printf("  --%s\n", row->option);
	else
		printf("  --%s=%s\n", row->option, row->values);
	printf("        %s\n        [%s", row->meaning, row->name);
	printf(*row->fallback ? ", default %s]\n" : "]\n", row->fallback);
}

static void print_help(void)
{
	size_t nr;
	const struct dxs_config_row *rows = dxs_config_rows(&nr);

	fputs(help_head, stdout);
	for (size_t i = 0; i < nr; i++)
		print_option(&rows[i]);
	fputs("  --report[=FILE]\n        at the end, one screen for people: files, syncs, pages, call sites; - is "
	      "stderr\n"
	      "  --help\n        print this\n",
	      stdout);
	fputs(help_tail, stdout);
}

// Where the tests were built there is one option more, which only its library can read.
static const struct dxs_config_row fault_option = {"DAXSYNC_FAULT", "fault", "SPEC", "", "",
						   DXS_CONFIG_TEXT, false,   0,      0};

static const struct dxs_config_row *find_option(const char *name, size_t len)
{
	size_t nr;
	const struct dxs_config_row *rows = dxs_config_rows(&nr);

	for (size_t i = 0; i < nr; i++)
		if (strlen(rows[i].option) == len && !memcmp(rows[i].option, name, len))
			return &rows[i];
	return len == 5 && !memcmp(name, "fault", len) && dxs_library_has_faults() ? &fault_option : NULL;
}

static const char *report; // where to, "-" for standard error; NULL: there is to be none

static bool take_report(const char *option)
{
	if (!strcmp(option, "--report"))
		report = "-";
	else if (!strncmp(option, "--report=", 9) && option[9])
		report = option + 9;
	else
		return false;
	return true;
}

static bool is_on(const char *variable)
{
	const char *value = getenv(variable);

	return value && !strcmp(value, "1");
}

static bool is_path(const struct dxs_config_row *row, const char *value)
{
	return row->kind == DXS_CONFIG_DIR || (row->kind == DXS_CONFIG_FILE && strcmp(value, "-"));
}

// The program's own children may run in other directories, so a relative path becomes absolute here.
static int set_variable(const struct dxs_config_row *row, const char *value)
{
	char path[2 * PATH_MAX], dir[PATH_MAX];

	if (is_path(row, value) && *value != '/') {
		if (!getcwd(dir, sizeof(dir)))
			return -errno;
		snprintf(path, sizeof(path), "%s/%s", dir, value);
		value = path;
	}
	return setenv(row->name, value, 1) ? -errno : 0;
}

// The library would go on without a directory it cannot use; who names one here wants to hear of it before the start. A
// registry is not made: with a slip of the pen in its name, writers of a file would not find each other. Sets *why where
// the error does not tell.
static int prepare_dir(const struct dxs_config_row *row, const char *path, const char **why)
{
	int ret;

	if (!strcmp(row->name, "DAXSYNC_REGISTRY"))
		return dxs_registry_dir_try(path, why);
	if (!mkdir(path, 0700))
		return 0;
	ret = errno == EEXIST ? dxs_run_open_dir(path, why) : -errno;
	if (ret != -EPERM)
		*why = NULL;
	if (ret > 0)
		close(ret);
	return ret < 0 ? ret : 0;
}

static int set_option(const struct dxs_config_row *row, const char *value)
{
	char text[DXS_LOG_LINE];
	const char *why = NULL;
	int err;

	if (row != &fault_option && dxs_config_check(row->name, value, text, sizeof(text))) {
		dxs_error("--%s=%s: %s", row->option, value, text);
		return -EINVAL;
	}
	err = row->kind == DXS_CONFIG_DIR ? prepare_dir(row, value, &why) : 0;
	if (!err)
		err = set_variable(row, value);
	if (err)
		dxs_error("--%s=%s: %s", row->option, value, why ? why : strerrordesc_np(-err));
	return err;
}

// Takes one option off the arguments, with its value if that stands alone. `needy` keeps the last one that is void
// without --emulate. 0, or -errno after one line on stderr.
static int take_option(char ***argv, const struct dxs_config_row **needy)
{
	const char *option = *(*argv)++;
	size_t len = strcspn(option, "=");
	const char *value = option[len] ? option + len + 1 : NULL;
	const struct dxs_config_row *row = len > 2 && option[1] == '-' ? find_option(option + 2, len - 2) : NULL;

	if (!row) {
		dxs_error("%s is no option of \"daxsync run\" (\"daxsync run --help\" lists them)", option);
		return -EINVAL;
	}
	if (row->needs_emulate)
		*needy = row;
	if (row->kind == DXS_CONFIG_FLAG) {
		if (!value)
			return set_option(row, "1");
		dxs_error("--%s takes no value", row->option);
		return -EINVAL;
	}
	if (!value && **argv && strncmp(**argv, "--", 2)) // a value that begins so is given behind a '='
		value = *(*argv)++;
	if (value && *value)
		return set_option(row, value);
	dxs_error("--%s needs a value: %s", row->option, row->values);
	return -EINVAL;
}

// Leaves *argv at the program. 0, 1 if only help was asked for, or -EINVAL after one line on stderr.
static int take_options(char ***argv)
{
	const struct dxs_config_row *needy = NULL;

	while (**argv && ***argv == '-') {
		if (!strcmp(**argv, "--help") || !strcmp(**argv, "-h"))
			return 1;
		if (!strcmp(**argv, "--")) {
			(*argv)++;
			break;
		}
		if (take_report(**argv))
			(*argv)++;
		else if (take_option(argv, &needy))
			return -EINVAL;
	}
	if (needy && !is_on("DAXSYNC_EMULATE")) {
		dxs_error("--%s needs --emulate", needy->option);
		return -EINVAL;
	}
	if (**argv)
		return 0;
	dxs_error("no program is given (\"daxsync run --help\" tells more)");
	return -EINVAL;
}

// What serves only a part of the program, or only this user, is told by `daxsync check`.
static void warn_if_out_of_reach(const char *name)
{
	struct dxs_program program;
	char path[PATH_MAX];

	if (dxs_program_find(name, path, sizeof(path)) || dxs_program_examine(path, &program))
		return;
	if (!program.is_reachable)
		dxs_error("%s is out of reach of daxsync: %s", path, program.reason);
	else if (program.is_go)
		dxs_error("%s is served in part: %s", path, program.reason);
}

// As the library will read the settings: where they are wrong or void, it says so.
static const char *powercut_asked(void)
{
	const char *value = getenv("DAXSYNC_POWERCUT");
	char why[DXS_LOG_LINE];

	return is_on("DAXSYNC_EMULATE") && value && *value &&
			       !dxs_config_check("DAXSYNC_POWERCUT", value, why, sizeof(why))
		       ? value
		       : NULL;
}

static const char *stats_asked(void)
{
	const char *pattern = getenv("DAXSYNC_STATS");

	return pattern && *pattern ? pattern : NULL;
}

// With what keeps the statistics, if there are to be any.
static int run_supervised(char **argv)
{
	struct dxs_keeper keeper;
	int ret;

	if ((!stats_asked() && !report) || dxs_keeper_open(&keeper, stats_asked(), report))
		return report ? DXS_EXIT_ERROR : dxs_supervise(argv, NULL);
	ret = dxs_supervise(argv, &keeper);
	dxs_keeper_close(&keeper);
	return ret;
}

static int run_kept(char **argv)
{
	return stats_asked() || report ? run_supervised(argv) : dxs_supervise_exec(argv);
}

static int run_checked(char **argv, const struct dxs_imagedir_asked *asked)
{
	struct dxs_imagedir dir;

	if (dxs_imagedir_open(&dir))
		return DXS_EXIT_ERROR;
	return dxs_imagedir_close(&dir, asked, run_supervised(argv));
}

int dxs_cmd_run(char **argv)
{
	struct dxs_imagedir_asked asked;
	int ret = take_options(&argv);

	if (ret > 0) {
		print_help();
		return 0;
	}
	if (ret || dxs_library_preload())
		return DXS_EXIT_ERROR;
	warn_if_out_of_reach(argv[0]);
	// A report tells more than one line.
	if (report ? unsetenv(DXS_UNSERVED_VARIABLE) : setenv(DXS_UNSERVED_VARIABLE, "1", 1))
		return DXS_EXIT_ERROR;
	asked = (struct dxs_imagedir_asked){is_on("DAXSYNC_VERIFY"), powercut_asked()};
	if (!asked.verify && !asked.powercut)
		return run_kept(argv);
	return run_checked(argv, &asked);
}
