// SPDX-License-Identifier: BSD-3-Clause
// signals.c: hooks of signal actions. The library's handlers of SIGSEGV and SIGBUS stay in front of the program's, and
// handlers of other signals run with these two unblocked.
//
// The older functions are built from sigaction and sigprocmask, as in libc. They call the hooks of the two, where libc
// calls its own copies.
#include "signal/signals.h"

#include "hooks.h"
#include "process/fork.h"

// In the child of a vfork, which has actions of its own but our memory: the kernel's are set, our table stays.
static int borrowed_action(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before;
	int ret = dxs_next.sigaction(sig, act, &before);

	if (!ret && old && dxs_signals_own(sig) && dxs_signals_is_ours(&before))
		dxs_signals_app_action(sig, NULL, &before);
	if (!ret && old)
		*old = before;
	return ret;
}

DXS_EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before;
	int ret = 0;

	dxs_hooks_fill();
	if (!dxs_hooks_spare()) // before the first mapping, and when nothing is tracked at all
		return dxs_next.sigaction(sig, act, old);
	dxs_fork_check();
	if (act && !dxs_fork_is_owner())
		return borrowed_action(sig, act, old);
	if (sig == SIGBUS || sig == SIGSEGV)
		dxs_signals_app_action(sig, act, &before);
	else
		ret = dxs_signals_other_action(sig, act, &before);
	if (!ret && old)
		*old = before; // no lock is held: it may be a closed page
	return ret;
}

DXS_EXPORT int __sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return sigaction(sig, act, old);
}

// Signals for which siginterrupt() has been asked: one bit each. seq_cst, the default: relaxed would do.
static _Atomic uint64_t interrupting;

static sighandler_t simple(int sig, sighandler_t handler, int flags, bool block)
{
	struct sigaction act = {.sa_handler = handler, .sa_flags = flags}, old;

	if (handler == SIG_ERR || sig < 1 || sig >= NSIG) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (block)
		sigaddset(&act.sa_mask, sig);
	return sigaction(sig, &act, &old) ? SIG_ERR : old.sa_handler;
}

DXS_EXPORT sighandler_t signal(int sig, sighandler_t handler)
{
	bool interrupts = sig > 0 && sig < NSIG && atomic_load(&interrupting) >> (sig - 1) & 1;

	return simple(sig, handler, interrupts ? 0 : SA_RESTART, true);
}

DXS_EXPORT sighandler_t bsd_signal(int sig, sighandler_t handler)
{
	return signal(sig, handler);
}

DXS_EXPORT sighandler_t ssignal(int sig, sighandler_t handler)
{
	return signal(sig, handler);
}

DXS_EXPORT sighandler_t sysv_signal(int sig, sighandler_t handler)
{
	return simple(sig, handler, (int)SA_RESETHAND | SA_NODEFER, false);
}

DXS_EXPORT sighandler_t __sysv_signal(int sig, sighandler_t handler)
{
	return sysv_signal(sig, handler);
}

DXS_EXPORT int siginterrupt(int sig, int interrupt)
{
	struct sigaction act;
	uint64_t bit;

	if (sigaction(sig, NULL, &act))
		return -1;
	bit = 1ULL << (sig - 1);
	if (interrupt) {
		atomic_fetch_or(&interrupting, bit);
		act.sa_flags &= ~SA_RESTART;
	} else {
		atomic_fetch_and(&interrupting, ~bit);
		act.sa_flags |= SA_RESTART;
	}
	return sigaction(sig, &act, NULL);
}

DXS_EXPORT int sigignore(int sig)
{
	struct sigaction act = {.sa_handler = SIG_IGN};

	return sigaction(sig, &act, NULL);
}

DXS_EXPORT sighandler_t sigset(int sig, sighandler_t handler)
{
	struct sigaction act = {.sa_handler = handler}, old;
	sigset_t set, before;

	sigemptyset(&set);
	if (handler == SIG_ERR || sigaddset(&set, sig)) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (sigaction(sig, handler == SIG_HOLD ? NULL : &act, &old) ||
	    sigprocmask(handler == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &set, &before))
		return SIG_ERR;
	return sigismember(&before, sig) ? SIG_HOLD : old.sa_handler;
}
