// SPDX-License-Identifier: BSD-3-Clause
// crashtest.c: `daxsync crashtest`: records one run of a program, and tries what power cuts would have left of its files.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer.h"
#include "base/log.h"
#include "base/sys.h"
#include "emulate/run.h"
#include "launcher.h"
#include "library.h"
#include "memory.h"
#include "plot/gnuplot.h"
#include "plot/plot.h"
#include "recorder.h"
#include "search.h"

#define MAX_BYTES ((uint64_t)2 << 30) // in the directory of the files under test

static const char help[] =
	"Usage: daxsync crashtest [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
	"       daxsync crashtest --replay=PATH [OPTION]...\n"
	"\n"
	"Runs PROGRAM once and records what it stores to its files, and when it makes them durable.\n"
	"Then tries, for every moment at which something became durable, what a power cut would have\n"
	"left: all that was durable, and any part of what was not. Each time CHECK runs in a directory\n"
	"with the files as they would be found. Needs no persistent memory and no privilege.\n"
	"\n"
	"The files under test are those in the current directory, and below it.\n"
	"\n"
	"  --check=COMMAND\n"
	"        what sh runs to look at the files: exit status 0 says that they are fine. $DAXSYNC_OUTPUT,\n"
	"        or %o, is a file with what PROGRAM had written to its standard output by then (PROGRAM\n"
	"        has to flush it). Without this option PROGRAM itself runs again and must exit with 0.\n"
	"  --model=pmem|disk\n"
	"        what arrives as a whole: a line of 64 bytes, or a page of 4 KiB. The default is pmem on\n"
	"        persistent memory, and disk elsewhere.\n"
	"  --tear=512\n"
	"        on a disk, sectors of 512 bytes instead\n"
	"  --dir=PATH\n"
	"        the directory of the files under test; checks run in its copies\n"
	"  --cuts=all|N\n"
	"        try all moments (the default), or N of them\n"
	"  --cut=MOMENT\n"
	"        try this one alone\n"
	"  --coins=N\n"
	"        at each moment try that nothing has arrived which was not durable, that all has, and N\n"
	"        times some of it, as coins fall (default 3)\n"
	"  --draw=lost|kept|SEED\n"
	"        try one of these alone\n"
	"  --seed=N\n"
	"        of the first coins (default 1)\n"
	"  --timeout=SECONDS\n"
	"        for each check (default 20); one that takes longer has failed\n"
	"  --jobs=N\n"
	"        checks at once (default: one for each processor)\n"
	"  --keep=PATH\n"
	"        make this directory, and keep the record, the failing files and the output there. Without it they\n"
	"        are kept in a temporary directory if the check fails.\n"
	"  --replay=PATH\n"
	"        take the record that is kept there, and run no program\n"
	"  --json=FILE\n"
	"        write the answer for programs; - is standard output, and the text goes to standard error\n"
	"  --svg=FILE\n"
	"        draw it, as \"daxsync plot\" draws the answer for programs; needs gnuplot; - as with --json\n"
	"  --help\n"
	"        print this\n"
	"\n"
	"Exit status: 0 if all checks were fine, 1 if one failed, 2 if the options are wrong, 125 if the\n"
	"test could not be made.\n";

struct options {
	struct dxs_checker checker;
	struct dxs_search search;
	const char *dir, *keep, *replay, *json, *svg, *model;
	const char *draw;
	uint64_t tear;
	char **argv;
};

enum kind { TEXT, NUMBER };

struct option_row {
	const char *name;
	enum kind kind;
	void *value; // const char *, or uint64_t
	uint64_t least, most;
};

static uint64_t number_of(const char *text, bool *is_number)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	*is_number = *text >= '0' && *text <= '9' && !*end && !errno;
	return value;
}

static int value_take(const struct option_row *row, const char *value)
{
	bool is_number;
	uint64_t number;

	if (row->kind == TEXT) {
		*(const char **)row->value = value;
		return 0;
	}
	number = number_of(value, &is_number);
	if (is_number && number >= row->least && number <= row->most) {
		*(uint64_t *)row->value = number;
		return 0;
	}
	if (row->least == row->most)
		dxs_error("--%s=%s: only %lu is possible", row->name, value, (unsigned long)row->least);
	else
		dxs_error("--%s=%s: not a number from %lu to %lu", row->name, value, (unsigned long)row->least,
			  (unsigned long)row->most);
	return -EINVAL;
}

// One option of the rows, with its value behind '=' or in the next argument.
static int option_take(const struct option_row *rows, size_t nr, char ***argv)
{
	const char *option = *(*argv)++, *value = strchr(option, '=');
	size_t len = value ? (size_t)(value - option) : strlen(option), i;

	for (i = 0; i < nr; i++)
		if (len > 2 && strlen(rows[i].name) == len - 2 && !strncmp(rows[i].name, option + 2, len - 2))
			break;
	if (i == nr) {
		dxs_error("%s is no option of \"daxsync crashtest\" (\"daxsync crashtest --help\" lists them)", option);
		return -EINVAL;
	}
	value = value ? value + 1 : **argv ? *(*argv)++ : "";
	if (*value)
		return value_take(&rows[i], value);
	dxs_error("--%s needs a value", rows[i].name);
	return -EINVAL;
}

static int options_take(struct options *options, char **argv)
{
	uint64_t coins = 3, jobs = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN), timeout = 20;
	const char *cuts = "all";
	const struct option_row rows[] = {
		{"check", TEXT, (void *)&options->checker.command, 0, 0},
		{"model", TEXT, (void *)&options->model, 0, 0},
		{"tear", NUMBER, &options->tear, DXS_SECTOR, DXS_SECTOR},
		{"dir", TEXT, (void *)&options->dir, 0, 0},
		{"cuts", TEXT, (void *)&cuts, 0, 0},
		{"cut", NUMBER, &options->search.moment, 1, UINT64_MAX},
		{"coins", NUMBER, &coins, 0, DXS_MAX_DRAWS - DXS_DRAW_COINS},
		{"draw", TEXT, (void *)&options->draw, 0, 0},
		{"seed", NUMBER, &options->search.seed, 0, UINT64_MAX},
		{"timeout", NUMBER, &timeout, 1, 86400},
		{"jobs", NUMBER, &jobs, 1, 1024},
		{"keep", TEXT, (void *)&options->keep, 0, 0},
		{"replay", TEXT, (void *)&options->replay, 0, 0},
		{"json", TEXT, (void *)&options->json, 0, 0},
		{"svg", TEXT, (void *)&options->svg, 0, 0},
	};
	bool is_number = true;

	while (*argv && **argv == '-') {
		if (!strcmp(*argv, "--help") || !strcmp(*argv, "-h"))
			return 1;
		if (!strcmp(*argv, "--")) {
			argv++;
			break;
		}
		if (option_take(rows, sizeof(rows) / sizeof(rows[0]), &argv))
			return -EINVAL;
	}
	options->argv = argv;
	options->search.coins = (unsigned)coins;
	options->search.jobs = (unsigned)jobs;
	options->checker.timeout = (unsigned)timeout;
	if (strcmp(cuts, "all") != 0)
		options->search.moments = number_of(cuts, &is_number);
	if (is_number && (!strcmp(cuts, "all") || options->search.moments))
		return 0;
	dxs_error("--cuts=%s: neither \"all\" nor a number from 1", cuts);
	return -EINVAL;
}

static int draw_choose(struct options *options)
{
	struct dxs_search *search = &options->search;
	bool is_number;

	search->draw = -1;
	if (!options->draw)
		return 0;
	if (!strcmp(options->draw, "lost") || !strcmp(options->draw, "kept")) {
		search->draw = *options->draw == 'l' ? DXS_DRAW_LOST : DXS_DRAW_KEPT;
		return 0;
	}
	search->draw = DXS_DRAW_COINS;
	search->coins = 0; // the seed is the same at all moments
	search->seed = number_of(options->draw, &is_number);
	if (is_number)
		return 0;
	dxs_error("--draw=%s: neither \"lost\" nor \"kept\" nor a number", options->draw);
	return -EINVAL;
}

// What the place is: a file there would be mapped as persistent memory is, or not.
static bool is_dax(const char *dir)
{
	bool has_sync = false;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return false;
	if (!ftruncate(fd, (off_t)DXS_PAGE_SIZE)) {
		void *map = mmap(NULL, DXS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);

		has_sync = map != MAP_FAILED;
		if (map != MAP_FAILED)
			munmap(map, DXS_PAGE_SIZE);
	}
	close(fd);
	return has_sync;
}

static int model_choose(struct options *options)
{
	if (!options->model)
		options->model = options->tear || options->replay || !is_dax(options->dir) ? "disk" : "pmem";
	if (!strcmp(options->model, "pmem") && !options->tear) {
		options->search.line = 64;
		return 0;
	}
	options->search.line = options->tear ? DXS_SECTOR : DXS_PAGE_SIZE;
	if (!strcmp(options->model, "disk"))
		return 0;
	dxs_error(strcmp(options->model, "pmem") != 0 ? "--model=%s: neither \"pmem\" nor \"disk\""
						      : "--model=%s has no sectors to tear: leave --tear out",
		  options->model);
	return -EINVAL;
}

// A path of the program that begins in the current directory leads to it from any other too.
static void program_locate(char **argv)
{
	char here[PATH_MAX], path[2 * PATH_MAX];

	if (**argv == '/' || !strchr(*argv, '/') || !getcwd(here, sizeof(here)))
		return;
	snprintf(path, sizeof(path), "%s/%s", here, *argv);
	*argv = dxs_need_text(path);
}

// The program can only run again where all that it names is in the copy.
static int checker_choose(struct options *options)
{
	options->checker.argv = options->argv;
	if (options->checker.command)
		return 0;
	if (options->replay) {
		dxs_error("--replay needs --check: there is no program to run again");
		return -EINVAL;
	}
	program_locate(options->argv);
	for (char **argument = options->argv + 1; *argument; argument++) {
		if (**argument != '/')
			continue;
		dxs_error("without --check PROGRAM runs again in a copy of the directory, and %s would not be in it: "
			  "give a path below the directory, or a check",
			  *argument);
		return -EINVAL;
	}
	return 0;
}

static bool is_stdout(const char *path)
{
	return path && !strcmp(path, "-");
}

static int options_check(struct options *options)
{
	if (options->replay && *options->argv)
		dxs_error("--replay runs no program, and %s is given", *options->argv);
	else if (!options->replay && !*options->argv)
		dxs_error("no program is given (\"daxsync crashtest --help\" tells more)");
	else if (options->replay && options->keep)
		dxs_error("--replay=%s has its record, and --keep=%s is given", options->replay, options->keep);
	else if (is_stdout(options->json) && is_stdout(options->svg))
		dxs_error("--json and --svg cannot both be standard output");
	else if (!draw_choose(options) && !model_choose(options) && !checker_choose(options))
		return 0;
	return -EINVAL;
}

// The directory for all that the test makes. 0, or -errno after one line on stderr.
static int work_make(const struct options *options, char path[PATH_MAX])
{
	const char *parent = getenv("TMPDIR");

	if (options->keep) {
		if (!mkdir(options->keep, 0700) && realpath(options->keep, path))
			return 0;
		dxs_error("--keep=%s: %s", options->keep, strerrordesc_np(errno));
		return -errno;
	}
	if (!parent || *parent != '/' || access(parent, W_OK))
		parent = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(path, PATH_MAX, "%s/daxsync-crashtest-XXXXXX", parent);
	if (mkdtemp(path))
		return 0;
	dxs_error("no directory can be made in %s: %s", parent, strerrordesc_np(errno));
	return -errno;
}

// Says what the recorded run was, where that is not what its user expects.
static void recording_judge(const struct dxs_recording *recording, const char *program, int status)
{
	if (status > 128)
		dxs_error("%s was ended by signal %d (%s): the test goes up to there", program, status - 128,
			  strsignal(status - 128));
	else if (status)
		dxs_error("%s ended with status %d: the test goes up to there", program, status);
	if (recording->nr_outside)
		dxs_error("%s (and %lu more) lies outside of %s, and is not tested: see --dir", recording->outside,
			  (unsigned long)recording->nr_outside - 1, recording->dir);
	if (recording->nr_moments <= 1)
		dxs_error("%s made nothing durable: there was no msync or fsync that daxsync could see", program);
}

static int record(const struct options *options, const char *work)
{
	struct dxs_recording recording = {.argv = options->argv, .dir = options->dir, .work = work, .max = MAX_BYTES};
	int failed, status;

	status = dxs_recorder_run(&recording, &failed);
	if (failed)
		return -EIO;
	recording_judge(&recording, options->argv[0], status);
	return 0;
}

static int json_write(const struct dxs_answer *answer, const char *path)
{
	FILE *out;
	int err = 0;

	if (!path)
		return 0;
	if (is_stdout(path)) {
		dxs_answer_json(stdout, answer); // main() tells if that fails
		return 0;
	}
	out = fopen(path, "we");
	if (out) {
		dxs_answer_json(out, answer);
		err = ferror(out) ? -EIO : 0;
	}
	if (!out || fclose(out))
		err = -errno;
	if (err)
		dxs_error("%s cannot be written: %s", path, strerrordesc_np(-err));
	return err;
}

static int svg_write(const struct dxs_answer *answer, const char *path)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = path ? open_memstream(&text, &len) : NULL;
	int err = 0;

	if (!path)
		return 0;
	if (out)
		dxs_answer_json(out, answer);
	if (!out || fclose(out)) {
		dxs_error("there is no memory for %s", path);
		err = -ENOMEM;
	} else {
		err = dxs_plot_draw("the answer", text, len, path);
	}
	free(text);
	return err;
}

// Makes the smallest failure smaller, and leaves it in `work`.
static void culprit_find(const struct options *options, const struct dxs_findings *findings, const char *work,
			 struct dxs_state *state, struct dxs_culprit *culprit)
{
	const struct dxs_search *search = &options->search;
	char dir[PATH_MAX];
	unsigned char *fate;
	unsigned draw;
	size_t i;

	if (!dxs_search_smallest(findings, &i, &draw))
		return;
	dxs_state_begin(state, search->record, search->line);
	while (state->moment < findings->outcome[i].moment && dxs_state_next(state))
		;
	dxs_state_units(state);
	fate = dxs_need(NULL, state->nr_units);
	dxs_draw_fates(search, state, draw, fate);
	*culprit = (struct dxs_culprit){
		.state = state, .fate = fate, .outcome = &findings->outcome[i], .draw = draw, .kept = work};
	snprintf(dir, sizeof(dir), "%s/" DXS_KEPT_DIR, work);
	mkdir(dir, 0700); // it may be there, of a test before
	culprit->trials = dxs_search_shrink(search, state, fate, dir, &culprit->trial);
}

// A command that the shell does not find, or cannot execute, has said nothing about the files.
static bool check_never_ran(const struct dxs_findings *findings)
{
	for (uint64_t i = 0; i < findings->nr; i++) {
		const struct dxs_outcome *outcome = &findings->outcome[i];
		int status = outcome->trial.status;

		if (outcome->tried && (outcome->trial.verdict != DXS_VERDICT_BROKE ||
				       (status != DXS_EXIT_NOT_FOUND && status != DXS_EXIT_CANNOT_EXEC) ||
				       (uint32_t)__builtin_popcountll(outcome->failed) != outcome->tried))
			return false;
	}
	return findings->failed > 0;
}

static void check_tell(const struct dxs_culprit *culprit)
{
	char said[512] = "";

	dxs_answer_said(culprit, said, sizeof(said));
	dxs_error("the check could not be run after any power cut: status %d%s%s", culprit->trial.status,
		  *said ? ": " : "", said);
}

static int answer(const struct options *options, const struct dxs_findings *findings, const char *work)
{
	struct dxs_answer answer = {&options->search, findings, {0}, options->model};
	struct dxs_state state;
	int err;

	if (findings->err) {
		dxs_error("a power cut cannot be tried in %s: %s", work, strerrordesc_np(-findings->err));
		return DXS_EXIT_ERROR;
	}
	culprit_find(options, findings, work, &state, &answer.culprit);
	if (check_never_ran(findings)) {
		check_tell(&answer.culprit);
		return DXS_EXIT_ERROR;
	}
	dxs_answer_print(is_stdout(options->json) || is_stdout(options->svg) ? stderr : stdout, &answer);
	err = json_write(&answer, options->json);
	if (svg_write(&answer, options->svg) || err)
		return DXS_EXIT_ERROR;
	if (findings->failed)
		return 1;
	return findings->is_interrupted || !dxs_answer_has_moments(&answer) ? DXS_EXIT_ERROR : 0;
}

// The record in `work`, tried.
static int try(struct options *options, const char *work)
{
	static struct dxs_record record;
	char path[PATH_MAX];
	struct dxs_findings findings;
	int err;

	snprintf(path, sizeof(path), "%s/" DXS_RECORD_FILE, work);
	err = dxs_record_open(&record, path);
	if (err) {
		dxs_error("%s: %s", path, err == -EINVAL ? "not a record of this version" : strerrordesc_np(-err));
		return DXS_EXIT_ERROR;
	}
	snprintf(path, sizeof(path), "%s/" DXS_OUTPUT_FILE, work);
	options->checker.output = open(path, O_RDONLY | O_CLOEXEC);
	if (options->checker.output < 0) {
		dxs_error("%s: %s", path, strerrordesc_np(errno));
		return DXS_EXIT_ERROR;
	}
	if (options->search.moment > record.nr_moments) {
		dxs_error("--cut=%lu: the record has %lu moments", (unsigned long)options->search.moment,
			  (unsigned long)record.nr_moments);
		return 2;
	}
	options->search.record = &record;
	options->search.checker = &options->checker;
	options->search.work = work;
	options->search.shows_progress = isatty(STDERR_FILENO);
	dxs_search_run(&options->search, &findings);
	return answer(options, &findings, work);
}

int dxs_cmd_crashtest(char **argv)
{
	struct options options = {.dir = ".", .search.seed = 1};
	char work[PATH_MAX];
	int ret = options_take(&options, argv);

	if (ret > 0) {
		fputs(help, stdout);
		return 0;
	}
	if (ret || options_check(&options))
		return 2;
	if (options.svg && !dxs_gnuplot_is_there())
		return DXS_EXIT_ERROR;
	if (!options.replay && !dxs_library_has_emulator()) {
		dxs_error("the library that emulates persistent memory is not there: install the whole of daxsync");
		return DXS_EXIT_ERROR;
	}
	if (options.replay) {
		if (realpath(options.replay, work))
			return try(&options, work);
		dxs_error("--replay=%s: %s", options.replay, strerrordesc_np(errno));
		return DXS_EXIT_ERROR;
	}
	if (work_make(&options, work))
		return DXS_EXIT_ERROR;
	ret = record(&options, work) ? DXS_EXIT_ERROR : try(&options, work);
	if (ret != 1 && !options.keep)
		dxs_remove_tree(work);
	return ret;
}
