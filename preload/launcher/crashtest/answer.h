// SPDX-License-Identifier: BSD-3-Clause
// answer.h: what a crash test has found, for people and for programs.
#ifndef DXS_ANSWER_H
#define DXS_ANSWER_H

#include <stdio.h>

#include "search.h"

// The failing cut that is shown: as small as it could be made.
struct dxs_culprit {
	const struct dxs_state *state; // NULL: there is none
	const unsigned char *fate;
	const struct dxs_outcome *outcome;
	unsigned draw, trials; // that it took to make it small
	struct dxs_trial trial;
	const char *kept; // the directory with the record and the program's output
};

#define DXS_KEPT_DIR "failed" // in there: the files, the output so far, and what the checker said

struct dxs_answer {
	const struct dxs_search *search;
	const struct dxs_findings *findings;
	struct dxs_culprit culprit;
	const char *model;
};

// Whether anything was made durable: if not, the end of the run is the only moment, and there is nothing to survive.
bool dxs_answer_has_moments(const struct dxs_answer *answer);

void dxs_answer_print(FILE *out, const struct dxs_answer *answer);
// The first line that the checker said, for a message.
void dxs_answer_said(const struct dxs_culprit *culprit, char *line, size_t size);

void dxs_answer_json(FILE *out, const struct dxs_answer *answer);

#endif
