// SPDX-License-Identifier: BSD-3-Clause
// search.h: tries power cuts, on all processors, and makes a failing one smaller.
#ifndef DXS_SEARCH_H
#define DXS_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "trial.h"

// Draws of one moment: nothing that was not durable has arrived, all of it has, or as the coins of a seed fall.
#define DXS_DRAW_LOST 0
#define DXS_DRAW_KEPT 1
#define DXS_DRAW_COINS 2 // and the following
#define DXS_MAX_DRAWS 64

#define DXS_SECTOR 512 // bytes of a unit, where a disk tears pages

struct dxs_search {
	const struct dxs_record *record;
	const struct dxs_checker *checker;
	const char *work; // a directory
	uint32_t line;    // bytes of a unit
	uint64_t moments; // to try; 0: all
	uint64_t moment;  // this one alone; 0: not
	int draw;         // this one alone; -1: all
	uint64_t seed;
	unsigned coins, jobs;
	bool shows_progress;
};

// What became of one moment.
struct dxs_outcome {
	uint64_t moment, fence;
	uint32_t units, tried;
	uint64_t failed;              // a bit for each draw
	uint32_t lost[DXS_MAX_DRAWS]; // units of each draw that did not arrive
	struct dxs_trial trial;       // of the first draw that failed
};

struct dxs_findings {
	struct dxs_outcome *outcome; // in order of moments; tried == 0: not reached
	uint64_t nr, tried, failed;  // moments; draws; draws
	bool is_interrupted;
	int err; // -errno: a trial could not be made
};

// The seed of a draw of coins. `daxsync run --powercut=FENCE:SEED` falls in the same way.
uint64_t dxs_draw_seed(const struct dxs_search *search, uint64_t moment, unsigned draw);

// The fates of a draw.
void dxs_draw_fates(const struct dxs_search *search, const struct dxs_state *state, unsigned draw, unsigned char *fate);

// Tries. SIGINT ends it, and keeps what was found so far.
void dxs_search_run(const struct dxs_search *search, struct dxs_findings *findings);

// The failing draw that has lost the fewest units: false if there is none.
bool dxs_search_smallest(const struct dxs_findings *findings, size_t *outcome, unsigned *draw);

// Makes what a failing draw has lost smaller, as long as the check still fails, and leaves the last failing trial in
// `dir`. `state` is at its moment, with units. How many trials it took.
unsigned dxs_search_shrink(const struct dxs_search *search, const struct dxs_state *state, unsigned char *fate,
			   const char *dir, struct dxs_trial *trial);

#endif
