// SPDX-License-Identifier: BSD-3-Clause
// conformance.c: a table of cases times kinds of memory, each cell in a process of its own.
//
//   conformance [-l] [-s] [-u] [-t SECONDS] [-m MEMORY] [-d PATH] [CASE...]
//
// Prints one line per cell: PASS, FAIL or SKIP, with the reason. -l lists the cells. -s: a slow machine: short loops.
// -t: how long a cell may take, or it is one that hangs (240; 720 on a slow machine). -u: without a look at what the
// library counts, for modes in which it tracks nothing. MEMORY: tmpfs, memfd, hugetlbfs; directory (files in the directory
// PATH); device (device DAX, PATH). Without -m the first three, one after the other.
// Exit status: 0; 1 if a cell has failed; 77 if all were skipped. Meant to run under the shim
// (`daxsync run --emulate --verify -- conformance`); without it, it shows that the cases expect what the kernel does.
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"
#include "huge_pages.h"
#include "runner.h"

#define TIMEOUT 240 // seconds, three times as many on a slow machine
#define HUGE_PAGES 64

unsigned memory;
const char *path = "/dev/shm";
size_t page = 4096;
static int timeout; // of a cell, in seconds

static const char *const memory_name[] = {"tmpfs", "memfd", "hugetlbfs", "directory", "device"};
#define NR_MEMORIES 5
#define NR_WITHOUT_PATH 3
static const struct test_case *const table[] = {cases_sync,    cases_map,          cases_size,    cases_change,
						cases_fd,      cases_kernel_write, cases_results, cases_signal,
						cases_process, cases_rare,         cases_thread};
#define NR_TABLES (sizeof(table) / sizeof(table[0]))

extern char **environ;

static const struct test_case *case_next(const struct test_case *test, size_t *at)
{
	if (test)
		test++;
	else
		test = table[ *at = 0];
	while (!test->name && ++*at < NR_TABLES)
		test = table[*at];
	return test->name ? test : NULL;
}

static const struct test_case *case_find(const char *name)
{
	const struct test_case *test = NULL;
	size_t at = 0;

	while ((test = case_next(test, &at)))
		if (!strcmp(test->name, name))
			return test;
	return NULL;
}

static int memory_find(const char *name)
{
	int i;

	for (i = 0; i < NR_MEMORIES; i++)
		if (!strcmp(memory_name[i], name))
			return i;
	return -1;
}

// The cell itself: conformance --cell CASE MEMORY PATH.
static int cell_run(const char *name, const char *memory_arg, const char *path_arg)
{
	const struct test_case *test = case_find(name);
	int kind = memory_find(memory_arg);
	struct daxsync_stats stats;

	if (!test || kind < 0)
		return 2;
	memory = 1U << kind;
	path = path_arg;
	if (memory & (HUGETLBFS | DEVICE))
		page = (size_t)2 << 20;
	test->run();
	counters_get(&stats);
	CHECK(!stats.missed_pages);
	return 0;
}

// Starts the cell in a process group of its own, with its output in `out`.
static pid_t cell_start(const struct test_case *test, const char *memory_arg, int out)
{
	char *argv[] = {"conformance", "--cell", (char *)test->name, (char *)memory_arg, (char *)path, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid = -1;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, out, 2);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	errno = posix_spawn(&pid, "/proc/self/exe", &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return pid;
}

static void file_print(const char *name)
{
	char text[256];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[len > 0 ? len : 0] = '\0';
	printf("    %s: %.*s\n", name, (int)strcspn(text, "\n"), text);
}

// Where each thread of a cell that hangs is: its state, what it waits for in the kernel, and its system call.
static void hang_print(pid_t group)
{
	static const char *const files[] = {"stat", "wchan", "syscall"};
	char name[PATH_MAX];
	glob_t tasks;
	size_t i, k;

	if (glob("/proc/[0-9]*/task/[0-9]*", 0, NULL, &tasks))
		return;
	for (i = 0; i < tasks.gl_pathc; i++) {
		pid_t pid = (pid_t)strtol(tasks.gl_pathv[i] + strlen("/proc/"), NULL, 10);

		for (k = 0; getpgid(pid) == group && k < sizeof(files) / sizeof(files[0]); k++) {
			snprintf(name, sizeof(name), "%s/%s", tasks.gl_pathv[i], files[k]);
			file_print(name);
		}
	}
	globfree(&tasks);
}

// Waits for the cell; a hang is ended by SIGKILL. Returns whether it ended by itself.
static bool cell_wait(pid_t pid, int *status)
{
	struct timespec limit = {.tv_sec = timeout};
	sigset_t child;
	bool ended = true;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while (!waitpid(pid, status, WNOHANG)) {
		if (sigtimedwait(&child, NULL, &limit) >= 0 || errno != EAGAIN)
			continue;
		ended = false;
		break;
	}
	if (!ended)
		hang_print(pid);
	kill(-pid, SIGKILL); // what the cell has left behind, too
	if (!ended)
		waitpid(pid, status, 0);
	return ended;
}

static void files_remove(pid_t pid)
{
	char pattern[PATH_MAX];
	glob_t found;
	size_t i;

	snprintf(pattern, sizeof(pattern), "%s/" NAME_PREFIX "%d.*", path, pid);
	if (glob(pattern, 0, NULL, &found))
		return;
	for (i = 0; i < found.gl_pathc; i++)
		unlink(found.gl_pathv[i]);
	globfree(&found);
}

// The beginning of what the cell said, and the end of it where its own reason is.
static void print_output(const char *text)
{
	const char *line = text, *end;
	size_t nr;

	for (nr = 0; *line; line = end, nr++) {
		end = strchrnul(line, '\n');
		if (nr < 8 || strlen(line) < 400)
			printf("    %.*s\n", end - line < 400 ? (int)(end - line) : 400, line);
		if (*end)
			end++;
	}
}

// The last line of what the cell said: why it was skipped.
static void last_line(const char *said, char *line, size_t size)
{
	size_t len = strlen(said);
	const char *begin;

	while (len && said[len - 1] == '\n')
		len--;
	for (begin = said + len; begin > said && begin[-1] != '\n';)
		begin--;
	snprintf(line, size, "%.*s", (int)(said + len - begin), begin);
}

static const char *verdict(int status, bool ended, const char *said, char *reason, size_t size)
{
	reason[0] = '\0';
	if (!ended)
		snprintf(reason, size, "still running after %d s", timeout);
	else if (WIFSIGNALED(status))
		snprintf(reason, size, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (strstr(said, "MISSED PAGE"))
		snprintf(reason, size, "the verifier found a missed page");
	else if (WEXITSTATUS(status) == SKIP) {
		last_line(said, reason, size);
		return "SKIP";
	} else if (!WEXITSTATUS(status))
		return "PASS";
	return "FAIL";
}

static const char *cell(const struct test_case *test, const char *memory_arg)
{
	char said[65536] = "", reason[128];
	int out = memfd_create("output", MFD_CLOEXEC), status = 0;
	double begin = now();
	const char *result;
	pid_t pid = cell_start(test, memory_arg, out);
	ssize_t len;
	bool ended;

	if (pid < 0) {
		printf("FAIL %-9s %s: cannot be started: %s\n", memory_arg, test->name, strerror(errno));
		close(out);
		return "FAIL";
	}
	ended = cell_wait(pid, &status);
	files_remove(pid);
	len = pread(out, said, sizeof(said) - 1, 0);
	said[len > 0 ? len : 0] = '\0';
	close(out);
	result = verdict(status, ended, said, reason, sizeof(reason));
	printf("%s %-9s %-50s %5.2f s%s%s\n", result, memory_arg, test->name, now() - begin, reason[0] ? ": " : "",
	       reason);
	if (!strcmp(result, "FAIL"))
		print_output(said);
	return result;
}

// Why a case is not for this kind of memory.
static const char *why_not_for(unsigned memories, int kind)
{
	if (1U << kind == DEVICE)
		return memories & HUGETLBFS ? "needs a file that has a size, and read and write"
					    : "needs pages of 4 KiB, and files that are read and written";
	if (memories == NAMED)
		return "needs a file that has a name";
	return memories & DEVICE ? "hugetlbfs does not do that, or its pages make no difference"
				 : "needs pages of 4 KiB";
}

struct totals {
	unsigned passed, failed, skipped;
};

static void count(struct totals *totals, const char *result)
{
	if (!strcmp(result, "PASS"))
		totals->passed++;
	else if (!strcmp(result, "SKIP"))
		totals->skipped++;
	else
		totals->failed++;
}

static bool is_wanted(const struct test_case *test, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, test->name))
			return true;
	return false;
}

struct options {
	bool list;
	int memory; // -1: all
	char **names;
};

static void memory_run(int kind, const struct options *options, const char *why_not, struct totals *totals)
{
	const struct test_case *test = NULL;
	size_t at = 0;

	while ((test = case_next(test, &at))) {
		bool fits = test->memories & 1U << kind;

		if (!is_wanted(test, options->names))
			continue;
		if (options->list) {
			if (fits)
				printf("%-9s %s\n", memory_name[kind], test->name);
			totals->passed++;
		} else if (why_not || !fits) {
			printf("SKIP %-9s %s: %s\n", memory_name[kind], test->name,
			       fits ? why_not : why_not_for(test->memories, kind));
			totals->skipped++;
		} else {
			count(totals, cell(test, memory_name[kind]));
		}
		fflush(stdout);
	}
}

static void all_run(const struct options *options, struct totals *totals)
{
	const char *why_not;
	int kind;

	for (kind = 0; kind < NR_MEMORIES; kind++) {
		if (options->memory < 0 ? kind >= NR_WITHOUT_PATH : options->memory != kind)
			continue;
		why_not = 1U << kind == HUGETLBFS && !options->list ? huge_pages_take(HUGE_PAGES) : NULL;
		if (1U << kind == DEVICE && !counters_get(NULL))
			why_not = "a device cannot be synced without the library";
		memory_run(kind, options, why_not, totals);
		huge_pages_give();
	}
}

static void usage(void)
{
	fputs("Usage: conformance [-l] [-s] [-u] [-t SECONDS] [-m tmpfs|memfd|hugetlbfs] [CASE...]\n"
	      "       conformance [-l] [-s] [-u] [-t SECONDS] -m directory|device -d PATH [CASE...]\n",
	      stderr);
	exit(2);
}

static void options_parse(int argc, char **argv, struct options *options)
{
	const char *given = NULL;
	int c, i;

	while ((c = getopt(argc, argv, "lsut:m:d:")) != -1) {
		if (c == 'l')
			options->list = true;
		else if (c == 's')
			setenv(SLOW, "1", 1);
		else if (c == 'u')
			setenv(UNCOUNTED, "1", 1);
		else if (c == 't' && (timeout = (int)strtol(optarg, NULL, 10)) > 0)
			continue;
		else if (c == 'd')
			path = given = optarg;
		else if (c != 'm' || (options->memory = memory_find(optarg)) < 0)
			usage();
	}
	if (!given != (options->memory < NR_WITHOUT_PATH))
		usage();
	if (!timeout)
		timeout = getenv(SLOW) ? 3 * TIMEOUT : TIMEOUT;
	options->names = argv + optind;
	for (i = optind; i < argc; i++)
		if (!case_find(argv[i])) {
			fprintf(stderr, "conformance: no case %s\n", argv[i]);
			exit(2);
		}
}

int main(int argc, char **argv)
{
	struct options options = {.memory = -1};
	struct totals totals = {0};
	sigset_t child;

	if (argc == 5 && !strcmp(argv[1], "--cell"))
		return cell_run(argv[2], argv[3], argv[4]);
	options_parse(argc, argv, &options);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	all_run(&options, &totals);
	if (!options.list)
		printf("%u passed, %u failed, %u skipped\n", totals.passed, totals.failed, totals.skipped);
	if (totals.failed)
		return 1;
	return totals.passed ? 0 : SKIP;
}
