// SPDX-License-Identifier: BSD-3-Clause
// strict_json.h: a reader of JSON (RFC 8259) that refuses everything else. It shares no code with the writer.
#ifndef STRICT_JSON_H
#define STRICT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The length of the character at `text` in UTF-8 (RFC 3629) and its code, or 0.
size_t strict_utf8(const char *text, size_t len, uint32_t *code);

// What a text says, without what is left open to its writer: brackets as they are, a key as K, a string as S, a number as N,
// followed by what it is and a NUL.
struct events {
	char text[2 << 20];
	size_t len;
};
void events_add(struct events *events, char kind, const char *text, size_t len);

// Whether the text is one JSON value and a newline, of objects, arrays, strings and numbers from 0 on without a fraction; no
// whitespace, and no control character in a string but as an escape. What it says is added to `events`.
bool strict_json(const char *text, size_t len, struct events *events);

#endif
