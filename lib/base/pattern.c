// SPDX-License-Identifier: BSD-3-Clause
// pattern.c: matches a path against shell patterns, in constant memory.
#include "base/pattern.h"

#include <stddef.h>

// Whether `c` is in the bracket expression at `pat` (behind its '['). Returns what follows its ']' and the answer in
// `is_in`, or NULL if the bracket is not closed before `end`.
static const char *match_bracket(const char *pat, const char *end, unsigned char c, bool *is_in)
{
	bool negated = pat < end && (*pat == '!' || *pat == '^');
	bool found = false;

	pat += negated;
	for (const char *first = pat; pat < end && (*pat != ']' || pat == first);) {
		unsigned char low, high;

		pat += *pat == '\\' && pat + 1 < end;
		low = high = (unsigned char)*pat++;
		if (pat + 1 < end && *pat == '-' && pat[1] != ']') {
			pat++;
			pat += *pat == '\\' && pat + 1 < end;
			high = (unsigned char)*pat++;
		}
		found |= low <= c && c <= high;
	}
	*is_in = found != negated;
	return pat < end ? pat + 1 : NULL;
}

// Matches one element other than '*' against `c`. Returns what follows the element, or NULL.
static const char *match_char(const char *pat, const char *end, char c)
{
	const char *next;
	bool is_in;

	if (pat == end)
		return NULL;
	if (*pat == '?')
		return pat + 1;
	if (*pat == '[') {
		next = match_bracket(pat + 1, end, (unsigned char)c, &is_in);
		if (next)
			return is_in ? next : NULL;
	}
	if (*pat == '\\' && ++pat == end)
		return NULL;
	return *pat == c ? pat + 1 : NULL;
}

// Only the last '*' is ever widened: what an earlier one could take more, the last one can take too.
static bool match(const char *pat, const char *end, const char *path)
{
	const char *star = NULL, *taken = NULL;

	while (*path) {
		const char *next = match_char(pat, end, *path);

		if (pat < end && *pat == '*') {
			star = ++pat;
			taken = path;
		} else if (next) {
			pat = next;
			path++;
		} else if (star) {
			pat = star;
			path = ++taken;
		} else {
			return false;
		}
	}
	while (pat < end && *pat == '*')
		pat++;
	return pat == end;
}

static const char *pattern_end(const char *pat)
{
	for (; *pat && *pat != ':'; pat++)
		if (*pat == '\\' && pat[1])
			pat++;
	return pat;
}

bool dxs_pattern_match_any(const char *patterns, const char *path)
{
	for (const char *pat = patterns; *pat;) {
		const char *end = pattern_end(pat);

		if (end != pat && match(pat, end, path))
			return true;
		pat = *end ? end + 1 : end;
	}
	return false;
}
