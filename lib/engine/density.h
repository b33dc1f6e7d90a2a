// SPDX-License-Identifier: BSD-3-Clause
// density.h: whether a huge page that is stored to is tracked as a whole, or split.
//
// A huge page that is opened as a whole is flushed as a whole, 2 MiB for one byte. Split, each of its pages costs a trap of
// its own, and the kernel never puts it together again. What is going to be stored to is not known, so a mapping's huge
// pages are judged by the last one that was split, the probe: if many of its pages are open at once, stores are dense here,
// and the next few huge pages stay whole; then one more is split to see. Wrong guesses cost time only.
#ifndef DXS_DENSITY_H
#define DXS_DENSITY_H

#include <stdbool.h>
#include <stdint.h>

// Open pages of a probe that make it dense. A trap and a close of one page cost 29 thousand instructions, those of a huge
// page and its flush 280 (doc/measurements.md), so by instructions ten pages are even; flushes cost more than their
// instructions, so on hardware it is more.
#define DXS_DENSE 32

struct dxs_density {               // all zero: nothing is known
	_Atomic uintptr_t probe;   // its address; 0: none without a verdict
	_Atomic unsigned nr_dense; // probes in a row that were dense
	_Atomic unsigned nr_whole; // huge pages that are still to stay whole
};

// A huge page is stored to while it is closed: true if it is to stay whole; otherwise it is split, and is the probe.
// Async-signal-safe, as the others; threads that come at once only guess worse.
bool dxs_density_whole(struct dxs_density *density, uintptr_t addr);

bool dxs_density_is_probe(const struct dxs_density *density, uintptr_t addr);

// So many of the probe's pages are open.
void dxs_density_found(struct dxs_density *density, uint64_t nr);

#endif
