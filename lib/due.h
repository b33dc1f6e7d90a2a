// SPDX-License-Identifier: BSD-3-Clause
// due.h: what a sync owes in verify mode: the pages that were DIRTY when it began (verify.h, V4).
#ifndef DXS_DUE_H
#define DXS_DUE_H

#include <stdint.h>

struct dxs_leaf;

#define DXS_DUE_LEAVES 1024
struct dxs_due {
	uint64_t event; // number of the first event since
	unsigned nr;
	struct {
		struct dxs_leaf *leaf;
		uint64_t pages;
	} leaf[DXS_DUE_LEAVES];
};

#endif
