// SPDX-License-Identifier: BSD-3-Clause
// config.h: the settings, read once from the environment. One table (config.c) holds name, values, default and
// meaning; parsing, the launcher's options and every help text come from it.
#ifndef DXS_CONFIG_H
#define DXS_CONFIG_H

#include <daxsync/daxsync.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default) // the shim uses these

#define DXS_TEXT_OF(token) #token
#define DXS_TEXT(macro) DXS_TEXT_OF(macro)
#define DXS_VERSION DXS_TEXT(DAXSYNC_VERSION_MAJOR) "." DXS_TEXT(DAXSYNC_VERSION_MINOR)

enum dxs_engine_choice {
	DXS_ENGINE_AUTO,
	DXS_ENGINE_UFFD, // userfaultfd
	DXS_ENGINE_MPROTECT,
};

enum dxs_policy_choice {
	DXS_POLICY_ADAPTIVE,
	DXS_POLICY_ALWAYS_CLOSE,
	DXS_POLICY_NEVER_CLOSE,
	DXS_POLICY_KERNEL,
};

struct dxs_config {
	bool emulate;
	bool verify;
	bool strict;
	int engine;               // enum dxs_engine_choice
	int policy;               // enum dxs_policy_choice
	int log;                  // enum dxs_log_level
	uint64_t powercut_at;     // the fence to cut at, 0: never
	uint64_t powercut_seed;   // seed of the coin
	char image_dir[PATH_MAX]; // absolute, or empty
	char registry[PATH_MAX];  // absolute; empty: the user's own (writers.c)
	char stats[PATH_MAX];     // "-" or absolute with %p, or empty
	char include[PATH_MAX];   // path patterns, ':' between them; empty: every file
	char exclude[PATH_MAX];
	char keeper[64];             // no setting: where the launcher takes the statistics (report/keeper.h), or empty
	bool watch;                  // no setting: it wants a report, for which syncs are timed and call sites counted
	bool has_engine, has_policy; // no settings: the environment has said which
};

// By which the launcher tells of it. It does not begin with DAXSYNC_, as it is none of the settings.
#define DXS_KEEPER_VARIABLE "_DAXSYNC_KEEPER"
#define DXS_WATCH_VARIABLE "_DAXSYNC_WATCH"

extern struct dxs_config dxs_config;

// Reads the environment (nothing of it in a set-uid program) into dxs_config and sets dxs_log_level. A wrong value is
// one line that names the variable, the value and what is allowed, and the default stays. So is a variable that begins
// with DAXSYNC_ and is no setting, and a setting that is void without DAXSYNC_EMULATE=1. These lines are errors to the
// log: a run that was meant to be verified and is not must not look like one. Context: init.
void dxs_config_load(void);

enum dxs_config_kind {
	DXS_CONFIG_FLAG,     // 0 or 1, to a bool; the launcher's option takes no value
	DXS_CONFIG_CHOICE,   // a word of `values`, to an int: its place there, so the order is that of the enum
	DXS_CONFIG_POWERCUT, // N[:SEED], to powercut_at and powercut_seed
	DXS_CONFIG_DIR,      // a path, stored absolute
	DXS_CONFIG_FILE,     // "-", or a path, stored absolute
	DXS_CONFIG_TEXT,     // stored as it is
};

// One row of the table, for the launcher and the documentation.
struct dxs_config_row {
	const char *name;     // "DAXSYNC_EMULATE"
	const char *option;   // "emulate"
	const char *values;   // "0|1"
	const char *fallback; // the default, "" for none
	const char *meaning;
	enum dxs_config_kind kind;
	bool needs_emulate; // void without DAXSYNC_EMULATE=1
	uint16_t offset;    // in struct dxs_config
	uint16_t size;      // of text there
};
const struct dxs_config_row *dxs_config_rows(size_t *nr);

// Checks one value as dxs_config_load would: 0, or -EINVAL with the reason in `why` ("not one of 0|1").
int dxs_config_check(const char *name, const char *value, char *why, size_t size);

// Whether a file is to be tracked, by DAXSYNC_INCLUDE and DAXSYNC_EXCLUDE (pattern.h). `path` is absolute.
// Context: hook.
bool dxs_config_wants(const char *path);

#pragma GCC visibility pop

#endif
