// SPDX-License-Identifier: BSD-3-Clause
// inherit.c: hooks of calls that make a thread or a process. The new one inherits the kernel's signal mask, in which
// the library's signals are never blocked, so the hooks pass the shadow mask on.
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/behind.h"
#include "call/calls.h"
#include "hooks.h"
#include "pins.h"
#include "signal/sigmask.h"

struct start {
	void *(*run)(void *);
	int (*run_c11)(void *); // in its place
	void *arg;
	unsigned bits;
};

// libc has set the mask that the attributes ask for. Nothing stores to closed pages before: a stack of the program's is
// pinned.
static struct start begin(void *arg)
{
	struct start begun = *(struct start *)arg;
	dxs_sigset ours = ~DXS_SIG_ALL;

	dxs_free(arg);
	dxs_sigmask_set(begun.bits); // before: a signal that waits comes now, and is deferred
	dxs_sys6(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&ours, 0, sizeof(ours), 0, 0);
	return begun;
}

static void *start(void *arg)
{
	struct start begun = begin(arg);

	return begun.run(begun.arg);
}

static int start_c11(void *arg)
{
	struct start begun = begin(arg);

	return begun.run_c11(begun.arg);
}

static struct start *start_new(struct start begun)
{
	struct start *to = dxs_zalloc(sizeof(*to));

	if (to)
		*to = begun;
	return to;
}

// A stack that the program has chosen stays open for good: signals, traps too, are delivered there.
static void stack_stays(const pthread_attr_t *attr)
{
	struct dxs_pin pin;
	void *addr;
	size_t len;

	if (attr && dxs_hook_pins(&pin) && !pthread_attr_getstack(attr, &addr, &len))
		dxs_pin(&pin, addr, len);
}

// Of the two, what a new thread has blocked in its shadow mask.
static unsigned bits_of(const pthread_attr_t *attr)
{
	sigset_t set;

	return attr && !pthread_attr_getsigmask_np(attr, &set) ? dxs_sigmask_bits(&set) : dxs_sigmask_get();
}

DXS_EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	struct start *to;
	unsigned bits;
	int ret;

	dxs_hooks_fill();
	stack_stays(attr);
	bits = dxs_hooks_spare() && !dxs_inside ? bits_of(attr) : 0;
	if (!bits)
		return dxs_next.pthread_create(thread, attr, run, arg);
	to = start_new((struct start){.run = run, .arg = arg, .bits = bits});
	ret = to ? dxs_next.pthread_create(thread, attr, start, to) : EAGAIN;
	if (ret)
		dxs_free(to);
	return ret;
}

DXS_EXPORT int thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
	struct start *to;
	unsigned bits;
	int ret;

	dxs_hooks_fill();
	bits = dxs_hooks_spare() ? dxs_sigmask_get() : 0;
	if (!bits)
		return dxs_next.thrd_create(thread, run, arg);
	to = start_new((struct start){.run_c11 = run, .arg = arg, .bits = bits});
	ret = to ? dxs_next.thrd_create(thread, start_c11, to) : thrd_nomem;
	if (ret != thrd_success)
		dxs_free(to);
	return ret;
}

typedef int (*spawn_fn)(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr, char *const argv[], char *const envp[]);

// The new program gets the mask that the program has set.
static int spawn(spawn_fn next, pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	unsigned bits = dxs_hooks_spare() ? dxs_sigmask_get() : 0;
	posix_spawnattr_t masked;
	dxs_sigset now = 0;
	sigset_t set;

	if (!bits || (attr && attr->__flags & POSIX_SPAWN_SETSIGMASK))
		return next(pid, path, actions, attr, argv, envp);
	if (attr)
		masked = *attr;
	else
		posix_spawnattr_init(&masked);
	dxs_sys6(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&now, sizeof(now), 0, 0);
	sigemptyset(&set);
	memcpy(&set, &now, sizeof(now));
	dxs_sigmask_add(&set, bits);
	posix_spawnattr_setsigmask(&masked, &set);
	masked.__flags = (short)(masked.__flags | POSIX_SPAWN_SETSIGMASK);
	return next(pid, path, actions, &masked, argv, envp);
}

// libc stores the new process's id with all signals blocked, where a trap would end the program (M9).
static int spawn_pinned(spawn_fn next, pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	struct dxs_pin pin;

	if (dxs_hook_pins(&pin))
		dxs_pin(&pin, pid, sizeof(*pid));
	return DXS_PINNED(&pin, spawn(next, pid, path, actions, attr, argv, envp));
}

DXS_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			   const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	dxs_hooks_fill();
	return spawn_pinned(dxs_next.posix_spawn, pid, path, actions, attr, argv, envp);
}

DXS_EXPORT int posix_spawnp(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			    const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	dxs_hooks_fill();
	return spawn_pinned(dxs_next.posix_spawnp, pid, path, actions, attr, argv, envp);
}
