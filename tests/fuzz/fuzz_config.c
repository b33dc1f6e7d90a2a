// SPDX-License-Identifier: BSD-3-Clause
// fuzz_config.c: an environment, one variable a line. A first line "secure" makes the program a set-uid one.
//
// Promised: each setting is what its row of the table makes of its variable, or else its default; each wrong value and each
// unknown name that begins with DAXSYNC_ is one harmless line, and nothing else is said. A set-uid program has all defaults
// and says nothing. dxs_config_check() agrees.
#include <limits.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "fuzz.h"

#define MOST 200

static bool is_secure;

unsigned long __real_getauxval(unsigned long type);
unsigned long __wrap_getauxval(unsigned long type);

unsigned long __wrap_getauxval(unsigned long type)
{
	return type == AT_SECURE ? is_secure : __real_getauxval(type);
}

static char text[8192], *entries[MOST + 1], cwd[PATH_MAX];

static void environment_make(const uint8_t *data, size_t size)
{
	size_t len = size < sizeof(text) - 1 ? size : sizeof(text) - 1, nr = 0;

	memcpy(text, data, len);
	text[len] = '\0';
	for (char *line = text, *next; line && nr < MOST; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		entries[nr++] = line;
	}
	entries[nr] = NULL;
	is_secure = !strcmp(entries[0], "secure");
}

static const char *value_of(const char *name)
{
	size_t len = strlen(name);

	for (char **entry = entries; *entry; entry++)
		if (!strncmp(*entry, name, len) && (*entry)[len] == '=')
			return (*entry)[len + 1] ? *entry + len + 1 : NULL;
	return NULL;
}

// The place of a word among those of a row, or -1.
static int word_index(const char *words, const char *word)
{
	int index = 0;

	for (const char *at = words;; index++) {
		size_t len = strcspn(at, "|");

		if (len == strlen(word) && !strncmp(at, word, len))
			return index;
		if (!at[len])
			return -1;
		at += len + 1;
	}
}

static bool is_number(const char *from, size_t len, uint64_t *value)
{
	unsigned __int128 all = 0;

	for (size_t i = 0; i < len; i++) {
		if (from[i] < '0' || from[i] > '9')
			return false;
		all = all * 10 + (unsigned)(from[i] - '0');
		if (all > UINT64_MAX)
			return false;
	}
	*value = (uint64_t)all;
	return len;
}

static bool expect_powercut(const char *value, struct dxs_config *out)
{
	size_t len = strcspn(value, ":");
	uint64_t at, seed = 0;

	if (!is_number(value, len, &at) || !at ||
	    (value[len] && !is_number(value + len + 1, strlen(value + len + 1), &seed)))
		return false;
	out->powercut_at = at;
	out->powercut_seed = seed;
	return true;
}

static bool expect_text(const struct dxs_config_row *row, const char *value, char *to)
{
	bool is_path = row->kind == DXS_CONFIG_DIR || (row->kind == DXS_CONFIG_FILE && strcmp(value, "-"));
	bool is_relative = is_path && *value != '/';
	const char *slash = is_relative && strcmp(cwd, "/") ? "/" : "";
	const char *start = is_relative ? cwd : "";

	if (strlen(start) + strlen(slash) + strlen(value) >= row->size)
		return false;
	snprintf(to, row->size, "%s%s%s", start, slash, value);
	return true;
}

// What a value makes of a setting; false: it is wrong, and nothing is changed.
static bool expect(const struct dxs_config_row *row, const char *value, struct dxs_config *out)
{
	char *to = (char *)out + row->offset;
	int index;

	if (row->kind == DXS_CONFIG_POWERCUT)
		return expect_powercut(value, out);
	if (row->kind != DXS_CONFIG_FLAG && row->kind != DXS_CONFIG_CHOICE)
		return expect_text(row, value, to);
	index = word_index(row->values, value);
	if (index >= 0 && row->kind == DXS_CONFIG_FLAG)
		*to = (char)index;
	else if (index >= 0)
		memcpy(to, &index, sizeof(index));
	return index >= 0;
}

static size_t unknown_names(const struct dxs_config_row *rows, size_t nr_rows)
{
	size_t nr = 0;

	for (char **entry = entries; *entry; entry++) {
		bool is_known = strncmp(*entry, "DAXSYNC_", 8) != 0;

		for (size_t i = 0; i < nr_rows; i++)
			is_known |= strcspn(*entry, "=") == strlen(rows[i].name) &&
				    !strncmp(*entry, rows[i].name, strlen(rows[i].name));
		nr += !is_known;
	}
	return nr;
}

// The settings that are expected; how many lines are said about them.
static size_t expect_all(struct dxs_config *out)
{
	size_t nr_rows, nr_lines = 0;
	const struct dxs_config_row *rows = dxs_config_rows(&nr_rows);
	char why[DXS_LOG_LINE];

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < nr_rows; i++) {
		const char *value = is_secure ? NULL : value_of(rows[i].name);

		if (*rows[i].fallback)
			PROMISE(expect(&rows[i], rows[i].fallback, out));
		if (!value)
			continue;
		PROMISE(!dxs_config_check(rows[i].name, value, why, sizeof(why)) == expect(&rows[i], value, out));
		nr_lines += !expect(&rows[i], value, out);
	}
	if (!is_secure)
		nr_lines += unknown_names(rows, nr_rows);
	if (!out->emulate && out->powercut_at) {
		out->powercut_at = 0;
		nr_lines++;
	}
	return nr_lines;
}

static size_t promise_lines(void)
{
	size_t nr = 0;

	for (size_t at = 0, len; at < written.len; at += len + 1, nr++) {
		const char *end = memchr(written.text + at, '\n', written.len - at);

		PROMISE(end);
		len = (size_t)(end - (written.text + at));
		PROMISE(len < DXS_LOG_LINE && !strncmp(written.text + at, "daxsync: ", 9));
		PROMISE(is_harmless(written.text + at, len));
	}
	return nr;
}

static void promise_same(const struct dxs_config *wanted)
{
	const struct dxs_config *now = &dxs_config;

	PROMISE(now->emulate == wanted->emulate && now->verify == wanted->verify && now->strict == wanted->strict);
	PROMISE(now->engine == wanted->engine && now->policy == wanted->policy && now->log == wanted->log);
	PROMISE(now->powercut_at == wanted->powercut_at);
	PROMISE(!now->powercut_at || now->powercut_seed == wanted->powercut_seed);
	PROMISE(!strcmp(now->image_dir, wanted->image_dir) && !strcmp(now->registry, wanted->registry));
	PROMISE(!strcmp(now->stats, wanted->stats) && !strcmp(now->include, wanted->include));
	PROMISE(!strcmp(now->exclude, wanted->exclude) && dxs_log_level == (enum dxs_log_level)wanted->log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dxs_config wanted;
	char **own = environ;
	size_t nr_lines;

	PROMISE(getcwd(cwd, sizeof(cwd)));
	environment_make(data, size);
	nr_lines = expect_all(&wanted);
	written_begin();
	environ = entries;
	dxs_config_load();
	environ = own;
	promise_same(&wanted);
	PROMISE(promise_lines() == nr_lines);
	return 0;
}
