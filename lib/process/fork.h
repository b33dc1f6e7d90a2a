// SPDX-License-Identifier: BSD-3-Clause
// fork.h: the library on both sides of a fork.
#ifndef DXS_FORK_H
#define DXS_FORK_H

#include <stdbool.h>

#pragma GCC visibility push(default) // the shim uses these

// Registers the fork handlers. Context: init.
void dxs_fork_init(void);

// The handlers, for a hook of a call that runs none: before it, and after it on both sides.
void dxs_fork_prepare(void);
void dxs_fork_in_parent(void);
void dxs_fork_in_child(void);

// At the begin of every hook, and of a trap: in a child that was made without fork handlers (_Fork, raw clone) drops the locks and
// states that were copied from the parent. A load and a branch otherwise.
// Returns whether it did.
bool dxs_fork_check(void);

// Whether this process is the one whose state this memory holds: not in the child of a vfork, which only borrows it.
bool dxs_fork_is_owner(void);

#pragma GCC visibility pop

#endif
