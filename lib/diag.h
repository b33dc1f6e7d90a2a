// SPDX-License-Identifier: BSD-3-Clause
// diag.h: backtraces for warnings, with libunwind.
#ifndef DXS_DIAG_H
#define DXS_DIAG_H

// Writes the calling thread's stack to stderr, once per process. libunwind is loaded on demand and locally (linked,
// it would catch the exceptions of C++ libraries loaded later); without it nothing is written. Not in a trap.
void dxs_diag_backtrace(void);

#endif
