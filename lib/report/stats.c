// SPDX-License-Identifier: BSD-3-Clause
// stats.c: counters, the histogram of sync durations, the table of mappings, and the report.
//
// CONCURRENCY
// Everything is lock-free and none of it orders anything else: a report taken while threads run may be a few events
// behind. The table of mappings only grows. A slot is claimed by one thread (BUSY), filled, and made READY; it never
// changes its key again. Two threads that add the same new key at once may fill a slot each, because neither waits for
// a BUSY one (its owner may be the very thread that a signal handler interrupted); the walk adds such slots up.
#include "report/stats.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/config.h"
#include "base/fd.h"
#include "base/filter.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sys.h"
#include "report/keeper.h"

#define NR_BUCKETS DXS_STATS_BUCKETS
#define NR_SLOTS DXS_STATS_SLOTS

enum slot_state { EMPTY, BUSY, READY };

struct dxs_stats dxs_stats;

// seq_cst, the default: it may be moved (fd.c), but nobody uses it without the registry's lock, after the start.
static _Atomic int shared_fd = -1;

static bool is_kept; // a keeper has a descriptor

// The report, in its order; the counters begin at FIRST_COUNTER.
#define FIRST_COUNTER 3
#define ROW(name, unit, meaning) {#name, unit, meaning},
static const struct dxs_stats_row rows[] = {
	{"version", "text", "of daxsync"},
	{"pid", "id", "of the process"},
	{"program", "text", "the name of the process, as the kernel has it"},
	DXS_COUNTERS(ROW) // of one process, from its start or its fork on
	{"sync_ns", "object", "how long syncs took: one in 61 is timed, the first among them"},
	{"sync_ns.count", "syncs", "that were timed"},
	{"sync_ns.p50", "ns", "half of them took no longer (within 7 %)"},
	{"sync_ns.p99", "ns", "99 of 100 took no longer (within 7 %)"},
	{"sync_ns.max", "ns", "the longest took so long"},
	{"sync_ns.octaves", "list", "how many took 0 or 1 ns, 2 or 3, 4 to 7, 8 to 15 and so on"},
	{"mappings", "list",
	 "the files that were mapped, also those that are not any more; one object for each mode and reason"},
	{"mappings.path", "text", "where the file was; a long path keeps its end, behind \"...\""},
	{"mappings.mode", "text", "what a sync of it does: pass, kernel, emulated, direct, byte"},
	{"mappings.engine", "text",
	 "how stores are noticed: uffd, mprotect; none: not at all; any: a change of mode of all mappings"},
	{"mappings.reason", "text", "why it has this mode"},
	{"mappings.bytes", "bytes", "the largest such mapping"},
	{"mappings.count", "mappings", "made so"},
	{"mappings_dropped", "mappings", "not in the list, which has room for 256 different ones"},
};

const struct dxs_stats_row *dxs_stats_rows(size_t *nr)
{
	*nr = sizeof(rows) / sizeof(rows[0]);
	return rows;
}

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
	add(&dxs_stats.bucket[bucket_of(ns)], 1);
	raise_to(&dxs_stats.longest_ns, ns);
}

static uint64_t percentile(uint64_t count, uint64_t percent)
{
	uint64_t rank = (count * percent + 99) / 100, seen = 0;
	size_t i;

	for (i = 0; i < NR_BUCKETS - 1; i++) {
		seen += get(&dxs_stats.bucket[i]);
		if (seen >= rank)
			break;
	}
	return dxs_min64(bucket_middle(i), get(&dxs_stats.longest_ns));
}

void dxs_stats_sync_ns_get(struct dxs_sync_ns *out)
{
	*out = (struct dxs_sync_ns){0};
	for (size_t i = 0; i < NR_BUCKETS; i++)
		out->count += get(&dxs_stats.bucket[i]);
	if (!out->count)
		return;
	out->p50 = percentile(out->count, 50);
	out->p99 = percentile(out->count, 99);
	out->max = get(&dxs_stats.longest_ns);
}

// Below 8 ns a bucket is one value, above each octave has 8 buckets.
uint64_t dxs_stats_octave(unsigned octave)
{
	size_t from = octave < 3 ? (octave ? 1U << octave : 0) : (octave - 2) * 8;
	size_t end = octave < 3 ? 2U << octave : from + 8;
	uint64_t nr = 0;

	for (size_t i = from; i < end; i++)
		nr += get(&dxs_stats.bucket[i]);
	return nr;
}

int dxs_stats_last_octave(void)
{
	int octave = 63;

	while (octave >= 0 && !dxs_stats_octave((unsigned)octave))
		octave--;
	return octave;
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

static void copy_text(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}

static uint32_t hash_of(const char *s)
{
	uint32_t hash = 2166136261; // FNV-1a

	while (*s)
		hash = (hash ^ (unsigned char)*s++) * 16777619;
	return hash;
}

static bool is_same(const struct dxs_stats_slot *slot, const struct dxs_stats_key *key, uint32_t hash)
{
	return slot->hash == hash && !strcmp(slot->key.path, key->path) && !strcmp(slot->key.mode, key->mode) &&
	       !strcmp(slot->key.engine, key->engine) && !strcmp(slot->key.reason, key->reason);
}

static bool is_ready(struct dxs_stats_slot *slot)
{
	// acquire: pairs with the release in fill(); a READY slot's key is there.
	return atomic_load_explicit(&slot->state, memory_order_acquire) == READY;
}

static bool claim(struct dxs_stats_slot *slot)
{
	int empty = EMPTY;

	// relaxed: nobody reads the slot before it is READY.
	return atomic_compare_exchange_strong_explicit(&slot->state, &empty, BUSY, memory_order_relaxed,
						       memory_order_relaxed);
}

static void fill(struct dxs_stats_slot *slot, const struct dxs_stats_key *key, uint32_t hash)
{
	slot->key = *key;
	slot->hash = hash;
	// release: pairs with the acquire in is_ready().
	atomic_store_explicit(&slot->state, READY, memory_order_release);
}

static struct dxs_stats_slot *find_or_make(const struct dxs_stats_key *key)
{
	uint32_t hash = hash_of(key->path);

	for (uint32_t i = 0; i < NR_SLOTS; i++) {
		struct dxs_stats_slot *slot = &dxs_stats.slot[(hash + i) % NR_SLOTS];

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
	struct dxs_stats_key key;
	struct dxs_stats_slot *slot;

	copy_path(key.path, sizeof(key.path), path);
	copy_text(key.mode, sizeof(key.mode), mode);
	copy_text(key.engine, sizeof(key.engine), engine);
	copy_text(key.reason, sizeof(key.reason), reason);
	slot = find_or_make(&key);
	if (!slot) {
		add(&dxs_stats.mappings_dropped, 1);
		return;
	}
	add(&slot->count, 1);
	raise_to(&slot->bytes, bytes);
}

// The next READY slot from `from` on with the key of `slot`, or with any key if that is NULL. NR_SLOTS: none.
static size_t next_slot(size_t from, const struct dxs_stats_slot *slot)
{
	while (from < NR_SLOTS &&
	       !(is_ready(&dxs_stats.slot[from]) && (!slot || is_same(&dxs_stats.slot[from], &slot->key, slot->hash))))
		from++;
	return from;
}

bool dxs_stats_map_next(size_t *cursor, struct dxs_stats_map *out)
{
	size_t at = next_slot(*cursor, NULL);

	while (at < NR_SLOTS && next_slot(0, &dxs_stats.slot[at]) != at) // a twin, reported already
		at = next_slot(at + 1, NULL);
	*cursor = at + 1;
	if (at >= NR_SLOTS)
		return false;
	out->mode = dxs_stats.slot[at].key.mode;
	out->engine = dxs_stats.slot[at].key.engine;
	out->reason = dxs_stats.slot[at].key.reason;
	memcpy(out->path, dxs_stats.slot[at].key.path, sizeof(out->path));
	out->bytes = out->count = 0;
	for (size_t i = at; i < NR_SLOTS; i = next_slot(i + 1, &dxs_stats.slot[at])) {
		out->count += get(&dxs_stats.slot[i].count);
		out->bytes = dxs_max64(out->bytes, get(&dxs_stats.slot[i].bytes));
	}
	return true;
}

// Of all kinds, one after the other.
static struct dxs_site *site_at(size_t i)
{
	return &dxs_stats.site[i / DXS_SITES][i % DXS_SITES];
}

static void forget(void)
{
	for (size_t i = 0; i < DXS_NR_COUNTERS; i++)
		set(&dxs_stats.counter[i], 0);
	for (size_t i = 0; i < NR_BUCKETS; i++)
		set(&dxs_stats.bucket[i], 0);
	for (size_t i = 0; i < NR_SLOTS; i++) {
		if (atomic_load_explicit(&dxs_stats.slot[i].state, memory_order_relaxed) == EMPTY)
			continue;
		set(&dxs_stats.slot[i].bytes, 0);
		set(&dxs_stats.slot[i].count, 0);
		atomic_store_explicit(&dxs_stats.slot[i].state, EMPTY, memory_order_relaxed); // one thread: see stats.h
	}
	for (size_t i = 0; i < DXS_NR_SITE_KINDS * DXS_SITES; i++) {
		set(&site_at(i)->count, 0);
		atomic_store_explicit(&site_at(i)->state, EMPTY, memory_order_relaxed); // as above
	}
	for (size_t i = 0; i < DXS_NR_SITE_KINDS; i++)
		set(&dxs_stats.sites_dropped[i], 0);
	set(&dxs_stats.longest_ns, 0);
	set(&dxs_stats.mappings_dropped, 0);
}

// The child's own pages in the place of those that it shares with the parent.
static void unshare(void)
{
	int fd = shared_fd;

	shared_fd = -1;
	is_kept = false;
	if (dxs_is_err(dxs_sys_mmap(&dxs_stats, sizeof(dxs_stats), PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)))
		return; // then both count there
	dxs_fd_close(fd);
	dxs_stats_share();
}

void dxs_stats_reset(void)
{
	if (shared_fd >= 0)
		unshare();
	else
		forget();
}

// All its memory at once, so that a store never lacks a page, and never a different size: other processes can open it.
static int shared_make(void)
{
	int fd = (int)dxs_sys6(SYS_memfd_create, (long)DXS_STATS_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING, 0, 0, 0, 0);

	if (fd < 0)
		return fd;
	dxs_stats.size = sizeof(dxs_stats);
	memcpy(dxs_stats.version, DXS_VERSION, sizeof(DXS_VERSION));
	dxs_sys6(SYS_prctl, PR_GET_NAME, (long)dxs_stats.program, 0, 0, 0, 0);
	if (!dxs_sys_grow(SYS_fallocate, fd, 0, 0, sizeof(dxs_stats)) &&
	    dxs_sys6(SYS_pwrite64, fd, (long)&dxs_stats, sizeof(dxs_stats), 0, 0, 0) == sizeof(dxs_stats) &&
	    !dxs_sys6(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, 0, 0, 0))
		return fd;
	dxs_sys_close(fd);
	return -ENOMEM;
}

void dxs_stats_share(void)
{
	int fd = shared_fd < 0 ? shared_make() : -1;

	if (fd < 0)
		return;
	// What other threads count since it was written is lost.
	if (dxs_is_err(dxs_sys_mmap(&dxs_stats, sizeof(dxs_stats), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
				    0))) {
		dxs_sys_close(fd);
		return;
	}
	shared_fd = dxs_fd_hide(fd);
	dxs_fd_register(shared_fd, &shared_fd);
	is_kept = *dxs_config.keeper && !dxs_is_filtered() && !dxs_keeper_send(dxs_config.keeper, shared_fd);
}

void dxs_stats_begin(void)
{
	dxs_sigset set;

	if (!*dxs_config.keeper)
		return;
	if (dxs_config.watch)
		dxs_sites_begin();
	set = dxs_sig_block();
	dxs_stats_share();
	dxs_sig_setmask(set);
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

// is_over: of one that has ended, whose number may be another's now.
static void add_program(struct dxs_json *json, int pid, bool is_over)
{
	char name[64] = "", path[32];
	struct dxs_text text;
	int fd = -1;

	copy_text(name, sizeof(dxs_stats.program), dxs_stats.program);

	dxs_text_init(&text, path, sizeof(path));
	dxs_text_add(&text, "/proc/%d/comm", pid);
	if (!is_over)
		fd = dxs_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
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
	dxs_json_key(json, "octaves");
	dxs_json_open(json, '[');
	for (int i = 0; i <= dxs_stats_last_octave(); i++)
		dxs_json_u64(json, dxs_stats_octave((unsigned)i));
	dxs_json_close(json, ']');
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
	add_field(json, "mappings_dropped", get(&dxs_stats.mappings_dropped));
}

static int write_json(int pid, bool is_over, int fd)
{
	struct dxs_json json;

	dxs_json_init(&json, fd);
	dxs_json_open(&json, '{');
	add_text_field(&json, "version", DXS_VERSION);
	add_field(&json, "pid", (uint64_t)pid);
	add_program(&json, pid, is_over);
	for (size_t i = 0; i < DXS_NR_COUNTERS; i++)
		add_field(&json, rows[FIRST_COUNTER + i].key, dxs_counter_get((enum dxs_counter)i));
	add_sync_ns(&json);
	add_mappings(&json);
	dxs_json_close(&json, '}');
	return dxs_json_finish(&json);
}

int dxs_stats_write_json(int fd)
{
	return write_json((int)dxs_sys6(SYS_getpid, 0, 0, 0, 0, 0, 0), false, fd);
}

// What another process has written need not end.
static void end_texts(void)
{
	for (size_t i = 0; i < NR_SLOTS; i++) {
		struct dxs_stats_key *key = &dxs_stats.slot[i].key;

		key->path[sizeof(key->path) - 1] = key->mode[sizeof(key->mode) - 1] = '\0';
		key->engine[sizeof(key->engine) - 1] = key->reason[sizeof(key->reason) - 1] = '\0';
	}
	for (size_t i = 0; i < DXS_NR_SITE_KINDS * DXS_SITES; i++)
		site_at(i)->path[sizeof(site_at(i)->path) - 1] = '\0';
	dxs_stats.program[sizeof(dxs_stats.program) - 1] = '\0';
}

int dxs_stats_read(int fd)
{
	long len = dxs_sys_pread(fd, &dxs_stats, sizeof(dxs_stats), 0);

	if (len < 0)
		return (int)len;
	if (len != (long)sizeof(dxs_stats) || dxs_stats.size != sizeof(dxs_stats) ||
	    strncmp(dxs_stats.version, DXS_VERSION, sizeof(dxs_stats.version)))
		return -EINVAL;
	end_texts();
	return 0;
}

int dxs_stats_write_json_of(int pid, int fd, int out)
{
	int err = dxs_stats_read(fd);

	return err ? err : write_json(pid, false, out);
}

bool dxs_stats_expand(struct dxs_text *out, const char *pattern, int pid)
{
	bool is_own = false;

	for (const char *s = pattern; *s; s++) {
		if (s[0] == '%' && s[1] == 'p') {
			dxs_text_add(out, "%d", pid);
			is_own = true;
			s++;
		} else {
			dxs_text_add(out, "%c", *s);
		}
	}
	return is_own;
}

// O_NONBLOCK: a FIFO that nobody reads fails (ENXIO), instead of keeping the process for ever.
static int write_file(const char *path, int pid, bool is_over)
{
	int fd = dxs_sys_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	int ret;

	if (fd < 0)
		return fd;
	ret = write_json(pid, is_over, fd);
	dxs_sys_close(fd);
	return ret;
}

// A process that has mapped nothing, nor synced what it has inherited, has nothing to tell. Many are short-lived children, in
// sandboxes and under users that may not write there, whose words would only stand in the way.
bool dxs_stats_any(void)
{
	return next_slot(0, NULL) < NR_SLOTS || dxs_counter_get(DXS_syncs) || dxs_counter_get(DXS_traps);
}

static void write_to(const char *path, int pid, bool is_over)
{
	int ret;

	if (!strcmp(path, "-"))
		ret = dxs_log_is_heard() ? write_json(pid, is_over, STDERR_FILENO) : 0;
	else
		ret = write_file(path, pid, is_over);
	if (ret && dxs_stats_any())
		dxs_error("the statistics cannot be written to %s: %s", path,
			  ret == -ENXIO ? "nobody reads there" : strerrordesc_np(-ret));
}

void dxs_stats_write_to(const char *path, int pid)
{
	write_to(path, pid, true);
}

// Whether the keeper will write the report. The exchange is the last that this process has to do with it.
static bool is_left(void)
{
	uint32_t keeping = DXS_STATS_KEPT;

	return is_kept && (atomic_compare_exchange_strong(&dxs_stats.keeping, &keeping, DXS_STATS_LEFT) ||
			   keeping == DXS_STATS_LEFT);
}

// The launcher's own child, as the keeper's name has it (preload/launcher/keeper.c), has the name without a process id.
static bool is_launchers(void)
{
	char name[sizeof(dxs_config.keeper)];
	struct dxs_text text;

	dxs_text_init(&text, name, sizeof(name));
	dxs_text_add(&text, "daxsync-%ld-", dxs_sys6(SYS_getppid, 0, 0, 0, 0, 0, 0));
	return !strncmp(name, dxs_config.keeper, text.len);
}

void dxs_stats_report(void)
{
	int pid = (int)dxs_sys6(SYS_getpid, 0, 0, 0, 0, 0, 0);
	char path[PATH_MAX + 64];
	struct dxs_text text;

	if (!*dxs_config.stats || is_left())
		return;
	dxs_text_init(&text, path, sizeof(path));
	if (!dxs_stats_expand(&text, dxs_config.stats, pid) && *dxs_config.keeper && strcmp(path, "-") &&
	    !is_launchers())
		dxs_text_add(&text, ".%d", pid);
	write_to(path, pid, false);
}
