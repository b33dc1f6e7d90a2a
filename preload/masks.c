// SPDX-License-Identifier: BSD-3-Clause
// masks.c: hooks of signal masks, and of calls that wait for signals. SIGSEGV and SIGBUS are never really blocked
// (sigmask.h); the program sees its shadow mask.
#include <string.h>

#include "base/config.h"
#include "call/calls.h"
#include "hooks.h"
#include "pins.h"
#include "process/fork.h"
#include "signal/peek.h"
#include "signal/sigmask.h"
#include "signal/signals.h"
#include "space/mode.h"

// A program that may map something to be tracked must never block our signals, mapped or not: another thread cannot
// unblock them later.
bool dxs_hooks_spare(void)
{
	return dxs_hooks_active && (dxs_mode_is_possible() || dxs_signals_own(SIGBUS));
}

typedef int (*mask_fn)(int how, const sigset_t *set, sigset_t *old);

static unsigned changed(int how, unsigned before, unsigned bits)
{
	return how == SIG_BLOCK ? before | bits : how == SIG_UNBLOCK ? before & ~bits : bits;
}

// As libc does it, a set that is given is read here; where the old one goes the kernel stores it, or says EFAULT: then
// the mask has changed all the same.
static int mask_change(mask_fn next, int how, const sigset_t *set, sigset_t *old)
{
	unsigned before = dxs_sigmask_get(), after = before;
	sigset_t given, spared;
	struct dxs_pin pin;
	int ret;

	if (!dxs_hooks_spare())
		return next(how, set, old);
	if (set) {
		sigemptyset(&given);
		memcpy(&given, set, sizeof(dxs_sigset));
		spared = given;
		after = changed(how, before, dxs_sigmask_bits(&given));
		if (how != SIG_UNBLOCK)
			dxs_sigmask_spare(&spared);
	}
	if (dxs_hook_pins(&pin))
		dxs_pin(&pin, old, sizeof(dxs_sigset));
	ret = next(how, set ? &spared : NULL, old);
	dxs_unpin(&pin);
	if (ret && (ret < 0 ? errno : ret) != EFAULT)
		return ret;
	if (!ret && old)
		dxs_sigmask_add(old, before);
	if (after == before)
		return ret;
	if (dxs_fork_is_owner())
		dxs_sigmask_set(after);
	else // the child of a vfork: it is about to execute something else, which inherits the mask
		next(how, &given, NULL);
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

// The old functions know signals 1 to 32 only.
static sigset_t set_of(int mask)
{
	uint64_t word = (unsigned)mask;
	sigset_t set;

	sigemptyset(&set);
	memcpy(&set, &word, sizeof(word));
	return set;
}

static int mask_of(const sigset_t *set)
{
	unsigned mask;

	memcpy(&mask, set, sizeof(mask));
	return (int)mask;
}

DXS_EXPORT int sigblock(int mask)
{
	sigset_t set = set_of(mask), old;

	return sigprocmask(SIG_BLOCK, &set, &old) ? -1 : mask_of(&old);
}

DXS_EXPORT int sigsetmask(int mask)
{
	sigset_t set = set_of(mask), old;

	return sigprocmask(SIG_SETMASK, &set, &old) ? -1 : mask_of(&old);
}

DXS_EXPORT int siggetmask(void)
{
	return sigblock(0);
}

static int change_one(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	return sigaddset(&set, sig) ? -1 : sigprocmask(how, &set, NULL);
}

DXS_EXPORT int sighold(int sig)
{
	return change_one(SIG_BLOCK, sig);
}

DXS_EXPORT int sigrelse(int sig)
{
	return change_one(SIG_UNBLOCK, sig);
}

// Reads a set that may be nowhere: then the kernel's call says so.
static bool set_peek(sigset_t *to, const sigset_t *from)
{
	sigemptyset(to);
	return dxs_peek(to, from, sizeof(dxs_sigset));
}

// For the time of a call that sleeps under a mask of its own: handlers run under it.
struct sleep {
	sigset_t spared;
	const sigset_t *set;
	unsigned before;
	bool sparing;
	bool interrupted; // by a signal that had been deferred, and has been handled now
};

static void sleep_begin(struct sleep *sleep, const sigset_t *set)
{
	unsigned bits;

	*sleep = (struct sleep){.set = set};
	if (!set || !dxs_hooks_spare() || !set_peek(&sleep->spared, set))
		return;
	sleep->sparing = true;
	sleep->before = dxs_sigmask_get();
	bits = dxs_sigmask_bits(&sleep->spared);
	dxs_sigmask_spare(&sleep->spared);
	sleep->set = &sleep->spared;
	sleep->interrupted = dxs_sigmask_deferred() & ~bits;
	dxs_sigmask_set(bits);
}

static int sleep_end(const struct sleep *sleep, int ret)
{
	int saved = errno;

	if (sleep->sparing)
		dxs_sigmask_set(sleep->before);
	errno = saved;
	return ret;
}

static int interrupted(void)
{
	errno = EINTR;
	return -1;
}

#define FD_BYTES(nr) (((size_t)(nr) + 63) / 64 * 8)
#define EVENT_BYTES(nr) ((nr) > 0 ? (size_t)(nr) * sizeof(struct epoll_event) : 0)

// `pins`: what the kernel stores into.
#define SLEEPS(call, pins)                                                                                             \
	({                                                                                                             \
		struct sleep sleep_;                                                                                   \
		struct dxs_pin pin_;                                                                                   \
		int ret_;                                                                                              \
                                                                                                                       \
		dxs_hooks_fill();                                                                                      \
		if (dxs_hook_pins(&pin_)) {                                                                            \
			pins;                                                                                          \
		}                                                                                                      \
		sleep_begin(&sleep_, set);                                                                             \
		ret_ = DXS_PINNED(&pin_, sleep_.interrupted ? interrupted() : (call));                                 \
		sleep_end(&sleep_, ret_);                                                                              \
	})

DXS_EXPORT int sigsuspend(const sigset_t *set)
{
	return SLEEPS(dxs_next.sigsuspend(sleep_.set), );
}

DXS_EXPORT int __sigsuspend(const sigset_t *set)
{
	return sigsuspend(set);
}

DXS_EXPORT int __sigpause(int sig_or_mask, int is_sig)
{
	sigset_t set = set_of(sig_or_mask);

	if (is_sig && (sigprocmask(SIG_BLOCK, NULL, &set) || sigdelset(&set, sig_or_mask)))
		return -1;
	return sigsuspend(&set);
}

DXS_EXPORT int __xpg_sigpause(int sig)
{
	return __sigpause(sig, 1);
}

int bsd_sigpause(int mask) __asm__("sigpause"); // the header turns the name into __xpg_sigpause

DXS_EXPORT int bsd_sigpause(int mask)
{
	return __sigpause(mask, 0);
}

DXS_EXPORT int pselect(int nr, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
		       const sigset_t *set)
{
	return SLEEPS(dxs_next.pselect(nr, in, out, except, timeout, sleep_.set), dxs_pin(&pin_, in, FD_BYTES(nr));
		      dxs_pin(&pin_, out, FD_BYTES(nr)); dxs_pin(&pin_, except, FD_BYTES(nr)));
}

DXS_EXPORT int ppoll(struct pollfd *fds, nfds_t nr, const struct timespec *timeout, const sigset_t *set)
{
	return SLEEPS(dxs_next.ppoll(fds, nr, timeout, sleep_.set), dxs_pin(&pin_, fds, nr * sizeof(*fds)));
}

// The fortified one checks the size of the array.
DXS_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t nr, const struct timespec *timeout, const sigset_t *set,
			   size_t size)
{
	return SLEEPS(dxs_next.__ppoll_chk(fds, nr, timeout, sleep_.set, size), dxs_pin(&pin_, fds, nr * sizeof(*fds)));
}

DXS_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int nr, int timeout, const sigset_t *set)
{
	return SLEEPS(dxs_next.epoll_pwait(fd, events, nr, timeout, sleep_.set),
		      dxs_pin(&pin_, events, EVENT_BYTES(nr)));
}

DXS_EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int nr, const struct timespec *timeout,
			    const sigset_t *set)
{
	return SLEEPS(dxs_next.epoll_pwait2(fd, events, nr, timeout, sleep_.set),
		      dxs_pin(&pin_, events, EVENT_BYTES(nr)));
}

DXS_EXPORT int sigpending(sigset_t *set)
{
	struct dxs_pin pin;
	int ret;

	if (dxs_hook_pins(&pin))
		dxs_pin(&pin, set, sizeof(dxs_sigset));
	ret = (int)dxs_hook_return(dxs_sys6(SYS_rt_sigpending, (long)set, sizeof(dxs_sigset), 0, 0, 0, 0));
	dxs_unpin(&pin);
	if (!ret && dxs_hooks_spare())
		dxs_sigmask_add(set, dxs_sigmask_deferred());
	return ret;
}

// Stores what a signal that was deferred has to say. -EFAULT as the kernel says it, which stores a mask of 8 bytes at both
// ends for that. The signal is gone then, too.
static int info_store(siginfo_t *info, const siginfo_t *got)
{
	const size_t last = sizeof(*info) - sizeof(dxs_sigset);

	if (!info)
		return got->si_signo;
	if (dxs_sys6(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)info, sizeof(dxs_sigset), 0, 0) ||
	    dxs_sys6(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)info + (long)last, sizeof(dxs_sigset), 0, 0))
		return -EFAULT;
	*info = *got;
	return got->si_signo;
}

// What was deferred comes first. A signal that comes between the check and the kernel's wait is left to the kernel.
static int wait_for_deferred(unsigned bits, const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	dxs_sigset mask = 0;
	siginfo_t got;
	int ret, saved;

	dxs_sys6(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&mask, sizeof(mask), 0, 0);
	dxs_sigmask_wait(true);
	if (dxs_sigmask_take(bits, &got)) {
		got.si_code = got.si_code == SI_TKILL ? SI_USER : got.si_code; // as libc tells it
		ret = (int)dxs_hook_return(info_store(info, &got));
	} else {
		ret = dxs_next.sigtimedwait(set, info, timeout);
	}
	saved = errno;
	dxs_sigmask_wait(false);
	dxs_sig_setmask(mask);
	errno = saved;
	return ret;
}

static int timed_wait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	struct dxs_pin pin;
	sigset_t copy;
	unsigned bits = dxs_hooks_spare() && set_peek(&copy, set) ? dxs_sigmask_bits(&copy) & dxs_sigmask_get() : 0;

	if (dxs_hook_pins(&pin) && info)
		dxs_pin(&pin, info, sizeof(*info));
	return DXS_PINNED(&pin, bits ? wait_for_deferred(bits, set, info, timeout)
				     : dxs_next.sigtimedwait(set, info, timeout));
}

DXS_EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	dxs_hooks_fill();
	return timed_wait(set, info, timeout);
}

DXS_EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	dxs_hooks_fill();
	return timed_wait(set, info, NULL);
}

DXS_EXPORT int sigwait(const sigset_t *set, int *sig)
{
	int ret;

	dxs_hooks_fill();
	do
		ret = timed_wait(set, NULL, NULL);
	while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return errno;
	*sig = ret;
	return 0;
}
