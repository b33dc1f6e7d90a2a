// SPDX-License-Identifier: BSD-3-Clause
// exit.c: hooks of the calls that end a process or replace its program. The marks are lost there, so the hooks flush
// what is dirty first.
#include "exit.h"

#include <stdarg.h>

#include "base/foreign.h"
#include "call/calls.h"
#include "hooks.h"
#include "process/fork.h"
#include "report/stats.h"
#include "report/unserved.h"
#include "signal/signals.h"

#define FINISHED UINT32_MAX // in the place of the thread

// seq_cst, the default: one exchange decides who finishes, and FINISHED comes after all is synced. Process and thread in one
// word: a child has inherited its parent's, and a signal handler may come here while its own thread does.
static _Atomic uint64_t finishing; // the process << 32 | its thread
static _Atomic uint32_t finishes;  // futex: changes after `finishing` is FINISHED

static void finish_await(uint64_t finished)
{
	uint32_t before = atomic_load(&finishes);

	while (atomic_load(&finishing) != finished) {
		dxs_futex_wait(&finishes, before);
		before = atomic_load(&finishes);
	}
}

void dxs_finish(void)
{
	uint64_t process = (uint64_t)getpid() << 32, me = process | (uint32_t)dxs_sys_tid(),
		 old = atomic_load(&finishing);

	if (!dxs_hook_enter() || !dxs_fork_is_owner())
		return;
	if (old >> 32 != process >> 32 && atomic_compare_exchange_strong(&finishing, &old, me)) {
		dxs_sync_all();
		dxs_leave_all();
		dxs_unserved_say();
		dxs_stats_report();
		atomic_store(&finishing, process | FINISHED);
		atomic_fetch_add(&finishes, 1);
		dxs_futex_wake(&finishes, INT32_MAX);
	} else if (old != me) {
		finish_await(process | FINISHED);
	}
}

#define EXIT(name)                                                                                                     \
	DXS_EXPORT void name(int status)                                                                               \
	{                                                                                                              \
		dxs_finish();                                                                                          \
		if (dxs_next.name)                                                                                     \
			dxs_next.name(status);                                                                         \
		for (;;)                                                                                               \
			dxs_sys6(SYS_exit_group, status, 0, 0, 0, 0, 0);                                               \
	}

EXIT(_exit)
EXIT(_Exit)

// What another program inherits, beside the files: our handlers would become default actions, and the masks are spared.
static dxs_sigset exec_begin(void)
{
	if (dxs_hook_enter() && dxs_fork_is_owner())
		dxs_sync_all();
	dxs_hooks_fill();
	return dxs_hooks_spare() && dxs_fork_is_owner() ? dxs_signals_exec_begin() : 0;
}

static int exec_failed(dxs_sigset set)
{
	int saved = errno;

	if (dxs_hooks_spare() && dxs_fork_is_owner())
		dxs_signals_exec_failed(set);
	errno = saved;
	return -1;
}

#define EXECUTES(call)                                                                                                 \
	({                                                                                                             \
		dxs_sigset set_ = exec_begin();                                                                        \
                                                                                                                       \
		(void)(call);                                                                                          \
		exec_failed(set_);                                                                                     \
	})

DXS_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	return EXECUTES(dxs_next.execve(path, argv, envp));
}

DXS_EXPORT int execv(const char *path, char *const argv[])
{
	return EXECUTES(dxs_next.execv(path, argv));
}

DXS_EXPORT int execvp(const char *file, char *const argv[])
{
	return EXECUTES(dxs_next.execvp(file, argv));
}

DXS_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	return EXECUTES(dxs_next.execvpe(file, argv, envp));
}

// Counts the arguments behind `arg`, up to and with the NULL.
static size_t args_count(va_list args)
{
	size_t nr = 2;

	while (va_arg(args, char *))
		nr++;
	return nr;
}

// Collects the arguments of an execl call, and the environment behind them if there is one, into a vector on the stack.
#define ARGS_COLLECT(argv, arg, args, nr_behind)                                                                       \
	va_start(args, arg);                                                                                           \
	size_t nr_ = args_count(args) + (nr_behind), i_;                                                               \
	va_end(args);                                                                                                  \
	char *argv[nr_ > LISTED ? nr_ : LISTED];                                                                       \
	argv[0] = (char *)(uintptr_t)(arg);                                                                            \
	va_start(args, arg);                                                                                           \
	for (i_ = 1; i_ < nr_ || i_ < LISTED; i_++)                                                                    \
		argv[i_] = i_ < nr_ ? va_arg(args, char *) : NULL;                                                     \
	va_end(args)

// A list of arguments can be passed on as one only with a constant number of them; libc's own ends at the NULL. A longer
// one goes on as a vector.
#define LISTED 32
#define LIST4(argv, i) argv[i], argv[(i) + 1], argv[(i) + 2], argv[(i) + 3]
#define LIST16(argv, i) LIST4(argv, i), LIST4(argv, (i) + 4), LIST4(argv, (i) + 8), LIST4(argv, (i) + 12)
#define LIST(argv) LIST16(argv, 0), LIST16(argv, 16)

DXS_EXPORT int execl(const char *path, const char *arg, ...)
{
	va_list args;

	ARGS_COLLECT(argv, arg, args, 0);
	return EXECUTES(nr_ > LISTED ? dxs_next.execv(path, argv) : dxs_next.execl(path, LIST(argv), NULL));
}

DXS_EXPORT int execlp(const char *file, const char *arg, ...)
{
	va_list args;

	ARGS_COLLECT(argv, arg, args, 0);
	return EXECUTES(nr_ > LISTED ? dxs_next.execvp(file, argv) : dxs_next.execlp(file, LIST(argv), NULL));
}

DXS_EXPORT int execle(const char *path, const char *arg, ...)
{
	va_list args;

	ARGS_COLLECT(argv, arg, args, 1);
	return EXECUTES(nr_ > LISTED ? dxs_next.execve(path, argv, (char **)argv[nr_ - 1])
				     : dxs_next.execle(path, LIST(argv), NULL, NULL));
}

DXS_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	return EXECUTES(dxs_next.fexecve(fd, argv, envp));
}

DXS_EXPORT int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
	return EXECUTES(dxs_next.execveat(dir, path, argv, envp, flags));
}

// fork() without the fork handlers.
DXS_EXPORT pid_t _Fork(void)
{
	bool act = dxs_hook_enter();
	pid_t pid;

	dxs_hooks_fill();
	if (!act)
		return dxs_next._Fork();
	dxs_fork_prepare();
	pid = dxs_next._Fork();
	if (pid)
		dxs_fork_in_parent();
	else
		dxs_fork_in_child();
	return pid;
}

struct cloned {
	int (*run)(void *arg);
	void *arg;
};

// On a stack of its own, with a copy of the parent's memory. It ends with the function.
static int run_cloned(void *arg)
{
	const struct cloned *cloned = arg;
	int ret;

	dxs_fork_in_child();
	ret = cloned->run(cloned->arg);
	dxs_finish();
	return ret;
}

static int clone_process(int (*run)(void *), void *stack, int flags, void *arg, pid_t *parent_tid, void *tls,
			 pid_t *child_tid)
{
	struct cloned cloned = {run, arg};
	int pid, saved;

	dxs_fork_prepare();
	pid = dxs_next.clone(run_cloned, stack, flags, &cloned, parent_tid, tls, child_tid);
	saved = errno;
	dxs_fork_in_parent();
	errno = saved;
	return pid;
}

// Memory and descriptors are shared both or not at all, or only for as long as this thread sleeps: then what is known of a
// number (foreign.h) is true for all who can look.
static bool shares_all_or_nothing(int flags)
{
	bool memory = flags & CLONE_VM, descriptors = flags & CLONE_FILES;

	if (memory && flags & CLONE_NEWPID) // it may have this process's number
		return false;
	return memory == descriptors || (memory && flags & CLONE_VFORK);
}

// A process of its own is a fork. What shares the memory is a thread, or runs on in the place of this one.
DXS_EXPORT int clone(int (*run)(void *), void *stack, int flags, void *arg, ...)
{
	pid_t *parent_tid, *child_tid;
	va_list args;
	void *tls;

	va_start(args, arg); // libc takes all of them too, whether they are there or not
	parent_tid = va_arg(args, pid_t *);
	tls = va_arg(args, void *);
	child_tid = va_arg(args, pid_t *);
	va_end(args);
	dxs_hooks_fill();
	if (!shares_all_or_nothing(flags))
		dxs_foreign_stop();
	if (flags & CLONE_VM || !run || !stack || !dxs_hook_enter())
		return dxs_next.clone(run, stack, flags, arg, parent_tid, tls, child_tid);
	return clone_process(run, stack, flags, arg, parent_tid, tls, child_tid);
}
