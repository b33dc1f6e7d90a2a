// SPDX-License-Identifier: BSD-3-Clause
// record.h: the program's side of a crash test (preload/launcher/crashtest/): it tells the recorder each time something is
// about to become durable, and notes who stores.
//
// One thread of the run at a time has the recorder's ear, from before it asks until what it told of is durable. So what
// the recorder writes down is one order of all fences. A recorder that is gone is not waited for.
#ifndef DXS_RECORD_H
#define DXS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file/file.h"
#include "file/observer.h"

bool dxs_record_is_on(void);

// What dxs_record_stores() needs. Context: hook or api, before a file is observed.
void dxs_record_join(void);

// Begins if a recorder is there and the calling thread does not have its ear already.
bool dxs_record_begin(void);
void dxs_record_end(void);

// In between: what the fence to come will publish, piece by piece; then that fence. Returns when the recorder has looked.
void dxs_record_staged(const struct dxs_file *file, uint64_t off, const void *data, size_t len);
void dxs_record_fence(uint64_t number);

// A file is about to be tracked: what was written to it before, nobody has marked.
void dxs_record_mapped(const struct dxs_file *file);

// An msync of entries [first, last] is about to return.
void dxs_record_answered(const struct dxs_file *file, uint64_t first, uint64_t last);

// The kernel has synced these entries of a file of ours; bytes [off, end) of the file behind a
// descriptor, or the directory; or (-1) everything.
void dxs_record_synced(const struct dxs_file *file, const struct dxs_asked *asked);
void dxs_record_synced_fd(int fd, uint64_t off, uint64_t end);

// The calling thread stores to these entries of the leaf that begins at `first`. Async-signal-safe.
void dxs_record_stores(const struct dxs_file *file, uint64_t first, uint64_t mask);

// In a forked child.
void dxs_record_forked(void);

#endif
