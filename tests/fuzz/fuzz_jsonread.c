// SPDX-License-Identifier: BSD-3-Clause
// fuzz_jsonread.c: the launcher's JSON reader, with any text.
//
// Promised: a text is read or refused, and an error names a place in it; nothing before or behind the text is looked at. What
// is read is a tree no deeper than allowed, of finite numbers and of texts that are UTF-8. What the library's writer can write
// is read as what it says (strict_json.h).
#include <math.h>
#include <string.h>

#include "fuzz.h"
#include "jsonread.h"
#include "strict_json.h"

static struct events wanted, found;

static void check_utf8(const char *text)
{
	size_t left = strlen(text), len;
	uint32_t code;

	for (; left; left -= len, text += len) {
		len = strict_utf8(text, left, &code);
		PROMISE(len);
	}
}

static void walk(const struct dxs_value *value, int depth)
{
	char number[32];

	PROMISE(depth <= DXS_JSON_DEPTH);
	if (value->kind == DXS_STRING) {
		check_utf8(value->text);
		events_add(&found, 'S', value->text, strlen(value->text));
	}
	if (value->kind == DXS_NUMBER) {
		PROMISE(isfinite(value->number));
		snprintf(number, sizeof(number), "%.17g", value->number);
		events_add(&found, 'N', number, strlen(number));
	}
	if (value->kind != DXS_ARRAY && value->kind != DXS_OBJECT)
		return;
	events_add(&found, value->kind == DXS_ARRAY ? '[' : '{', NULL, 0);
	for (const struct dxs_value *member = value->first; member; member = member->next) {
		PROMISE(!member->key == (value->kind == DXS_ARRAY));
		if (member->key) {
			check_utf8(member->key);
			PROMISE(dxs_value_of(value, member->key));
			events_add(&found, 'K', member->key, strlen(member->key));
		}
		walk(member, depth + 1);
	}
	events_add(&found, value->kind == DXS_ARRAY ? ']' : '}', NULL, 0);
}

static void check_error(const uint8_t *data, size_t size, const struct dxs_json_error *error)
{
	size_t line = 1, at = 0;

	PROMISE(error->cause && error->line && error->byte);
	for (; line < error->line && at < size; at++)
		line += data[at] == '\n';
	PROMISE(line == error->line && at + error->byte - 1 <= size);
	PROMISE(!memchr(data + at, '\n', error->byte - 1));
}

// Of numbers that a double holds, and without a NUL in a string, as a C string ends there.
static bool is_comparable(const struct events *events)
{
	for (size_t at = 0; at < events->len; at++) {
		char kind = events->text[at];
		size_t len;

		if (!strchr("KSN", kind))
			continue;
		len = strlen(events->text + at + 1);
		if (kind == 'N' && len > 15)
			return false;
		at += len + 1;
		if (at + 1 < events->len && !strchr("KSN[]{}", events->text[at + 1]))
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1); // of this size, so that the sanitizer sees its ends
	struct dxs_json_error error = {0};
	struct dxs_value *value;
	bool is_strict;

	PROMISE(text);
	wanted.len = found.len = 0;
	memcpy(text, data, size);
	text[size] = '\0';
	is_strict = strict_json(text, size, &wanted) && !memmem(text, size, "\\u0000", 6) && is_comparable(&wanted);
	value = dxs_json_read(text, size, &error);
	if (!value)
		check_error(data, size, &error);
	else
		walk(value, 0);
	if (is_strict && (value || !strstr(error.cause, "too many")))
		PROMISE(value && found.len == wanted.len && !memcmp(found.text, wanted.text, found.len));
	free(value);
	free(text);
	return 0;
}
