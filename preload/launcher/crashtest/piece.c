// SPDX-License-Identifier: BSD-3-Clause
// piece.c: from units to pieces.
#include "piece.h"

const char *dxs_piece_name(const struct dxs_state *state, uint32_t file)
{
	const char *name = dxs_names_of(&state->names, file);

	return name ? name : dxs_names_of(&state->durable_names, file);
}

static bool continues(const struct dxs_state *state, const struct dxs_piece *piece, size_t i, enum dxs_fate fate)
{
	const struct dxs_unit *unit = &state->unit[i];

	return unit->kind == DXS_UNIT_LINE && piece->unit->kind == DXS_UNIT_LINE && unit->file == piece->unit->file &&
	       unit->off == piece->end && unit->is_flushed == piece->unit->is_flushed && fate == piece->fate &&
	       dxs_state_stored_by(state, unit) == piece->stored_by &&
	       dxs_state_flushed_by(state, unit) == piece->flushed_by;
}

bool dxs_piece_next(const struct dxs_culprit *culprit, size_t *at, struct dxs_piece *piece)
{
	const struct dxs_state *state = culprit->state;

	while (*at < state->nr_units && !dxs_state_is_lost(state, *at, culprit->fate[*at]))
		++*at;
	if (*at == state->nr_units)
		return false;
	*piece = (struct dxs_piece){.unit = &state->unit[*at], .fate = culprit->fate[*at]};
	piece->stored_by = dxs_state_stored_by(state, piece->unit);
	piece->flushed_by = dxs_state_flushed_by(state, piece->unit);
	do
		piece->end = state->unit[(*at)++].off + state->line;
	while (*at < state->nr_units && dxs_state_is_lost(state, *at, culprit->fate[*at]) &&
	       continues(state, piece, *at, culprit->fate[*at]));
	return true;
}

void dxs_piece_draw(FILE *out, const struct dxs_answer *answer)
{
	const struct dxs_culprit *culprit = &answer->culprit;

	if (culprit->draw == DXS_DRAW_LOST)
		fputs("lost", out);
	else if (culprit->draw == DXS_DRAW_KEPT)
		fputs("kept", out);
	else
		fprintf(out, "%lu",
			(unsigned long)dxs_draw_seed(answer->search, culprit->state->moment, culprit->draw));
}
