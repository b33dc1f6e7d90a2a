// SPDX-License-Identifier: BSD-3-Clause
// test_log.c: the formatter and the one-line log.
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/log.h"
#include "base/utf8.h"
#include "capture.h"

static struct capture out;

static const char *logged(const char *text)
{
	capture_begin(&out, STDERR_FILENO);
	dxs_log(DXS_LOG_ERROR, "%s", text);
	return capture_end(&out);
}

#define CHECK_FORMAT(...)                                                                                              \
	do {                                                                                                           \
		char expected[256], buf[256];                                                                          \
		struct dxs_text text;                                                                                  \
                                                                                                                       \
		snprintf(expected, sizeof(expected), __VA_ARGS__);                                                     \
		dxs_text_init(&text, buf, sizeof(buf));                                                                \
		dxs_text_add(&text, __VA_ARGS__);                                                                      \
		cr_expect_str_eq(buf, expected);                                                                       \
		cr_expect_eq(text.len, strlen(expected));                                                              \
		cr_expect_not(text.cut);                                                                               \
	} while (0)

Test(log, every_conversion_prints_what_printf_prints)
{
	CHECK_FORMAT("plain");
	CHECK_FORMAT("%s|%s", "one", "");
	CHECK_FORMAT("%d %d %d %d", 0, -1, INT_MIN, INT_MAX);
	CHECK_FORMAT("%u %x", UINT_MAX, UINT_MAX);
	CHECK_FORMAT("%ld %ld %ld", 0L, LONG_MIN, LONG_MAX);
	CHECK_FORMAT("%lu %lx", ULONG_MAX, ULONG_MAX);
	CHECK_FORMAT("%zu %zd", SIZE_MAX, (ssize_t)-7);
	CHECK_FORMAT("%c%c %%", 'o', 'k');
	CHECK_FORMAT("%p", (void *)0xdeadbeef000);
}

Test(log, null_string_is_named)
{
	char buf[32];
	struct dxs_text text;
	const char *volatile none = NULL; // volatile: the compiler would warn

	dxs_text_init(&text, buf, sizeof(buf));
	dxs_text_add(&text, "%s", none);
	cr_expect_str_eq(buf, "(null)");
}

Test(log, unknown_conversion_ends_the_formatting_and_shows_the_rest)
{
	char buf[64];
	struct dxs_text text;

	dxs_text_init(&text, buf, sizeof(buf));
	dxs_text_add(&text, "%d %5d %s", 1, 2, "three");
	cr_expect_str_eq(buf, "1 %5d %s");
}

Test(log, percent_at_the_end_is_copied)
{
	char buf[64], fmt[] = "100 %";
	struct dxs_text text;

	dxs_text_init(&text, buf, sizeof(buf));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
	dxs_text_add(&text, fmt);
#pragma GCC diagnostic pop
	cr_expect_str_eq(buf, "100 %");
}

Test(log, text_that_does_not_fit_is_cut_and_stays_inside_its_buffer)
{
	char buf[8] = "xxxxxxx";
	struct dxs_text text;

	dxs_text_init(&text, buf, 5);
	dxs_text_add(&text, "%s", "abcd");
	cr_expect_not(text.cut);
	dxs_text_add(&text, "%s%d", "efgh", 1);
	cr_expect(text.cut);
	cr_expect_str_eq(buf, "abcd");
	cr_expect_eq(text.len, 4);
	cr_expect_eq(buf[5], 'x');
}

Test(log, buffer_of_one_byte_holds_the_empty_text)
{
	char buf[1];
	struct dxs_text text;

	dxs_text_init(&text, buf, sizeof(buf));
	dxs_text_add(&text, "%s", "a");
	cr_expect_str_eq(buf, "");
	cr_expect(text.cut);
}

Test(log, line_carries_the_name_and_ends_in_a_newline)
{
	cr_expect_str_eq(logged("hello"), "daxsync: hello\n");
}

Test(log, level_above_the_threshold_is_silent)
{
	dxs_log_level = DXS_LOG_WARN;
	capture_begin(&out, STDERR_FILENO);
	dxs_info("not this");
	dxs_debug("nor this");
	dxs_warn("this");
	dxs_error("and this");
	cr_expect_str_eq(capture_end(&out), "daxsync: this\ndaxsync: and this\n");
}

struct heard {
	unsigned nr;
	int level;
	char text[DXS_LOG_LINE];
};

static void hear(int level, const char *text, void *arg)
{
	struct heard *heard = arg;

	heard->nr++;
	heard->level = level;
	snprintf(heard->text, sizeof(heard->text), "%s", text);
}

Test(log, a_function_gets_the_lines_without_prefix_and_newline_until_it_is_taken_away)
{
	struct heard one = {0}, two = {0};

	dxs_log_level = DXS_LOG_WARN;
	capture_begin(&out, STDERR_FILENO);
	cr_expect_eq(dxs_log_to(hear, &one), 0);
	dxs_warn("a\nb %d", 7);
	dxs_info("not this");
	cr_expect_eq(dxs_log_to(hear, &two), 0);
	dxs_error("to the other");
	cr_expect_eq(dxs_log_to(NULL, NULL), 0);
	dxs_error("again");
	cr_expect_str_eq(capture_end(&out), "daxsync: again\n");
	cr_expect_eq(one.nr, 1);
	cr_expect_eq(one.level, DXS_LOG_WARN);
	cr_expect_str_eq(one.text, "a?b 7");
	cr_expect_eq(two.nr, 1);
	cr_expect_str_eq(two.text, "to the other");
}

Test(log, a_function_hears_where_standard_error_is_closed)
{
	struct heard heard = {0};

	dxs_log_init();
	close(STDERR_FILENO);
	cr_expect_eq(dxs_log_to(hear, &heard), 0);
	dxs_error("%s", "x");
	cr_expect_eq(heard.nr, 1);
}

static const char *logged_halves(const char *text)
{
	capture_begin(&out, STDERR_FILENO);
	dxs_error("%s%s", text, text);
	return capture_end(&out);
}

Test(log, longest_line_is_whole_and_more_is_cut_with_a_mark)
{
	char text[DXS_LOG_LINE] = "";
	size_t room = DXS_LOG_LINE - strlen("daxsync: \n");
	const char *line;

	memset(text, 'a', room / 2);
	line = logged_halves(text);
	cr_expect_eq(strlen(line), room / 2 * 2 + strlen("daxsync: \n"));
	cr_expect_not_null(strstr(line, "aaa\n"));

	text[room / 2] = 'b';
	line = logged_halves(text);
	cr_expect_eq(strlen(line), DXS_LOG_LINE);
	cr_expect_str_eq(line + DXS_LOG_LINE - 5, "a...\n");
}

// The end of the line fell within a character; what was left of it stood before the mark.
Test(log, cut_line_holds_no_part_of_a_character)
{
	char text[DXS_LOG_LINE] = "";
	const char *line;

	for (size_t i = 0; i + 3 < DXS_LOG_STRING; i += 3)
		memcpy(text + i, "\xe2\x82\xac", 3);
	for (size_t pad = 0; pad < 3; pad++) {
		capture_begin(&out, STDERR_FILENO);
		dxs_error("%s%s%s", &"aa"[2 - pad], text, text);
		line = capture_end(&out);
		cr_expect_eq(strlen(line), DXS_LOG_LINE, "pad %zu", pad);
		for (size_t at = 0, len; line[at]; at += len)
			cr_expect_neq(dxs_utf8_next(line + at, &len), DXS_UTF8_NONE, "pad %zu, at %zu", pad, at);
	}
}

// "PATH: what is wrong with it": the end of the line is what it is about.
Test(log, a_long_string_is_cut_and_what_follows_is_there)
{
	char text[5000] = "";
	const char *line;

	memset(text, 'a', sizeof(text) - 1);
	capture_begin(&out, STDERR_FILENO);
	dxs_error("%s: wrong", text);
	line = capture_end(&out);
	cr_expect_eq(strlen(line), strlen("daxsync: ...: wrong\n") + DXS_LOG_STRING);
	cr_expect_not_null(strstr(line, "aaa...: wrong\n"));
}

Test(log, control_characters_cannot_make_a_second_line)
{
	cr_expect_str_eq(logged("a\nb\x1b[31m\x7f"), "daxsync: a?b?[31m?\n");
	cr_expect_str_eq(logged("a\xc2\x9b[31m \xe2\x80\xae \xff \xc3\xa9"), "daxsync: a?[31m ? ? \xc3\xa9\n");
}

Test(log, errno_is_kept_even_without_a_stderr)
{
	int saved = dup(STDERR_FILENO);

	close(STDERR_FILENO);
	errno = ENOMEM;
	dxs_error("nobody hears %d", 1);
	cr_expect_eq(errno, ENOMEM);
	dup2(saved, STDERR_FILENO);
}

// A datagram socket keeps the bounds of each write.
Test(log, line_is_one_write)
{
	char buf[1024];
	int pair[2], saved = dup(STDERR_FILENO);
	ssize_t len;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	dup2(pair[0], STDERR_FILENO);
	dxs_error("one %s of %d %s", "line", 3, "pieces");
	dup2(saved, STDERR_FILENO);
	len = recv(pair[1], buf, sizeof(buf), MSG_DONTWAIT);
	cr_assert_eq(len, (ssize_t)strlen("daxsync: one line of 3 pieces\n"));
	cr_expect_lt(recv(pair[1], buf, sizeof(buf), MSG_DONTWAIT), 0);
}

static int pipe_fds[2];
static volatile sig_atomic_t nr_alarms;

// The first alarm interrupts the write, the second makes room for it.
static void on_alarm(int sig)
{
	char buf[65536];

	(void)sig;
	if (++nr_alarms == 2)
		while (read(pipe_fds[0], buf, sizeof(buf)) == (ssize_t)sizeof(buf))
			;
}

Test(log, interrupted_write_is_repeated, .timeout = 20)
{
	struct itimerval timer = {{0, 50000}, {0, 50000}}, off = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = on_alarm};
	char buf[65536] = "";
	int saved = dup(STDERR_FILENO);

	cr_assert_eq(pipe(pipe_fds), 0);
	cr_assert_eq(fcntl(pipe_fds[1], F_SETPIPE_SZ, sizeof(buf)), (int)sizeof(buf));
	cr_assert_eq(write(pipe_fds[1], buf, sizeof(buf)), (ssize_t)sizeof(buf));
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	dup2(pipe_fds[1], STDERR_FILENO);
	dxs_error("late");
	dup2(saved, STDERR_FILENO);
	setitimer(ITIMER_REAL, &off, NULL);
	cr_expect_geq(nr_alarms, 2);
	memset(buf, 0, sizeof(buf));
	cr_expect_gt(read(pipe_fds[0], buf, sizeof(buf) - 1), 0);
	cr_expect_str_eq(buf, "daxsync: late\n");
}

static int other_end = -1; // of a connection

// Closes stderr, tells the log so if `started_without` one, and opens something that gets its number. Returns what a line
// adds to it: bytes.
static long line_goes_to(int (*open_it)(void), bool started_without)
{
	char buf[256];
	int saved = dup(STDERR_FILENO), fd;
	long len;

	if (!started_without)
		dxs_log_init();
	close(STDERR_FILENO);
	if (started_without)
		dxs_log_init();
	fd = open_it();
	dxs_error("a line");
	len = other_end < 0 ? lseek(fd, 0, SEEK_END) : recv(other_end, buf, sizeof(buf), MSG_DONTWAIT);
	dup2(saved, STDERR_FILENO);
	cr_assert_eq(fd, STDERR_FILENO);
	return len;
}

static int data_file(void)
{
	return memfd_create("data", 0);
}

static int log_file(void)
{
	char name[] = "/tmp/daxsync-log.XXXXXX";
	int fd = mkstemp(name), log;

	close(fd);
	log = open(name, O_WRONLY | O_APPEND);
	unlink(name);
	return log;
}

static int connection(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
		return -1;
	other_end = pair[1];
	return pair[0];
}

Test(log, data_file_that_has_got_the_number_of_stderr_gets_no_line)
{
	cr_expect_eq(line_goes_to(data_file, false), 0);
}

Test(log, nor_does_it_in_a_program_started_without_a_stderr)
{
	cr_expect_eq(line_goes_to(data_file, true), 0);
}

Test(log, nor_does_a_connection)
{
	cr_expect_eq(line_goes_to(connection, false), -1);
	cr_expect_geq(other_end, 0);
}

Test(log, log_file_in_the_place_of_stderr_gets_its_lines)
{
	cr_expect_eq(line_goes_to(log_file, false), (long)strlen("daxsync: a line\n"));
}
