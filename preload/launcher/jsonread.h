// SPDX-License-Identifier: BSD-3-Clause
// jsonread.h: reads JSON (RFC 8259) from memory, and refuses everything else.
#ifndef DXS_JSONREAD_H
#define DXS_JSONREAD_H

#include <stddef.h>

#define DXS_JSON_DEPTH 32           // arrays and objects in one another
#define DXS_JSON_VALUES (1UL << 20) // in one text
#define DXS_JSON_BYTES (64UL << 20) // of a text

enum dxs_value_kind { DXS_NULL, DXS_FALSE, DXS_TRUE, DXS_NUMBER, DXS_STRING, DXS_ARRAY, DXS_OBJECT };

struct dxs_value {
	enum dxs_value_kind kind;
	const char *key;  // of a member of an object
	const char *text; // of a string: UTF-8 without a NUL, which is U+FFFD as half a surrogate pair is
	double number;    // always finite
	const struct dxs_value *first, *next; // the first in it, and the one behind it
};

struct dxs_json_error {
	size_t line, byte; // where it is, both from 1 on; the byte is one of the line's
	const char *cause;
};

// The value that `text` is. It has `len` bytes and a NUL behind them, and is changed: strings lie in it, so it must live as
// long as they do. The result is to be freed, and with it all that it leads to. NULL: *error says why.
struct dxs_value *dxs_json_read(char *text, size_t len, struct dxs_json_error *error);

// A member of an object: the first with this key. NULL: there is none, or it is no object.
const struct dxs_value *dxs_value_of(const struct dxs_value *object, const char *key);

#endif
