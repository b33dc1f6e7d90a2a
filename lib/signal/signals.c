// SPDX-License-Identifier: BSD-3-Clause
// signals.c: the handlers of SIGSEGV and SIGBUS.
#include "signal/signals.h"

#include <errno.h>
#include <string.h>

#include "base/cpu.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"
#include "report/stats.h"
#include "signal/action.h"
#include "signal/peek.h"
#include "signal/sigmask.h"

#define NR_SIGNALS 65

int (*dxs_real_sigaction)(int, const struct sigaction *, struct sigaction *) = sigaction;

bool (*dxs_fault_check)(void);

// What the application has set: of SIGBUS and SIGSEGV once `installed`, of another signal while on_other stands for it.
static struct sigaction app_action[NR_SIGNALS]; // under `mutex`
static struct dxs_mutex mutex = {.rank = DXS_RANK_SIGNALS};
// seq_cst, the default: set under the lock, after the handlers; partner: the looks without it (dxs_signals_own).
static _Atomic bool installed;
// seq_cst, the default: release would do. Set before a handler that asks; partner: handled.
_Atomic(bool (*)(uintptr_t addr, bool is_trap)) dxs_fault_answer;
DXS_THREAD void *dxs_fault_context;

// seq_cst, the default: set before anything is protected, for good; partner: is_trap, in the handler.
static _Atomic unsigned traps; // DXS_TRAP_*
static DXS_THREAD struct dxs_recover *recover;

void dxs_recover_set(struct dxs_recover *to)
{
	recover = to;
}

void dxs_signals_reset_locks(void)
{
	atomic_store(&mutex.word, 0);
	dxs_sigmask_reset();
}

static bool is_trap_signal(int sig)
{
	return sig == SIGBUS || sig == SIGSEGV;
}

// Between the numbered signals and SIGRTMIN: libc cancels threads and changes ids by them.
static bool is_of_libc(int sig)
{
	return sig > 31 && sig < SIGRTMIN;
}

bool dxs_signals_own(int sig)
{
	return is_trap_signal(sig) && atomic_load(&installed);
}

static dxs_sigset lock(void)
{
	dxs_sigset set = dxs_sig_block();

	dxs_mutex_lock(&mutex);
	return set;
}

static void unlock(dxs_sigset set)
{
	dxs_mutex_unlock(&mutex);
	dxs_sig_setmask(set);
}

static bool has_handler(const struct sigaction *act)
{
	return act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN;
}

// What the kernel and libc make of an action before they show it again (kernel/signal.c do_sigaction, Linux 6.12).
static struct sigaction as_kept(const struct sigaction *act)
{
	const int known = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER |
			  (int)SA_RESETHAND | 0x800; // SA_EXPOSE_TAGBITS
	// libc sets the restorer's flag in every action, and shows it
	struct sigaction kept = {.sa_flags = (act->sa_flags & known) | (int)dxs_cpu_restorer_flag};

	kept.sa_sigaction = act->sa_sigaction;
	memcpy(&kept.sa_mask, &act->sa_mask, sizeof(dxs_sigset));
	sigdelset(&kept.sa_mask, SIGKILL);
	sigdelset(&kept.sa_mask, SIGSTOP);
	return kept;
}

static void on_fault(int sig, siginfo_t *info, void *context);
static void on_other(int sig, siginfo_t *info, void *context);

bool dxs_signals_is_ours(const struct sigaction *act)
{
	return act->sa_flags & SA_SIGINFO && (act->sa_sigaction == on_fault || act->sa_sigaction == on_other);
}

// Our action, on the stack on which the application's handler would run, and restarting calls as it would.
static struct sigaction fault_action(const struct sigaction *app)
{
	int flags = has_handler(app) ? app->sa_flags & (SA_ONSTACK | SA_RESTART) : SA_ONSTACK | SA_RESTART;
	struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | flags};

	sigfillset(&act.sa_mask);
	return act;
}

static void trap_action(int sig, const struct sigaction *act, struct sigaction *before)
{
	struct sigaction ours;

	*before = app_action[sig];
	if (!act)
		return;
	app_action[sig] = as_kept(act);
	ours = fault_action(act);
	dxs_action_set(sig, &ours);
}

// Read before the lock is taken: where it cannot be read, or has to be waited for, the handler needs the lock.
static const struct sigaction *action_copy(const struct sigaction *act, struct sigaction *copy)
{
	if (!act)
		return NULL;
	*copy = *act;
	return copy;
}

void dxs_signals_app_action(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before, given;
	dxs_sigset set;

	act = action_copy(act, &given);
	set = lock();
	if (atomic_load(&installed))
		trap_action(sig, act, &before);
	else
		dxs_real_sigaction(sig, act, &before);
	unlock(set);
	if (old)
		*old = before;
}

static bool is_wrapped(const struct sigaction *act)
{
	return has_handler(act) && dxs_sigmask_bits(&act->sa_mask);
}

// What the kernel gets in the place of such an action.
static struct sigaction wrapper_of(int sig, const struct sigaction *act)
{
	struct sigaction wrapper = *act;

	app_action[sig] = as_kept(act);
	wrapper.sa_sigaction = on_other;
	wrapper.sa_flags |= SA_SIGINFO;
	dxs_sigmask_spare(&wrapper.sa_mask);
	return wrapper;
}

static int other_action(int sig, const struct sigaction *act, struct sigaction *before)
{
	struct sigaction wrapped, kept = app_action[sig];
	int ret;

	if (act && is_wrapped(act)) {
		wrapped = wrapper_of(sig, act);
		act = &wrapped;
	}
	ret = dxs_real_sigaction(sig, act, before);
	if (ret) {
		app_action[sig] = kept;
		return ret;
	}
	if (act && act != &wrapped)
		app_action[sig] = (struct sigaction){0};
	if (before->sa_handler == SIG_DFL && is_wrapped(&kept) && kept.sa_flags & (int)SA_RESETHAND)
		kept.sa_handler = SIG_DFL; // it has been called
	else if (!dxs_signals_is_ours(before))
		return 0;
	*before = kept;
	return 0;
}

int dxs_signals_other_action(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before, given;
	dxs_sigset set;
	int ret;

	if (sig <= 0 || sig >= NR_SIGNALS || is_of_libc(sig)) // refused without a look at the action
		return dxs_real_sigaction(sig, act, old);
	act = action_copy(act, &given);
	set = lock();
	ret = other_action(sig, act, &before);
	unlock(set);
	if (!ret && old)
		*old = before;
	return ret;
}

static void call(const struct sigaction *act, int sig, siginfo_t *info, void *context)
{
	if (act->sa_flags & SA_SIGINFO)
		act->sa_sigaction(sig, info, context);
	else
		act->sa_handler(sig);
}

// Stands for a handler of another signal that is to run with one of ours blocked.
static void on_other(int sig, siginfo_t *info, void *context)
{
	dxs_sigset set = lock();
	struct sigaction act = app_action[sig];
	bool nested;

	unlock(set);
	nested = dxs_sigmask_handler_begin(context, dxs_sigmask_bits(&act.sa_mask));
	call(&act, sig, info, context);
	dxs_sigmask_handler_end(context, nested);
}

// Sent by somebody, and not the fault of an instruction: a bad page that was found by the way is told so too.
static bool is_sent(int sig, const siginfo_t *info)
{
	return info->si_code <= 0 || (sig == SIGBUS && info->si_code == BUS_MCEERR_AO);
}

// The application's action for one delivery; SA_RESETHAND takes effect here. A fault cannot be ignored, nor blocked.
static struct sigaction action_take(int sig, const siginfo_t *info)
{
	bool fault = !is_sent(sig, info);
	struct sigaction act;

	dxs_mutex_lock(&mutex);
	act = app_action[sig];
	if (fault && (act.sa_handler == SIG_IGN || dxs_sigmask_get() & dxs_sigmask_bit(sig)))
		act.sa_handler = SIG_DFL;
	else if (has_handler(&act) && act.sa_flags & (int)SA_RESETHAND)
		app_action[sig].sa_handler = SIG_DFL;
	dxs_mutex_unlock(&mutex);
	return act;
}

// The default action, by the kernel itself: the same signal waits when the handler has returned, so that the core dump
// shows the state of the program at the fault, and the address.
static void die_by_default(int sig, const siginfo_t *info, ucontext_t *context)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};

	dxs_action_set(sig, &dfl);
	sigdelset(&context->uc_sigmask, sig);
	dxs_sys6(SYS_rt_tgsigqueueinfo, getpid(), dxs_sys_tid(), sig, (long)info, 0, 0);
}

// The mask that the kernel would have set for the application's handler.
static dxs_sigset handler_mask(int sig, const struct sigaction *act, const ucontext_t *context)
{
	dxs_sigset before, during;

	memcpy(&before, &context->uc_sigmask, sizeof(before));
	memcpy(&during, &act->sa_mask, sizeof(during));
	if (!(act->sa_flags & SA_NODEFER))
		during |= 1ULL << (sig - 1);
	return before | during;
}

static void handler_run(const struct sigaction *act, int sig, siginfo_t *info, ucontext_t *context)
{
	dxs_sigset mask = handler_mask(sig, act, context);
	unsigned add = dxs_sigmask_bits(&act->sa_mask) | (act->sa_flags & SA_NODEFER ? 0 : dxs_sigmask_bit(sig));
	bool nested = dxs_sigmask_handler_begin(context, add);

	dxs_sig_setmask(dxs_sigmask_followed ? mask & DXS_SIG_ALL : mask); // it may itself store to closed pages
	call(act, sig, info, context);
	dxs_sigmask_handler_end(context, nested);
}

void dxs_signals_foreign(int sig, siginfo_t *info, ucontext_t *context)
{
	struct sigaction act = action_take(sig, info);

	dxs_count(traps_foreign, 1);
	if (act.sa_handler == SIG_DFL)
		die_by_default(sig, info, context);
	else if (act.sa_handler != SIG_IGN)
		handler_run(&act, sig, info, context);
}

static void recover_jump(int sig, const siginfo_t *info)
{
	struct dxs_recover *to = recover;

	recover = NULL;
	to->addr = (uintptr_t)info->si_addr;
	to->sig = sig;
	to->code = info->si_code;
	dxs_sig_setmask(DXS_SIG_ALL);
	siglongjmp(to->env, 1);
}

// Whether a SIGSEGV can come from a store to a page without write permission.
static bool is_write_fault(const siginfo_t *info, const ucontext_t *context)
{
	return info->si_code == SEGV_ACCERR && dxs_cpu_may_be_store(context);
}

static bool is_trap(int sig, const siginfo_t *info, const ucontext_t *context)
{
	unsigned enabled = atomic_load(&traps);

	if (sig == SIGBUS)
		return enabled & DXS_TRAP_BUS;
	return enabled & DXS_TRAP_SEGV && is_write_fault(info, context);
}

// Whether the fault was ours and the instruction can be tried again.
static bool handled(int sig, const siginfo_t *info, void *context)
{
	bool (*answer)(uintptr_t, bool) = atomic_load(&dxs_fault_answer);
	bool ours;

	dxs_fault_context = context;
	ours = answer && answer((uintptr_t)info->si_addr, is_trap(sig, info, context));
	dxs_fault_context = NULL;
	return ours;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	bool ours = false;

	if (is_sent(sig, info)) {
		if (dxs_sigmask_get() & dxs_sigmask_bit(sig)) {
			dxs_sigmask_defer(sig, info, context);
			ours = true;
		}
	} else {
		if (dxs_peek_fault(context))
			return;
		if (recover)
			recover_jump(sig, info);
		ours = (dxs_fault_check &&
			dxs_fault_check()) || // a child without fork handlers: its pages are open now
		       handled(sig, info, context);
		if (dxs_unlikely(dxs_sites_wanted) && ours)
			dxs_sites_store(dxs_cpu_pc(context), dxs_cpu_return_slot(context));
	}
	errno = saved;
	if (!ours)
		dxs_signals_foreign(sig, info, context); // from here on errno is the application's handler's
}

// Handlers that were installed before.
static void wrap_all(void)
{
	struct sigaction act;
	int sig;

	for (sig = 1; sig < NR_SIGNALS; sig++) {
		if (is_trap_signal(sig) || dxs_action_get(sig, &act) || dxs_signals_is_ours(&act) || !is_wrapped(&act))
			continue;
		if (dxs_sigmask_followed)
			act = wrapper_of(sig, &act);
		else
			dxs_sigmask_spare(&act.sa_mask);
		dxs_action_set(sig, &act);
	}
}

// Ours in the place of whatever the kernel has, which is the application's.
static int put_in_front(int sig)
{
	struct sigaction now, ours;
	int err = dxs_action_get(sig, &now);

	if (err || now.sa_sigaction == on_fault)
		return err;
	app_action[sig] = now;
	ours = fault_action(&now);
	return dxs_action_set(sig, &ours);
}

static int put_both_in_front(void)
{
	int err = put_in_front(SIGBUS);

	return err ? err : put_in_front(SIGSEGV);
}

int dxs_signals_install(unsigned wanted)
{
	dxs_sigset set;
	int err = 0;

	atomic_fetch_or(&traps, wanted);
	if (atomic_load(&installed))
		return 0;
	set = lock(); // a fault that comes meanwhile waits for its action
	if (!atomic_load(&installed)) {
		err = put_both_in_front();
		if (!err)
			wrap_all();
		atomic_store(&installed, !err);
	}
	unlock(set);
	return err;
}

static bool is_in_front(int sig)
{
	struct sigaction now;

	return !dxs_action_get(sig, &now) && now.sa_sigaction == on_fault;
}

int dxs_signals_check(void)
{
	dxs_sigset set;
	int err;

	if (!atomic_load(&installed) || (is_in_front(SIGSEGV) && is_in_front(SIGBUS)))
		return 0;
	set = lock();
	err = put_both_in_front();
	unlock(set);
	dxs_debug("an action of SIGSEGV or SIGBUS was set by a way that nobody sees: ours is put in front again (%d)",
		  err);
	return err;
}

static void ignored_set(bool ignore)
{
	const int sigs[] = {SIGBUS, SIGSEGV};
	struct sigaction ign = {.sa_handler = SIG_IGN}, ours;
	dxs_sigset set = lock();
	size_t i;

	for (i = 0; atomic_load(&installed) && i < 2; i++) {
		if (app_action[sigs[i]].sa_handler != SIG_IGN)
			continue;
		ours = fault_action(&app_action[sigs[i]]);
		dxs_action_set(sigs[i], ignore ? &ign : &ours);
	}
	unlock(set);
}

dxs_sigset dxs_signals_exec_begin(void)
{
	dxs_sigset set = dxs_sig_setmask(DXS_SIG_ALL), blocked = 0;
	sigset_t added;

	ignored_set(true);
	sigemptyset(&added);
	dxs_sigmask_add(&added, dxs_sigmask_get());
	memcpy(&blocked, &added, sizeof(blocked));
	dxs_sig_setmask(set | blocked);
	return set;
}

void dxs_signals_exec_failed(dxs_sigset set)
{
	ignored_set(false);
	dxs_sig_setmask(set);
}
