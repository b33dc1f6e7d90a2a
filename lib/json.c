// SPDX-License-Identifier: BSD-3-Clause
// json.c: the JSON writer.
#include "json.h"

#include <string.h>

#include "log.h"
#include "sys.h"

static void flush(struct dxs_json *json)
{
	const char *buf = json->buf;

	while (json->len && !json->err) {
		long ret = dxs_sys_write(json->fd, buf, json->len);

		if (ret == -EINTR)
			continue;
		if (ret <= 0) {
			json->err = ret ? (int)ret : -EIO;
			return;
		}
		buf += ret;
		json->len -= (size_t)ret;
	}
	json->len = 0;
}

static void add(struct dxs_json *json, char c)
{
	if (json->len == sizeof(json->buf))
		flush(json);
	if (json->err)
		return;
	json->buf[json->len++] = c;
	json->last = c;
}

static void add_text(struct dxs_json *json, const char *s)
{
	while (*s)
		add(json, *s++);
}

static void separate(struct dxs_json *json)
{
	if (json->last && !strchr("{[:", json->last))
		add(json, ',');
}

void dxs_json_init(struct dxs_json *json, int fd)
{
	json->fd = fd;
	json->err = 0;
	json->last = '\0';
	json->len = 0;
}

void dxs_json_open(struct dxs_json *json, char bracket)
{
	separate(json);
	add(json, bracket);
}

void dxs_json_close(struct dxs_json *json, char bracket)
{
	add(json, bracket);
}

void dxs_json_key(struct dxs_json *json, const char *key)
{
	separate(json);
	add(json, '"');
	add_text(json, key);
	add_text(json, "\":");
}

// The bounds of the second byte keep out overlong forms, surrogates and what lies beyond U+10FFFF.
static const struct utf8_class {
	unsigned char first_low, first_high, second_low, second_high;
	size_t len;
} utf8_classes[] = {
	{0x20, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
	{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
	{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

// The length of the UTF-8 sequence at `s`, 0 if there is none. Never looks behind the NUL: it fits no class.
static size_t utf8_len(const unsigned char *s)
{
	for (size_t i = 0; i < sizeof(utf8_classes) / sizeof(utf8_classes[0]); i++) {
		const struct utf8_class *class = &utf8_classes[i];

		if (s[0] < class->first_low || s[0] > class->first_high)
			continue;
		if (class->len > 1 && (s[1] < class->second_low || s[1] > class->second_high))
			return 0;
		for (size_t j = 2; j < class->len; j++)
			if ((s[j] & 0xc0) != 0x80)
				return 0;
		return class->len;
	}
	return 0;
}

static void add_control(struct dxs_json *json, unsigned char c)
{
	const char *digits = "0123456789abcdef";

	add_text(json, "\\u00");
	add(json, digits[c >> 4]);
	add(json, digits[c & 15]);
}

void dxs_json_string(struct dxs_json *json, const char *string)
{
	const unsigned char *s = (const unsigned char *)string;

	separate(json);
	add(json, '"');
	while (*s) {
		size_t len = utf8_len(s);

		if (*s == '"' || *s == '\\')
			add(json, '\\');
		if (*s < ' ')
			add_control(json, *s);
		else if (!len)
			add_text(json, "\\ufffd");
		for (size_t i = 0; i < len; i++)
			add(json, (char)s[i]);
		s += len ? len : 1;
	}
	add(json, '"');
}

void dxs_json_u64(struct dxs_json *json, uint64_t value)
{
	char buf[24];
	struct dxs_text text;

	separate(json);
	dxs_text_init(&text, buf, sizeof(buf));
	dxs_text_add(&text, "%lu", value);
	add_text(json, buf);
}

int dxs_json_finish(struct dxs_json *json)
{
	add(json, '\n');
	flush(json);
	return json->err;
}
