// SPDX-License-Identifier: BSD-3-Clause
// json.c: the JSON writer.
#include "base/json.h"

#include <poll.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/sys.h"
#include "base/utf8.h"

#define PATIENCE_S 2

// A pipe that is full, and does not block: its reader gets some time, and one that does not read loses the rest.
static bool can_wait(int fd)
{
	struct pollfd poll = {.fd = fd, .events = POLLOUT};
	struct timespec time = {.tv_sec = PATIENCE_S};

	return dxs_sys6(SYS_ppoll, (long)&poll, 1, (long)&time, 0, 0, 0) > 0;
}

static void flush(struct dxs_json *json)
{
	const char *buf = json->buf;

	while (json->len && !json->err) {
		long ret = dxs_sys_write(json->fd, buf, json->len);

		if (ret == -EINTR || (ret == -EAGAIN && can_wait(json->fd)))
			continue;
		if (ret <= 0) {
			json->err = ret ? (int)ret : -EIO;
			return;
		}
		buf += ret;
		json->len -= (size_t)ret;
	}
	json->len = 0;
}

static void add(struct dxs_json *json, char c)
{
	if (json->len == sizeof(json->buf))
		flush(json);
	if (json->err)
		return;
	json->buf[json->len++] = c;
	json->last = c;
}

static void add_text(struct dxs_json *json, const char *s)
{
	while (*s)
		add(json, *s++);
}

static void separate(struct dxs_json *json)
{
	if (json->last && !strchr("{[:", json->last))
		add(json, ',');
}

void dxs_json_init(struct dxs_json *json, int fd)
{
	json->fd = fd;
	json->err = 0;
	json->last = '\0';
	json->len = 0;
}

void dxs_json_open(struct dxs_json *json, char bracket)
{
	separate(json);
	add(json, bracket);
}

void dxs_json_close(struct dxs_json *json, char bracket)
{
	add(json, bracket);
}

void dxs_json_key(struct dxs_json *json, const char *key)
{
	separate(json);
	add(json, '"');
	add_text(json, key);
	add_text(json, "\":");
}

// All control characters are below U+10000.
static void add_escape(struct dxs_json *json, uint32_t code)
{
	add_text(json, "\\u");
	for (int shift = 12; shift >= 0; shift -= 4)
		add(json, "0123456789abcdef"[code >> shift & 15]);
}

void dxs_json_string(struct dxs_json *json, const char *s)
{
	size_t len;

	separate(json);
	add(json, '"');
	for (; *s; s += len) {
		uint32_t code = dxs_utf8_next(s, &len);

		if (code == DXS_UTF8_NONE) {
			add_escape(json, 0xfffd);
			continue;
		}
		if (dxs_utf8_is_control(code)) {
			add_escape(json, code);
			continue;
		}
		if (code == '"' || code == '\\')
			add(json, '\\');
		for (size_t i = 0; i < len; i++)
			add(json, s[i]);
	}
	add(json, '"');
}

void dxs_json_u64(struct dxs_json *json, uint64_t value)
{
	char buf[24];
	struct dxs_text text;

	separate(json);
	dxs_text_init(&text, buf, sizeof(buf));
	dxs_text_add(&text, "%lu", value);
	add_text(json, buf);
}

void dxs_json_bool(struct dxs_json *json, bool value)
{
	separate(json);
	add_text(json, value ? "true" : "false");
}

int dxs_json_finish(struct dxs_json *json)
{
	add(json, '\n');
	flush(json);
	return json->err;
}
