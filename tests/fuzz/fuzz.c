// SPDX-License-Identifier: BSD-3-Clause
// fuzz.c: what the fuzz targets share.
#include "fuzz.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "strict_json.h"

uint8_t take_byte(struct input *input)
{
	if (!input->left)
		return 0;
	input->left--;
	return *input->data++;
}

uint64_t take_number(struct input *input, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value |= (uint64_t)take_byte(input) << 8 * i;
	return value;
}

void take_bytes(struct input *input, void *to, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)to)[i] = take_byte(input);
}

void take_text(struct input *input, char *to, size_t size)
{
	size_t len = 0;

	while (len + 1 < size && (to[len] = (char)take_byte(input)))
		len++;
	to[len] = '\0';
}

struct written written;

void written_begin(void)
{
	written.len = written.most = written.fails = written.calls = 0;
	written.interrupts = false;
}

long __real_dxs_sys_grow(long nr, long a, long b, long c, long d) __attribute__((weak));
long __wrap_dxs_sys_grow(long nr, long a, long b, long c, long d);

long __wrap_dxs_sys_grow(long nr, long a, long b, long c, long d)
{
	size_t len = (size_t)c;

	if (nr != SYS_write)
		return __real_dxs_sys_grow(nr, a, b, c, d);
	if (written.interrupts && written.calls++ % 2)
		return -EINTR;
	if (written.fails && written.len + len > written.fails)
		return -EIO;
	if (written.most && len > written.most)
		len = written.most;
	PROMISE(len <= sizeof(written.text) - written.len);
	memcpy(written.text + written.len, (const char *)b, len);
	written.len += len;
	return (long)len;
}

static bool is_seen(uint32_t code)
{
	return !(code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x61c || code == 0x200e || code == 0x200f ||
		 (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x206f));
}

bool is_harmless(const char *text, size_t len)
{
	for (size_t at = 0, step; at < len; at += step) {
		uint32_t code;

		step = strict_utf8(text + at, len - at, &code);
		if (!step || !is_seen(code))
			return false;
	}
	return true;
}
