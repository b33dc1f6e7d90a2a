// SPDX-License-Identifier: BSD-3-Clause
// near.h: which addresses may be tracked ones, for hooks of calls that have nothing to do with any mapping.
#ifndef DXS_NEAR_H
#define DXS_NEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Around a change of the table of mappings, which is serialised by the registry's mutex. From begin to end every
// address is near. ranges: sorted, not overlapping, nr of them; range(i) tells the i-th.
struct dxs_near_range {
	uintptr_t addr, end;
};
void dxs_near_begin(void);
void dxs_near_end(size_t nr, struct dxs_near_range (*range)(size_t index, const void *arg), const void *arg);

// Whether [addr, end) may touch a mapping: a few loads, no lock, no signal mask. Context: any.
bool dxs_near(uintptr_t addr, uintptr_t end);

#endif
