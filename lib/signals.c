// SPDX-License-Identifier: BSD-3-Clause
// signals.c: the handlers of SIGSEGV and SIGBUS.
#include "signals.h"

#include <errno.h>
#include <string.h>

#include "lock.h"
#include "stats.h"
#include "sys.h"
#include "trap.h"

int (*dxs_real_sigaction)(int, const struct sigaction *, struct sigaction *) = sigaction;

bool (*dxs_fault_check)(void);

static struct sigaction app_action[2]; // SIGBUS, SIGSEGV; under `mutex`
static struct dxs_mutex mutex;
static _Atomic bool installed;
static _Atomic unsigned traps; // DXS_TRAP_*
static DXS_THREAD struct dxs_recover *recover;

static struct sigaction *action_of(int sig)
{
	return &app_action[sig == SIGSEGV];
}

void dxs_recover_set(struct dxs_recover *to)
{
	recover = to;
}

void dxs_signals_reset_locks(void)
{
	atomic_store(&mutex.word, 0);
}

bool dxs_signals_own(int sig)
{
	return (sig == SIGBUS || sig == SIGSEGV) && atomic_load(&installed);
}

void dxs_signals_app_action(int sig, const struct sigaction *act, struct sigaction *old)
{
	dxs_sigset set = dxs_sig_block();
	struct sigaction before;

	dxs_mutex_lock(&mutex);
	before = *action_of(sig);
	if (act)
		*action_of(sig) = *act;
	dxs_mutex_unlock(&mutex);
	dxs_sig_setmask(set);
	if (old)
		*old = before;
}

// The application's action for one delivery; SA_RESETHAND takes effect here.
static struct sigaction action_take(int sig)
{
	struct sigaction act;

	dxs_mutex_lock(&mutex);
	act = *action_of(sig);
	if (act.sa_flags & (int)SA_RESETHAND)
		action_of(sig)->sa_handler = SIG_DFL;
	dxs_mutex_unlock(&mutex);
	return act;
}

// The default action, by the kernel itself: the instruction is run again and faults for good, with the right address
// and core dump; a signal that somebody sent is sent once more.
static void die_by_default(int sig, const siginfo_t *info)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};

	dxs_real_sigaction(sig, &dfl, NULL);
	if (info->si_code <= 0)
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

static void forward(int sig, siginfo_t *info, void *context)
{
	struct sigaction act = action_take(sig);

	dxs_count(traps_foreign, 1);
	if (act.sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	if (act.sa_handler == SIG_DFL || act.sa_handler == SIG_IGN) { // a fault cannot be ignored
		die_by_default(sig, info);
		return;
	}
	dxs_sig_setmask(handler_mask(sig, &act, context));
	if (act.sa_flags & SA_SIGINFO)
		act.sa_sigaction(sig, info, context);
	else
		act.sa_handler(sig);
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

// Whether a SIGSEGV comes from a store to a page without write permission (x86 page fault error
// code, bit 1; arm64 ESR_EL1, exception class 0x24 or 0x25, WnR bit 6).
static bool is_write_fault(const siginfo_t *info, const ucontext_t *context)
{
	if (info->si_code != SEGV_ACCERR)
		return false;
#if defined(__x86_64__)
	return context->uc_mcontext.gregs[REG_TRAPNO] == 14 && context->uc_mcontext.gregs[REG_ERR] & 2;
#else
	(void)context;
	return true; // a load that is refused twice is the application's: dxs_trap_signal
#endif
}

static bool is_trap(int sig, const siginfo_t *info, const ucontext_t *context)
{
	unsigned enabled = atomic_load(&traps);

	if (sig == SIGBUS)
		return enabled & DXS_TRAP_BUS;
	return enabled & DXS_TRAP_SEGV && is_write_fault(info, context);
}

// Whether the fault was ours and the instruction can be tried again.
static bool handled(int sig, const siginfo_t *info, const ucontext_t *context)
{
	uintptr_t addr = (uintptr_t)info->si_addr;
	enum dxs_trap result = is_trap(sig, info, context) ? dxs_trap_signal(addr) : dxs_trap_look(addr);

	if (result == DXS_TRAP_GOING)
		dxs_trap_wait();
	return result != DXS_TRAP_FOREIGN || !dxs_trap_is_foreign(addr);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	bool fault = info->si_code > 0; // not sent by a process

	if (fault && recover)
		recover_jump(sig, info);
	if (fault && dxs_fault_check && dxs_fault_check())
		return; // a child without fork handlers: its pages are open now
	if (!fault || !handled(sig, info, context))
		forward(sig, info, context);
	errno = saved;
}

// Takes our signals out of a mask under which a handler of the application runs.
void dxs_signals_spare(sigset_t *mask)
{
	sigdelset(mask, SIGBUS);
	sigdelset(mask, SIGSEGV);
}

// Handlers that were installed before.
static void spare_in_all(void)
{
	struct sigaction act;
	int sig;

	for (sig = 1; sig < 65; sig++) {
		if (sig == SIGBUS || sig == SIGSEGV || dxs_real_sigaction(sig, NULL, &act) ||
		    (!sigismember(&act.sa_mask, SIGBUS) && !sigismember(&act.sa_mask, SIGSEGV)))
			continue;
		dxs_signals_spare(&act.sa_mask);
		dxs_real_sigaction(sig, &act, NULL);
	}
}

static int install_one(int sig)
{
	struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct sigaction old;

	sigfillset(&act.sa_mask);
	// The application's action is read first: after the switch a fault may come at any time.
	if (dxs_real_sigaction(sig, NULL, action_of(sig)) || dxs_real_sigaction(sig, &act, &old))
		return -errno;
	return 0;
}

int dxs_signals_install(unsigned wanted)
{
	int err;

	atomic_fetch_or(&traps, wanted);
	if (atomic_load(&installed))
		return 0;
	err = install_one(SIGBUS);
	if (!err)
		err = install_one(SIGSEGV);
	if (!err)
		spare_in_all();
	atomic_store(&installed, !err);
	return err;
}
