// SPDX-License-Identifier: BSD-3-Clause
// config.c: the table of settings and its reader.
#include "base/config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/injector.h"
#include "base/log.h"
#include "base/pattern.h"
#include "base/sys.h"

#define PREFIX "DAXSYNC_"
#define NR(array) (sizeof(array) / sizeof((array)[0]))
#define FIELD(field) offsetof(struct dxs_config, field), sizeof(dxs_config.field)

struct dxs_config dxs_config = {.log = DXS_LOG_WARN};

static const struct dxs_config_row rows[] = {
	{"DAXSYNC_EMULATE", "emulate", "0|1", "0",
	 "take every file that can be tracked for persistent memory; for tests: nothing becomes durable",
	 DXS_CONFIG_FLAG, false, FIELD(emulate)},
	{"DAXSYNC_ENGINE", "engine", "auto|uffd|mprotect", "auto", "how stores to closed pages are noticed",
	 DXS_CONFIG_CHOICE, false, FIELD(engine)},
	{"DAXSYNC_POLICY", "policy", "adaptive|always-close|never-close|kernel", "adaptive",
	 "which pages a sync write-protects again: as they have come back before, all, or none; or the kernel syncs",
	 DXS_CONFIG_CHOICE, false, FIELD(policy)},
	{"DAXSYNC_VERIFY", "verify", "0|1", "0",
	 "keep a durable image and compare it with memory after every sync; for tests", DXS_CONFIG_FLAG, false,
	 FIELD(verify)},
	{"DAXSYNC_POWERCUT", "powercut", "N[:SEED]", "",
	 "freeze the durable image at the N-th fence of the run and kill its processes; needs emulate",
	 DXS_CONFIG_POWERCUT, true, FIELD(powercut_at)},
	{"DAXSYNC_IMAGE_DIR", "image-dir", "PATH", "",
	 "the directory of the durable images; the option makes it if there is none", DXS_CONFIG_DIR, false,
	 FIELD(image_dir)},
	{"DAXSYNC_REGISTRY", "registry", "PATH", "",
	 "the directory in which processes that write the same file find each other, which must exist; else the user's "
	 "own",
	 DXS_CONFIG_DIR, false, FIELD(registry)},
	{"DAXSYNC_STATS", "stats", "FILE", "",
	 "write the statistics at exit, as JSON; - is stderr, %p in the name the process id", DXS_CONFIG_FILE, false,
	 FIELD(stats)},
	{"DAXSYNC_STRICT", "strict", "0|1", "0", "fail an mmap that would be left to the kernel", DXS_CONFIG_FLAG,
	 false, FIELD(strict)},
	{"DAXSYNC_LOG", "log", "error|warn|info|debug", "warn", "what is worth a line on stderr", DXS_CONFIG_CHOICE,
	 false, FIELD(log)},
	{"DAXSYNC_INCLUDE", "include", "PATTERNS", "",
	 "track only files whose absolute path matches one of these shell patterns (':' between them)", DXS_CONFIG_TEXT,
	 false, FIELD(include)},
	{"DAXSYNC_EXCLUDE", "exclude", "PATTERNS", "", "do not track files whose absolute path matches one of these",
	 DXS_CONFIG_TEXT, false, FIELD(exclude)},
};

const struct dxs_config_row *dxs_config_rows(size_t *nr)
{
	*nr = NR(rows);
	return rows;
}

// The parsers: each checks `value` and, if `out` is given, stores it there. 0, or -EINVAL with the reason in `why`
// and nothing stored.

static int parse_choice(const struct dxs_config_row *row, const char *value, int *out, struct dxs_text *why)
{
	size_t len = strlen(value);
	int index = 0;

	for (const char *word = row->values; word; index++) {
		const char *end = strchr(word, '|');
		size_t word_len = end ? (size_t)(end - word) : strlen(word);

		if (word_len == len && !memcmp(word, value, len)) {
			if (out)
				*out = index;
			return 0;
		}
		word = end ? end + 1 : NULL;
	}
	dxs_text_add(why, "not one of %s", row->values);
	return -EINVAL;
}

static int parse_flag(const struct dxs_config_row *row, const char *value, bool *out, struct dxs_text *why)
{
	int index = 0;
	int ret = parse_choice(row, value, &index, why);

	if (!ret && out)
		*out = index == 1;
	return ret;
}

// Reads decimal digits up to the first other character. Returns where that is, or NULL without any or on overflow.
static const char *parse_u64(const char *s, uint64_t *out)
{
	const char *start = s;
	uint64_t value = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
			return NULL;
	*out = value;
	return s == start ? NULL : s;
}

static int parse_powercut(const char *value, struct dxs_config *out, struct dxs_text *why)
{
	uint64_t at = 0, seed = 0;
	const char *end = parse_u64(value, &at);

	if (end && *end == ':')
		end = parse_u64(end + 1, &seed);
	if (!end || *end || !at) {
		dxs_text_add(why, "not N or N:SEED, decimal numbers, N from 1");
		return -EINVAL;
	}
	if (out) {
		out->powercut_at = at;
		out->powercut_seed = seed;
	}
	return 0;
}

static int store_text(const char *prefix, const char *value, char *out, size_t size, struct dxs_text *why)
{
	size_t prefix_len = strlen(prefix), len = strlen(value);

	if (prefix_len + len >= size) {
		dxs_text_add(why, "longer than %zu bytes", size - 1);
		return -EINVAL;
	}
	if (out) {
		memcpy(out, prefix, prefix_len);
		memcpy(out + prefix_len, value, len + 1);
	}
	return 0;
}

// The program may change its directory before the path is used.
static int parse_path(const char *value, char *out, size_t size, struct dxs_text *why)
{
	char dir[PATH_MAX] = "";
	long len;

	if (*value == '/')
		return store_text("", value, out, size, why);
	len = dxs_sys6(SYS_getcwd, (long)dir, sizeof(dir) - 1, 0, 0, 0, 0);
	if (len < 2 || dir[0] != '/') {
		dxs_text_add(why, "relative, and the current directory is not known");
		return -EINVAL;
	}
	if (dir[len - 2] != '/') { // the length counts the NUL
		dir[len - 1] = '/';
		dir[len] = '\0';
	}
	return store_text(dir, value, out, size, why);
}

// `config` may be NULL: the value is only checked.
static int parse(const struct dxs_config_row *row, const char *value, struct dxs_config *config, struct dxs_text *why)
{
	void *out = config ? (char *)config + row->offset : NULL;

	switch (row->kind) {
	case DXS_CONFIG_FLAG:
		return parse_flag(row, value, out, why);
	case DXS_CONFIG_CHOICE:
		return parse_choice(row, value, out, why);
	case DXS_CONFIG_POWERCUT:
		return parse_powercut(value, config, why);
	case DXS_CONFIG_FILE:
		if (!strcmp(value, "-"))
			return store_text("", value, out, row->size, why);
		return parse_path(value, out, row->size, why);
	case DXS_CONFIG_DIR:
		return parse_path(value, out, row->size, why);
	case DXS_CONFIG_TEXT:
		break;
	}
	return store_text("", value, out, row->size, why);
}

static const struct dxs_config_row *find_row(const char *name, size_t len)
{
	for (size_t i = 0; i < NR(rows); i++)
		if (strlen(rows[i].name) == len && !memcmp(rows[i].name, name, len))
			return &rows[i];
	return NULL;
}

int dxs_config_check(const char *name, const char *value, char *why, size_t size)
{
	const struct dxs_config_row *row = find_row(name, strlen(name));
	struct dxs_text text;

	dxs_text_init(&text, why, size);
	if (!row) {
		dxs_text_add(&text, "no setting of daxsync");
		return -EINVAL;
	}
	return parse(row, value, NULL, &text);
}

static void reset(void)
{
	char buf[DXS_LOG_LINE];
	struct dxs_text why;

	memset(&dxs_config, 0, sizeof(dxs_config));
	dxs_text_init(&why, buf, sizeof(buf));
	for (size_t i = 0; i < NR(rows); i++)
		if (*rows[i].fallback)
			parse(&rows[i], rows[i].fallback, &dxs_config, &why);
}

// An empty variable is taken for one that is not set.
static void load_row(const struct dxs_config_row *row)
{
	const char *value = getenv(row->name);
	char buf[DXS_LOG_LINE];
	struct dxs_text why;

	if (!value || !*value)
		return;
	dxs_text_init(&why, buf, sizeof(buf));
	if (!parse(row, value, &dxs_config, &why)) {
		dxs_config.has_engine |= row->offset == offsetof(struct dxs_config, engine);
		dxs_config.has_policy |= row->offset == offsetof(struct dxs_config, policy);
		return;
	}
	if (*row->fallback)
		dxs_error("%s: %s; %s is used instead of \"%s\"", row->name, buf, row->fallback, value);
	else
		dxs_error("%s: %s; \"%s\" is ignored", row->name, buf, value);
}

static bool is_injectors(const char *name, size_t len)
{
	return dxs_injector && strlen(dxs_injector->variable) == len && !memcmp(dxs_injector->variable, name, len);
}

static void warn_unknown(void)
{
	for (char **entry = environ; entry && *entry; entry++) {
		const char *end = strchr(*entry, '=');
		size_t len = end ? (size_t)(end - *entry) : strlen(*entry);
		char name[128];
		struct dxs_text text;

		if (strncmp(*entry, PREFIX, strlen(PREFIX)) || find_row(*entry, len) || is_injectors(*entry, len))
			continue;
		dxs_text_init(&text, name, len + 1 < sizeof(name) ? len + 1 : sizeof(name));
		dxs_text_add(&text, "%s", *entry);
		dxs_error("%s is no setting of daxsync and has no effect (\"daxsync run --help\" lists them)", name);
	}
}

static bool is_set(const struct dxs_config_row *row)
{
	static const char nothing[sizeof(dxs_config.exclude)];
	size_t size = row->size < sizeof(nothing) ? row->size : sizeof(nothing);

	return memcmp((char *)&dxs_config + row->offset, nothing, size);
}

static void drop_without_emulate(void)
{
	char buf[DXS_LOG_LINE];
	struct dxs_text names;

	if (dxs_config.emulate)
		return;
	dxs_text_init(&names, buf, sizeof(buf));
	for (size_t i = 0; i < NR(rows); i++) {
		if (!rows[i].needs_emulate || !is_set(&rows[i]))
			continue;
		dxs_text_add(&names, "%s%s", names.len ? ", " : "", rows[i].name);
		memset((char *)&dxs_config + rows[i].offset, 0, rows[i].size);
	}
	if (names.len)
		dxs_error("ignored without DAXSYNC_EMULATE=1: %s", buf);
}

static void load_keeper(void)
{
	const char *name = getenv(DXS_KEEPER_VARIABLE);
	struct dxs_text text;

	dxs_text_init(&text, dxs_config.keeper, sizeof(dxs_config.keeper));
	dxs_text_add(&text, "%s", name ? name : "");
	dxs_config.watch = getenv(DXS_WATCH_VARIABLE);
}

void dxs_config_load(void)
{
	reset();
	if (!getauxval(AT_SECURE)) {
		load_keeper();
		for (size_t i = 0; i < NR(rows); i++)
			load_row(&rows[i]);
		warn_unknown();
		drop_without_emulate();
	}
	dxs_log_level = (enum dxs_log_level)dxs_config.log;
}

bool dxs_config_wants(const char *path)
{
	if (*dxs_config.include && !dxs_pattern_match_any(dxs_config.include, path))
		return false;
	return !dxs_pattern_match_any(dxs_config.exclude, path);
}
