// SPDX-License-Identifier: BSD-3-Clause
// json.h: writes JSON to a descriptor, without malloc or stdio. Commas are put where they are needed.
#ifndef DXS_JSON_H
#define DXS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dxs_json {
	int fd;
	int err; // of the first write that failed; then nothing more is written
	char last;
	size_t len;
	char buf[1024];
};

void dxs_json_init(struct dxs_json *json, int fd);

// Brackets: one of {[ and one of }].
void dxs_json_open(struct dxs_json *json, char bracket);
void dxs_json_close(struct dxs_json *json, char bracket);

// A key (written as it is), to be followed by its value.
void dxs_json_key(struct dxs_json *json, const char *key);

// Values. A string may hold any bytes: what is not valid UTF-8 becomes U+FFFD, as JSON cannot say it; control characters,
// of any kind (utf8.h), are escaped.
void dxs_json_string(struct dxs_json *json, const char *s);
void dxs_json_u64(struct dxs_json *json, uint64_t value);
void dxs_json_bool(struct dxs_json *json, bool value);

// Ends the text with a newline and writes what is left. 0, or -errno of the first write that failed.
int dxs_json_finish(struct dxs_json *json);

#endif
