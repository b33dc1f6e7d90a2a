// SPDX-License-Identifier: BSD-3-Clause
// fuzz_pattern.c: a list of patterns, a newline, and a path.
//
// Promised: dxs_pattern_match_any() says what a plain table of all prefixes says, and what fnmatch(3) says where that is
// defined the same.
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/pattern.h"
#include "fuzz.h"

#define MOST 512

// A pattern as a list of sets of bytes, some of which stand for any number of bytes.
struct element {
	bool is_star, takes[256];
};
static struct element element[MOST];
static size_t nr_elements;

static struct element *element_new(void)
{
	memset(&element[nr_elements], 0, sizeof(element[0]));
	return &element[nr_elements++];
}

static size_t bracket_end(const char *pat, size_t at, size_t len)
{
	size_t first = at + (at < len && strchr("!^", pat[at]));

	for (at = first; at < len; at++) {
		if (pat[at] == ']' && at > first)
			return at;
		if (pat[at] == '\\' && at + 1 < len)
			at++;
		if (at + 2 < len && pat[at + 1] == '-' && pat[at + 2] != ']')
			at += pat[at + 2] == '\\' && at + 3 < len ? 3 : 2;
	}
	return len;
}

static unsigned char bracket_byte(const char *pat, size_t *at, size_t end)
{
	if (pat[*at] == '\\' && *at + 1 < end)
		++*at;
	return (unsigned char)pat[(*at)++];
}

static void bracket_read(const char *pat, size_t at, size_t end, struct element *out)
{
	bool negated = strchr("!^", pat[at]);
	size_t i = at + negated;

	while (i < end) {
		unsigned low = bracket_byte(pat, &i, end), high = low;

		if (i + 1 < end && pat[i] == '-') {
			i++;
			high = bracket_byte(pat, &i, end);
		}
		for (unsigned c = low; c <= high; c++)
			out->takes[c] = true;
	}
	for (unsigned c = 0; negated && c < 256; c++)
		out->takes[c] = !out->takes[c];
}

static void read_pattern(const char *pat, size_t len)
{
	nr_elements = 0;
	for (size_t i = 0; i < len; i++) {
		struct element *now = element_new();
		size_t end = pat[i] == '[' ? bracket_end(pat, i + 1, len) : len;

		if (pat[i] == '*') {
			now->is_star = true;
		} else if (pat[i] == '?') {
			memset(now->takes, true, sizeof(now->takes));
		} else if (end < len) {
			bracket_read(pat, i + 1, end, now);
			i = end;
		} else if (pat[i] != '\\') {
			now->takes[(unsigned char)pat[i]] = true;
		} else if (++i < len) { // at the end it takes nothing
			now->takes[(unsigned char)pat[i]] = true;
		}
	}
}

static bool plain_match(const char *pat, size_t len, const char *path)
{
	static bool can[2][MOST + 1]; // [i]: the first i bytes of the path, by the elements so far
	size_t path_len = strlen(path);
	bool *now = can[0], *next = can[1];

	read_pattern(pat, len);
	memset(now, false, sizeof(can[0]));
	now[0] = true;
	for (size_t e = 0; e < nr_elements; e++) {
		bool *old = now;

		next[0] = element[e].is_star && now[0];
		for (size_t i = 1; i <= path_len; i++)
			next[i] = element[e].is_star ? now[i] || next[i - 1]
						     : now[i - 1] && element[e].takes[(unsigned char)path[i - 1]];
		now = next;
		next = old;
	}
	return now[path_len];
}

static bool plain_match_any(const char *patterns, const char *path)
{
	size_t from = 0, len = strlen(patterns);

	for (size_t i = 0; i <= len; i++) {
		if (i == len || patterns[i] == ':') {
			if (i > from && plain_match(patterns + from, i - from, path))
				return true;
			from = i + 1;
		} else if (patterns[i] == '\\' && i + 1 < len) {
			i++;
		}
	}
	return false;
}

// fnmatch leaves open what a '-' next to a bracket's end means, and knows classes.
static bool is_fnmatch(const char *pattern)
{
	for (const char *s = pattern; *s; s++)
		if (*s & 0x80 || strchr("-:", *s) || (*s == '[' && s[1] && strchr(".=", s[1])))
			return false;
	return *pattern;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[MOST] = "", *path;

	memcpy(text, data, size < sizeof(text) - 1 ? size : sizeof(text) - 1);
	path = strchr(text, '\n');
	if (!path)
		return 0;
	*path++ = '\0';
	PROMISE(dxs_pattern_match_any(text, path) == plain_match_any(text, path));
	if (is_fnmatch(text))
		PROMISE(dxs_pattern_match_any(text, path) == !fnmatch(text, path, 0));
	return 0;
}
