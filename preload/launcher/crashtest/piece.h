// SPDX-License-Identifier: BSD-3-Clause
// piece.h: what the smallest failure has lost, in pieces for people.
#ifndef DXS_PIECE_H
#define DXS_PIECE_H

#include <stddef.h>

#include "answer.h"

// Units that lie behind each other in a file and have the same story, as one.
struct dxs_piece {
	const struct dxs_unit *unit;
	enum dxs_fate fate;
	uint64_t end;
	const char *stored_by, *flushed_by;
};

// The next piece that was lost, from unit *at on. False: none.
bool dxs_piece_next(const struct dxs_culprit *culprit, size_t *at, struct dxs_piece *piece);

// A name of a file's; NULL: it has none.
const char *dxs_piece_name(const struct dxs_state *state, uint32_t file);

// The draw that has failed, as --draw takes it.
void dxs_piece_draw(FILE *out, const struct dxs_answer *answer);

#endif
