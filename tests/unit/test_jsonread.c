// SPDX-License-Identifier: BSD-3-Clause
// test_jsonread.c: the JSON reader.
#include "jsonread.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char text[4096];
static struct dxs_json_error error;

static struct dxs_value *read_text(const char *from, size_t len)
{
	memcpy(text, from, len);
	text[len] = '\0';
	error = (struct dxs_json_error){0};
	return dxs_json_read(text, len, &error);
}

static void expect_error(const char *from, size_t line, size_t byte, const char *cause)
{
	struct dxs_value *value = read_text(from, strlen(from));

	cr_expect_null(value, "%s is taken", from);
	cr_expect(error.line == line && error.byte == byte, "%s: line %zu, byte %zu", from, error.line, error.byte);
	cr_expect(error.cause && strstr(error.cause, cause), "%s: %s", from, error.cause);
	free(value);
}

static void expect_string(const char *from, const char *to)
{
	struct dxs_value *value = read_text(from, strlen(from));

	cr_assert_not_null(value, "%s: %s", from, error.cause);
	cr_expect(value->kind == DXS_STRING && !strcmp(value->text, to), "%s: \"%s\"", from, value->text);
	free(value);
}

static void expect_number(const char *from, double number)
{
	struct dxs_value *value = read_text(from, strlen(from));

	cr_assert_not_null(value, "%s: %s", from, error.cause);
	cr_expect(value->kind == DXS_NUMBER && value->number == number, "%s: %g", from, value->number);
	free(value);
}

Test(jsonread, values_of_every_kind_are_in_their_order)
{
	static const char from[] = " {\"a\" : [1, \"x\" ,{}],\r\n\t\"b\":true,\"c\":false , \"d\":null,\"e\":[]} \n";
	struct dxs_value *value = read_text(from, strlen(from));
	const struct dxs_value *a = dxs_value_of(value, "a");

	cr_assert_not_null(value);
	cr_assert(a && a->kind == DXS_ARRAY && a->first == dxs_value_of(value, "a")->first);
	cr_expect(a->first->kind == DXS_NUMBER && a->first->number == 1 && !a->first->key);
	cr_expect_str_eq(a->first->next->text, "x");
	cr_expect(a->first->next->next->kind == DXS_OBJECT && !a->first->next->next->first);
	cr_expect_null(a->first->next->next->next);
	cr_expect_eq(dxs_value_of(value, "b")->kind, DXS_TRUE);
	cr_expect_eq(dxs_value_of(value, "c")->kind, DXS_FALSE);
	cr_expect_eq(dxs_value_of(value, "d")->kind, DXS_NULL);
	cr_expect_null(dxs_value_of(value, "e")->first);
	cr_expect_null(dxs_value_of(value, "f"));
	cr_expect_null(dxs_value_of(a, "a"), "an array has no members");
	cr_expect_null(dxs_value_of(NULL, "a"));
	free(value);
}

Test(jsonread, escapes_become_utf8)
{
	expect_string("\"\"", "");
	expect_string("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz");
	expect_string("\"\\u0041\\u00e4\\u20AC\"", "A\xc3\xa4\xe2\x82\xac");
	expect_string("\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80");
	expect_string("\"\xc3\xa4\"", "\xc3\xa4");
}

Test(jsonread, a_text_has_neither_a_nul_nor_half_a_pair)
{
	expect_string("\"\\u0000\"", "\xef\xbf\xbd");
	expect_string("\"\\ud83d\"", "\xef\xbf\xbd");
	expect_string("\"\\ud83dx\"", "\xef\xbf\xbdx");
	expect_string("\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd");
	expect_string("\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
					    "A");
}

Test(jsonread, numbers_are_those_of_json)
{
	expect_number("0", 0);
	expect_number("-12.5e1", -125);
	expect_number("1E+2", 100);
	expect_number("18446744073709551615", 18446744073709551616.0);
	expect_error("01", 1, 1, "begins with 0");
	expect_error("-", 1, 2, "digit");
	expect_error("1.", 1, 3, "digit");
	expect_error("1e+", 1, 4, "digit");
	expect_error("[1e999]", 1, 2, "too large");
	expect_error("+1", 1, 1, "value");
	expect_error("0x10", 1, 2, "follows");
	expect_error("nan", 1, 1, "value");
	expect_error("inf", 1, 1, "value");
}

Test(jsonread, an_error_tells_its_line_and_byte)
{
	expect_error("", 1, 1, "a value");
	expect_error("{\n \"a\": 1,\n  }", 3, 3, "a key");
	expect_error("{\"a\" 1}", 1, 6, "colon");
	expect_error("{\"a\":1", 1, 7, "comma or }");
	expect_error("[\"\\n\\n\",\n1 2]", 2, 3, "comma or ]");
	expect_error("[1,]", 1, 4, "a value");
	expect_error("{} {}", 1, 4, "follows");
	expect_error("tru", 1, 1, "a value");
	expect_error("\"a\nb\"", 1, 3, "control");
	expect_error("\"a", 1, 3, "ends in a string");
	expect_error("\"\\", 1, 3, "escape");
	expect_error("\"\\x\"", 1, 3, "escape");
	expect_error("\"\\u12", 1, 4, "hexadecimal");
	expect_error("\"\xff\"", 1, 2, "UTF-8");
	expect_error("\"\xc3", 1, 2, "UTF-8");
}

Test(jsonread, a_nul_does_not_end_the_text)
{
	cr_expect_null(read_text("1\0002", 3));
	cr_expect_eq(error.byte, 2);
	cr_expect_null(read_text("\"a\0b\"", 5));
	cr_expect_str_eq(error.cause, "a control character in a string");
}

Test(jsonread, depth_has_a_limit)
{
	char deep[2 * DXS_JSON_DEPTH + 8];
	struct dxs_value *value;

	memset(deep, '[', DXS_JSON_DEPTH);
	memset(deep + DXS_JSON_DEPTH, ']', DXS_JSON_DEPTH);
	value = read_text(deep, 2 * DXS_JSON_DEPTH);
	cr_expect_not_null(value);
	free(value);
	memset(deep, '[', sizeof(deep));
	deep[sizeof(deep) - 1] = '\0';
	expect_error(deep, 1, DXS_JSON_DEPTH + 2, "one another");
}

Test(jsonread, the_number_of_values_has_a_limit)
{
	size_t len = DXS_JSON_VALUES + 1;
	char *many = malloc(len + 1);

	cr_assert_not_null(many);
	memset(many, ',', len);
	many[len] = '\0';
	cr_expect_null(dxs_json_read(many, len, &error));
	cr_expect_str_eq(error.cause, "too many values");
	free(many);
}
