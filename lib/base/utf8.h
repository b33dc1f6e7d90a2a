// SPDX-License-Identifier: BSD-3-Clause
// utf8.h: foreign text (paths, names, arguments) that is to be shown to somebody: what of it would not stand where it is put.
#ifndef DXS_UTF8_H
#define DXS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DXS_UTF8_NONE UINT32_MAX

// The character at `s`, its length in *len; for a byte that begins none, DXS_UTF8_NONE and 1. Never looks behind the NUL,
// which is a character. Context: every one.
uint32_t dxs_utf8_next(const char *s, size_t *len);

// Whether it moves the cursor, begins a line or turns the direction of what follows, instead of being seen.
bool dxs_utf8_is_control(uint32_t code);

// Puts '?' in the place of each of these, and of each byte that is no UTF-8. Returns the new length. Context: every one.
size_t dxs_utf8_plain(char *s);

#endif
