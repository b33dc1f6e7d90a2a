// SPDX-License-Identifier: BSD-3-Clause
// test_config.c: the table of settings and its reader.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/config.h"
#include "base/injector.h"
#include "base/log.h"
#include "capture.h"

static struct capture out;

// Loads one setting and returns what the loader said.
static const char *load(const char *name, const char *value)
{
	setenv(name, value, 1);
	capture_begin(&out, STDERR_FILENO);
	dxs_config_load();
	capture_end(&out);
	unsetenv(name);
	return out.text;
}

static const char *load_emulated(const char *name, const char *value)
{
	setenv("DAXSYNC_EMULATE", "1", 1);
	return load(name, value);
}

// A set-uid program cannot be made for a test everywhere; a process whose real and effective users differ makes the
// kernel set AT_SECURE just as well. This runs in that process, before Criterion's main.
__attribute__((constructor)) static void secure_probe(void)
{
	if (!getenv("DXS_TEST_SECURE_PROBE"))
		return;
	dxs_config_load();
	_exit(dxs_config.emulate || dxs_config.strict || dxs_log_level != DXS_LOG_WARN);
}

static int run_probe(uid_t real_uid)
{
	char *argv[] = {(char *)"probe", NULL};
	char *env[] = {
		(char *)"DXS_TEST_SECURE_PROBE=1", (char *)"DAXSYNC_EMULATE=1",           (char *)"DAXSYNC_STRICT=1",
		(char *)"DAXSYNC_LOG=error",       (char *)"ASAN_OPTIONS=detect_leaks=0", NULL};
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		if (setresuid(real_uid, 0, 0))
			_exit(2);
		execve("/proc/self/exe", argv, env);
		_exit(3);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(config, environment_of_a_set_uid_program_is_ignored)
{
	if (geteuid())
		cr_skip_test("needs root to start a program with another real user");
	cr_expect_eq(run_probe(65534), 0);
	cr_expect_eq(run_probe(0), 1, "the probe must see the settings when nothing is secure");
}

Test(config, defaults_hold_without_an_environment)
{
	dxs_config_load();
	cr_expect_not(dxs_config.emulate);
	cr_expect_not(dxs_config.verify);
	cr_expect_not(dxs_config.strict);
	cr_expect_eq(dxs_config.engine, DXS_ENGINE_AUTO);
	cr_expect_eq(dxs_config.policy, DXS_POLICY_ADAPTIVE);
	cr_expect_eq(dxs_config.log, DXS_LOG_WARN);
	cr_expect_eq(dxs_log_level, DXS_LOG_WARN);
	cr_expect_eq(dxs_config.powercut_at, 0);
	cr_expect_str_empty(dxs_config.image_dir);
	cr_expect_str_empty(dxs_config.stats);
	cr_expect(dxs_config_wants("/any/file"));
}

Test(config, table_has_sound_rows)
{
	char why[128];
	size_t nr;
	const struct dxs_config_row *rows = dxs_config_rows(&nr);

	for (size_t i = 0; i < nr; i++) {
		cr_expect_eq(strncmp(rows[i].name, "DAXSYNC_", 8), 0);
		cr_expect_gt(strlen(rows[i].meaning), 0);
		cr_expect_gt(rows[i].size, 0);
		if (*rows[i].fallback)
			cr_expect_eq(dxs_config_check(rows[i].name, rows[i].fallback, why, sizeof(why)), 0);
		for (size_t j = 0; j < i; j++) {
			cr_expect_str_neq(rows[i].name, rows[j].name);
			cr_expect_str_neq(rows[i].option, rows[j].option);
		}
	}
}

Test(config, option_is_the_variable_in_lower_case)
{
	size_t nr;
	const struct dxs_config_row *rows = dxs_config_rows(&nr);

	for (size_t i = 0; i < nr; i++) {
		const char *name = rows[i].name + strlen("DAXSYNC_"), *option = rows[i].option;

		for (; *name && *option; name++, option++)
			cr_expect_eq(*option, *name == '_' ? '-' : *name + ('a' - 'A'));
		cr_expect_eq(*name, *option);
	}
}

Test(config, words_have_the_order_of_their_enum)
{
	static const struct {
		const char *word;
		int engine;
	} engines[] = {{"auto", DXS_ENGINE_AUTO}, {"uffd", DXS_ENGINE_UFFD}, {"mprotect", DXS_ENGINE_MPROTECT}};

	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		cr_expect_str_empty(load("DAXSYNC_ENGINE", engines[i].word));
		cr_expect_eq(dxs_config.engine, engines[i].engine);
	}
	load("DAXSYNC_POLICY", "never-close");
	cr_expect_eq(dxs_config.policy, DXS_POLICY_NEVER_CLOSE);
	load("DAXSYNC_POLICY", "adaptive");
	cr_expect_eq(dxs_config.policy, DXS_POLICY_ADAPTIVE);
	load("DAXSYNC_LOG", "debug");
	cr_expect_eq(dxs_log_level, DXS_LOG_DEBUG);
	load("DAXSYNC_LOG", "error");
	cr_expect_eq(dxs_log_level, DXS_LOG_ERROR);
}

Test(config, flags_are_read)
{
	cr_expect_str_empty(load("DAXSYNC_EMULATE", "1"));
	cr_expect(dxs_config.emulate);
	cr_expect_str_empty(load("DAXSYNC_EMULATE", "0"));
	cr_expect_not(dxs_config.emulate);
	load("DAXSYNC_STRICT", "1");
	cr_expect(dxs_config.strict);
}

Test(config, wrong_value_is_one_line_with_name_value_choices_and_default)
{
	cr_expect_str_eq(load("DAXSYNC_ENGINE", "ufd"), "daxsync: DAXSYNC_ENGINE: not one of auto|uffd|mprotect; "
							"auto is used instead of \"ufd\"\n");
	cr_expect_eq(dxs_config.engine, DXS_ENGINE_AUTO);
	cr_expect_str_eq(load("DAXSYNC_EMULATE", "yes"),
			 "daxsync: DAXSYNC_EMULATE: not one of 0|1; 0 is used instead of \"yes\"\n");
	cr_expect_not(dxs_config.emulate);
}

Test(config, prefix_or_extension_of_a_word_is_wrong)
{
	static const char *const values[] = {"uff",   "uffd-", "uffd-thread", "uffd|mprotect",
					     "auto|", "|",     "UFFD",        " uffd"};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		cr_expect_eq(count_lines(load("DAXSYNC_ENGINE", values[i])), 1, "%s", values[i]);
		cr_expect_eq(dxs_config.engine, DXS_ENGINE_AUTO);
	}
}

Test(config, wrong_value_is_told_at_every_log_level)
{
	setenv("DAXSYNC_LOG", "error", 1);
	cr_expect_eq(count_lines(load("DAXSYNC_STRICT", "on")), 1);
}

Test(config, empty_variable_is_an_unset_one)
{
	cr_expect_str_empty(load("DAXSYNC_ENGINE", ""));
	cr_expect_str_empty(load("DAXSYNC_POWERCUT", ""));
	cr_expect_str_empty(load("DAXSYNC_STATS", ""));
	cr_expect_str_empty(dxs_config.stats);
}

Test(config, powercut_takes_a_fence_and_a_seed)
{
	cr_expect_str_empty(load_emulated("DAXSYNC_POWERCUT", "17"));
	cr_expect_eq(dxs_config.powercut_at, 17);
	cr_expect_eq(dxs_config.powercut_seed, 0);
	cr_expect_str_empty(load_emulated("DAXSYNC_POWERCUT", "18446744073709551615:42"));
	cr_expect_eq(dxs_config.powercut_at, UINT64_MAX);
	cr_expect_eq(dxs_config.powercut_seed, 42);
}

Test(config, powercut_refuses_everything_else)
{
	static const char *const values[] = {"0",  "-1", "+1",   "x",   "1:",   ":1",  "1:2:3",
					     "1 ", " 1", "0x10", "1;2", "1:-1", "1:x", "18446744073709551616"};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		cr_expect_eq(count_lines(load_emulated("DAXSYNC_POWERCUT", values[i])), 1, "%s", values[i]);
		cr_expect_eq(dxs_config.powercut_at, 0, "%s", values[i]);
	}
}

Test(config, relative_path_is_kept_absolute)
{
	char expected[PATH_MAX + 16];

	cr_assert_eq(chdir("/tmp"), 0);
	load("DAXSYNC_STATS", "dir/stats.%p.json");
	cr_expect_str_eq(dxs_config.stats, "/tmp/dir/stats.%p.json");
	cr_assert_eq(chdir("/"), 0);
	load("DAXSYNC_IMAGE_DIR", "images");
	cr_expect_str_eq(dxs_config.image_dir, "/images");
	snprintf(expected, sizeof(expected), "/as/it/is");
	load("DAXSYNC_IMAGE_DIR", expected);
	cr_expect_str_eq(dxs_config.image_dir, expected);
}

Test(config, lost_current_directory_refuses_a_relative_path)
{
	char dir[] = "/tmp/dxs-config-XXXXXX";

	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(chdir(dir), 0);
	cr_assert_eq(rmdir(dir), 0);
	cr_expect_eq(count_lines(load("DAXSYNC_STATS", "stats.json")), 1);
	cr_expect_str_empty(dxs_config.stats);
}

Test(config, dash_is_stderr_for_the_statistics_only)
{
	cr_assert_eq(chdir("/tmp"), 0);
	load("DAXSYNC_STATS", "-");
	cr_expect_str_eq(dxs_config.stats, "-");
	load("DAXSYNC_IMAGE_DIR", "-");
	cr_expect_str_eq(dxs_config.image_dir, "/tmp/-");
}

Test(config, too_long_value_is_refused_in_one_line)
{
	static char value[PATH_MAX + 1];

	value[0] = '/';
	memset(value + 1, 'a', PATH_MAX - 2);
	cr_expect_str_empty(load("DAXSYNC_IMAGE_DIR", value));
	cr_expect_eq(strlen(dxs_config.image_dir), PATH_MAX - 1);
	value[PATH_MAX - 1] = 'a';
	cr_expect_eq(count_lines(load("DAXSYNC_IMAGE_DIR", value)), 1);
	cr_expect_not_null(strstr(out.text, "DAXSYNC_IMAGE_DIR: longer than 4095 bytes"));
	cr_expect_str_empty(dxs_config.image_dir);
}

Test(config, unknown_variable_is_named)
{
	load("DAXSYNC_VERFY", "1");
	cr_expect_eq(count_lines(out.text), 1);
	cr_expect_not_null(strstr(out.text, "DAXSYNC_VERFY is no setting"));
	cr_expect_eq(count_lines(load("DAXSYNC_", "1")), 1);
	cr_expect_eq(count_lines(load("DAXSYNC_ENGINES", "uffd")), 1);
	cr_expect_str_empty(load("DAXSYNCED", "1"));
}

Test(config, settings_void_without_emulation_are_dropped_in_one_line)
{
	load("DAXSYNC_POWERCUT", "3");
	cr_expect_str_eq(out.text, "daxsync: ignored without DAXSYNC_EMULATE=1: DAXSYNC_POWERCUT\n");
	cr_expect_eq(dxs_config.powercut_at, 0);
}

Test(config, settings_of_the_emulation_are_kept_with_it)
{
	cr_expect_str_empty(load_emulated("DAXSYNC_POWERCUT", "3"));
	cr_expect_eq(dxs_config.powercut_at, 3);
}

Test(config, second_load_forgets_the_first)
{
	load_emulated("DAXSYNC_POWERCUT", "3");
	unsetenv("DAXSYNC_EMULATE");
	unsetenv("DAXSYNC_POWERCUT");
	dxs_config_load();
	cr_expect_not(dxs_config.emulate);
	cr_expect_eq(dxs_config.powercut_at, 0);
}

Test(config, what_an_injector_reads_is_a_setting_only_beside_it)
{
	static const struct dxs_injector injector = {.variable = "DAXSYNC_FAULT"};

	load("DAXSYNC_FAULT", "skip-flush");
	cr_expect_not_null(strstr(out.text, "DAXSYNC_FAULT is no setting of daxsync"));
	dxs_injector = &injector;
	cr_expect_str_empty(load("DAXSYNC_FAULT", "skip-flush"));
}

Test(config, check_says_what_the_loader_would)
{
	char why[128];

	cr_expect_eq(dxs_config_check("DAXSYNC_ENGINE", "mprotect", why, sizeof(why)), 0);
	cr_expect_eq(dxs_config_check("DAXSYNC_ENGINE", "x", why, sizeof(why)), -EINVAL);
	cr_expect_str_eq(why, "not one of auto|uffd|mprotect");
	cr_expect_eq(dxs_config_check("DAXSYNC_NONE", "x", why, sizeof(why)), -EINVAL);
	cr_expect_eq(dxs_config_check("DAXSYNC_POWERCUT", "1:2", why, sizeof(why)), 0);
	cr_expect_eq(dxs_config_check("DAXSYNC_IMAGE_DIR", "anything", why, sizeof(why)), 0);
}

Test(config, files_are_chosen_by_both_pattern_lists)
{
	setenv("DAXSYNC_INCLUDE", "/data/*:/mnt/pmem?/*.db", 1);
	load("DAXSYNC_EXCLUDE", "*.tmp");
	cr_expect(dxs_config_wants("/data/deep/below/a.db"));
	cr_expect(dxs_config_wants("/mnt/pmem0/a.db"));
	cr_expect_not(dxs_config_wants("/mnt/pmem10/a.db"));
	cr_expect_not(dxs_config_wants("/home/a.db"));
	cr_expect_not(dxs_config_wants("/data/a.tmp"));
}
