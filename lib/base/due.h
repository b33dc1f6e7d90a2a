// SPDX-License-Identifier: BSD-3-Clause
// due.h: what a sync has to flush in verify mode: the pages that were DIRTY when it began (verify.h, V4); and what was
// found missing.
#ifndef DXS_DUE_H
#define DXS_DUE_H

#include <stdint.h>

struct dxs_leaf;

#define DXS_DUE_LEAVES 1024
struct dxs_due {
	uint64_t event; // number of the first event since
	unsigned nr, nr_missed;
	struct {
		struct dxs_leaf *leaf;
		uint64_t pages;
	} leaf[DXS_DUE_LEAVES];
	struct {
		uint64_t first, pages; // 64 entries
	} missed[DXS_DUE_LEAVES];
};

#endif
