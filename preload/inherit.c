// SPDX-License-Identifier: BSD-3-Clause
// inherit.c: hooks of what makes a thread or a process that inherits the mask, which in truth never has our signals.
#include <mqueue.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "calls.h"
#include "hooks.h"
#include "pins.h"
#include "sigmask.h"
#include "track.h"

struct start {
	void *(*run)(void *);
	void *arg;
	unsigned bits;
};

static void *start(void *arg)
{
	struct start begun = *(struct start *)arg;

	dxs_free(arg);
	dxs_sigmask_set(begun.bits);
	return begun.run(begun.arg);
}

static int create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg, unsigned bits)
{
	struct start *begin = bits ? dxs_zalloc(sizeof(*begin)) : NULL;
	int ret;

	if (!begin) // without memory the thread believes that nothing is blocked
		return dxs_next.pthread_create(thread, attr, run, arg);
	*begin = (struct start){run, arg, bits};
	ret = dxs_next.pthread_create(thread, attr, start, begin);
	if (ret)
		dxs_free(begin);
	return ret;
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

DXS_EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	pthread_attr_t *changed = (pthread_attr_t *)(uintptr_t)attr;
	sigset_t set, spared;
	int ret;

	dxs_hooks_fill();
	stack_stays(attr);
	if (!dxs_hooks_spare() || dxs_inside)
		return dxs_next.pthread_create(thread, attr, run, arg);
	if (!attr || pthread_attr_getsigmask_np(attr, &set))
		return create(thread, attr, run, arg, dxs_sigmask_get());
	spared = set;
	dxs_sigmask_spare(&spared);
	ret = pthread_attr_setsigmask_np(changed, &spared);
	if (!ret)
		ret = create(thread, attr, run, arg, dxs_sigmask_bits(&set));
	pthread_attr_setsigmask_np(changed, &set);
	return ret;
}

typedef int (*spawn_fn)(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr, char *const argv[], char *const envp[]);

// The new program gets the mask that the program believes to have.
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

DXS_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			   const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	dxs_hooks_fill();
	return spawn(dxs_next.posix_spawn, pid, path, actions, attr, argv, envp);
}

DXS_EXPORT int posix_spawnp(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			    const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	dxs_hooks_fill();
	return spawn(dxs_next.posix_spawnp, pid, path, actions, attr, argv, envp);
}

// Threads in which libc calls a function of the program are made inside libc, with everything blocked.
struct notify {
	void (*run)(union sigval);
	union sigval value;
};

static void notify(union sigval value)
{
	const struct notify *to = value.sival_ptr;

	dxs_sig_setmask(dxs_sigmask_adopt(dxs_sig_block()));
	to->run(to->value);
}

// The event to give to libc. What it points to stays: a notification may be under way when its cause is deleted.
static struct sigevent *event_wrapped(struct sigevent *event, struct sigevent *copy)
{
	struct notify *to;

	dxs_hooks_fill();
	if (!event || event->sigev_notify != SIGEV_THREAD || !dxs_hooks_spare())
		return event;
	to = dxs_zalloc(sizeof(*to));
	if (!to)
		return event;
	*to = (struct notify){event->sigev_notify_function, event->sigev_value};
	*copy = *event;
	copy->sigev_notify_function = notify;
	copy->sigev_value.sival_ptr = to;
	return copy;
}

DXS_EXPORT int timer_create(clockid_t clock, struct sigevent *event, timer_t *timer)
{
	struct sigevent copy;

	return dxs_next.timer_create(clock, event_wrapped(event, &copy), timer);
}

DXS_EXPORT int mq_notify(mqd_t queue, const struct sigevent *event)
{
	struct sigevent copy;

	return dxs_next.mq_notify(queue, event_wrapped((struct sigevent *)(uintptr_t)event, &copy));
}
