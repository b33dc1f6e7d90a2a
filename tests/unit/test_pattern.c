// SPDX-License-Identifier: BSD-3-Clause
// test_pattern.c: the pattern matcher, by examples and against fnmatch(3).
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/pattern.h"

Test(pattern, examples_match)
{
	cr_expect(dxs_pattern_match_any("/a/b", "/a/b"));
	cr_expect(dxs_pattern_match_any("*", "/a/b"));
	cr_expect(dxs_pattern_match_any("/a/*", "/a/b/c"));
	cr_expect(dxs_pattern_match_any("/a/*", "/a/"));
	cr_expect(dxs_pattern_match_any("*b*c", "/abbbcbc"));
	cr_expect(dxs_pattern_match_any("/[a-c]?[!x]", "/bxy"));
	cr_expect(dxs_pattern_match_any("/a\\*", "/a*"));
	cr_expect(dxs_pattern_match_any("[]]", "]"));
	cr_expect(dxs_pattern_match_any("a[b", "a[b"));
}

Test(pattern, examples_do_not_match)
{
	cr_expect_not(dxs_pattern_match_any("/a", "/a/b"));
	cr_expect_not(dxs_pattern_match_any("a", "/a"));
	cr_expect_not(dxs_pattern_match_any("/?", "/"));
	cr_expect_not(dxs_pattern_match_any("*b", "/abc"));
	cr_expect_not(dxs_pattern_match_any("[!a]", "a"));
	cr_expect_not(dxs_pattern_match_any("/a\\*", "/ab"));
	cr_expect_not(dxs_pattern_match_any("a\\", "a\\"));
}

Test(pattern, any_of_the_list_will_do)
{
	cr_expect(dxs_pattern_match_any("/x:/y:/z", "/x"));
	cr_expect(dxs_pattern_match_any("/x:/y:/z", "/y"));
	cr_expect(dxs_pattern_match_any("/x:/y:/z", "/z"));
	cr_expect_not(dxs_pattern_match_any("/x:/y:/z", "/x:/y"));
}

Test(pattern, empty_pattern_matches_nothing)
{
	cr_expect_not(dxs_pattern_match_any("", ""));
	cr_expect_not(dxs_pattern_match_any("", "/a"));
	cr_expect_not(dxs_pattern_match_any("::", "/a"));
	cr_expect(dxs_pattern_match_any(":/a:", "/a"));
}

Test(pattern, escaped_colon_is_a_colon)
{
	cr_expect(dxs_pattern_match_any("/a\\:b:/c", "/a:b"));
	cr_expect(dxs_pattern_match_any("/a\\:b:/c", "/c"));
	cr_expect_not(dxs_pattern_match_any("/a\\:b", "/a"));
}

Test(pattern, many_stars_take_no_exponential_time, .timeout = 5)
{
	char path[4000], pattern[200];

	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	for (size_t i = 0; i < sizeof(pattern) - 2; i += 2)
		memcpy(pattern + i, "*a", 2);
	memcpy(pattern + sizeof(pattern) - 2, "b", 2);
	cr_expect_not(dxs_pattern_match_any(pattern, path));
}

static void random_text(char *out, size_t max, const char *alphabet)
{
	size_t len = (size_t)random() % max, nr = strlen(alphabet);

	for (size_t i = 0; i < len; i++)
		out[i] = alphabet[(size_t)random() % nr];
	out[len] = '\0';
}

// fnmatch leaves open what a range whose ends are out of order or a '-' next to a bracket's end means.
static bool is_well_defined(const char *pattern)
{
	return *pattern && !strstr(pattern, "-]") && !strstr(pattern, "[-") && !strstr(pattern, "!-") &&
	       !strchr(pattern, '-');
}

Test(pattern, agrees_with_fnmatch)
{
	unsigned int seed = (unsigned int)time(NULL);
	char pattern[12], path[12];
	size_t nr = 0;

	cr_log_info("seed %u", seed);
	srandom(seed);
	while (nr < 300000) {
		random_text(pattern, sizeof(pattern), "ab/*?[]!\\");
		random_text(path, sizeof(path), "ab/[]!*\\");
		if (!is_well_defined(pattern))
			continue;
		cr_assert_eq(dxs_pattern_match_any(pattern, path), !fnmatch(pattern, path, 0),
			     "seed %u: pattern \"%s\", path \"%s\"", seed, pattern, path);
		nr++;
	}
}

Test(pattern, ranges_agree_with_fnmatch)
{
	char pattern[] = "[a-b]", path[] = "x";

	for (pattern[1] = 'a'; pattern[1] <= 'e'; pattern[1]++)
		for (pattern[3] = pattern[1]; pattern[3] <= 'e'; pattern[3]++)
			for (path[0] = 'a'; path[0] <= 'e'; path[0]++)
				cr_expect_eq(dxs_pattern_match_any(pattern, path), !fnmatch(pattern, path, 0));
}
