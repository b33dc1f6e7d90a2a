// SPDX-License-Identifier: BSD-3-Clause
// library.h: the libraries that the launcher puts into a program.
#ifndef DXS_LIBRARY_H
#define DXS_LIBRARY_H

#include <stdbool.h>

#define DXS_PRELOAD "libdaxsync-preload.so"

// Puts the shim at the head of LD_PRELOAD, so that its hooks are the first to be called, and what plants failures behind
// it if DAXSYNC_FAULT is set. 0, or -errno after one line on stderr.
int dxs_library_preload(void);

// Whether the library that plants failures is there: where the tests were built (tests/planted), never installed.
bool dxs_library_has_faults(void);

#endif
