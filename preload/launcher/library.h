// SPDX-License-Identifier: BSD-3-Clause
// library.h: the libraries that the launcher preloads into a program.
#ifndef DXS_LIBRARY_H
#define DXS_LIBRARY_H

#include <stdbool.h>

#define DXS_PRELOAD "libdaxsync-preload.so.0"

// Puts the shim at the head of LD_PRELOAD, so that its hooks are called first. If DAXSYNC_FAULT is set, the library that
// injects failures comes behind it. 0, or -errno after one line on stderr.
int dxs_library_preload(void);

// Whether the library that injects failures is there: it is built with the tests (tests/inject) and never installed.
bool dxs_library_has_faults(void);

// Whether the library that emulates and verifies is there.
bool dxs_library_has_emulator(void);

#endif
