// SPDX-License-Identifier: BSD-3-Clause
// stats.h: what the library counts. One table gives each counter its name, unit and meaning; the JSON report, the
// API and the documentation come from it.
#ifndef DXS_STATS_H
#define DXS_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report/sites.h"

#pragma GCC visibility push(default) // the shim uses these

// X(name, unit, meaning)
#define DXS_COUNTERS(X)                                                                                                \
	X(syncs, "calls", "msync(MS_SYNC), fsync, fdatasync and daxsync_sync calls that met a tracked file")           \
	X(syncs_grouped, "calls", "of these, served by a sync that another thread ran")                                \
	X(sync_errors, "calls", "of these, that returned an error; the range stayed dirty")                            \
	X(traps, "traps", "stores to closed pages")                                                                    \
	X(traps_foreign, "traps", "SIGBUS or SIGSEGV handed on to the application")                                    \
	X(pages_opened, "pages", "made writable by a trap or a pin")                                                   \
	X(pages_closed, "pages", "write-protected again by a sync")                                                    \
	X(pages_closed_cold, "pages",                                                                                  \
	  "policy adaptive: of these, at the first sync, as nothing says that they come back")                         \
	X(pages_closed_aged, "pages",                                                                                  \
	  "policy adaptive: of these, after as many flushes as they were to stay open for")                            \
	X(pages_closed_early, "pages", "policy adaptive: of these, before that, with a neighbour or for lack of room") \
	X(pages_back_soon, "pages",                                                                                    \
	  "policy adaptive: stored to soon after they were closed, and left open longer next")                         \
	X(pages_kept_open, "pages", "flushed and left writable by a sync")                                             \
	X(pages_flushed, "pages", "flushed by syncs, each time counted")                                               \
	X(bytes_flushed, "bytes", "handed to the flush function")                                                      \
	X(fences, "fences", "store fences executed after flushes")                                                     \
	X(kernel_syncs, "calls", "sync calls passed on to the kernel for a file that daxsync knows")                   \
	X(kernel_syncs_fsync, "calls", "of these, fsync and fdatasync, which always end with the kernel's")            \
	X(kernel_syncs_write, "calls", "of these, because write(2) or a call like it had changed the file")            \
	X(kernel_syncs_resize, "calls", "of these, because ftruncate, fallocate or a call like it had changed it")     \
	X(kernel_syncs_mapping, "calls",                                                                               \
	  "of these, after a new mapping: what was written before it becomes durable too")                             \
	X(kernel_syncs_unseen, "calls", "of these, because stores may have been made that only the kernel can find")   \
	X(kernel_syncs_beside, "calls", "of these, because another thread was inside a kernel sync of the same file")  \
	X(kernel_syncs_others, "calls", "of these, because another process wrote the file as well")                    \
	X(kernel_syncs_stream, "calls", "of these, because a stdio stream or asynchronous I/O writes the file")        \
	X(kernel_syncs_policy, "calls", "of these, while the file was handed over to the kernel")                      \
	X(kernel_syncs_mode, "calls", "of these, in mode kernel for another reason, which `mappings` has")             \
	X(to_kernel, "times", "a file went to mode kernel, because another process writes it as well or otherwise")    \
	X(from_kernel, "times", "a file came back, after a kernel sync with no other writer left")                     \
	X(handed_over, "times",                                                                                        \
	  "a file was handed over to the kernel, as its pages do not come back, or for a setting")                     \
	X(taken_back, "times", "such a file was tracked again, to look whether they do now, or for an ftruncate")      \
	X(flush_faults, "runs", "flushes that ended in a SIGBUS: beyond the end of the file, or a bad block")          \
	X(all_open, "times", "tracking was given up for a mapping and all of it taken as dirty")                       \
	X(chunks_armed, "chunks", "2 MiB parts of a sparse mapping closed for the first time")                         \
	X(tree_bytes, "bytes", "memory of dirty trees in use")                                                         \
	X(verified_pages, "pages", "compared with the durable image after syncs")                                      \
	X(missed_pages, "pages", "found neither marked nor equal to the durable image: lost, had power failed")

#define DXS_COUNTER_ENUM(name, unit, meaning) DXS_##name,
enum dxs_counter { DXS_COUNTERS(DXS_COUNTER_ENUM) DXS_NR_COUNTERS };
#undef DXS_COUNTER_ENUM

// What a mapping is recorded under.
struct dxs_stats_key {
	char path[256]; // a longer one keeps its end, behind "..."
	char mode[16], engine[32], reason[128];
};

struct dxs_stats_slot {
	_Atomic int state; // release when it is READY, acquire: before the key is read (stats.c)
	uint32_t hash;
	_Atomic uint64_t bytes, count; // relaxed: statistics
	struct dxs_stats_key key;
};

#define DXS_STATS_BUCKETS 496 // of durations: the last one ends at 2^64
#define DXS_STATS_SLOTS 256

// Who writes the report of a process whose statistics a keeper has (keeper.h): the keeper when the process has ended; the
// process at its end, where the keeper's own end has come before. KEPT is the only one that changes, by one exchange.
enum dxs_stats_keeping { DXS_STATS_KEPT, DXS_STATS_LEFT, DXS_STATS_GIVEN_BACK };

// All of it, in pages of its own: they are shared memory once something is tracked, for `daxsync stat`.
struct dxs_stats {
	uint64_t size; // of this structure
	char version[24];
	char program[16]; // as the kernel calls it (comm)
	// seq_cst, the default: relaxed would do. One exchange decides; partner: give_back in the launcher's keeper.c.
	_Atomic uint32_t keeping; // enum dxs_stats_keeping
	// relaxed, all: statistics.
	_Atomic uint64_t counter[DXS_NR_COUNTERS];
	_Atomic uint64_t bucket[DXS_STATS_BUCKETS];
	_Atomic uint64_t longest_ns;
	_Atomic uint64_t mappings_dropped;
	_Atomic uint64_t sites_dropped[DXS_NR_SITE_KINDS];
	struct dxs_site site[DXS_NR_SITE_KINDS][DXS_SITES];
	struct dxs_stats_slot slot[DXS_STATS_SLOTS];
} __attribute__((aligned(4096)));

extern struct dxs_stats dxs_stats;

// relaxed: a counter orders nothing; a report may be a few events behind.
static inline void dxs_count_add(enum dxs_counter counter, uint64_t nr)
{
	atomic_fetch_add_explicit(&dxs_stats.counter[counter], nr, memory_order_relaxed);
}

#define dxs_count(name, nr) dxs_count_add(DXS_##name, (nr))

static inline uint64_t dxs_counter_get(enum dxs_counter counter)
{
	return atomic_load_explicit(&dxs_stats.counter[counter], memory_order_relaxed);
}

// One sync in so many is timed, the first among them, and each one where somebody has asked for a report (sites.h): reading
// the clock twice costs as much as the flush of a page. A prime: where syncs of different kinds take turns, all kinds are
// timed.
#define DXS_STATS_SYNCS_TIMED 61

// Adds the duration of one sync to the histogram behind sync_ns (8 buckets an octave: percentiles within 7 %).
// Lock-free, async-signal-safe.
void dxs_stats_sync_ns(uint64_t ns);

struct dxs_sync_ns {
	uint64_t count, p50, p99, max;
};
void dxs_stats_sync_ns_get(struct dxs_sync_ns *out);

uint64_t dxs_now_ns(void);

// What became of the mappings of one file: kept after the mapping is gone, for the report.
struct dxs_stats_map {
	char path[256];     // a longer one keeps its end, behind "..."
	const char *mode;   // these three as long as the table
	const char *engine; // "none" where nothing tracks
	const char *reason; // why this mode
	uint64_t bytes;     // the largest such mapping
	uint64_t count;     // how many such mappings were made
};

// Records a mapping under (path, mode, engine, reason). The table holds 256 different ones; beyond, they are counted
// as `mappings_dropped`. Lock-free, async-signal-safe.
void dxs_stats_map_add(const char *path, const char *mode, const char *engine, const char *reason, uint64_t bytes);

// Syncs that took from 2^octave ns on to twice that, octave 0 to 63; and the last that has any, -1: none.
uint64_t dxs_stats_octave(unsigned octave);
int dxs_stats_last_octave(void);

// Walks the table: `cursor` starts at 0; false at the end.
bool dxs_stats_map_next(size_t *cursor, struct dxs_stats_map *out);

// Writes the report as one JSON object to `fd` (no malloc, no stdio). 0 or -errno.
int dxs_stats_write_json(int fd);

// Writes the report to DAXSYNC_STATS, if that is set and no keeper does. Called once at exit.
void dxs_stats_report(void);

// In a forked child, before its second thread: everything counted so far is the parent's.
void dxs_stats_reset(void);

// From now on other processes can read the statistics: they are shared memory, which a hidden descriptor leads to
// (/proc/PID/fd), and which the keeper gets, if there is one. Without the memory for that they stay private. Signals are
// blocked, one thread at a time.
void dxs_stats_share(void);

// Where there is a keeper, at the start: it gets to know of every process, whatever that will map. Context: init.
void dxs_stats_begin(void);

// For programs that keep no statistics themselves, about another process, of whose shared statistics fd is a descriptor.
#define DXS_STATS_NAME "daxsync-stats" // what the link in /proc/PID/fd shows

// Takes them over. 0; -EINVAL: not of this version; or another -errno.
int dxs_stats_read(int fd);

// Does that and writes the report. 0 or -errno.
int dxs_stats_write_json_of(int pid, int fd, int out);

// Of what was taken over: whether there is anything to tell, and the report to a file, or to standard error ("-"); an
// error is one line, if there is.
bool dxs_stats_any(void);
void dxs_stats_write_to(const char *path, int pid);

// A pattern with a process id in the place of every %p. False: it has none.
struct dxs_text;
bool dxs_stats_expand(struct dxs_text *out, const char *pattern, int pid);

// What the report holds, key by key, in its order: those of an object in it as OBJECT.KEY.
struct dxs_stats_row {
	const char *key, *unit, *meaning;
};
const struct dxs_stats_row *dxs_stats_rows(size_t *nr);

#pragma GCC visibility pop

#endif
