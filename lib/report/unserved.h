// SPDX-License-Identifier: BSD-3-Clause
// unserved.h: files that the program syncs and that are left to the kernel although `daxsync run` has started the program. Its
// end says so: whoever has started it so expects something else.
#ifndef DXS_UNSERVED_H
#define DXS_UNSERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sys.h"

// By which the launcher tells that it wants to hear of them.
#define DXS_UNSERVED_VARIABLE "_DAXSYNC_RUN"

#pragma GCC visibility push(default) // the shim uses these

// Whether anybody does. Context: init.
void dxs_unserved_begin(void);

// A file that is in mode kernel for good has been synced. `reason` is static text. Context: any.
void dxs_unserved_add(const char *path, const char *reason);

// A file in mode pass was mapped, shared and writable. Context: hook.
void dxs_unserved_map(uintptr_t addr, size_t len, const char *reason);

// [start, end), in which nothing is tracked, is synced. Context: any.
extern _Atomic bool dxs_unserved_any_mapped;
void dxs_unserved_note(uintptr_t start, uintptr_t end);

static inline void dxs_unserved_synced(uintptr_t start, uintptr_t end)
{
	if (dxs_unlikely(atomic_load_explicit(&dxs_unserved_any_mapped, memory_order_relaxed))) // relaxed: a hint
		dxs_unserved_note(start, end);
}

// A forked child has nothing to say: what it inherits is the kernel's, always.
void dxs_unserved_forget(void);

// One line, if there is any. Context: hook, at the end of the process.
void dxs_unserved_say(void);

#pragma GCC visibility pop

#endif
