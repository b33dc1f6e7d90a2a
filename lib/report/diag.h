// SPDX-License-Identifier: BSD-3-Clause
// diag.h: backtraces for warnings, with libunwind.
#ifndef DXS_DIAG_H
#define DXS_DIAG_H

#include <stdint.h>

// Loads libunwind, locally (linked, it would catch the exceptions of C++ libraries loaded later). Where a backtrace may be
// wanted, before: with a lock held it is too late, since the loader has locks of its own. Context: hook or api.
void dxs_diag_load(void);

#pragma GCC visibility push(default) // the emulator uses it
// Writes the calling thread's stack to stderr, once per process; nothing if libunwind is not loaded. Not in a trap.
void dxs_diag_backtrace(void);

// Return addresses, innermost first: of the calling thread, or of what a signal has interrupted (ucontext_t), beginning
// with the instruction behind the one at which it was. How many; 0 if libunwind is not loaded.
unsigned dxs_diag_stack(void *interrupted, uintptr_t *pc, unsigned nr);
#pragma GCC visibility pop

#endif
