// SPDX-License-Identifier: BSD-3-Clause
// rows_process.c: children of every kind, and ends of every kind, with stores that nobody has synced.
#include "corpus.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR(array) (sizeof(array) / sizeof((array)[0]))

extern char **environ;

static void wait_for(const char *label, pid_t pid)
{
	int status;

	MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
	say_status(label, status);
}

// What a child does with the mapping that it has inherited.

static void child_stores(void)
{
	fill(map, 4, 3, 'C');
}

static void child_syncs(void)
{
	fill(map, 4, 3, 'C');
	TELL("child msync", msync(map, SIZE, MS_SYNC));
	fill(map + 2 * PAGE, 3, 4, 'D');
	TELL("child fsync", fsync(fd));
	fill(map + 5 * PAGE, 1, 5, 'E');
}

static void child_maps(void)
{
	char *own = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	MUST(own != MAP_FAILED);
	fill(own, 3, 3, 'F');
	TELL("child msync", msync(own, SIZE, MS_SYNC));
	fill(own, 2, 4, 'G');
	fill(map, 1, 5, 'H');
	TELL("child munmap", munmap(map, SIZE));
	TELL("child msync", msync(own, SIZE, MS_SYNC));
}

static void child_changes(void)
{
	fill(map, 4, 3, 'I');
	TELL("child ftruncate", ftruncate(fd, 6 * PAGE));
	TELL("child pwrite", pwrite(fd, "written", 7, 5 * PAGE));
	TELL("child mprotect", mprotect(map + PAGE, PAGE, PROT_READ));
	TELL("child ftruncate", ftruncate(fd, SIZE));
	fill(map + 4 * PAGE, 4, 6, 'J');
	TELL("child msync", msync(map, SIZE, MS_SYNC));
}

static void (*const deeds[])(void) = {child_stores, child_syncs, child_maps, child_changes};

// Children that are copies. Each returns only in the parent.

static pid_t by_fork(void (*run)(void))
{
	pid_t pid = fork();

	if (!pid) {
		run();
		_exit(7);
	}
	return pid;
}

static pid_t by_Fork(void (*run)(void))
{
	pid_t pid = _Fork();

	if (!pid) {
		run();
		_exit(7);
	}
	return pid;
}

static pid_t by_raw_fork(void (*run)(void))
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (!pid) {
		run();
		_exit(7);
	}
	return pid;
}

static pid_t by_clone3(void (*run)(void))
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (!pid) {
		run();
		_exit(7);
	}
	return pid;
}

static int in_clone(void *arg)
{
	(*(void (**)(void))arg)();
	return 7;
}

#define STACK ((size_t)256 << 10)

static pid_t cloned(void (*run)(void), int flags)
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	static void (*what)(void);

	MUST(stack != MAP_FAILED);
	what = run;
	return clone(in_clone, stack + STACK, flags | SIGCHLD, &what);
}

static pid_t by_clone(void (*run)(void))
{
	return cloned(run, 0);
}

static pid_t by_clone_files(void (*run)(void))
{
	return cloned(run, CLONE_FILES | CLONE_FS);
}

// The child has this process's memory, while this thread sleeps.
static pid_t by_clone_vfork(void (*run)(void))
{
	return cloned(run, CLONE_VM | CLONE_VFORK);
}

struct way {
	const char *name;
	pid_t (*make)(void (*run)(void));
};

static const struct way ways[] = {
	{"fork", by_fork},
	{"_Fork", by_Fork},
	{"raw_fork", by_raw_fork},
	{"clone3", by_clone3},
	{"clone", by_clone},
	{"clone_files", by_clone_files},
	{"clone_vfork", by_clone_vfork},
};

struct child {
	const struct way *way;
	void (*run)(void);
};

static void child(const void *arg)
{
	const struct child *child = arg;

	memory_make();
	memory_store();
	wait_for("child", child->way->make(child->run));
	say_memory("has", map, SIZE);
	memory_store();
	TELL("msync", msync(map, SIZE, MS_SYNC));
	after();
	TELL("fsync", fsync(fd));
	after();
}

// The parent stores and syncs while the child lives.
static int ready[2], go[2];

static void step(int *from)
{
	char byte;

	MUST(read(from[0], &byte, 1) == 1);
}

static void tell_other(int *to)
{
	MUST(write(to[1], "x", 1) == 1);
}

static void child_in_turn(void)
{
	fill(map, 3, 7, 'T');
	tell_other(ready);
	step(go);
	say_memory("child has", map, SIZE);
	TELL("child msync", msync(map, SIZE, MS_SYNC));
	fill(map + 4 * PAGE, 3, 7, 'U');
	tell_other(ready);
	step(go);
	say_memory("child has", map, SIZE);
	fill(map, 2, 8, 'V');
}

static void in_turn(const void *arg)
{
	const struct way *way = arg;
	pid_t pid;

	memory_make();
	memory_store();
	MUST(!pipe(ready) && !pipe(go));
	pid = way->make(child_in_turn);
	step(ready);
	fill(map + 2 * PAGE, 4, 9, 'P');
	TELL("msync", msync(map, SIZE, MS_SYNC));
	tell_other(go);
	step(ready);
	fill(map + 2 * PAGE, 1, 10, 'Q');
	TELL("fsync", fsync(fd));
	tell_other(go);
	wait_for("child", pid);
	after();
}

static void child_is_short(void)
{
	fill(map, 2, 12, 'S');
	MUST(!msync(map, SIZE, MS_SYNC));
	fill(map + 2 * PAGE, 2, 13, 'T');
}

static void many_children(const void *arg)
{
	int i;

	(void)arg;
	memory_make();
	for (i = 0; i < 200; i++) {
		pid_t pid = by_fork(i % 2 ? child_stores : child_is_short);
		int status;

		map[i % 8 * (int)PAGE + 11] = (char)i;
		if (i % 5 == 0)
			MUST(!msync(map, SIZE, MS_SYNC));
		MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
	}
	TELL("fsync", fsync(fd));
	after();
}

static void killed_child(const void *arg)
{
	pid_t pid;

	(void)arg;
	memory_make();
	memory_store();
	MUST(!pipe(ready) && !pipe(go));
	pid = by_fork(child_in_turn);
	step(ready);
	MUST(!kill(pid, SIGKILL));
	wait_for("child", pid);
	after();
	memory_store();
	TELL("fsync", fsync(fd));
	after();
}

// Children that become other programs.

static char self[4096];

static void self_find(void)
{
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	MUST(len > 0);
	self[len] = '\0';
}

// The helper stores to and syncs the file, in a program of its own: see process_helper().
static void helped_by_spawn(const char *deed, char *const *env)
{
	char *argv[] = {self, (char *)"--helper", (char *)(uintptr_t)deed, NULL};
	pid_t pid;

	tell_errno("spawn", posix_spawn(&pid, self, NULL, NULL, argv, env));
	wait_for("helper", pid);
}

static void helped_by_vfork(const char *deed)
{
	pid_t pid = vfork();

	if (!pid) {
		execl(self, self, "--helper", deed, (char *)NULL);
		_exit(127);
	}
	wait_for("helper", pid);
}

static void helped_by_fork(const char *deed)
{
	pid_t pid = fork();

	if (!pid) {
		fill(map + 6 * PAGE, 1, 12, 'B');
		execl(self, self, "--helper", deed, (char *)NULL);
		_exit(127);
	}
	wait_for("helper", pid);
}

static void helped_by_shell(const char *deed)
{
	char command[8192];

	snprintf(command, sizeof(command), "'%s' --helper %s", self, deed);
	say_status("system", system(command));
}

static void helped_by_popen(const char *deed)
{
	char command[8192], said[64] = "";
	FILE *file;

	snprintf(command, sizeof(command), "'%s' --helper %s && echo done", self, deed);
	file = popen(command, "r");
	MUST(file);
	say(" said %.4s", fgets(said, sizeof(said), file) ? said : "none");
	say_status("pclose", pclose(file));
}

struct help {
	const char *way, *deed;
};

static void help(const char *way, const char *deed)
{
	if (!strcmp(way, "spawn"))
		helped_by_spawn(deed, environ);
	else if (!strcmp(way, "vfork"))
		helped_by_vfork(deed);
	else if (!strcmp(way, "fork"))
		helped_by_fork(deed);
	else if (!strcmp(way, "system"))
		helped_by_shell(deed);
	else
		helped_by_popen(deed);
}

static void helped(const void *arg)
{
	const struct help *with = arg;

	self_find();
	memory_make();
	memory_store();
	help(with->way, with->deed);
	say_memory("has", map, SIZE);
	memory_store();
	after();
	help(with->way, with->deed);
	TELL("fsync", fsync(fd));
	after();
}

// The new program has the shim, or not.
static void executed(const void *arg)
{
	const char *how = arg;
	pid_t pid;

	self_find();
	memory_make();
	memory_store();
	pid = fork();
	if (!pid) {
		fill(map, 3, 13, 'X');
		if (!strcmp(how, "without_the_shim"))
			unsetenv("LD_PRELOAD");
		if (!strcmp(how, "without_environment"))
			clearenv();
		execl(self, self, "--helper", "store", (char *)NULL);
	}
	wait_for("program", pid);
	after();
	if (!strcmp(how, "in_the_row"))
		execl(self, self, "--helper", "sync", (char *)NULL);
	TELL("not there", execl("./nothing", "nothing", (char *)NULL));
	memory_store();
	after();
}

// The end of a process with unsynced pages. The parent reads the file.

static void ends(const char *how)
{
	memory_store();
	fill(map + 4 * PAGE, 3, 14, 'E');
	if (!strcmp(how, "exit"))
		exit(3);
	if (!strcmp(how, "_exit"))
		_exit(3);
	if (!strcmp(how, "_Exit"))
		_Exit(3);
	if (!strcmp(how, "quick_exit"))
		quick_exit(3);
	if (!strcmp(how, "exit_group"))
		syscall(SYS_exit_group, 3);
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "sigkill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(how, "sigterm"))
		raise(SIGTERM);
	if (!strcmp(how, "pthread_exit"))
		pthread_exit(NULL);
}

static void end_of_a_child(const void *arg)
{
	pid_t pid;

	memory_make();
	pid = fork();
	if (!pid)
		ends(arg);
	wait_for("child", pid);
	after();
}

// A mapping that only the child has.
static void end_of_a_writer(const void *arg)
{
	pid_t pid = fork();

	if (!pid) {
		memory_make();
		ends(arg);
	}
	wait_for("child", pid);
	fd = open("file", O_RDWR | O_CLOEXEC);
	say_file("file", fd);
	map = map_new("map", fd, 0, SIZE);
	after();
}

static void end_of_the_row(const void *arg)
{
	memory_make();
	ends(arg);
}

static void *store_on(void *arg)
{
	pthread_t main_thread = *(pthread_t *)arg;

	MUST(!pthread_join(main_thread, NULL));
	memory_store();
	after();
	exit(5);
}

static void main_thread_ends(const void *arg)
{
	static pthread_t main_thread;
	pthread_t thread;

	(void)arg;
	main_thread = pthread_self();
	memory_make();
	MUST(!pthread_create(&thread, NULL, store_on, &main_thread));
	pthread_exit(NULL);
}

// Handlers of fork and exit that store and sync.

static void at_prepare(void)
{
	fill(map, 2, 15, 'p');
	TELL("prepare", msync(map, SIZE, MS_SYNC));
	fill(map, 1, 16, 'q');
}

static void at_parent(void)
{
	fill(map + PAGE, 2, 17, 'r');
	TELL("parent", fsync(fd));
}

static void at_child(void)
{
	fill(map + 3 * PAGE, 2, 18, 's');
	MUST(!msync(map, SIZE, MS_SYNC)); // whether it or the parent comes first is nobody's to know
	fill(map + 3 * PAGE, 1, 19, 't');
}

static void fork_handlers(const void *arg)
{
	(void)arg;
	memory_make();
	memory_store();
	MUST(!pthread_atfork(at_prepare, at_parent, at_child));
	in_child("child", child_stores);
	after();
	in_child("child", child_stores);
	after();
	say_status("system", system("exit 4"));
	after();
}

static void at_exit(void)
{
	fill(map, 3, 20, 'x');
	TELL("at exit", msync(map, SIZE, MS_SYNC));
	fill(map, 2, 21, 'y');
}

static void exits_with_handler(void)
{
	MUST(!atexit(at_exit) && !at_quick_exit(at_exit));
	memory_store();
	exit(6);
}

static void quick_exits_with_handler(void)
{
	MUST(!at_quick_exit(at_exit));
	memory_store();
	quick_exit(6);
}

static void exit_handlers(const void *arg)
{
	(void)arg;
	memory_make();
	in_child("exit", exits_with_handler);
	after();
	in_child("quick_exit", quick_exits_with_handler);
	after();
}

// Cancellation, which acts before a sync or after it.

static void *cancelled_before(void *arg)
{
	(void)arg;
	fill(map, 4, 22, 'k');
	pthread_cancel(pthread_self());
	msync(map, SIZE, MS_SYNC);
	say(" msync came back");
	return NULL;
}

static void *cancelled_in_fsync(void *arg)
{
	(void)arg;
	pthread_cancel(pthread_self());
	fsync(fd);
	say(" fsync came back");
	return NULL;
}

static void *not_cancelled(void *arg)
{
	(void)arg;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cancel(pthread_self());
	fill(map, 3, 23, 'l');
	TELL("msync", msync(map, SIZE, MS_SYNC));
	TELL("fdatasync", fdatasync(fd));
	fill(map, 2, 24, 'm');
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	msync(map, SIZE, MS_ASYNC);
	say(" msync came back");
	return NULL;
}

static void *syncs_for_ever(void *arg)
{
	(void)arg;
	for (;;) {
		fill(map, 4, 25, 'n');
		msync(map, SIZE, MS_SYNC);
	}
	return NULL;
}

static void cancelled(const void *arg)
{
	static void *(*const runs[])(void *) = {cancelled_before, cancelled_in_fsync, not_cancelled, syncs_for_ever};
	pthread_t thread;
	void *result;

	memory_make();
	memory_store();
	MUST(!pthread_create(&thread, NULL, runs[*(const size_t *)arg], NULL));
	if (runs[*(const size_t *)arg] == syncs_for_ever) {
		while (((volatile char *)map)[3 * PAGE + 25] != 'n')
			sched_yield();
		MUST(!pthread_cancel(thread));
	}
	MUST(!pthread_join(thread, &result));
	TELL("cancelled", result == PTHREAD_CANCELED);
	after();
}

// Daemons, sessions, parents that die.

static void daemon_stores(const void *arg)
{
	char byte;

	(void)arg;
	memory_make();
	memory_store();
	MUST(!pipe(ready));
	if (!fork()) {
		close(ready[0]);
		MUST(!daemon(1, 0));
		child_syncs();
		TELL("session", getsid(0) == getpid() || getppid() != 1);
		_exit(0);
	}
	close(ready[1]);
	TELL("end", read(ready[0], &byte, 1)); // both are gone
	MUST(wait(NULL) > 0);
	after();
}

static void in_a_session(void)
{
	TELL("setsid", setsid() == getpid());
	child_syncs();
}

static void session(const void *arg)
{
	(void)arg;
	memory_make();
	memory_store();
	in_child("child", in_a_session);
	TELL("setsid", setsid() == getpid() || errno == EPERM);
	after();
}

// The child of a child gets SIGTERM when its parent ends.
static void parent_dies(const void *arg)
{
	char byte;
	pid_t pid;

	(void)arg;
	memory_make();
	memory_store();
	MUST(!pipe(ready) && !pipe(go));
	pid = fork();
	if (!pid) {
		if (!fork()) {
			close(ready[0]);
			MUST(!prctl(PR_SET_PDEATHSIG, SIGTERM));
			child_syncs();
			tell_other(go);
			for (;;)
				pause();
		}
		step(go);
		_exit(4);
	}
	wait_for("child", pid);
	close(ready[1]);
	TELL("end", read(ready[0], &byte, 1));
	after();
}

// Its exit status tells.
int process_helper(const char *deed)
{
	fd = open("file", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return 20;
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 21;
	fill(map + PAGE, 3, 30, 'H');
	if (!strcmp(deed, "store"))
		return 30;
	if (msync(map, SIZE, MS_SYNC))
		return 22;
	fill(map + 2 * PAGE, 4, 31, 'I');
	return fsync(fd) ? 23 : 31;
}

static void rows_child(void)
{
	static const char *const deed_name[] = {"stores", "syncs", "maps", "changes"};
	struct child with;
	char name[64];
	size_t i, j;

	for (i = 0; i < NR(ways); i++) {
		for (j = 0; j < NR(deeds); j++) {
			if (ways[i].make == by_clone_vfork && j > 1)
				continue; // what it changes is changed for both
			with = (struct child){&ways[i], deeds[j]};
			snprintf(name, sizeof(name), "process/%s/%s", ways[i].name, deed_name[j]);
			row(name, child, &with);
		}
		snprintf(name, sizeof(name), "process/%s/in_turn", ways[i].name);
		if (ways[i].make != by_clone_vfork)
			row(name, in_turn, &ways[i]);
	}
	row("process/many_children", many_children, NULL);
	row("process/killed_child", killed_child, NULL);
}

static void rows_program(void)
{
	static const char *const how[] = {"spawn", "vfork", "fork", "system", "popen"}, *const deed[] = {"store",
													 "sync"};
	static const char *const programs[] = {"with_the_shim", "without_the_shim", "without_environment",
					       "in_the_row"};
	struct help with;
	char name[64];
	size_t i, j;

	for (i = 0; i < NR(how); i++)
		for (j = 0; j < NR(deed); j++) {
			with = (struct help){how[i], deed[j]};
			snprintf(name, sizeof(name), "process/program/%s/%s", how[i], deed[j]);
			row(name, helped, &with);
		}
	for (i = 0; i < NR(programs); i++) {
		snprintf(name, sizeof(name), "process/exec/%s", programs[i]);
		row(name, executed, programs[i]);
	}
}

static void rows_end(void)
{
	static const char *const how[] = {"exit",  "_exit",   "_Exit",   "quick_exit",   "exit_group",
					  "abort", "sigkill", "sigterm", "pthread_exit", "return"};
	char name[64];
	size_t i;

	for (i = 0; i < NR(how); i++) {
		snprintf(name, sizeof(name), "process/end_of_a_child/%s", how[i]);
		if (strcmp(how[i], "return") != 0)
			row(name, end_of_a_child, how[i]);
		snprintf(name, sizeof(name), "process/end_of_a_writer/%s", how[i]);
		if (strcmp(how[i], "return") != 0)
			row(name, end_of_a_writer, how[i]);
		snprintf(name, sizeof(name), "process/end/%s", how[i]);
		row(name, end_of_the_row, how[i]);
	}
	row("process/main_thread_ends", main_thread_ends, NULL);
	row("process/exit_handlers", exit_handlers, NULL);
}

void rows_process(void)
{
	static const size_t runs[] = {0, 1, 2, 3};
	char name[64];
	size_t i;

	rows_child();
	rows_program();
	rows_end();
	row("process/fork_handlers", fork_handlers, NULL);
	for (i = 0; i < NR(runs); i++) {
		snprintf(name, sizeof(name), "process/cancelled/%zu", i);
		row(name, cancelled, &runs[i]);
	}
	row("process/daemon", daemon_stores, NULL);
	row("process/session", session, NULL);
	row("process/parent_dies", parent_dies, NULL);
}
