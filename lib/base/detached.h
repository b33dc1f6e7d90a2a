// SPDX-License-Identifier: BSD-3-Clause
// detached.h: work on files that must not touch the application's descriptors.
#ifndef DXS_DETACHED_H
#define DXS_DETACHED_H

#pragma GCC visibility push(default) // the emulator uses it
// Runs fn(arg) in a task that shares the memory of this process but has its own copy of the descriptor table, and
// waits for it. Closing a descriptor would drop every POSIX record lock that the process holds on the file (fcntl(2));
// there it drops only what that task holds. fn uses raw system calls only; a descriptor of the caller is valid in it.
// Returns fn's result (0 to 127), or -errno if there can be no such task. Signals blocked. Other threads run on.
int dxs_detached(int (*fn)(void *arg), void *arg);
#pragma GCC visibility pop

#endif
