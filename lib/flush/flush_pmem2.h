// SPDX-License-Identifier: BSD-3-Clause
// flush_pmem2.h: libpmem2's flush and drain functions.
#ifndef DXS_FLUSH_PMEM2_H
#define DXS_FLUSH_PMEM2_H

#include "flush/flush.h"

// Loads libpmem2 on demand and takes its functions for cache-line granularity. 0 or -errno with *why.
int dxs_flush_pmem2(struct dxs_flusher *flusher, const char **why);

#endif
