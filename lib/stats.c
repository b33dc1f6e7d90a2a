// SPDX-License-Identifier: BSD-3-Clause
// stats.c: counters, the histogram of sync durations, the table of mappings, and the report.
//
// CONCURRENCY
// Everything is lock-free and none of it orders anything else: a report taken while threads run may be a few events
// behind. The table of mappings only grows. A slot is claimed by one thread (BUSY), filled, and made READY; it never
// changes its key again. Two threads that add the same new key at once may fill a slot each, because neither waits for
// a BUSY one (its owner may be the very thread that a signal handler interrupted); the walk adds such slots up.
#include "stats.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "json.h"
#include "log.h"
#include "sys.h"

#define NR_BUCKETS 496 // the last one ends at 2^64
#define NR_SLOTS 256

enum slot_state { EMPTY, BUSY, READY };

struct slot {
	_Atomic int state;
	uint32_t hash;
	_Atomic uint64_t bytes;
	_Atomic uint64_t count;
	struct dxs_stats_map key; // without bytes and count
};

_Atomic uint64_t dxs_counters[DXS_NR_COUNTERS];

static _Atomic uint64_t buckets[NR_BUCKETS];
static _Atomic uint64_t longest_ns;
static struct slot slots[NR_SLOTS];
static _Atomic uint64_t mappings_dropped;

#define COUNTER_NAME(name, unit, meaning) #name,
static const char *const counter_names[] = {DXS_COUNTERS(COUNTER_NAME)};

// relaxed, all four: statistics order nothing.
static uint64_t get(_Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void set(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static void add(_Atomic uint64_t *word, uint64_t nr)
{
	atomic_fetch_add_explicit(word, nr, memory_order_relaxed);
}

static void raise_to(_Atomic uint64_t *word, uint64_t value)
{
	uint64_t old = get(word);

	while (old < value &&
	       !atomic_compare_exchange_weak_explicit(word, &old, value, memory_order_relaxed, memory_order_relaxed))
		;
}

uint64_t dxs_now_ns(void)
{
	struct timespec now;
	int saved = errno;

	clock_gettime(CLOCK_MONOTONIC, &now);
	errno = saved;
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// Values below 8 have a bucket each, every octave above has 8 of equal width.
static size_t bucket_of(uint64_t ns)
{
	unsigned int shift;

	if (ns < 8)
		return ns;
	shift = 60 - (unsigned int)__builtin_clzl(ns);
	return (shift + 1) * 8 + ((ns >> shift) & 7);
}

static uint64_t bucket_middle(size_t bucket)
{
	size_t shift;

	if (bucket < 8)
		return bucket;
	shift = bucket / 8 - 1;
	return (((uint64_t)8 + bucket % 8) << shift) + (((uint64_t)1 << shift) >> 1);
}

void dxs_stats_sync_ns(uint64_t ns)
{
	add(&buckets[bucket_of(ns)], 1);
	raise_to(&longest_ns, ns);
}

static uint64_t percentile(uint64_t count, uint64_t percent)
{
	uint64_t rank = (count * percent + 99) / 100, seen = 0;
	size_t i;

	for (i = 0; i < NR_BUCKETS - 1; i++) {
		seen += get(&buckets[i]);
		if (seen >= rank)
			break;
	}
	return dxs_min64(bucket_middle(i), get(&longest_ns));
}

void dxs_stats_sync_ns_get(struct dxs_sync_ns *out)
{
	*out = (struct dxs_sync_ns){0};
	for (size_t i = 0; i < NR_BUCKETS; i++)
		out->count += get(&buckets[i]);
	if (!out->count)
		return;
	out->p50 = percentile(out->count, 50);
	out->p99 = percentile(out->count, 99);
	out->max = get(&longest_ns);
}

static void copy_path(char *out, size_t size, const char *path)
{
	size_t len = strlen(path);

	if (len < size) {
		memcpy(out, path, len + 1);
		return;
	}
	memcpy(out, "...", 3);
	memcpy(out + 3, path + len - (size - 4), size - 3);
}

static uint32_t hash_of(const char *s)
{
	uint32_t hash = 2166136261; // FNV-1a

	while (*s)
		hash = (hash ^ (unsigned char)*s++) * 16777619;
	return hash;
}

static bool is_same(const struct slot *slot, const struct dxs_stats_map *key, uint32_t hash)
{
	return slot->hash == hash && !strcmp(slot->key.path, key->path) && !strcmp(slot->key.mode, key->mode) &&
	       !strcmp(slot->key.engine, key->engine) && !strcmp(slot->key.reason, key->reason);
}

static bool is_ready(struct slot *slot)
{
	// acquire: pairs with the release in fill(); a READY slot's key is there.
	return atomic_load_explicit(&slot->state, memory_order_acquire) == READY;
}

static bool claim(struct slot *slot)
{
	int empty = EMPTY;

	// relaxed: nobody reads the slot before it is READY.
	return atomic_compare_exchange_strong_explicit(&slot->state, &empty, BUSY, memory_order_relaxed,
						       memory_order_relaxed);
}

static void fill(struct slot *slot, const struct dxs_stats_map *key, uint32_t hash)
{
	slot->key = *key;
	slot->hash = hash;
	// release: pairs with the acquire in is_ready().
	atomic_store_explicit(&slot->state, READY, memory_order_release);
}

static struct slot *find_or_make(const struct dxs_stats_map *key)
{
	uint32_t hash = hash_of(key->path);

	for (uint32_t i = 0; i < NR_SLOTS; i++) {
		struct slot *slot = &slots[(hash + i) % NR_SLOTS];

		if (is_ready(slot)) {
			if (is_same(slot, key, hash))
				return slot;
		} else if (claim(slot)) {
			fill(slot, key, hash);
			return slot;
		}
	}
	return NULL;
}

void dxs_stats_map_add(const char *path, const char *mode, const char *engine, const char *reason, uint64_t bytes)
{
	struct dxs_stats_map key = {.mode = mode, .engine = engine, .reason = reason};
	struct slot *slot;

	copy_path(key.path, sizeof(key.path), path);
	slot = find_or_make(&key);
	if (!slot) {
		add(&mappings_dropped, 1);
		return;
	}
	add(&slot->count, 1);
	raise_to(&slot->bytes, bytes);
}

// The next READY slot from `from` on with the key of `slot`, or with any key if that is NULL. NR_SLOTS: none.
static size_t next_slot(size_t from, const struct slot *slot)
{
	while (from < NR_SLOTS && !(is_ready(&slots[from]) && (!slot || is_same(&slots[from], &slot->key, slot->hash))))
		from++;
	return from;
}

bool dxs_stats_map_next(size_t *cursor, struct dxs_stats_map *out)
{
	size_t at = next_slot(*cursor, NULL);

	while (at < NR_SLOTS && next_slot(0, &slots[at]) != at) // a twin, reported already
		at = next_slot(at + 1, NULL);
	*cursor = at + 1;
	if (at >= NR_SLOTS)
		return false;
	*out = slots[at].key;
	for (size_t i = at; i < NR_SLOTS; i = next_slot(i + 1, &slots[at])) {
		out->count += get(&slots[i].count);
		out->bytes = dxs_max64(out->bytes, get(&slots[i].bytes));
	}
	return true;
}

void dxs_stats_reset(void)
{
	for (size_t i = 0; i < DXS_NR_COUNTERS; i++)
		set(&dxs_counters[i], 0);
	for (size_t i = 0; i < NR_BUCKETS; i++)
		set(&buckets[i], 0);
	for (size_t i = 0; i < NR_SLOTS; i++) {
		set(&slots[i].bytes, 0);
		set(&slots[i].count, 0);
		atomic_store_explicit(&slots[i].state, EMPTY, memory_order_relaxed); // one thread: see stats.h
	}
	set(&longest_ns, 0);
	set(&mappings_dropped, 0);
}

static void add_field(struct dxs_json *json, const char *key, uint64_t value)
{
	dxs_json_key(json, key);
	dxs_json_u64(json, value);
}

static void add_text_field(struct dxs_json *json, const char *key, const char *value)
{
	dxs_json_key(json, key);
	dxs_json_string(json, value);
}

static void add_program(struct dxs_json *json)
{
	char name[64] = "";
	int fd = dxs_sys_openat(AT_FDCWD, "/proc/self/comm", O_RDONLY | O_CLOEXEC, 0);

	if (fd >= 0) {
		long len = dxs_sys_pread(fd, name, sizeof(name) - 1, 0);

		name[len > 0 ? len - 1 : 0] = '\0'; // the newline
		dxs_sys_close(fd);
	}
	add_text_field(json, "program", name);
}

static void add_sync_ns(struct dxs_json *json)
{
	struct dxs_sync_ns ns;

	dxs_stats_sync_ns_get(&ns);
	dxs_json_key(json, "sync_ns");
	dxs_json_open(json, '{');
	add_field(json, "count", ns.count);
	add_field(json, "p50", ns.p50);
	add_field(json, "p99", ns.p99);
	add_field(json, "max", ns.max);
	dxs_json_close(json, '}');
}

static void add_mappings(struct dxs_json *json)
{
	struct dxs_stats_map map;
	size_t cursor = 0;

	dxs_json_key(json, "mappings");
	dxs_json_open(json, '[');
	while (dxs_stats_map_next(&cursor, &map)) {
		dxs_json_open(json, '{');
		add_text_field(json, "path", map.path);
		add_text_field(json, "mode", map.mode);
		add_text_field(json, "engine", map.engine);
		add_text_field(json, "reason", map.reason);
		add_field(json, "bytes", map.bytes);
		add_field(json, "count", map.count);
		dxs_json_close(json, '}');
	}
	dxs_json_close(json, ']');
	add_field(json, "mappings_dropped", get(&mappings_dropped));
}

int dxs_stats_write_json(int fd)
{
	struct dxs_json json;

	dxs_json_init(&json, fd);
	dxs_json_open(&json, '{');
	add_text_field(&json, "version", DXS_VERSION);
	add_field(&json, "pid", (uint64_t)dxs_sys6(SYS_getpid, 0, 0, 0, 0, 0, 0));
	add_program(&json);
	for (size_t i = 0; i < DXS_NR_COUNTERS; i++)
		add_field(&json, counter_names[i], dxs_counter_get((enum dxs_counter)i));
	add_sync_ns(&json);
	add_mappings(&json);
	dxs_json_close(&json, '}');
	return dxs_json_finish(&json);
}

// Puts the process id in the place of every %p.
static void expand(struct dxs_text *out, const char *pattern)
{
	for (const char *s = pattern; *s; s++) {
		if (s[0] == '%' && s[1] == 'p') {
			dxs_text_add(out, "%ld", dxs_sys6(SYS_getpid, 0, 0, 0, 0, 0, 0));
			s++;
		} else {
			dxs_text_add(out, "%c", *s);
		}
	}
}

static int write_file(const char *path)
{
	int fd = dxs_sys_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
	int ret;

	if (fd < 0)
		return fd;
	ret = dxs_stats_write_json(fd);
	dxs_sys_close(fd);
	return ret;
}

void dxs_stats_report(void)
{
	char path[PATH_MAX + 64];
	struct dxs_text text;
	int ret = -ENAMETOOLONG;

	if (!*dxs_config.stats)
		return;
	dxs_text_init(&text, path, sizeof(path));
	expand(&text, dxs_config.stats);
	if (!strcmp(path, "-"))
		ret = dxs_stats_write_json(STDERR_FILENO);
	else if (!text.cut)
		ret = write_file(path);
	if (ret)
		dxs_error("the statistics cannot be written to %s: %s", path, strerrordesc_np(-ret));
}
