// SPDX-License-Identifier: BSD-3-Clause
// answer.c: the answer in text, JSON and SVG.
#include "answer.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/utf8.h"
#include "launcher.h"
#include "stack.h"

#define SHOWN_PIECES 10 // of what was lost
#define SHOWN_LINES 12  // of what the checker said

// Units that lie behind each other in a file and have the same story, as one.
struct piece {
	const struct dxs_unit *unit;
	enum dxs_fate fate;
	uint64_t end;
	const char *stored_by, *flushed_by;
};

static const char *name_of(const struct dxs_state *state, uint32_t file)
{
	const char *name = dxs_names_of(&state->names, file);

	return name ? name : dxs_names_of(&state->durable_names, file);
}

static bool continues(const struct dxs_state *state, const struct piece *piece, size_t i, enum dxs_fate fate)
{
	const struct dxs_unit *unit = &state->unit[i];

	return unit->kind == DXS_UNIT_LINE && piece->unit->kind == DXS_UNIT_LINE && unit->file == piece->unit->file &&
	       unit->off == piece->end && unit->is_flushed == piece->unit->is_flushed && fate == piece->fate &&
	       dxs_state_stored_by(state, unit) == piece->stored_by &&
	       dxs_state_flushed_by(state, unit) == piece->flushed_by;
}

// The next piece that was lost, from unit *at on. False: none.
static bool piece_next(const struct dxs_culprit *culprit, size_t *at, struct piece *piece)
{
	const struct dxs_state *state = culprit->state;

	while (*at < state->nr_units && !dxs_state_is_lost(state, *at, culprit->fate[*at]))
		++*at;
	if (*at == state->nr_units)
		return false;
	*piece = (struct piece){.unit = &state->unit[*at], .fate = culprit->fate[*at]};
	piece->stored_by = dxs_state_stored_by(state, piece->unit);
	piece->flushed_by = dxs_state_flushed_by(state, piece->unit);
	do
		piece->end = state->unit[(*at)++].off + state->line;
	while (*at < state->nr_units && dxs_state_is_lost(state, *at, culprit->fate[*at]) &&
	       continues(state, piece, *at, culprit->fate[*at]));
	return true;
}

// Text of others', on a terminal.
static void print_clean(FILE *out, const char *text, size_t len)
{
	char *copy = strndup(text, len);

	if (!copy)
		return;
	dxs_utf8_plain(copy);
	fputs(copy, out);
	free(copy);
}

// A group's names: what they were durably, and what they have become.
static void print_names(FILE *out, const struct dxs_state *state, uint32_t group)
{
	size_t durable = state->durable_names.nr, i;

	for (i = 0; i < durable + state->names.nr; i++) {
		const struct dxs_name *name = i < durable ? &state->durable_names.name[i]
							  : &state->names.name[i - durable];

		if (state->group[i] != group)
			continue;
		fprintf(out, "    %s ", i < durable ? "was" : "is ");
		print_clean(out, name->path, strlen(name->path));
		fprintf(out, " (file %u)\n", name->file);
	}
}

static void print_piece(FILE *out, const struct dxs_state *state, const struct piece *piece)
{
	const struct dxs_unit *unit = piece->unit;
	const char *name = unit->kind == DXS_UNIT_NAMES ? NULL : name_of(state, unit->file);

	if (unit->kind == DXS_UNIT_NAMES) {
		fputs("    names, whose directory has not been synced since:\n", out);
		print_names(out, state, unit->file);
		return;
	}
	fputs("    ", out);
	print_clean(out, name ? name : "a file without a name", name ? strlen(name) : 21);
	if (unit->kind == DXS_UNIT_SIZE) {
		fprintf(out, ": its size, which is %lu and durably %lu\n",
			(unsigned long)state->file[unit->file].shown.size,
			(unsigned long)state->file[unit->file].durable.size);
		return;
	}
	fprintf(out, ": bytes %lu to %lu, %s\n", (unsigned long)unit->off, (unsigned long)piece->end,
		unit->is_flushed && piece->fate == DXS_FATE_LOST ? "flushed, and no sync of it had returned"
								 : "not synced since they were stored");
	dxs_stack_print(out, "stored by", piece->stored_by);
	dxs_stack_print(out, "flushed by", piece->flushed_by);
}

static void print_lost(FILE *out, const struct dxs_culprit *culprit)
{
	struct piece piece;
	size_t at = 0;
	unsigned nr = 0;

	while (piece_next(culprit, &at, &piece))
		if (nr++ < SHOWN_PIECES)
			print_piece(out, culprit->state, &piece);
	if (nr > SHOWN_PIECES)
		fprintf(out, "    and %u more\n", nr - SHOWN_PIECES);
	if (!nr)
		fputs("    nothing: the check fails on the files as the program had left them\n", out);
}

static void print_said(FILE *out, const struct dxs_culprit *culprit)
{
	char path[PATH_MAX], line[1024];
	unsigned nr = 0;
	FILE *said;

	if (culprit->trial.verdict == DXS_VERDICT_HUNG)
		fputs("  the check did not end in time", out);
	else
		fprintf(out, "  the check ended with status %d%s", culprit->trial.status,
			culprit->trial.status == DXS_EXIT_NOT_FOUND     ? " (a command was not found)"
			: culprit->trial.status == DXS_EXIT_CANNOT_EXEC ? " (a command cannot be executed)"
									: "");
	snprintf(path, sizeof(path), "%s/" DXS_KEPT_DIR "/" DXS_SAID_FILE, culprit->kept);
	said = fopen(path, "re");
	while (said && nr < SHOWN_LINES && fgets(line, sizeof(line), said)) {
		fputs(nr++ ? "    | " : ":\n    | ", out);
		print_clean(out, line, strcspn(line, "\n"));
		fputc('\n', out);
	}
	if (!nr)
		fputs(" and said nothing\n", out);
	if (said)
		fclose(said);
}

static void print_draw(FILE *out, const struct dxs_answer *answer)
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

static void print_culprit(FILE *out, const struct dxs_answer *answer)
{
	const struct dxs_culprit *culprit = &answer->culprit;
	const struct dxs_state *state = culprit->state;

	fprintf(out, "  the smallest failure: a power cut at moment %lu", (unsigned long)state->moment);
	if (state->data.fence)
		fprintf(out, " (fence %lu)", (unsigned long)state->data.fence);
	fputs(", in which this is lost:\n", out);
	print_lost(out, culprit);
	print_said(out, culprit);
	fprintf(out, "  what the check found is in %s/" DXS_KEPT_DIR "/" DXS_FILES_DIR "\n", culprit->kept);
	fprintf(out, "  again: daxsync crashtest --replay=%s --model=%s --cut=%lu --draw=", culprit->kept,
		answer->model, (unsigned long)state->moment);
	print_draw(out, answer);
	fprintf(out, "%s --check=...\n", answer->search->line == DXS_SECTOR ? " --tear=512" : "");
}

void dxs_answer_print(FILE *out, const struct dxs_answer *answer)
{
	const struct dxs_findings *findings = answer->findings;
	uint64_t reached = 0, failed = 0, i;

	for (i = 0; i < findings->nr; i++) {
		reached += findings->outcome[i].tried > 0;
		failed += findings->outcome[i].failed != 0;
	}
	if (findings->is_interrupted)
		fprintf(out, "interrupted after %lu of %lu power cuts\n", (unsigned long)reached,
			(unsigned long)findings->nr);
	if (!failed) {
		fprintf(out, "survived: %lu power cuts, %lu draws of what arrives\n", (unsigned long)reached,
			(unsigned long)findings->tried);
		return;
	}
	fprintf(out, "broke: the check failed after %lu of %lu power cuts, in %lu of %lu draws of what arrives\n",
		(unsigned long)failed, (unsigned long)reached, (unsigned long)findings->failed,
		(unsigned long)findings->tried);
	print_culprit(out, answer);
}

static void json_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; text && *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			fprintf(out, "\\u%04x", (unsigned char)*text);
		else
			fputc(*text, out);
	}
	fputc('"', out);
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

static void json_piece(FILE *out, const struct dxs_state *state, const struct piece *piece)
{
	static const char *const kinds[] = {"bytes", "size", "names"};
	const struct dxs_unit *unit = piece->unit;

	fprintf(out, "{\"what\": \"%s\"", kinds[unit->kind]);
	if (unit->kind != DXS_UNIT_NAMES) {
		fputs(", \"file\": ", out);
		json_string(out, name_of(state, unit->file));
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
	struct piece piece;
	size_t at = 0;
	bool any = false;

	fprintf(out, " \"smallest\": {\"moment\": %lu, \"fence\": %lu, \"draw\": \"",
		(unsigned long)culprit->state->moment, (unsigned long)culprit->state->data.fence);
	print_draw(out, answer);
	fprintf(out, "\", \"status\": %d, \"hung\": %s, \"kept\": ", culprit->trial.status,
		culprit->trial.verdict == DXS_VERDICT_HUNG ? "true" : "false");
	json_string(out, culprit->kept);
	fputs(", \"lost\": [", out);
	for (; piece_next(culprit, &at, &piece); any = true) {
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
		findings->failed           ? "broke"
		: findings->is_interrupted ? "interrupted"
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

#define WIDTH 960
#define HEIGHT 240
#define LEFT 60
#define BOTTOM 40

static void svg_outcome(FILE *out, const struct dxs_outcome *outcome, double x, double step, unsigned most)
{
	double full = HEIGHT - 2.0 * BOTTOM, each = full / most;
	unsigned failed = (unsigned)__builtin_popcountll(outcome->failed);
	double wide = step > 3 ? step - 1 : step;

	fprintf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"#8fbc8f\"/>\n", x,
		HEIGHT - BOTTOM - each * outcome->tried, wide, each * (outcome->tried - failed));
	if (failed)
		fprintf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"#b22222\"/>\n", x,
			HEIGHT - BOTTOM - each * failed, wide, each * failed);
}

void dxs_answer_svg(FILE *out, const struct dxs_answer *answer)
{
	const struct dxs_findings *findings = answer->findings;
	uint64_t moments = answer->search->record->nr_moments, i;
	double step = (WIDTH - 2.0 * LEFT) / (double)dxs_max64(moments, 1);
	unsigned most = DXS_DRAW_COINS + answer->search->coins;

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
		"font-size=\"13\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		WIDTH, HEIGHT);
	fprintf(out, "<text x=\"%d\" y=\"24\">%lu power cuts, %lu draws: %lu failed</text>\n", LEFT,
		(unsigned long)findings->nr, (unsigned long)findings->tried, (unsigned long)findings->failed);
	for (i = 0; i < findings->nr; i++)
		if (findings->outcome[i].tried)
			svg_outcome(out, &findings->outcome[i], LEFT + step * (double)(findings->outcome[i].moment - 1),
				    step, most);
	fprintf(out,
		"<path d=\"M%d %d V%d H%d\" fill=\"none\" stroke=\"black\"/>\n<text x=\"%d\" y=\"%d\">1</text>\n"
		"<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%lu</text>\n"
		"<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">moment of the cut</text>\n"
		"<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%u</text>\n"
		"<text x=\"%d\" y=\"%d\" fill=\"#b22222\">failed</text>\n"
		"<text x=\"%d\" y=\"%d\" fill=\"#2e6b2e\">survived</text>\n</svg>\n",
		LEFT, BOTTOM, HEIGHT - BOTTOM, WIDTH - LEFT, LEFT, HEIGHT - 18, WIDTH - LEFT, HEIGHT - 18,
		(unsigned long)moments, WIDTH / 2, HEIGHT - 18, LEFT - 6, BOTTOM + 8, most, WIDTH - LEFT - 150, 24,
		WIDTH - LEFT - 90, 24);
}
