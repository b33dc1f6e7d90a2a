// SPDX-License-Identifier: BSD-3-Clause
// handover.h: whether a file is left to the kernel for a time, because that costs less.
#ifndef DXS_HANDOVER_H
#define DXS_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

struct dxs_file;

// Whether a sync that is about to begin has to decide first: a few loads. Any context.
bool dxs_handover_is_due(struct dxs_file *file);

// Decides: whether the file is to be handed over from now on. Caller holds maps_lock and, exclusively, sync_lock.
bool dxs_handover_decide(struct dxs_file *file);

// A trap has opened so many pages. Async-signal-safe.
void dxs_handover_trapped(struct dxs_file *file, uint64_t nr);

// A sync has flushed so many pages and left them open.
void dxs_handover_left_open(struct dxs_file *file, uint64_t nr);

// The kernel alone has served an fsync.
void dxs_handover_fsynced(struct dxs_file *file);

// Pages were closed that had been flushed so often while they were open; such a page was stored to before the next sync. The
// part that comes in time is the part of those flushes for which there was a store. Async-signal-safe.
void dxs_handover_aged(struct dxs_file *file, uint64_t nr_flushes);
void dxs_handover_in_time(struct dxs_file *file, uint64_t nr_flushes);

// Around a call at which the kernel may forget what it holds dirty. `begin` returns when the file is not handed over, and is
// not until `end`. The caller then syncs. Context: hook, signals blocked, no lock held.
void dxs_handover_bar(struct dxs_file *file);
void dxs_handover_unbar(struct dxs_file *file);

// It is handed over, or taken back: says so, and counts. Caller as of dxs_handover_decide().
void dxs_handover_set(struct dxs_file *file, bool is_over);

// Why it is handed over: static text.
const char *dxs_handover_reason(void);

#endif
