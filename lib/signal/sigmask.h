// SPDX-License-Identifier: BSD-3-Clause
// sigmask.h: the shadow mask: SIGSEGV and SIGBUS as the program has them blocked.
//
// A trap while its signal is blocked would kill the process. So where the shim follows the program's masks, the two are
// never blocked in truth: each thread's shadow mask is kept here, and acted upon. A fault of the program's own while the
// signal is blocked kills it, as the kernel does; a signal that somebody sent is deferred.
#ifndef DXS_SIGMASK_H
#define DXS_SIGMASK_H

#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>

#include "base/sys.h"

#pragma GCC visibility push(default) // the shim uses these

#define DXS_MASK_BUS 1U
#define DXS_MASK_SEGV 2U

static inline unsigned dxs_sigmask_bit(int sig)
{
	return sig == SIGBUS ? DXS_MASK_BUS : sig == SIGSEGV ? DXS_MASK_SEGV : 0;
}

// Which of the two are in a set; the set without them; with these.
unsigned dxs_sigmask_bits(const sigset_t *set);
void dxs_sigmask_spare(sigset_t *set);
void dxs_sigmask_add(sigset_t *set, unsigned bits);

// Whether somebody tells of every change of masks: the shim. Otherwise there is no shadow mask, and the application's
// handlers run with the mask that the kernel would have set. Set once, at start.
extern bool dxs_sigmask_followed;

// The calling thread's shadow mask; the variable itself is for code that must not call. Setting it sends what was deferred
// and is not blocked any more.
extern DXS_THREAD unsigned dxs_sigmask_blocked;
unsigned dxs_sigmask_get(void);
void dxs_sigmask_set(unsigned bits);

// Of a mask that was set where the two were not kept out: remembers them as blocked, and returns the rest.
dxs_sigset dxs_sigmask_adopt(dxs_sigset set);

// Around a handler of the program: `add` is blocked meanwhile, and the saved mask in `context` shows and takes the
// shadow mask. Returns what dxs_sigmask_handler_end wants.
bool dxs_sigmask_handler_begin(ucontext_t *context, unsigned add);
void dxs_sigmask_handler_end(ucontext_t *context, bool nested);

// The program leaves, perhaps a handler, for a place where `bits` are blocked; or for one whose saved mask does not tell:
// then it is what was blocked outside of all handlers.
void dxs_sigmask_jump(unsigned bits);
void dxs_sigmask_leave(void);

// Defers a signal that somebody sent. Context: signal, everything blocked.
void dxs_sigmask_defer(int sig, const siginfo_t *info, ucontext_t *context);

// Which signals are deferred for the calling thread; takes one of `bits` away. Context: hook.
unsigned dxs_sigmask_deferred(void);
bool dxs_sigmask_take(unsigned bits, siginfo_t *info);

// While `waiting` a signal that should be deferred stays pending in the kernel: the thread is about to ask for it.
void dxs_sigmask_wait(bool waiting);

// In a forked child.
void dxs_sigmask_reset(void);

#pragma GCC visibility pop

#endif
