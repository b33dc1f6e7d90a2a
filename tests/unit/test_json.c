// SPDX-License-Identifier: BSD-3-Clause
// test_json.c: the JSON writer.
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/json.h"
#include "capture.h"

static struct capture out;

static const char *string_of(const char *s)
{
	struct dxs_json json;

	capture_begin(&out, STDOUT_FILENO);
	dxs_json_init(&json, STDOUT_FILENO);
	dxs_json_string(&json, s);
	dxs_json_finish(&json);
	return capture_end(&out);
}

Test(json, commas_stand_between_values_only)
{
	struct dxs_json json;

	capture_begin(&out, STDOUT_FILENO);
	dxs_json_init(&json, STDOUT_FILENO);
	dxs_json_open(&json, '{');
	dxs_json_key(&json, "a");
	dxs_json_open(&json, '[');
	dxs_json_u64(&json, 1);
	dxs_json_u64(&json, UINT64_MAX);
	dxs_json_open(&json, '{');
	dxs_json_close(&json, '}');
	dxs_json_string(&json, "x");
	dxs_json_close(&json, ']');
	dxs_json_key(&json, "b");
	dxs_json_string(&json, "");
	dxs_json_key(&json, "c");
	dxs_json_open(&json, '[');
	dxs_json_close(&json, ']');
	dxs_json_close(&json, '}');
	cr_expect_eq(dxs_json_finish(&json), 0);
	cr_expect_str_eq(capture_end(&out), "{\"a\":[1,18446744073709551615,{},\"x\"],\"b\":\"\",\"c\":[]}\n");
}

Test(json, plain_text_and_valid_utf8_pass_unchanged)
{
	cr_expect_str_eq(string_of("/a b/~"), "\"/a b/~\"\n");
	cr_expect_str_eq(string_of("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf"),
			 "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf\"\n");
}

Test(json, quotes_backslashes_and_controls_are_escaped)
{
	cr_expect_str_eq(string_of("\"\\/"), "\"\\\"\\\\/\"\n");
	cr_expect_str_eq(string_of("\n\t\x01\x1f"), "\"\\u000a\\u0009\\u0001\\u001f\"\n");
	cr_expect_str_eq(string_of("\x7f\xc2\x9b\xe2\x80\xae"), "\"\\u007f\\u009b\\u202e\"\n");
}

Test(json, bytes_that_are_not_utf8_become_the_replacement_character)
{
	static const char *const bad[] = {
		"\x80",             // a continuation alone
		"\xff",             // never valid
		"\xc0",             // begins an overlong form
		"\xc3",             // cut off by the end
		"\xe2\x82",         // cut off by the end
		"\xf0\x9f\x98",     // cut off by the end
		"\xe0\x80\xaf",     // overlong
		"\xed\xa0\x80",     // a surrogate
		"\xf4\x90\x80\x80", // beyond U+10FFFF
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *s = string_of(bad[i]);
		size_t len = strlen(bad[i]);

		cr_assert_eq(strlen(s), 6 * len + 3, "case %zu", i);
		for (size_t j = 0; j < len; j++)
			cr_expect_eq(memcmp(s + 1 + 6 * j, "\\ufffd", 6), 0, "case %zu", i);
	}
	cr_expect_str_eq(string_of("a\xe2\x82z\xc3\xa9"), "\"a\\ufffd\\ufffdz\xc3\xa9\"\n");
}

Test(json, text_longer_than_the_buffer_is_whole)
{
	static char text[20000];
	const char *s;

	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('a' + i % 26);
	s = string_of(text);
	cr_assert_eq(strlen(s), sizeof(text) + 2);
	cr_expect_eq(memcmp(s + 1, text, sizeof(text) - 1), 0);
}

Test(json, failed_write_is_reported_once_and_ends_the_output)
{
	struct dxs_json json;
	int fd = open("/dev/full", O_WRONLY);

	cr_assert_geq(fd, 0);
	dxs_json_init(&json, fd);
	for (int i = 0; i < 10000; i++)
		dxs_json_u64(&json, 1);
	cr_expect_eq(json.err, -ENOSPC);
	cr_expect_eq(dxs_json_finish(&json), -ENOSPC);
	dxs_json_init(&json, -1);
	cr_expect_eq(dxs_json_finish(&json), -EBADF);
}
