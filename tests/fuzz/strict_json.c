// SPDX-License-Identifier: BSD-3-Clause
// strict_json.c: a reader of JSON that refuses everything else.
#include "strict_json.h"

#include <string.h>

#include "fuzz.h"

#define DEPTH 64

struct reader {
	const char *at, *end;
	struct events *events;
	int depth;
};

size_t strict_utf8(const char *text, size_t len, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char first = (unsigned char)*text;
	size_t need = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;

	if (!need || need > len)
		return 0;
	*code = need == 1 ? first : first & (0x7fu >> need);
	for (size_t i = 1; i < need; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | ((unsigned char)text[i] & 0x3f);
	}
	return *code < least[need] || *code > 0x10ffff || *code >> 11 == 0x1b ? 0 : need;
}

static void put(struct events *events, char c)
{
	PROMISE(events->len < sizeof(events->text));
	events->text[events->len++] = c;
}

void events_add(struct events *events, char kind, const char *text, size_t len)
{
	put(events, kind);
	for (size_t i = 0; i < len; i++)
		put(events, text[i]);
	if (text)
		put(events, '\0');
}

static bool eat(struct reader *reader, char c)
{
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// "\uXXXX", of what is one character below U+10000. It is put down as UTF-8.
static bool read_code(struct reader *reader)
{
	uint32_t code = 0;

	for (int i = 0; i < 4; i++) {
		int digit = reader->at == reader->end ? -1 : hex_digit(*reader->at++);

		if (digit < 0)
			return false;
		code = code << 4 | (uint32_t)digit;
	}
	if (code >> 11 == 0x1b)
		return false;
	if (code < 0x80) {
		put(reader->events, (char)code);
	} else if (code < 0x800) {
		put(reader->events, (char)(0xc0 | code >> 6));
		put(reader->events, (char)(0x80 | (code & 0x3f)));
	} else {
		put(reader->events, (char)(0xe0 | code >> 12));
		put(reader->events, (char)(0x80 | (code >> 6 & 0x3f)));
		put(reader->events, (char)(0x80 | (code & 0x3f)));
	}
	return true;
}

static bool read_escape(struct reader *reader)
{
	static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *found;

	if (eat(reader, 'u'))
		return read_code(reader);
	found = reader->at == reader->end || !*reader->at ? NULL : strchr(letters, *reader->at);
	if (!found)
		return false;
	put(reader->events, values[found - letters]);
	reader->at++;
	return true;
}

static bool read_string(struct reader *reader, char kind)
{
	put(reader->events, kind);
	if (!eat(reader, '"'))
		return false;
	while (!eat(reader, '"')) {
		size_t left = (size_t)(reader->end - reader->at), len;
		uint32_t code;

		if (eat(reader, '\\')) {
			if (!read_escape(reader))
				return false;
			continue;
		}
		len = left ? strict_utf8(reader->at, left, &code) : 0;
		if (!len || !is_harmless(reader->at, len))
			return false;
		while (len--)
			put(reader->events, *reader->at++);
	}
	put(reader->events, '\0');
	return true;
}

static bool read_number(struct reader *reader)
{
	const char *start = reader->at;

	while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
		reader->at++;
	if (start == reader->at || (*start == '0' && reader->at > start + 1))
		return false;
	events_add(reader->events, 'N', start, (size_t)(reader->at - start));
	return true;
}

static bool read_value(struct reader *reader);

static bool read_all(struct reader *reader, char open, char close)
{
	put(reader->events, open);
	if (++reader->depth > DEPTH)
		return false;
	if (!eat(reader, close)) {
		do {
			if (open == '{' && !(read_string(reader, 'K') && eat(reader, ':')))
				return false;
			if (!read_value(reader))
				return false;
		} while (eat(reader, ','));
		if (!eat(reader, close))
			return false;
	}
	reader->depth--;
	put(reader->events, close);
	return true;
}

static bool read_value(struct reader *reader)
{
	if (eat(reader, '{'))
		return read_all(reader, '{', '}');
	if (eat(reader, '['))
		return read_all(reader, '[', ']');
	if (reader->at < reader->end && *reader->at == '"')
		return read_string(reader, 'S');
	return read_number(reader);
}

bool strict_json(const char *text, size_t len, struct events *events)
{
	struct reader reader = {.at = text, .end = text + len, .events = events};

	return read_value(&reader) && eat(&reader, '\n') && reader.at == reader.end;
}
