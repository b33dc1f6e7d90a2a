// SPDX-License-Identifier: BSD-3-Clause
// trap.h: what happens when a store hits a closed page.
#ifndef DXS_TRAP_H
#define DXS_TRAP_H

#include <stdbool.h>
#include <stdint.h>

enum dxs_trap {
	DXS_TRAP_OPENED,  // marked and opened: the store can be tried again
	DXS_TRAP_FROZEN,  // the mapping is being changed or removed: try again when that is over (dxs_trap_wait)
	DXS_TRAP_FOREIGN, // not a tracked page, or not closed: the application's own fault
};

// A trap, which a store beyond the end of the file looks like (M8): a page that is open already is tried once more; the same
// fault again, with nothing closed in between, is the application's.
// Context: the signal handler of the storing thread. Neither allocates nor takes the registry's lock; waits only for the
// page lock.
enum dxs_trap dxs_trap_signal(uintptr_t addr);

// Called before and after whatever takes pages' write permission away: M8. Any context, signals blocked.
void dxs_trap_protect_begin(void);
void dxs_trap_protect_end(void);

// From now on the signals in `traps` (DXS_TRAP_BUS, DXS_TRAP_SEGV: signals.h) are answered here. 0 or -errno: no handler can
// be put in place. Context: as dxs_signals_install.
int dxs_trap_install(unsigned traps);

// Sleeps while mappings are being changed.
void dxs_trap_wait(void);

// In a forked child: no change is under way.
void dxs_trap_reset(void);

// Called at the beginning and at the end of every change of mappings, by the thread that makes it.
void dxs_trap_change(void);

#endif
