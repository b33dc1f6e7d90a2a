// SPDX-License-Identifier: BSD-3-Clause
// fuzz_json.c: the JSON writer, by sequences of its calls with any bytes as strings.
//
// Promised: what is written is valid JSON and says exactly what was asked for, with U+FFFD for each byte that is no UTF-8,
// however little a write takes and however often it is interrupted. After a write that failed nothing more is written, and
// dxs_json_finish() returns its error.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "fuzz.h"
#include "strict_json.h"

#define DEPTH 8

static struct events wanted, found;

struct document {
	struct dxs_json json;
	char open[DEPTH + 1]; // the closing brackets, the innermost last
	int depth;
};

static bool is_in_object(const struct document *doc)
{
	return doc->open[doc->depth] == '}';
}

static void add_key(struct document *doc, struct input *input)
{
	char key[] = {(char)('a' + take_byte(input) % 26), '\0'};

	dxs_json_key(&doc->json, key);
	events_add(&wanted, 'K', key, 1);
}

static void add_string(struct document *doc, struct input *input)
{
	char text[2048];
	uint32_t code;

	take_text(input, text, sizeof(text));
	dxs_json_string(&doc->json, text);
	events_add(&wanted, 'S', NULL, 0);
	for (size_t at = 0, len; text[at]; at += len ? len : 1) {
		len = strict_utf8(text + at, strlen(text + at), &code);
		for (size_t i = 0; i < (len ? len : 3); i++)
			events_add(&wanted, len ? text[at + i] : "\xef\xbf\xbd"[i], NULL, 0);
	}
	events_add(&wanted, '\0', NULL, 0);
}

static void add_number(struct document *doc, struct input *input)
{
	uint64_t value = take_number(input, 8);
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	dxs_json_u64(&doc->json, value);
	events_add(&wanted, 'N', text, strlen(text));
}

static void open_one(struct document *doc, char open)
{
	dxs_json_open(&doc->json, open);
	events_add(&wanted, open, NULL, 0);
	doc->open[++doc->depth] = open == '{' ? '}' : ']';
}

static void close_one(struct document *doc)
{
	char close = doc->open[doc->depth--];

	dxs_json_close(&doc->json, close);
	events_add(&wanted, close, NULL, 0);
}

// Keys stand in objects, and only there; the rest any way.
static void add_any(struct document *doc, struct input *input)
{
	uint8_t kind = take_byte(input) % 5;

	if (kind == 0) {
		if (doc->depth > 1)
			close_one(doc);
		return;
	}
	if (is_in_object(doc))
		add_key(doc, input);
	if (kind <= 2 && doc->depth < DEPTH)
		open_one(doc, kind == 1 ? '{' : '[');
	else if (kind == 3)
		add_number(doc, input);
	else
		add_string(doc, input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct document doc = {.depth = 0};
	uint8_t how = take_byte(&input);
	int err;

	written_begin();
	written.interrupts = how & 1;
	written.most = how & 2 ? take_byte(&input) : 0;
	written.fails = how & 4 ? 1 + take_number(&input, 2) : 0;
	wanted.len = found.len = 0;
	dxs_json_init(&doc.json, 1);
	open_one(&doc, how & 8 ? '{' : '[');
	while (input.left)
		add_any(&doc, &input);
	while (doc.depth)
		close_one(&doc);
	err = dxs_json_finish(&doc.json);
	PROMISE(err == 0 || (err == -EIO && written.fails));
	if (err) {
		PROMISE(written.len <= written.fails);
		return 0;
	}
	PROMISE(strict_json(written.text, written.len, &found));
	PROMISE(found.len == wanted.len && !memcmp(found.text, wanted.text, found.len));
	return 0;
}
