// SPDX-License-Identifier: BSD-3-Clause
// signals.c: hooks of signal actions and masks. The library's SIGSEGV and SIGBUS handlers stay in front, and are never
// blocked: a trap while blocked would kill the program.
#include "signals.h"

#include <string.h>

#include "config.h"
#include "hooks.h"

DXS_EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	if (dxs_hooks_active && dxs_signals_own(sig)) {
		dxs_signals_app_action(sig, act, old);
		return 0;
	}
	dxs_hooks_fill();
	if (act && dxs_hooks_active && dxs_signals_own(SIGBUS)) {
		struct sigaction spared = *act;

		dxs_signals_spare(&spared.sa_mask);
		return dxs_next.sigaction(sig, &spared, old);
	}
	return dxs_next.sigaction(sig, act, old);
}

DXS_EXPORT sighandler_t signal(int sig, sighandler_t handler)
{
	struct sigaction act = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;

	if (!dxs_hooks_active || !dxs_signals_own(sig)) {
		dxs_hooks_fill();
		return dxs_next.signal(sig, handler);
	}
	sigaddset(&act.sa_mask, sig);
	dxs_signals_app_action(sig, &act, &old);
	return old.sa_handler;
}

// Which of our two signals the thread believes to have blocked: it is told so when it asks.
static DXS_THREAD unsigned hidden;

static unsigned bits_of(const sigset_t *set)
{
	return (sigismember(set, SIGBUS) == 1 ? 1U : 0) | (sigismember(set, SIGSEGV) == 1 ? 2U : 0);
}

// A program that may map something to be tracked must never block our signals, mapped or not: another thread cannot
// unblock them later.
static bool is_sparing(void)
{
	return dxs_hooks_active && (dxs_config.emulate || dxs_signals_own(SIGBUS));
}

typedef int (*mask_fn)(int how, const sigset_t *set, sigset_t *old);

static int mask_change(mask_fn next, int how, const sigset_t *set, sigset_t *old)
{
	unsigned before = hidden, bits = set ? bits_of(set) : 0;
	sigset_t spared;
	int ret;

	if (!is_sparing())
		return next(how, set, old);
	if (set && how != SIG_UNBLOCK) {
		spared = *set;
		dxs_signals_spare(&spared);
		ret = next(how, &spared, old);
	} else {
		ret = next(how, set, old);
	}
	if (!ret && set)
		hidden = how == SIG_BLOCK ? before | bits : how == SIG_UNBLOCK ? before & ~bits : bits;
	if (!ret && old) {
		if (before & 1U)
			sigaddset(old, SIGBUS);
		if (before & 2U)
			sigaddset(old, SIGSEGV);
	}
	return ret;
}

DXS_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	dxs_hooks_fill();
	return mask_change(dxs_next.sigprocmask, how, set, old);
}

DXS_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	dxs_hooks_fill();
	return mask_change(dxs_next.pthread_sigmask, how, set, old);
}

// Masks that hold while a call sleeps: handlers run under them.
static const sigset_t *spared(const sigset_t *set, sigset_t *copy)
{
	if (!set || !is_sparing())
		return set;
	*copy = *set;
	dxs_signals_spare(copy);
	return copy;
}

DXS_EXPORT int sigsuspend(const sigset_t *set)
{
	sigset_t copy;

	dxs_hooks_fill();
	return dxs_next.sigsuspend(spared(set, &copy));
}

DXS_EXPORT int pselect(int nr, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
		       const sigset_t *set)
{
	sigset_t copy;

	dxs_hooks_fill();
	return dxs_next.pselect(nr, in, out, except, timeout, spared(set, &copy));
}

DXS_EXPORT int ppoll(struct pollfd *fds, nfds_t nr, const struct timespec *timeout, const sigset_t *set)
{
	sigset_t copy;

	dxs_hooks_fill();
	return dxs_next.ppoll(fds, nr, timeout, spared(set, &copy));
}

DXS_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int nr, int timeout, const sigset_t *set)
{
	sigset_t copy;

	dxs_hooks_fill();
	return dxs_next.epoll_pwait(fd, events, nr, timeout, spared(set, &copy));
}
