// SPDX-License-Identifier: BSD-3-Clause
// handover.h: whether a file is left to the kernel for a time, because its pages do not come back.
#ifndef DXS_HANDOVER_H
#define DXS_HANDOVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct dxs_file;

// Of a file. All zero: tracked, and nothing is known.
struct dxs_handover {
	_Atomic bool is_over; // a sync calls the kernel, and does nothing else; changes with sync_lock held exclusively
	_Atomic uint32_t nr_barred; // calls under way that the kernel's marks do not outlive: it is not handed over
	_Atomic uint64_t next;      // of the file's clock: when to decide again
	// Since the last decision: see dxs_handover_trapped(), dxs_handover_left_open().
	_Atomic uint64_t nr_cold, nr_hot;
	unsigned nr_vain;    // times in a row that it was handed over; with sync_lock held exclusively
	unsigned nr_windows; // decisions since it is tracked, up to 2: the first one begins a window; likewise
};

// Whether a sync that is about to begin has to decide first: a few loads. Any context.
bool dxs_handover_is_due(struct dxs_file *file);

// Decides: whether the file is to be handed over from now on. Caller holds maps_lock and, exclusively, sync_lock.
bool dxs_handover_decide(struct dxs_file *file);

// A trap has opened so many pages; the one that was stored to had been closed a moment ago (`soon`). Async-signal-safe.
void dxs_handover_trapped(struct dxs_file *file, uint64_t nr, bool soon);

// A sync has flushed so many pages and left them open.
void dxs_handover_left_open(struct dxs_file *file, uint64_t nr);

// Around a call at which the kernel may forget what it holds dirty. `begin` returns when the file is not handed over, and is
// not until `end`. The caller then syncs. Context: hook, signals blocked, no lock held.
void dxs_handover_bar(struct dxs_file *file);
void dxs_handover_unbar(struct dxs_file *file);

// It is handed over, or taken back: says so, and counts. Caller as of dxs_handover_decide().
void dxs_handover_set(struct dxs_file *file, bool is_over);

// Why it is handed over: static text.
const char *dxs_handover_reason(void);

#endif
