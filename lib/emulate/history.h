// SPDX-License-Identifier: BSD-3-Clause
// history.h: what happened to a page last, for the verifier's reports. Kept in verify mode only.
#ifndef DXS_HISTORY_H
#define DXS_HISTORY_H

#include <stdint.h>

#include "base/log.h"
#include "file/observer.h"

// Notes an event of the entries of `mask` in the leaf that begins at `first`. Async-signal-safe.
void dxs_history_add(const struct dxs_file *file, enum dxs_event event, uint64_t first, uint64_t mask);

// The number of the next event.
uint64_t dxs_history_next(void);

// Calls fn for every event of this kind, of this file, from number `from` on. False: some of them are not kept any more.
bool dxs_history_each(const struct dxs_file *file, enum dxs_event event, uint64_t from,
		      void (*fn)(uint64_t first, uint64_t mask, void *arg), void *arg);

// Adds the last events of an entry to a line of text, oldest first.
void dxs_history_print(const struct dxs_file *file, uint64_t pgoff, struct dxs_text *text);

#endif
