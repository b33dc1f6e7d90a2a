// SPDX-License-Identifier: BSD-3-Clause
// signals.h: SIGSEGV and SIGBUS, shared with the application.
//
// The library's handlers stand in front. What is not ours reaches the application's own action exactly as if the
// library were not there. The shim tells of actions that the application sets later.
#ifndef DXS_SIGNALS_H
#define DXS_SIGNALS_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "base/sys.h"

#pragma GCC visibility push(default) // the shim uses these

// The next library's sigaction(), for signals other than SIGSEGV and SIGBUS, and before the handlers are in place: the shim
// sets it, because the name is one of its own hooks.
extern int (*dxs_real_sigaction)(int sig, const struct sigaction *act, struct sigaction *old);

// Asked before a fault is looked at; true: something has changed, try again. fork.c sets it.
extern bool (*dxs_fault_check)(void);

// Answers a fault at addr. `is_trap`: it is a signal that was asked for below, of a store as far as can be told. True: the
// instruction can be tried again; false: the fault is the application's. trap.c sets it.
extern _Atomic(bool (*)(uintptr_t addr, bool is_trap)) dxs_fault_answer;

// While the calling thread's fault is being answered, what it was interrupted in (ucontext_t); else NULL.
#pragma GCC visibility push(default) // the emulator uses it
extern DXS_THREAD void *dxs_fault_context;
#pragma GCC visibility pop

// Puts the handlers in place. The signals in `traps` are answered as traps from now on. 0 or -errno.
// Context: init; may be called again, with other traps.
#define DXS_TRAP_BUS 1U
#define DXS_TRAP_SEGV 2U
int dxs_signals_install(unsigned traps);

// Before pages are closed: whether the kernel still has our handlers. Who sets an action by a system call of its own (Go's
// runtime, a second libc) takes them away; then that action is the application's from now on, and ours is in front again.
// 0 or -errno: nobody would answer a trap. Context: page locks may be held.
int dxs_signals_check(void);

// Whether the handler of this signal is ours now.
bool dxs_signals_own(int sig);

// sigaction() for the application, of SIGBUS and SIGSEGV (0) and of any other signal (0 or -1 with errno): a handler
// with one of the two in its mask runs with them unblocked. Async-signal-safe.
void dxs_signals_app_action(int sig, const struct sigaction *act, struct sigaction *old);
int dxs_signals_other_action(int sig, const struct sigaction *act, struct sigaction *old);

// Whether an action is one of ours, which stands for the application's.
bool dxs_signals_is_ours(const struct sigaction *act);

// What is the application's is on its way to it: where a debugger can stop (doc/using.md).
void dxs_signals_foreign(int sig, siginfo_t *info, ucontext_t *context) __attribute__((noinline));

// Around a call that executes another program, which inherits the mask and which signals are ignored.
// Returns what dxs_signals_exec_failed wants.
dxs_sigset dxs_signals_exec_begin(void);
void dxs_signals_exec_failed(dxs_sigset set);

// A place to come back to when the calling thread gets a fault inside a stretch of the library's own code (a flush
// that runs into the end of a file). Set before, cleared after. The handler comes back with siglongjmp(.., 1), all
// signals blocked but SIGSEGV and SIGBUS, the fault described below.
struct dxs_recover {
	sigjmp_buf env;
	uintptr_t addr; // of the fault
	int sig;        // SIGBUS or SIGSEGV
	int code;       // si_code: BUS_ADRERR beyond the end of the file, BUS_MCEERR_AR for bad memory
};
void dxs_recover_set(struct dxs_recover *recover); // NULL: clear

// In a forked child.
void dxs_signals_reset_locks(void);

#pragma GCC visibility pop

#endif
