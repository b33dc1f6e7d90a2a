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

// Open pages of a probe that make it dense. One page stored to, flushed and closed costs 47 thousand instructions, a huge page
// 217 (doc/measurements.md), so by instructions five pages are even. Flushes cost more than their instructions: on hardware
// 2 MiB of CLWB take 80 to 160 us and a write fault 5 to 10, so there it is some 16.
// Twice as many, because pages that the policy keeps open count as well.
#define DXS_DENSE 32

struct dxs_density { // all zero: nothing is known
	// relaxed, all: guesses (density.c).
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
