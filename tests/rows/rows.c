// SPDX-License-Identifier: BSD-3-Clause
// rows.c: runs the rows of a table and prints one line for each: its name, what it said, how it ended: exit status, or
// signal, core dump, and the si_code and si_addr of the signal that killed it, as a tracer sees them.
#include "rows.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct table *table;
struct said {
	_Atomic size_t len;
	char text[16384];
};
static struct said *said; // what the row says; in shared memory, which no row closes and every child has
static const char *prefix;
static unsigned nr_rows, nr_passed_over;

void say(const char *format, ...)
{
	char text[256];
	va_list args;
	int len, saved = errno;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(text) || said->len + (size_t)len > sizeof(said->text))
		_exit(99);
	memcpy(said->text + atomic_fetch_add(&said->len, (size_t)len), text, (size_t)len);
	errno = saved;
}

void broken(int line, const char *what)
{
	say(" [broken: line %d: %s, errno %d]", line, what, errno);
	_exit(98);
}

// A row that its own alarm does not end: the kernel does not come back from a call.
static pid_t traced;

static void on_alarm(int sig)
{
	(void)sig;
	kill(traced, SIGKILL);
}

// Hands every signal on to the row, and remembers the last one.
static int trace(pid_t pid, siginfo_t *last)
{
	int status, sig = 0;

	for (;;) {
		MUST(waitpid(pid, &status, 0) == pid);
		if (!WIFSTOPPED(status))
			return status;
		sig = WSTOPSIG(status);
		if (ptrace(PTRACE_GETSIGINFO, pid, NULL, last) || sig == SIGSTOP || sig == SIGTRAP)
			sig = 0;
		ptrace(PTRACE_CONT, pid, NULL, (long)sig);
	}
}

static void child(const char *name, row_fn *run, const void *arg)
{
	rlim_t size = table->core ? table->core(name) : 0;
	struct rlimit core = {size, size};

	signal(SIGALRM, SIG_DFL);
	alarm(table->timeout);
	setrlimit(RLIMIT_CORE, &core);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	if (table->begin)
		table->begin(name);
	run(arg);
	if (table->end)
		table->end();
	_exit(0);
}

static void say_end(const char *name, int status, const siginfo_t *last)
{
	if (WIFEXITED(status)) {
		printf(" exit %d\n", WEXITSTATUS(status));
		return;
	}
	printf(" killed by %d%s", WTERMSIG(status), WCOREDUMP(status) ? ", core" : "");
	if (table->killed_elsewhere && strstr(name, table->killed_elsewhere))
		;
	else if (last->si_signo == WTERMSIG(status) && last->si_code > 0)
		printf(", code %d at %s", last->si_code, table->place(last->si_addr));
	else if (last->si_signo == WTERMSIG(status))
		printf(", code %d", last->si_code);
	putchar('\n');
}

void row(const char *name, row_fn *run, const void *arg)
{
	siginfo_t last = {0};
	int status;
	pid_t pid;

	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return;
	if (table->parts && (nr_rows + nr_passed_over) % table->parts != table->part) {
		nr_passed_over++;
		return;
	}
	nr_rows++;
	said->len = 0;
	fflush(stdout);
	pid = fork();
	MUST(pid >= 0);
	if (!pid)
		child(name, run, arg);
	traced = pid;
	alarm(table->timeout + 5);
	status = trace(pid, &last);
	alarm(0);
	printf("%s:%.*s", name, (int)said->len, said->text);
	say_end(name, status, &last);
	if (table->ended)
		table->ended(name);
}

int rows_print(const struct table *rows, const char *begin)
{
	table = rows;
	prefix = begin;
	signal(SIGALRM, on_alarm);
	said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (said == MAP_FAILED)
		return 2;
	table->all();
	fprintf(stderr, "%u rows\n", nr_rows);
	return nr_rows ? 0 : 2;
}
