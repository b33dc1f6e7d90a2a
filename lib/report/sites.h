// SPDX-License-Identifier: BSD-3-Clause
// sites.h: where in the program pages become dirty, and where it syncs: counted by code address, for `daxsync run --report`.
#ifndef DXS_SITES_H
#define DXS_SITES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sys.h"

enum dxs_site_kind { DXS_SITE_STORE, DXS_SITE_SYNC, DXS_NR_SITE_KINDS };

#define DXS_SITES 128 // of one kind; beyond, they are counted together

struct dxs_site {
	_Atomic int state;      // release when it is READY, acquire: before the rest is read (sites.c)
	_Atomic uint64_t count; // relaxed: a statistic
	uint64_t addr;          // in the process
	uint64_t offset;        // in the file that is mapped there
	char path[160];         // of that; empty: none
};

#pragma GCC visibility push(default) // the shim uses these

// Whether anybody has asked for them. Constant after the start.
extern bool dxs_sites_wanted;

// Begins to count. Context: init.
void dxs_sites_begin(void);

// Counts one call from the code at `addr`. Context: any.
void dxs_sites_add(enum dxs_site_kind kind, uintptr_t addr);

// Counts a store that has trapped: the instruction at pc, or where that is one of libc's, as in memcpy, its caller. `stack`
// is the stack pointer: such functions have nothing of their own there. Context: handler.
void dxs_sites_store(uintptr_t pc, uintptr_t stack);

static inline void dxs_sites_sync(const void *caller)
{
	if (dxs_unlikely(dxs_sites_wanted))
		dxs_sites_add(DXS_SITE_SYNC, (uintptr_t)caller - 1); // in the call, not behind it
}

#pragma GCC visibility pop

#endif
