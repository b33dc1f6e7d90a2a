// SPDX-License-Identifier: BSD-3-Clause
// table.c [PREFIX]: prints one line for each row whose name begins with PREFIX: its name, what it said, how it ended:
// exit status, or signal, core dump, and the si_code and si_addr of the signal that killed it, as a tracer sees them.
//
// compare.sh runs it with and without the shim and compares the lines.
#include "table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT 10 // seconds for a row

char *map, *private;

static int out;       // what the row says
static struct shown { // where the memory of the row is, for the tracer
	char *map, *private;
} * shown;
static const char *prefix = "";
static unsigned nr_rows;

void say(const char *format, ...)
{
	char text[256];
	va_list args;
	int len, saved = errno;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len > 0 && write(out, text, (size_t)len) != len)
		_exit(99);
	errno = saved;
}

void broken(int line, const char *what)
{
	say(" [broken: line %d: %s, errno %d]", line, what, errno);
	_exit(98);
}

void memory_close(void)
{
	MUST(!msync(map, NR_PAGES * PAGE, MS_SYNC));
}

void memory_store(void)
{
	size_t i;

	for (i = 0; i < NR_PAGES - 1; i++)
		((volatile char *)map)[i * PAGE + 1] = 'x';
}

static int file_make(void)
{
	char path[] = "/dev/shm/daxsync-signals.XXXXXX";
	int fd = mkstemp(path);

	MUST(fd >= 0 && !unlink(path) && !ftruncate(fd, (off_t)((NR_PAGES - 1) * PAGE)));
	return fd;
}

void memory_make(void)
{
	int fd = file_make();

	private = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(private != MAP_FAILED && !mprotect(private, PAGE, PROT_READ));
	map = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(map != MAP_FAILED && !close(fd));
	*shown = (struct shown){map, private};
	memory_store();
	memory_close();
}

const char *place(const void *addr)
{
	static char text[32];
	const char *at = addr;

	if (map && at >= map && at < map + NR_PAGES * PAGE)
		snprintf(text, sizeof(text), "map+%zx", (size_t)(at - map));
	else if (private && at >= private && at < private + 2 * PAGE)
		snprintf(text, sizeof(text), "private+%zx", (size_t)(at - private));
	else if ((uintptr_t)addr < PAGE)
		snprintf(text, sizeof(text), "%zx", (size_t)(uintptr_t)addr);
	else
		return "elsewhere";
	return text;
}

const char *members(const sigset_t *set)
{
	static char text[4];

	text[0] = sigismember(set, SIGSEGV) == 1 ? 'S' : '-';
	text[1] = sigismember(set, SIGBUS) == 1 ? 'B' : '-';
	text[2] = sigismember(set, SIGUSR1) == 1 ? 'U' : '-';
	return text;
}

void say_mask(const char *when)
{
	sigset_t set;

	MUST(!sigprocmask(SIG_BLOCK, NULL, &set));
	say(" %s=%s", when, members(&set));
}

void say_action(int sig)
{
	struct sigaction act;

	MUST(!sigaction(sig, NULL, &act));
	say(" action=%s,%x,%s",
	    act.sa_handler == SIG_DFL   ? "default"
	    : act.sa_handler == SIG_IGN ? "ignored"
					: "handler",
	    (unsigned)act.sa_flags, members(&act.sa_mask));
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

// Dumping core takes its time: only rows without a handler do.
static void child(const char *name, row_fn *run, const void *arg)
{
	rlim_t size = strstr(name, "/default/") || strstr(name, "/ignored/") ? 1 << 26 : 0;
	struct rlimit core = {size, size};

	alarm(TIMEOUT);
	setrlimit(RLIMIT_CORE, &core);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	run(arg);
	say_mask("end");
	_exit(0);
}

static void say_end(const char *name, int status, const siginfo_t *last)
{
	if (WIFEXITED(status)) {
		printf(" exit %d\n", WEXITSTATUS(status));
		return;
	}
	printf(" killed by %d%s", WTERMSIG(status), WCOREDUMP(status) ? ", core" : "");
	if (strstr(name, "thread")) // only the first thread is traced
		;
	else if (last->si_signo == WTERMSIG(status) && last->si_code > 0)
		printf(", code %d at %s", last->si_code, place(last->si_addr));
	else if (last->si_signo == WTERMSIG(status))
		printf(", code %d", last->si_code);
	putchar('\n');
}

void row(const char *name, row_fn *run, const void *arg)
{
	siginfo_t last = {0};
	char said[4096];
	int status;
	ssize_t len;
	pid_t pid;

	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return;
	nr_rows++;
	MUST(!ftruncate(out, 0) && !lseek(out, 0, SEEK_SET));
	fflush(stdout);
	pid = fork();
	MUST(pid >= 0);
	if (!pid)
		child(name, run, arg);
	status = trace(pid, &last);
	len = pread(out, said, sizeof(said), 0);
	map = shown->map;
	private = shown->private;
	printf("%s:%.*s", name, (int)(len > 0 ? len : 0), said);
	say_end(name, status, &last);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		prefix = argv[1];
	out = memfd_create("said", MFD_CLOEXEC);
	shown = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (out < 0 || shown == MAP_FAILED)
		return 2;
	rows_product();
	rows_single();
	fprintf(stderr, "%u rows\n", nr_rows);
	return nr_rows ? 0 : 2;
}
