// SPDX-License-Identifier: BSD-3-Clause
// sigmask.c: shadow masks of SIGSEGV and SIGBUS, and deferred signals.
#include "signal/sigmask.h"

#include <string.h>

#include "base/lock.h"

#define NR_DEFERRED 16 // more are dropped, as the kernel drops a second one of the same kind

bool dxs_sigmask_followed;

DXS_THREAD unsigned dxs_sigmask_blocked;
static DXS_THREAD unsigned outside; // the same, outside of all handlers; valid while in_handler
static DXS_THREAD bool in_handler;
static DXS_THREAD bool waiting;

static struct deferred {
	int tid; // 0: free
	siginfo_t info;
} deferred[NR_DEFERRED]; // under `mutex`
// seq_cst, the default: changes under `mutex`. The look without it is a thread's own, which has counted what it has
// deferred; one of another thread's for the process may be found next time.
static _Atomic unsigned nr_deferred;
static struct dxs_mutex mutex = {.rank = DXS_RANK_SIGMASK};

unsigned dxs_sigmask_bits(const sigset_t *set)
{
	return (sigismember(set, SIGBUS) == 1 ? DXS_MASK_BUS : 0) |
	       (sigismember(set, SIGSEGV) == 1 ? DXS_MASK_SEGV : 0);
}

void dxs_sigmask_spare(sigset_t *set)
{
	sigdelset(set, SIGBUS);
	sigdelset(set, SIGSEGV);
}

void dxs_sigmask_add(sigset_t *set, unsigned bits)
{
	if (bits & DXS_MASK_BUS)
		sigaddset(set, SIGBUS);
	if (bits & DXS_MASK_SEGV)
		sigaddset(set, SIGSEGV);
}

unsigned dxs_sigmask_get(void)
{
	return dxs_sigmask_blocked;
}

dxs_sigset dxs_sigmask_adopt(dxs_sigset set)
{
	sigset_t all;

	sigemptyset(&all);
	memcpy(&all, &set, sizeof(set));
	if (dxs_sigmask_followed)
		dxs_sigmask_blocked |= dxs_sigmask_bits(&all);
	return set & DXS_SIG_ALL;
}

void dxs_sigmask_wait(bool yes)
{
	waiting = yes;
	atomic_signal_fence(memory_order_seq_cst); // partner: dxs_sigmask_defer, in a handler of this thread
}

// To this thread, or to the process and any of its threads.
static bool is_mine(const struct deferred *slot, int tid)
{
	return slot->tid && (slot->tid == tid || slot->info.si_code == SI_USER);
}

// The kernel's order (kernel/signal.c next_signal, Linux 6.12): the thread's own first, then the lower number.
static bool comes_before(const siginfo_t *one, const siginfo_t *other)
{
	bool own = one->si_code == SI_TKILL, other_own = other->si_code == SI_TKILL;

	return own != other_own ? own : one->si_signo < other->si_signo;
}

// With ours blocked too, so that what was sent meanwhile comes when all of it has been.
static bool take(unsigned bits, siginfo_t *info)
{
	dxs_sigset set = dxs_sig_setmask(~0ULL);
	int tid = dxs_sys_tid(), i;
	struct deferred *first = NULL;

	dxs_mutex_lock(&mutex);
	for (i = 0; i < NR_DEFERRED; i++)
		if (is_mine(&deferred[i], tid) && bits & dxs_sigmask_bit(deferred[i].info.si_signo) &&
		    (!first || comes_before(&deferred[i].info, &first->info)))
			first = &deferred[i];
	if (first) {
		*info = first->info;
		first->tid = 0;
		atomic_fetch_sub(&nr_deferred, 1);
	}
	dxs_mutex_unlock(&mutex);
	dxs_sig_setmask(set);
	return first;
}

bool dxs_sigmask_take(unsigned bits, siginfo_t *info)
{
	return bits && atomic_load(&nr_deferred) && take(bits, info);
}

unsigned dxs_sigmask_deferred(void)
{
	unsigned bits = 0;
	dxs_sigset set;
	int tid, i;

	if (!atomic_load(&nr_deferred))
		return 0;
	set = dxs_sig_setmask(~0ULL);
	tid = dxs_sys_tid();
	dxs_mutex_lock(&mutex);
	for (i = 0; i < NR_DEFERRED; i++)
		if (is_mine(&deferred[i], tid))
			bits |= dxs_sigmask_bit(deferred[i].info.si_signo);
	dxs_mutex_unlock(&mutex);
	dxs_sig_setmask(set);
	return bits;
}

static void send_to_self(const siginfo_t *info)
{
	dxs_sys6(SYS_rt_tgsigqueueinfo, getpid(), dxs_sys_tid(), info->si_signo, (long)info, 0, 0);
}

// Returns the mask to restore.
static dxs_sigset send_unblocked(void)
{
	dxs_sigset set = dxs_sig_setmask(~0ULL);
	siginfo_t info;

	while (dxs_sigmask_take(~dxs_sigmask_blocked, &info))
		send_to_self(&info);
	return set;
}

void dxs_sigmask_set(unsigned bits)
{
	dxs_sigmask_blocked = bits;
	outside &=
		bits; // what is unblocked for good is so outside of handlers too, if this is one that was left by a jump
	if (dxs_sigmask_deferred() & ~bits)
		dxs_sig_setmask(send_unblocked());
}

void dxs_sigmask_defer(int sig, const siginfo_t *info, ucontext_t *context)
{
	int tid = dxs_sys_tid(), i;
	struct deferred *to = NULL;

	if (waiting) {
		sigaddset(&context->uc_sigmask, sig);
		send_to_self(info);
		return;
	}
	dxs_mutex_lock(&mutex);
	for (i = 0; i < NR_DEFERRED; i++) {
		if (!deferred[i].tid)
			to = &deferred[i];
		else if (deferred[i].info.si_signo == sig && is_mine(&deferred[i], tid))
			break;
	}
	if (i == NR_DEFERRED && to) {
		to->info = *info;
		to->tid = tid;
		atomic_fetch_add(&nr_deferred, 1);
	}
	dxs_mutex_unlock(&mutex);
}

// Only the first word of a saved mask is the kernel's: in the frame of a signal nothing else is there.
static unsigned saved_bits(const ucontext_t *context)
{
	return dxs_sigmask_bits(&context->uc_sigmask);
}

bool dxs_sigmask_handler_begin(ucontext_t *context, unsigned add)
{
	bool nested = in_handler;

	if (!dxs_sigmask_followed)
		return nested;
	if (!nested)
		outside = dxs_sigmask_blocked;
	in_handler = true;
	dxs_sigmask_add(&context->uc_sigmask, dxs_sigmask_blocked);
	dxs_sigmask_blocked |= add;
	return nested;
}

void dxs_sigmask_handler_end(ucontext_t *context, bool nested)
{
	if (!dxs_sigmask_followed)
		return;
	dxs_sigmask_blocked = saved_bits(context);
	in_handler = nested;
	dxs_sigmask_spare(&context->uc_sigmask);
	if (dxs_sigmask_deferred() & ~dxs_sigmask_blocked)
		send_unblocked(); // they come when the handler has returned
}

void dxs_sigmask_leave(void)
{
	if (in_handler)
		dxs_sigmask_jump(outside);
}

void dxs_sigmask_jump(unsigned bits)
{
	in_handler = false;
	dxs_sigmask_set(bits);
}

void dxs_sigmask_reset(void)
{
	atomic_store(&mutex.word, 0);
	memset(deferred, 0, sizeof(deferred)); // pending signals are not inherited
	atomic_store(&nr_deferred, 0);
}
