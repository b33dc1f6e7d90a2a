// SPDX-License-Identifier: BSD-3-Clause
// answer_json.c: the answer for programs.
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "piece.h"
#include "stack.h"

// What is no UTF-8, and control characters, become '?'.
static void json_string(FILE *out, const char *text)
{
	char *copy = text ? strdup(text) : NULL, *at;

	if (copy)
		dxs_utf8_plain(copy);
	fputc('"', out);
	for (at = copy; at && *at; at++) {
		if (*at == '"' || *at == '\\')
			fputc('\\', out);
		fputc(*at, out);
	}
	fputc('"', out);
	free(copy);
}

// Its lines, as an array.
static void json_stack(FILE *out, const char *stack)
{
	char *text = NULL, *line, *rest;
	size_t size;
	FILE *words = open_memstream(&text, &size);
	bool any = false;

	if (words) {
		dxs_stack_print(words, "", stack);
		fclose(words);
	}
	fputc('[', out);
	for (rest = text; rest && (line = strsep(&rest, "\n")) && *line; any = true) {
		fputs(any ? ", " : "", out);
		json_string(out, line + strspn(line, " "));
	}
	fputc(']', out);
	free(text);
}

// A group's names, as {"was": PATH} and {"is": PATH}.
static void json_names(FILE *out, const struct dxs_state *state, uint32_t group)
{
	size_t durable = state->durable_names.nr, i;
	bool any = false;

	fputs(", \"names\": [", out);
	for (i = 0; i < durable + state->names.nr; i++) {
		if (state->group[i] != group)
			continue;
		fprintf(out, "%s{\"%s\": ", any ? ", " : "", i < durable ? "was" : "is");
		json_string(out, i < durable ? state->durable_names.name[i].path : state->names.name[i - durable].path);
		fputc('}', out);
		any = true;
	}
	fputc(']', out);
}

static void json_piece(FILE *out, const struct dxs_state *state, const struct dxs_piece *piece)
{
	static const char *const kinds[] = {"bytes", "size", "names"};
	const struct dxs_unit *unit = piece->unit;

	fprintf(out, "{\"what\": \"%s\"", kinds[unit->kind]);
	if (unit->kind == DXS_UNIT_NAMES) {
		json_names(out, state, unit->file);
	} else {
		fputs(", \"file\": ", out);
		json_string(out, dxs_piece_name(state, unit->file));
	}
	if (unit->kind == DXS_UNIT_LINE) {
		fprintf(out, ", \"from\": %lu, \"to\": %lu, \"in_sync\": %s, \"stored_by\": ", (unsigned long)unit->off,
			(unsigned long)piece->end, unit->is_flushed ? "true" : "false");
		json_stack(out, piece->stored_by);
		fputs(", \"flushed_by\": ", out);
		json_stack(out, piece->flushed_by);
	}
	fputc('}', out);
}

static void json_culprit(FILE *out, const struct dxs_answer *answer)
{
	const struct dxs_culprit *culprit = &answer->culprit;
	struct dxs_piece piece;
	size_t at = 0;
	bool any = false;

	fprintf(out, " \"smallest\": {\"moment\": %lu, \"fence\": %lu, \"draw\": \"",
		(unsigned long)culprit->state->moment, (unsigned long)culprit->state->data.fence);
	dxs_piece_draw(out, answer);
	fprintf(out, "\", \"status\": %d, \"hung\": %s, \"kept\": ", culprit->trial.status,
		culprit->trial.verdict == DXS_VERDICT_HUNG ? "true" : "false");
	json_string(out, culprit->kept);
	fputs(", \"lost\": [", out);
	for (; dxs_piece_next(culprit, &at, &piece); any = true) {
		fputs(any ? ",\n  " : "\n  ", out);
		json_piece(out, culprit->state, &piece);
	}
	fputs("]},\n", out);
}

static void json_outcome(FILE *out, const struct dxs_outcome *outcome)
{
	fprintf(out, "  {\"moment\": %lu, \"fence\": %lu, \"units\": %u, \"draws\": %u, \"failed\": %d}",
		(unsigned long)outcome->moment, (unsigned long)outcome->fence, outcome->units, outcome->tried,
		__builtin_popcountll(outcome->failed));
}

void dxs_answer_json(FILE *out, const struct dxs_answer *answer)
{
	const struct dxs_findings *findings = answer->findings;
	bool any = false;
	uint64_t i;

	fprintf(out, "{\"verdict\": \"%s\", \"model\": \"%s\", \"moments\": %lu, \"draws\": %lu, \"failed\": %lu,\n",
		findings->failed                  ? "broke"
		: findings->is_interrupted        ? "interrupted"
		: !dxs_answer_has_moments(answer) ? "not tested"
						  : "survived",
		answer->model, (unsigned long)answer->search->record->nr_moments, (unsigned long)findings->tried,
		(unsigned long)findings->failed);
	if (answer->culprit.state)
		json_culprit(out, answer);
	fputs(" \"cuts\": [", out);
	for (i = 0; i < findings->nr; i++) {
		if (!findings->outcome[i].tried)
			continue;
		fputs(any ? ",\n" : "\n", out);
		json_outcome(out, &findings->outcome[i]);
		any = true;
	}
	fputs("]}\n", out);
}
