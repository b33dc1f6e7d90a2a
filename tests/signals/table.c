// SPDX-License-Identifier: BSD-3-Clause
// table.c [PREFIX]: prints one line for each row whose name begins with PREFIX (tests/rows).
//
// compare.sh runs it with and without the shim and compares the lines.
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TIMEOUT 10 // seconds for a row

char *map, *private;

struct shown {
	char *map, *private;
};
static struct shown *shown; // where the memory of the row is, for the tracer

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

// Dumping core takes its time: only rows without a handler do.
static rlim_t core(const char *name)
{
	return strstr(name, "/default/") || strstr(name, "/ignored/") ? 1 << 26 : 0;
}

static const char *place_shown(const void *addr)
{
	map = shown->map;
	private = shown->private;
	return place(addr);
}

static void all(void)
{
	rows_product();
	rows_single();
}

static void end(void)
{
	say_mask("end");
}

int main(int argc, char **argv)
{
	static const struct table table = {
		.all = all,
		.place = place_shown,
		.core = core,
		.end = end,
		.killed_elsewhere = "thread", // only the first thread is traced
		.timeout = TIMEOUT,
	};

	shown = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shown == MAP_FAILED)
		return 2;
	return rows_print(&table, argc > 1 ? argv[1] : "");
}
