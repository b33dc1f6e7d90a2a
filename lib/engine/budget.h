// SPDX-License-Identifier: BSD-3-Clause
// budget.h: how many of the process's VMAs the tracker may use.
//
// A process may have vm.max_map_count VMAs (65530 unless set). Each isolated page that an engine opens by mprotect costs
// two. The program's own mappings come first: the tracker takes half of what the program leaves, opens larger pieces as it
// comes near that, and holds some VMAs in reserve, so that a mapping can always be opened as a whole.
#ifndef DXS_BUDGET_H
#define DXS_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

// Counts the VMAs that the process has and makes the reserve. Context: init, api, hook; not in a trap. Cheap unless much
// has changed since the last time.
void dxs_budget_refresh(void);

// Says that the tracker now uses `nr` VMAs more (or fewer). Async-signal-safe.
void dxs_budget_add(int64_t nr);

// VMAs in use by the tracker, and what it may use. Async-signal-safe.
int64_t dxs_budget_used(void);
int64_t dxs_budget_limit(void);

// Gives up a part of the reserve: some VMAs are free for the caller to use right now. False: there is none.
// Async-signal-safe.
bool dxs_budget_release(void);

// In a forked child, all of whose mappings are open.
void dxs_budget_reset(void);

#endif
