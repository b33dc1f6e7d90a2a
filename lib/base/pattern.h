// SPDX-License-Identifier: BSD-3-Clause
// pattern.h: shell patterns for paths. fnmatch(3) converts to wide characters, on the heap if the path is long, which
// a hook must not touch.
#ifndef DXS_PATTERN_H
#define DXS_PATTERN_H

#include <stdbool.h>

// Whether `path` matches one of `patterns`, which stand in one string with ':' between them ("\:" is a colon; an empty
// one matches nothing). A pattern is what fnmatch(3) knows without flags ('*' matches '/' too), but bytewise and
// without character classes. Time is at worst the product of the two lengths. Context: hook.
bool dxs_pattern_match_any(const char *patterns, const char *path);

#endif
