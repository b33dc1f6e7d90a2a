// SPDX-License-Identifier: BSD-3-Clause
// test_stats.c: counters, durations, the table of mappings, the report.
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

#include "base/config.h"
#include "capture.h"
#include "report/stats.h"

#define NR_THREADS 8
#define NR_ROUNDS 20000

static struct capture out;

static const char *report(void)
{
	capture_begin(&out, STDOUT_FILENO);
	cr_expect_eq(dxs_stats_write_json(STDOUT_FILENO), 0);
	return capture_end(&out);
}

static size_t count_mappings(uint64_t *calls)
{
	struct dxs_stats_map map;
	size_t cursor = 0, nr = 0;

	*calls = 0;
	for (; dxs_stats_map_next(&cursor, &map); nr++)
		*calls += map.count;
	return nr;
}

static void run_threads(void *(*body)(void *))
{
	pthread_t threads[NR_THREADS];

	for (uintptr_t i = 0; i < NR_THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, body, (void *)i), 0);
	for (size_t i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void *count_body(void *arg)
{
	for (int i = 0; i < NR_ROUNDS; i++) {
		dxs_count(traps, 1);
		dxs_count(bytes_flushed, 64);
		dxs_stats_sync_ns((uintptr_t)arg);
	}
	return NULL;
}

Test(stats, counts_of_many_threads_add_up)
{
	struct dxs_sync_ns ns;

	run_threads(count_body);
	cr_expect_eq(dxs_counter_get(DXS_traps), NR_THREADS * NR_ROUNDS);
	cr_expect_eq(dxs_counter_get(DXS_bytes_flushed), 64 * NR_THREADS * NR_ROUNDS);
	cr_expect_eq(dxs_counter_get(DXS_syncs), 0);
	dxs_stats_sync_ns_get(&ns);
	cr_expect_eq(ns.count, NR_THREADS * NR_ROUNDS);
	cr_expect_eq(ns.max, NR_THREADS - 1);
}

Test(stats, no_sync_has_no_percentiles)
{
	struct dxs_sync_ns ns = {1, 1, 1, 1};

	dxs_stats_sync_ns_get(&ns);
	cr_expect(!ns.count && !ns.p50 && !ns.p99 && !ns.max);
}

Test(stats, extreme_durations_have_a_bucket)
{
	struct dxs_sync_ns ns;

	dxs_stats_sync_ns(UINT64_MAX);
	dxs_stats_sync_ns_get(&ns);
	cr_expect_eq(ns.max, UINT64_MAX);
	cr_expect_geq(ns.p50, UINT64_MAX / 16 * 15);
	dxs_stats_reset();
	dxs_stats_sync_ns(0);
	dxs_stats_sync_ns_get(&ns);
	cr_expect_eq(ns.count, 1);
	cr_expect_eq(ns.p99, 0);
}

Test(stats, single_duration_is_within_seven_percent_at_every_power_of_two)
{
	for (unsigned int bit = 0; bit < 63; bit++) {
		for (uint64_t step = 0; step <= 2; step++) {
			uint64_t ns = ((uint64_t)1 << bit) - 1 + step;
			struct dxs_sync_ns got;

			dxs_stats_reset();
			dxs_stats_sync_ns(ns);
			dxs_stats_sync_ns(UINT64_MAX); // keeps the maximum from hiding an error
			dxs_stats_sync_ns_get(&got);
			cr_expect_leq(got.p50, ns + ns / 14, "%lu", ns);
			cr_expect_geq(got.p50, ns - ns / 14, "%lu", ns);
		}
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void expect_near(uint64_t got, uint64_t expected, unsigned int seed)
{
	uint64_t tolerance = expected / 14 + 1;

	cr_expect(got + tolerance >= expected && got <= expected + tolerance, "%lu, not %lu: seed %u", got, expected,
		  seed);
}

Test(stats, percentiles_agree_with_a_sorted_list)
{
	static uint64_t values[10007];
	size_t nr = sizeof(values) / sizeof(values[0]);
	unsigned int seed = (unsigned int)time(NULL);
	struct dxs_sync_ns ns;

	cr_log_info("seed %u", seed);
	srandom(seed);
	for (size_t i = 0; i < nr; i++) {
		values[i] = (uint64_t)random() >> (random() % 31);
		dxs_stats_sync_ns(values[i]);
	}
	qsort(values, nr, sizeof(values[0]), compare);
	dxs_stats_sync_ns_get(&ns);
	cr_expect_eq(ns.max, values[nr - 1]);
	expect_near(ns.p50, values[(nr * 50 + 99) / 100 - 1], seed);
	expect_near(ns.p99, values[(nr * 99 + 99) / 100 - 1], seed);
}

Test(stats, clock_goes_forward)
{
	uint64_t before = dxs_now_ns();

	cr_expect_gt(before, 0);
	cr_expect_geq(dxs_now_ns(), before);
}

Test(stats, equal_mappings_share_a_line_and_keep_the_largest_size)
{
	struct dxs_stats_map map;
	size_t cursor = 0;

	dxs_stats_map_add("/a", "emulated", "uffd", "asked for", 4096);
	dxs_stats_map_add("/a", "emulated", "uffd", "asked for", 65536);
	dxs_stats_map_add("/a", "emulated", "uffd", "asked for", 8192);
	cr_assert(dxs_stats_map_next(&cursor, &map));
	cr_expect_str_eq(map.path, "/a");
	cr_expect_eq(map.count, 3);
	cr_expect_eq(map.bytes, 65536);
	cr_expect_not(dxs_stats_map_next(&cursor, &map));
	cr_expect_not(dxs_stats_map_next(&cursor, &map));
}

Test(stats, every_part_of_the_key_tells_mappings_apart)
{
	uint64_t calls;

	dxs_stats_map_add("/a", "emulated", "uffd", "x", 1);
	dxs_stats_map_add("/b", "emulated", "uffd", "x", 1);
	dxs_stats_map_add("/a", "kernel", "uffd", "x", 1);
	dxs_stats_map_add("/a", "emulated", "none", "x", 1);
	dxs_stats_map_add("/a", "emulated", "uffd", "y", 1);
	cr_expect_eq(count_mappings(&calls), 5);
	cr_expect_eq(calls, 5);
}

Test(stats, equal_text_at_another_address_is_the_same_key)
{
	char mode[] = "emulated", path[] = "/a";
	uint64_t calls;

	dxs_stats_map_add("/a", "emulated", "uffd", "x", 1);
	dxs_stats_map_add(path, mode, "uffd", "x", 1);
	cr_expect_eq(count_mappings(&calls), 1);
}

Test(stats, long_path_keeps_its_end)
{
	char path[1000];
	struct dxs_stats_map map;
	size_t cursor = 0;

	memset(path, 'd', sizeof(path) - 1);
	memcpy(path + sizeof(path) - 8, "/end.db", 8);
	dxs_stats_map_add(path, "pass", "none", "x", 1);
	cr_assert(dxs_stats_map_next(&cursor, &map));
	cr_expect_eq(strlen(map.path), sizeof(map.path) - 1);
	cr_expect_eq(strncmp(map.path, "...d", 4), 0);
	cr_expect_str_eq(map.path + strlen(map.path) - 8, "d/end.db");
}

Test(stats, longest_path_that_fits_is_whole)
{
	char path[256];
	struct dxs_stats_map map;
	size_t cursor = 0;

	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	dxs_stats_map_add(path, "pass", "none", "x", 1);
	cr_assert(dxs_stats_map_next(&cursor, &map));
	cr_expect_str_eq(map.path, path);
}

Test(stats, mappings_beyond_the_table_are_counted)
{
	uint64_t calls;

	for (int i = 0; i < 300; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/file%d", i);
		dxs_stats_map_add(path, "pass", "none", "x", 1);
	}
	cr_expect_eq(count_mappings(&calls), 256);
	cr_expect_eq(calls, 256);
	cr_expect_not_null(strstr(report(), "\"mappings_dropped\":44"));
	dxs_stats_map_add("/file0", "pass", "none", "x", 1);
	count_mappings(&calls);
	cr_expect_eq(calls, 257, "a full table still counts what it holds");
}

static void *map_body(void *arg)
{
	char path[32];

	(void)arg;
	for (int i = 0; i < NR_ROUNDS; i++) {
		snprintf(path, sizeof(path), "/file%d", i % 16);
		dxs_stats_map_add(path, "pass", "none", "x", (uint64_t)i);
	}
	return NULL;
}

static void add_from_signal(int sig)
{
	(void)sig;
	dxs_stats_map_add("/file3", "pass", "none", "x", 1);
	dxs_count(syncs, 1);
}

Test(stats, mappings_of_many_threads_and_of_signal_handlers_add_up)
{
	struct itimerval timer = {{0, 200}, {0, 200}}, off = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = add_from_signal, .sa_flags = SA_RESTART};
	uint64_t calls;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	run_threads(map_body);
	setitimer(ITIMER_REAL, &off, NULL);
	cr_expect_eq(count_mappings(&calls), 16);
	cr_expect_eq(calls, NR_THREADS * NR_ROUNDS + dxs_counter_get(DXS_syncs));
}

Test(stats, reset_forgets_everything)
{
	struct dxs_sync_ns ns;
	uint64_t calls;

	dxs_count(traps, 1);
	dxs_stats_sync_ns(5);
	dxs_stats_map_add("/a", "pass", "none", "x", 1);
	dxs_stats_reset();
	cr_expect_eq(dxs_counter_get(DXS_traps), 0);
	dxs_stats_sync_ns_get(&ns);
	cr_expect_eq(ns.count, 0);
	cr_expect_eq(count_mappings(&calls), 0);
	dxs_stats_map_add("/a", "pass", "none", "x", 1);
	cr_expect_eq(count_mappings(&calls), 1);
	cr_expect_eq(calls, 1);
}

Test(stats, report_has_every_key)
{
	char expected[256];
	const char *text;

	dxs_count(traps, 7);
	dxs_stats_sync_ns(5);
	dxs_stats_map_add("/a \"b\"\n", "emulated", "uffd", "asked for", 4096);
	text = report();
	cr_expect_eq(count_lines(text), 1);
	snprintf(expected, sizeof(expected), "{\"version\":\"" DXS_VERSION "\",\"pid\":%d,\"program\":\"", getpid());
	cr_expect_eq(strncmp(text, expected, strlen(expected)), 0);
	cr_expect_not_null(strstr(text, ",\"traps\":7,"));
#define CHECK_KEY(name, unit, meaning) cr_expect_not_null(strstr(text, ",\"" #name "\":"));
	DXS_COUNTERS(CHECK_KEY)
#undef CHECK_KEY
	cr_expect_not_null(
		strstr(text, ",\"sync_ns\":{\"count\":1,\"p50\":5,\"p99\":5,\"max\":5,\"octaves\":[0,0,1]},"));
	cr_expect_not_null(strstr(text, ",\"mappings\":[{\"path\":\"/a \\\"b\\\"\\u000a\",\"mode\":\"emulated\","
					"\"engine\":\"uffd\",\"reason\":\"asked for\",\"bytes\":4096,\"count\":1}],"));
	cr_expect_not_null(strstr(text, "],\"mappings_dropped\":0}\n"));
}

Test(stats, report_goes_to_a_private_file_named_after_the_process)
{
	char dir[] = "/tmp/dxs-stats-XXXXXX", path[64];
	struct stat st;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(dxs_config.stats, sizeof(dxs_config.stats), "%s/%%p-%%x-%%p.json", dir);
	snprintf(path, sizeof(path), "%s/%d-%%x-%d.json", dir, getpid(), getpid());
	umask(0);
	dxs_stats_report();
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_expect_gt(st.st_size, 100);
	unlink(path);
	rmdir(dir);
}

Test(stats, report_replaces_an_older_one)
{
	char path[] = "/tmp/dxs-stats-XXXXXX", junk[20000];
	int fd = mkstemp(path);
	struct stat st;

	memset(junk, 'x', sizeof(junk));
	cr_assert_eq(write(fd, junk, sizeof(junk)), (ssize_t)sizeof(junk));
	snprintf(dxs_config.stats, sizeof(dxs_config.stats), "%s", path);
	dxs_stats_report();
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_lt(st.st_size, (off_t)sizeof(junk));
	unlink(path);
}

Test(stats, dash_reports_to_stderr)
{
	snprintf(dxs_config.stats, sizeof(dxs_config.stats), "-");
	capture_begin(&out, STDERR_FILENO);
	dxs_stats_report();
	cr_expect_eq(strncmp(capture_end(&out), "{\"version\":", 11), 0);
}

Test(stats, no_report_is_written_unasked)
{
	capture_begin(&out, STDERR_FILENO);
	dxs_stats_report();
	cr_expect_str_empty(capture_end(&out));
}

static const char *report_error(const char *path)
{
	snprintf(dxs_config.stats, sizeof(dxs_config.stats), "%s", path);
	capture_begin(&out, STDERR_FILENO);
	dxs_stats_report();
	return capture_end(&out);
}

Test(stats, unwritable_report_is_one_clear_line)
{
	cr_expect_str_empty(report_error("/nonexistent/f"), "nothing was mapped, there is nothing to tell");
	dxs_stats_map_add("/f", "direct", "mprotect", "persistent memory", 4096);
	cr_expect_str_eq(report_error("/nonexistent/f"),
			 "daxsync: the statistics cannot be written to /nonexistent/f: No such file or directory\n");
	cr_expect_str_eq(report_error("/dev/full"),
			 "daxsync: the statistics cannot be written to /dev/full: No space left on device\n");
	cr_expect_str_eq(report_error("/tmp"), "daxsync: the statistics cannot be written to /tmp: Is a directory\n");
}

Test(stats, each_key_has_a_unit_and_a_meaning)
{
	size_t nr;
	const struct dxs_stats_row *rows = dxs_stats_rows(&nr);

	cr_assert_gt(nr, DXS_NR_COUNTERS);
	for (size_t i = 0; i < nr; i++) {
		cr_expect(*rows[i].key && *rows[i].unit && *rows[i].meaning, "key %zu: %s", i, rows[i].key);
		for (size_t j = 0; j < i; j++)
			cr_expect(strcmp(rows[i].key, rows[j].key), "%s is there twice", rows[i].key);
	}
}

Test(stats, each_duration_is_in_its_octave)
{
	dxs_stats_reset();
	cr_expect_eq(dxs_stats_last_octave(), -1);
	for (unsigned octave = 0; octave < 64; octave++) {
		uint64_t least = octave ? 1ULL << octave : 0, most = octave < 63 ? (2ULL << octave) - 1 : UINT64_MAX;

		dxs_stats_sync_ns(least);
		dxs_stats_sync_ns(most);
		cr_expect_eq(dxs_stats_octave(octave), 2, "octave %u", octave);
		cr_expect_eq(dxs_stats_last_octave(), (int)octave);
	}
}

static void *sites_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < NR_ROUNDS; i++)
		dxs_sites_add(DXS_SITE_SYNC, (uintptr_t)sites_body + (uintptr_t)i % (DXS_SITES + 8));
	return NULL;
}

// Also those that found no place, and those of a place that two threads have made at once.
Test(stats, no_call_of_a_site_is_lost)
{
	uint64_t sum;

	dxs_stats_reset();
	run_threads(sites_body);
	sum = atomic_load(&dxs_stats.sites_dropped[DXS_SITE_SYNC]);
	cr_expect_gt(sum, 0);
	for (size_t i = 0; i < DXS_SITES; i++)
		sum += atomic_load(&dxs_stats.site[DXS_SITE_SYNC][i].count);
	cr_expect_eq(sum, NR_THREADS * NR_ROUNDS);
	cr_expect_neq(dxs_stats.site[DXS_SITE_SYNC][0].path[0], '\0', "no file");
}
