// SPDX-License-Identifier: BSD-3-Clause
// signals.c: hooks of signal actions and masks. The library's SIGSEGV and SIGBUS handlers stay in front, and are never
// blocked: a trap while blocked would kill the program.
#include "signals.h"

#include <string.h>

#include "hooks.h"

DXS_EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	if (dxs_hooks_active && dxs_signals_own(sig)) {
		dxs_signals_app_action(sig, act, old);
		return 0;
	}
	dxs_hooks_fill();
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

// A copy of the set without our signals, for calls that block it.
static const sigset_t *without_ours(int how, const sigset_t *set, sigset_t *copy)
{
	if (!set || how == SIG_UNBLOCK || !dxs_hooks_active || !dxs_signals_own(SIGBUS))
		return set;
	*copy = *set;
	sigdelset(copy, SIGBUS);
	sigdelset(copy, SIGSEGV);
	return copy;
}

DXS_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;

	dxs_hooks_fill();
	return dxs_next.sigprocmask(how, without_ours(how, set, &copy), old);
}

DXS_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;

	dxs_hooks_fill();
	return dxs_next.pthread_sigmask(how, without_ours(how, set, &copy), old);
}
