// SPDX-License-Identifier: BSD-3-Clause
// test_utf8.c: what of foreign text is shown.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static void encode(uint32_t code, char out[8])
{
	if (code < 0x80)
		snprintf(out, 8, "%c", (int)code);
	else if (code < 0x800)
		snprintf(out, 8, "%c%c", (int)(0xc0 | code >> 6), (int)(0x80 | (code & 0x3f)));
	else if (code < 0x10000)
		snprintf(out, 8, "%c%c%c", (int)(0xe0 | code >> 12), (int)(0x80 | (code >> 6 & 0x3f)),
			 (int)(0x80 | (code & 0x3f)));
	else
		snprintf(out, 8, "%c%c%c%c", (int)(0xf0 | code >> 18), (int)(0x80 | (code >> 12 & 0x3f)),
			 (int)(0x80 | (code >> 6 & 0x3f)), (int)(0x80 | (code & 0x3f)));
}

Test(utf8, every_character_is_read_as_it_was_written)
{
	for (uint32_t code = 1; code <= 0x10ffff; code++) {
		bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
		char text[8];
		size_t len;

		encode(code, text);
		cr_assert_eq(dxs_utf8_next(text, &len), is_surrogate ? DXS_UTF8_NONE : code, "U+%04X", code);
		cr_assert_eq(len, is_surrogate ? 1 : strlen(text), "U+%04X", code);
	}
}

Test(utf8, what_is_not_seen_is_control)
{
	static const uint32_t controls[] = {1,      0x1b,   0x7f,   0x80,   0x85,   0x9b,   0x9f,   0x61c, 0x200e,
					    0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x2066, 0x2069, 0x206f};
	static const uint32_t others[] = {' ', '~', 0xa0, 0xe9, 0x61b, 0x200d, 0x2010, 0x202f, 0x2065, 0x2070, 0x1f600};

	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
		cr_expect(dxs_utf8_is_control(controls[i]), "U+%04X", controls[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_expect_not(dxs_utf8_is_control(others[i]), "U+%04X", others[i]);
}

static const char *plain(const char *s)
{
	static char buf[64];

	snprintf(buf, sizeof(buf), "%s", s);
	cr_expect_eq(dxs_utf8_plain(buf), strlen(buf));
	return buf;
}

Test(utf8, each_is_one_question_mark)
{
	cr_expect_str_eq(plain(""), "");
	cr_expect_str_eq(plain("/caf\xc3\xa9"), "/caf\xc3\xa9");
	cr_expect_str_eq(plain("a\nb\x7f\xc2\x85\xe2\x80\xae"), "a?b???");
	cr_expect_str_eq(plain("\xff\xc3(\xe2\x80"), "?"
						     "?("
						     "??");
	cr_expect_str_eq(plain("\xed\xa0\x80"), "???");
}
