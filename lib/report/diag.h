// SPDX-License-Identifier: BSD-3-Clause
// diag.h: backtraces for warnings, with libunwind.
#ifndef DXS_DIAG_H
#define DXS_DIAG_H

// Loads libunwind, locally (linked, it would catch the exceptions of C++ libraries loaded later). Where a backtrace may be
// wanted, before: with a lock held it is too late, since the loader has locks of its own. Context: hook or api.
void dxs_diag_load(void);

#pragma GCC visibility push(default) // the emulator uses it
// Writes the calling thread's stack to stderr, once per process; nothing if libunwind is not loaded. Not in a trap.
void dxs_diag_backtrace(void);
#pragma GCC visibility pop

#endif
