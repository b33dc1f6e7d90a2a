// SPDX-License-Identifier: BSD-3-Clause
// answer.c: the answer in text.
#include "answer.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/utf8.h"
#include "launcher.h"
#include "piece.h"
#include "stack.h"

#define SHOWN_PIECES 10 // of what was lost
#define SHOWN_LINES 12  // of what the checker said

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

static void print_piece(FILE *out, const struct dxs_state *state, const struct dxs_piece *piece)
{
	const struct dxs_unit *unit = piece->unit;
	const char *name = unit->kind == DXS_UNIT_NAMES ? NULL : dxs_piece_name(state, unit->file);

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
	dxs_stack_print(out, unit->is_flushed ? "flushed by" : "synced before", piece->flushed_by);
}

static void print_lost(FILE *out, const struct dxs_culprit *culprit)
{
	struct dxs_piece piece;
	size_t at = 0;
	unsigned nr = 0;

	while (dxs_piece_next(culprit, &at, &piece))
		if (nr++ < SHOWN_PIECES)
			print_piece(out, culprit->state, &piece);
	if (nr > SHOWN_PIECES)
		fprintf(out, "    and %u more\n", nr - SHOWN_PIECES);
	if (!nr)
		fputs("    nothing: the check fails on the files as the program had left them\n", out);
}

static FILE *said_open(const struct dxs_culprit *culprit)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" DXS_KEPT_DIR "/" DXS_SAID_FILE, culprit->kept);
	return fopen(path, "re");
}

void dxs_answer_said(const struct dxs_culprit *culprit, char *line, size_t size)
{
	FILE *said = said_open(culprit);

	line[0] = '\0';
	if (said && !fgets(line, (int)size, said))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	dxs_utf8_plain(line);
	if (said)
		fclose(said);
}

static void print_said(FILE *out, const struct dxs_culprit *culprit)
{
	char line[1024];
	unsigned nr = 0;
	FILE *said;

	if (culprit->trial.verdict == DXS_VERDICT_ERROR) {
		fprintf(out, "  the check could not be repeated: %s\n", strerrordesc_np(-culprit->trial.status));
		return;
	}
	if (culprit->trial.verdict == DXS_VERDICT_FINE)
		fputs("  the check failed, and was fine when it ran again on the same files: not only they decide",
		      out);
	else if (culprit->trial.verdict == DXS_VERDICT_HUNG)
		fputs("  the check did not end in time", out);
	else
		fprintf(out, "  the check ended with status %d%s", culprit->trial.status,
			culprit->trial.status == DXS_EXIT_NOT_FOUND     ? " (a command was not found)"
			: culprit->trial.status == DXS_EXIT_CANNOT_EXEC ? " (a command cannot be executed)"
									: "");
	said = said_open(culprit);
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

// As one word of a shell's.
static void print_word(FILE *out, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,+@-";
	size_t len;

	if (*text && !text[strspn(text, plain)]) {
		fputs(text, out);
		return;
	}
	fputc('\'', out);
	for (; *text; text += len) {
		len = strcspn(text, "'\n");
		print_clean(out, text, len);
		if (text[len])
			fputs(text[len++] == '\n' ? "\n" : "'\\''", out);
	}
	fputc('\'', out);
}

// The check, or the program that runs again, as a command of a shell's.
static void print_check(FILE *out, const struct dxs_checker *checker)
{
	char *text = NULL, **word;
	size_t size;
	FILE *words = checker->command ? NULL : open_memstream(&text, &size);

	for (word = checker->argv; words && *word; word++) {
		fputs(word == checker->argv ? "" : " ", words);
		print_word(words, *word);
	}
	if (words)
		fclose(words);
	fputs(" --check=", out);
	print_word(out, checker->command ? checker->command : text ? text : "");
	free(text);
}

// A command that fails in the same way.
static void print_again(FILE *out, const struct dxs_answer *answer)
{
	fputs("  again: daxsync crashtest --replay=", out);
	print_word(out, answer->culprit.kept);
	fprintf(out, " --model=%s%s --cut=%lu --draw=", answer->model,
		answer->search->line == DXS_SECTOR ? " --tear=512" : "", (unsigned long)answer->culprit.state->moment);
	dxs_piece_draw(out, answer);
	print_check(out, answer->search->checker);
	fputc('\n', out);
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
	print_again(out, answer);
}

static const char *plural(uint64_t nr)
{
	return nr == 1 ? "" : "s";
}

bool dxs_answer_has_moments(const struct dxs_answer *answer)
{
	return answer->search->record->nr_moments > 1;
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
		fprintf(out, "interrupted after %lu of %lu power cut%s\n", (unsigned long)reached,
			(unsigned long)findings->nr, plural(findings->nr));
	if (!failed) {
		if (!dxs_answer_has_moments(answer))
			fputs("not tested: nothing was made durable\n", out);
		else if (reached)
			fprintf(out, "survived: %lu power cut%s, %lu draw%s of what arrives\n", (unsigned long)reached,
				plural(reached), (unsigned long)findings->tried, plural(findings->tried));
		return;
	}
	fprintf(out, "broke: the check failed after %lu of %lu power cut%s, in %lu of %lu draw%s of what arrives\n",
		(unsigned long)failed, (unsigned long)reached, plural(reached), (unsigned long)findings->failed,
		(unsigned long)findings->tried, plural(findings->tried));
	print_culprit(out, answer);
}
