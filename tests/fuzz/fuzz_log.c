// SPDX-License-Identifier: BSD-3-Clause
// fuzz_log.c: a line of the log about foreign text, and text that is put into a small buffer.
//
// Promised: a call of dxs_log() is one line of at most DXS_LOG_LINE bytes, valid UTF-8 without any control character,
// however its pieces are cut. dxs_text_add() writes what snprintf(3) would, stays inside its buffer and says what it cut.
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "fuzz.h"

static void promise_line(void)
{
	static const char start[] = "daxsync: ";

	PROMISE(written.len <= DXS_LOG_LINE && written.len > sizeof(start) - 1);
	PROMISE(!memcmp(written.text, start, sizeof(start) - 1));
	PROMISE(written.text[written.len - 1] == '\n');
	PROMISE(is_harmless(written.text, written.len - 1));
}

static void promise_text(const char *a, char c, uint64_t value, size_t size)
{
	char *buf = malloc(size), expected[2048]; // on the heap, where a byte too many is noticed
	struct dxs_text text;
	int len = snprintf(expected, sizeof(expected), "%s|%d|%x|%lu|%c%%", a, (int)value, (unsigned)value, value, c);

	dxs_text_init(&text, buf, size);
	dxs_text_add(&text, "%s|%d|%x|%lu|%c%%", a, (int)value, (unsigned)value, value, c);
	PROMISE(text.cut == ((size_t)len >= size));
	PROMISE(text.len == (text.cut ? size - 1 : (size_t)len));
	PROMISE(!memcmp(buf, expected, text.len) && !buf[text.len]);
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint64_t value = take_number(&input, 8);
	char c = (char)take_byte(&input), a[1024], b[1024];
	size_t room = 1 + take_byte(&input);

	take_text(&input, a, sizeof(a));
	take_text(&input, b, sizeof(b));
	written_begin();
	dxs_error("%s is %lu, %p and %s%c", a, value, (void *)value, b, c ? c : '.');
	promise_line();
	written_begin();
	dxs_debug("%s", a);
	PROMISE(!written.len);
	promise_text(a, c ? c : '.', value, room);
	return 0;
}
