// SPDX-License-Identifier: BSD-3-Clause
// log.c: a formatter of a few conversions on caller's memory, and the one-line log on top of it.
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cells.h"
#include "base/sys.h"
#include "base/utf8.h"

enum dxs_log_level dxs_log_level = DXS_LOG_WARN;

static void add_char(struct dxs_text *text, char c)
{
	if (text->len + 1 >= text->size) {
		text->cut = true;
		return;
	}
	text->buf[text->len++] = c;
	text->buf[text->len] = '\0';
}

static void add_string(struct dxs_text *text, const char *s)
{
	if (!s)
		s = "(null)";
	while (*s)
		add_char(text, *s++);
}

// In a log line one long path must not push out what is said about it.
static void add_shortened(struct dxs_text *text, const char *s)
{
	size_t at;

	if (!text->longest || !s || strlen(s) <= text->longest) {
		add_string(text, s);
		return;
	}
	for (at = 0; at < text->longest; at++)
		add_char(text, s[at]);
	add_string(text, "...");
}

static void add_number(struct dxs_text *text, unsigned long value, unsigned int base)
{
	char digits[3 * sizeof(value)];
	size_t nr = 0;

	do {
		digits[nr++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (nr)
		add_char(text, digits[--nr]);
}

static void add_signed(struct dxs_text *text, long value)
{
	unsigned long magnitude = (unsigned long)value;

	if (value < 0) {
		add_char(text, '-');
		magnitude = -magnitude;
	}
	add_number(text, magnitude, 10);
}

// The arguments travel in a struct, because a va_list passed by value cannot be read on by the caller.
struct args {
	va_list list;
};

static long next_signed(struct args *args, bool is_long)
{
	return is_long ? va_arg(args->list, long) : va_arg(args->list, int);
}

static unsigned long next_unsigned(struct args *args, bool is_long)
{
	return is_long ? va_arg(args->list, unsigned long) : va_arg(args->list, unsigned int);
}

static bool add_integer(struct dxs_text *text, char letter, struct args *args, bool is_long)
{
	switch (letter) {
	case 'd':
		add_signed(text, next_signed(args, is_long));
		return true;
	case 'u':
		add_number(text, next_unsigned(args, is_long), 10);
		return true;
	case 'x':
		add_number(text, next_unsigned(args, is_long), 16);
		return true;
	default:
		return false;
	}
}

static bool add_other(struct dxs_text *text, char letter, struct args *args)
{
	switch (letter) {
	case 's':
		add_shortened(text, va_arg(args->list, const char *));
		return true;
	case 'c':
		add_char(text, (char)va_arg(args->list, int));
		return true;
	case 'p':
		add_string(text, "0x");
		add_number(text, (unsigned long)va_arg(args->list, void *), 16);
		return true;
	case '%':
		add_char(text, '%');
		return true;
	default:
		return false;
	}
}

// Adds one conversion, `spec` pointing behind its '%'. Returns what follows it, or NULL if it is unknown.
static const char *add_conversion(struct dxs_text *text, const char *spec, struct args *args)
{
	bool is_long = *spec == 'l' || *spec == 'z'; // size_t and long have one size on every LP64 system

	if (is_long)
		spec++;
	if (add_integer(text, *spec, args, is_long) || (!is_long && add_other(text, *spec, args)))
		return spec + 1;
	return NULL;
}

static void add_format(struct dxs_text *text, const char *fmt, struct args *args)
{
	while (*fmt) {
		const char *next = fmt + 1;

		if (*fmt == '%') {
			next = add_conversion(text, fmt + 1, args);
			if (!next) {
				add_string(text, fmt);
				return;
			}
		} else {
			add_char(text, *fmt);
		}
		fmt = next;
	}
}

void dxs_text_init(struct dxs_text *text, char *buf, size_t size)
{
	*text = (struct dxs_text){.buf = buf, .size = size};
	buf[0] = '\0';
}

void dxs_text_add(struct dxs_text *text, const char *fmt, ...)
{
	struct args args;

	va_start(args.list, fmt);
	add_format(text, fmt, &args);
	va_end(args.list);
}

static void mark_cut(struct dxs_text *text)
{
	for (size_t i = 1; i <= 3 && i <= text->len; i++)
		text->buf[text->len - i] = '.';
}

// One write for a line keeps the lines of several threads and processes apart. It is repeated only for what a signal
// or a full pipe left over; a closed or non-blocking stderr loses the line, as there is nobody to tell.
static void write_line(const char *buf, size_t len)
{
	while (len) {
		long ret = dxs_sys_write(STDERR_FILENO, buf, len);

		if (ret == -EINTR)
			continue;
		if (ret <= 0)
			return;
		buf += ret;
		len -= (size_t)ret;
	}
}

static bool begun;
static struct stat stderr_at_start; // all zeros: there was none

void dxs_log_init(void)
{
	if (dxs_sys6(SYS_fstat, STDERR_FILENO, (long)&stderr_at_start, 0, 0, 0, 0))
		stderr_at_start = (struct stat){0};
	begun = true;
}

// A program that has closed stderr, or was started without one, may have got its number for something else: for a data
// file, or a connection. So a line goes to what was there at the start, or to a file that is open for writing only, as
// logs are and mapped files cannot be; and else it is lost, which is better.
bool dxs_log_is_heard(void)
{
	struct stat now;

	if (!begun)
		return true;
	if (dxs_sys6(SYS_fstat, STDERR_FILENO, (long)&now, 0, 0, 0, 0))
		return false;
	if (stderr_at_start.st_mode && now.st_dev == stderr_at_start.st_dev && now.st_ino == stderr_at_start.st_ino)
		return true;
	return S_ISREG(now.st_mode) &&
	       (dxs_sys6(SYS_fcntl, STDERR_FILENO, F_GETFL, 0, 0, 0, 0) & O_ACCMODE) == O_WRONLY;
}

// A function and its argument, which belong together. None is ever freed: a line that is under way may still go to an old one.
struct listener {
	struct listener *next;
	daxsync_log_fn *fn;
	void *arg;
};

static struct listener *listeners; // all that there have been; the registry's lock
// seq_cst, the default: release would do, of what it points to; partner: the load in dxs_log.
static struct listener *_Atomic listener; // NULL: standard error

static struct listener *listener_find(daxsync_log_fn *fn, const void *arg)
{
	struct listener *at = listeners;

	while (at && (at->fn != fn || at->arg != arg))
		at = at->next;
	return at;
}

static struct listener *listener_new(daxsync_log_fn *fn, void *arg)
{
	struct listener *made = dxs_cell_new(sizeof(*made));

	if (!made)
		return NULL;
	*made = (struct listener){listeners, fn, arg};
	listeners = made;
	return made;
}

int dxs_log_to(daxsync_log_fn *fn, void *arg)
{
	struct listener *to = fn ? listener_find(fn, arg) : NULL;

	if (fn && !to)
		to = listener_new(fn, arg);
	if (fn && !to)
		return -ENOMEM;
	atomic_store(&listener, to);
	return 0;
}

static void listener_call(const struct listener *to, enum dxs_log_level level, const char *text)
{
	int saved = errno;

	to->fn((int)level, text, to->arg);
	errno = saved;
}

void dxs_log(enum dxs_log_level level, const char *fmt, ...)
{
	const struct listener *to;
	char line[DXS_LOG_LINE];
	struct dxs_text text;
	struct args args;

	if (level > dxs_log_level)
		return;
	to = atomic_load(&listener);
	if (!to && !dxs_log_is_heard())
		return;
	dxs_text_init(&text, line, sizeof(line));
	text.longest = DXS_LOG_STRING;
	if (!to)
		add_string(&text, "daxsync: ");
	va_start(args.list, fmt);
	add_format(&text, fmt, &args);
	va_end(args.list);
	if (text.cut)
		mark_cut(&text);
	// Last: the cut may have left a part of a character.
	text.len = dxs_utf8_plain(line);
	if (to) {
		listener_call(to, level, line);
		return;
	}
	line[text.len] = '\n'; // in place of the NUL
	write_line(line, text.len + 1);
}
