// SPDX-License-Identifier: BSD-3-Clause
// jsonread.c: the JSON reader. All values are in one array, which is large enough before the first is read: each value but the
// first follows a comma or an opening bracket.
#include "jsonread.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

struct reader {
	char *at, *end;   // the NUL is at the end
	const char *line; // where the line of `at` begins
	size_t line_nr;   // and which one it is; before `at` strings have been written over
	struct dxs_value *value;
	size_t nr;
	unsigned depth;
	const char *cause; // of the first error, which is at `at`
};

static bool fail(struct reader *reader, const char *cause)
{
	if (!reader->cause)
		reader->cause = cause;
	return false;
}

static void skip_space(struct reader *reader)
{
	for (; *reader->at && strchr(" \t\r\n", *reader->at); reader->at++) {
		if (*reader->at != '\n')
			continue;
		reader->line = reader->at + 1;
		reader->line_nr++;
	}
}

// Takes the character if it is the next behind space.
static bool take(struct reader *reader, char c)
{
	skip_space(reader);
	if (*reader->at != c)
		return false;
	reader->at++;
	return true;
}

static bool read_word(struct reader *reader, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(reader->at, word, len) != 0)
		return fail(reader, "a value is expected");
	reader->at += len;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool skip_digits(struct reader *reader)
{
	if (!is_digit(*reader->at))
		return fail(reader, "a digit is expected");
	while (is_digit(*reader->at))
		reader->at++;
	return true;
}

// strtod() takes more than JSON has.
static bool read_number(struct reader *reader, struct dxs_value *value)
{
	char *from = reader->at;

	reader->at += *reader->at == '-';
	if (*reader->at == '0' && is_digit(reader->at[1]))
		return fail(reader, "a number begins with 0");
	if (!skip_digits(reader))
		return false;
	if (*reader->at == '.' && (reader->at++, !skip_digits(reader)))
		return false;
	if (*reader->at == 'e' || *reader->at == 'E') {
		reader->at++;
		reader->at += *reader->at == '+' || *reader->at == '-';
		if (!skip_digits(reader))
			return false;
	}
	value->number = strtod(from, NULL);
	if (isfinite(value->number))
		return true;
	reader->at = from;
	return fail(reader, "the number is too large");
}

// Four hexadecimal digits behind a \u. UINT32_MAX: they are none.
static uint32_t hex_at(const char *at)
{
	uint32_t code = 0;

	for (int i = 0; i < 4; i++) {
		const char *digits = "0123456789abcdef0123456789ABCDEF";
		const char *digit = at[i] ? strchr(digits, at[i]) : NULL;

		if (!digit)
			return UINT32_MAX;
		code = code << 4 | (uint32_t)((digit - digits) & 15);
	}
	return code;
}

// The text of a code, which is never longer than its escape.
static char *put_code(char *to, uint32_t code)
{
	if (!code || (code >= 0xd800 && code <= 0xdfff))
		code = 0xfffd;
	if (code < 0x80) {
		*to++ = (char)code;
		return to;
	}
	if (code < 0x800) {
		*to++ = (char)(0xc0 | code >> 6);
	} else {
		if (code < 0x10000) {
			*to++ = (char)(0xe0 | code >> 12);
		} else {
			*to++ = (char)(0xf0 | code >> 18);
			*to++ = (char)(0x80 | (code >> 12 & 63));
		}
		*to++ = (char)(0x80 | (code >> 6 & 63));
	}
	*to++ = (char)(0x80 | (code & 63));
	return to;
}

// Behind \u. Two of them may be one character.
static char *read_unicode(struct reader *reader, char *to)
{
	uint32_t code = hex_at(reader->at), low;

	if (code == UINT32_MAX) {
		fail(reader, "four hexadecimal digits are expected");
		return to;
	}
	reader->at += 4;
	if (code >= 0xd800 && code <= 0xdbff && !strncmp(reader->at, "\\u", 2)) {
		low = hex_at(reader->at + 2);
		if (low >= 0xdc00 && low <= 0xdfff) {
			code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
			reader->at += 6;
		}
	}
	return put_code(to, code);
}

// Behind a backslash.
static char *read_escape(struct reader *reader, char *to)
{
	static const char names[] = "\"\\/bfnrt", codes[] = "\"\\/\b\f\n\r\t";
	const char *name = *reader->at ? strchr(names, *reader->at) : NULL;

	if (*reader->at == 'u') {
		reader->at++;
		return read_unicode(reader, to);
	}
	if (!name) {
		fail(reader, "JSON has no such escape");
		return to;
	}
	reader->at++;
	*to++ = codes[name - names];
	return to;
}

static char *read_character(struct reader *reader, char *to)
{
	size_t len;

	if ((unsigned char)*reader->at < ' ') {
		fail(reader,
		     reader->at == reader->end ? "the text ends in a string" : "a control character in a string");
	} else if (dxs_utf8_next(reader->at, &len) == DXS_UTF8_NONE) {
		fail(reader, "the string is no UTF-8");
	} else {
		memmove(to, reader->at, len);
		reader->at += len;
		to += len;
	}
	return to;
}

// Behind the quotation mark; the text is written over itself. NULL: an error.
static const char *read_string(struct reader *reader)
{
	char *from = reader->at, *to = from;

	while (!reader->cause && *reader->at != '"') {
		if (*reader->at != '\\') {
			to = read_character(reader, to);
			continue;
		}
		reader->at++;
		to = read_escape(reader, to);
	}
	if (reader->cause)
		return NULL;
	reader->at++;
	*to = '\0';
	return from;
}

static const char *read_key(struct reader *reader)
{
	const char *key;

	if (!take(reader, '"')) {
		fail(reader, "a key is expected");
		return NULL;
	}
	key = read_string(reader);
	if (key && !take(reader, ':'))
		fail(reader, "a colon is expected");
	return reader->cause ? NULL : key;
}

static struct dxs_value *read_value(struct reader *reader);

// Behind the opening bracket. As deep as DXS_JSON_DEPTH allows.
static bool read_members(struct reader *reader, struct dxs_value *value, char close)
{
	const struct dxs_value **link = &value->first;
	bool is_object = close == '}';

	if (++reader->depth > DXS_JSON_DEPTH)
		return fail(reader, "too many arrays and objects in one another");
	if (take(reader, close)) {
		reader->depth--;
		return true;
	}
	do {
		const char *key = is_object ? read_key(reader) : NULL;
		struct dxs_value *member = reader->cause ? NULL : read_value(reader);

		if (!member)
			return false;
		member->key = key;
		*link = member;
		link = &member->next;
	} while (take(reader, ','));
	reader->depth--;
	return take(reader, close) || fail(reader, is_object ? "a comma or } is expected" : "a comma or ] is expected");
}

static bool read_any(struct reader *reader, struct dxs_value *value)
{
	static const char starts[] = "nft\"[{";
	const char *start = *reader->at ? strchr(starts, *reader->at) : NULL;
	static const enum dxs_value_kind kinds[] = {DXS_NULL, DXS_FALSE, DXS_TRUE, DXS_STRING, DXS_ARRAY, DXS_OBJECT};

	value->kind = start ? kinds[start - starts] : DXS_NUMBER;
	switch (value->kind) {
	case DXS_NULL:
		return read_word(reader, "null");
	case DXS_FALSE:
		return read_word(reader, "false");
	case DXS_TRUE:
		return read_word(reader, "true");
	case DXS_NUMBER:
		return is_digit(*reader->at) || *reader->at == '-' ? read_number(reader, value)
								   : fail(reader, "a value is expected");
	case DXS_STRING:
		reader->at++;
		value->text = read_string(reader);
		return value->text;
	default:
		reader->at++;
		return read_members(reader, value, value->kind == DXS_OBJECT ? '}' : ']');
	}
}

static struct dxs_value *read_value(struct reader *reader)
{
	struct dxs_value *value = &reader->value[reader->nr++];

	skip_space(reader);
	return read_any(reader, value) ? value : NULL;
}

static size_t most_values(const char *text, size_t len)
{
	size_t nr = 1;

	for (size_t i = 0; i < len; i++)
		nr += text[i] == ',' || text[i] == '[' || text[i] == '{';
	return nr;
}

struct dxs_value *dxs_json_read(char *text, size_t len, struct dxs_json_error *error)
{
	struct reader reader = {.at = text, .end = text + len, .line = text, .line_nr = 1};
	size_t most = most_values(text, len);

	reader.value = most > DXS_JSON_VALUES ? NULL : calloc(most, sizeof(*reader.value));
	if (!reader.value) {
		fail(&reader, most > DXS_JSON_VALUES ? "too many values" : "there is no memory for it");
	} else if (read_value(&reader)) {
		skip_space(&reader);
		if (reader.at == reader.end)
			return reader.value;
		fail(&reader, "something follows the value");
	}
	*error = (struct dxs_json_error){reader.line_nr, (size_t)(reader.at - reader.line) + 1, reader.cause};
	free(reader.value);
	return NULL;
}

const struct dxs_value *dxs_value_of(const struct dxs_value *object, const char *key)
{
	const struct dxs_value *member = object && object->kind == DXS_OBJECT ? object->first : NULL;

	while (member && strcmp(member->key, key) != 0)
		member = member->next;
	return member;
}
