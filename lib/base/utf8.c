// SPDX-License-Identifier: BSD-3-Clause
// utf8.c: UTF-8 as far as it is needed to show foreign text.
#include "base/utf8.h"

#define NR(array) (sizeof(array) / sizeof((array)[0]))

// The bounds of the second byte keep out overlong forms, surrogates and what lies beyond U+10FFFF.
static const struct class
{
	unsigned char first_low, first_high, second_low, second_high, bits; // of the first byte
	size_t len;
} classes[] = {
	{0x00, 0x7f, 0, 0, 0x7f, 1},       {0xc2, 0xdf, 0x80, 0xbf, 0x1f, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 0x0f, 3},
	{0xe1, 0xec, 0x80, 0xbf, 0x0f, 3}, {0xed, 0xed, 0x80, 0x9f, 0x0f, 3}, {0xee, 0xef, 0x80, 0xbf, 0x0f, 3},
	{0xf0, 0xf0, 0x90, 0xbf, 0x07, 4}, {0xf1, 0xf3, 0x80, 0xbf, 0x07, 4}, {0xf4, 0xf4, 0x80, 0x8f, 0x07, 4},
};

static const struct range {
	uint32_t first, last;
} controls[] = {
	{0x00, 0x1f},     {0x7f, 0x9f}, {0x061c, 0x061c}, // the Arabic letter mark
	{0x200e, 0x200f},                                 // marks of direction
	{0x2028, 0x202e}, // separators of lines and paragraphs; embeddings and overrides of direction
	{0x2066, 0x206f}, // isolates, and the older ones of that kind
};

static const struct class *class_of(const unsigned char *s)
{
	for (size_t i = 0; i < NR(classes); i++) {
		const struct class *class = &classes[i];

		if (s[0] < class->first_low || s[0] > class->first_high)
			continue;
		return class->len > 1 && (s[1] < class->second_low || s[1] > class->second_high) ? NULL : class;
	}
	return NULL;
}

uint32_t dxs_utf8_next(const char *s, size_t *len)
{
	const unsigned char *byte = (const unsigned char *)s;
	const struct class *class = class_of(byte);
	uint32_t code;

	*len = 1;
	if (!class)
		return DXS_UTF8_NONE;
	code = byte[0] & class->bits;
	for (size_t i = 1; i < class->len; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return DXS_UTF8_NONE;
		code = code << 6 | (byte[i] & 0x3f);
	}
	*len = class->len;
	return code;
}

bool dxs_utf8_is_control(uint32_t code)
{
	for (size_t i = 0; i < NR(controls); i++)
		if (code >= controls[i].first && code <= controls[i].last)
			return true;
	return false;
}

size_t dxs_utf8_plain(char *s)
{
	size_t from = 0, to = 0, len;

	for (; s[from]; from += len) {
		uint32_t code = dxs_utf8_next(s + from, &len);

		if (code == DXS_UTF8_NONE || dxs_utf8_is_control(code))
			s[to++] = '?';
		else
			for (size_t i = 0; i < len; i++)
				s[to++] = s[from + i];
	}
	s[to] = '\0';
	return to;
}
