// SPDX-License-Identifier: BSD-3-Clause
// log.h: one line to stderr, without malloc or stdio and with one write, from every context; or to a function of the
// program's.
#ifndef DXS_LOG_H
#define DXS_LOG_H

#include <daxsync/daxsync.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default) // the shim uses these

enum dxs_log_level {
	DXS_LOG_ERROR = DAXSYNC_LOG_ERROR,
	DXS_LOG_WARN = DAXSYNC_LOG_WARN,
	DXS_LOG_INFO = DAXSYNC_LOG_INFO,
	DXS_LOG_DEBUG = DAXSYNC_LOG_DEBUG,
};

extern enum dxs_log_level dxs_log_level;

// Room for one line, its newline included. A longer one is cut and ends in "...".
#define DXS_LOG_LINE 512
#define DXS_LOG_STRING 300 // of a %s; what is longer is cut in the same way

// Remembers what stderr is now: later lines do not go into a data file that has got its number. Context: init.
void dxs_log_init(void);

// Whether standard error still is what it was then, or a log. Context: every one.
bool dxs_log_is_heard(void);

// Who gets the lines in the place of standard error, without "daxsync: " and the newline; NULL: nobody. 0 or -ENOMEM, and
// nothing has changed. Context: api, with the registry's lock.
int dxs_log_to(daxsync_log_fn *fn, void *arg);

// Writes "daxsync: ", the formatted text and a newline. Control characters (a path may hold a newline) and bytes that are
// no UTF-8 become '?' (utf8.h), so that a call is always one line, and in the order in which it was written. Understands what dxs_text_add does. errno is kept. Context: every one.
void dxs_log(enum dxs_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define dxs_error(...) dxs_log(DXS_LOG_ERROR, __VA_ARGS__)
#define dxs_warn(...) dxs_log(DXS_LOG_WARN, __VA_ARGS__)
#define dxs_info(...) dxs_log(DXS_LOG_INFO, __VA_ARGS__)
#define dxs_debug(...) dxs_log(DXS_LOG_DEBUG, __VA_ARGS__)

// A text buffer on top of caller's memory, for everything that writes text inside a foreign process. Text that does
// not fit is cut and `cut` says so; `len` never exceeds `size - 1` and the text always ends in a NUL.
struct dxs_text {
	char *buf;
	size_t size; // of `buf`, at least 1
	size_t len;
	size_t longest; // of a %s; 0: as it is
	bool cut;
};

void dxs_text_init(struct dxs_text *text, char *buf, size_t size);

// Understands %s %c %p %%, and %d %u %x with nothing, l or z before the letter. Neither width nor precision: from an
// unknown conversion on, the rest of the format is copied as it is. Context: every one.
void dxs_text_add(struct dxs_text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#pragma GCC visibility pop

#endif
