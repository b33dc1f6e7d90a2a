/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daxsync.h: durable stores to memory-mapped files on persistent memory, without a system call per sync.
 *
 * A program maps a file shared with daxsync_map(), or hands over a mapping it has made with daxsync_adopt(), stores
 * into it, and calls daxsync_sync() or daxsync_sync_file(). The library knows which pages were stored to and flushes
 * only those.
 *
 * CAVEATS
 *  - "Durable" holds for what the mode says (daxsync_mode_of()): in mode `emulated` nothing is durable, the library
 *    only behaves as if it were.
 *  - Stores by other processes, and by children after fork(), are not seen. After a fork the mode is `kernel`.
 *  - A mapping that the library knows must be changed and unmapped through the library (daxsync_unmap(),
 *    daxsync_release()) or under its shim. Changing it with the system's own munmap(), mremap() or mprotect() behind
 *    the library's back is undefined.
 *  - The library handles SIGSEGV and SIGBUS once the first mapping is tracked. Handlers that the program installs
 *    before are called for what is not the library's; without the shim, a program must not install new ones later.
 *  - Structures that begin with their size may grow: set `size` to the sizeof that the program was built with.
 *  - All functions return 0 (or a value) or a negative errno; errno itself is not changed. Unless a function says
 *    otherwise it may be called from any thread, may sleep, and is not async-signal-safe.
 */
#ifndef DAXSYNC_H
#define DAXSYNC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DAXSYNC_VERSION_MAJOR 0
#define DAXSYNC_VERSION_MINOR 1

/** The version of the library that is running, "MAJOR.MINOR". Async-signal-safe. */
const char *daxsync_version(void);

/** What a sync of a mapping does. */
enum daxsync_mode {
	DAXSYNC_MODE_PASS = 0,     /* not tracked: not on persistent memory, or excluded; the kernel does it all */
	DAXSYNC_MODE_KERNEL = 1,   /* marked pages are flushed, then the kernel's own sync is called */
	DAXSYNC_MODE_EMULATED = 2, /* as direct, on memory that is not persistent: for tests */
	DAXSYNC_MODE_DIRECT = 3,   /* flush and fence in user space */
	DAXSYNC_MODE_BYTE = 4      /* the CPU caches are persistent: fence only */
};

/** Options of daxsync_map() and daxsync_adopt(). Set `size` to sizeof(struct daxsync_opts); the rest to 0. */
struct daxsync_opts {
	size_t size;
	unsigned flags; /* DAXSYNC_OPT_* */
};

#define DAXSYNC_OPT_EMULATE 1u /* track files that are not on persistent memory (as DAXSYNC_EMULATE=1) */
#define DAXSYNC_OPT_STRICT 2u  /* fail with -EOPNOTSUPP rather than fall back to `kernel` or `pass` */

/** How stores to write-protected pages are noticed, and which pages a sync write-protects again (daxsync(7)). */
enum daxsync_engine {
	DAXSYNC_ENGINE_DEFAULT = 0, /* no choice of the program's */
	DAXSYNC_ENGINE_AUTO = 1,
	DAXSYNC_ENGINE_UFFD = 2,
	DAXSYNC_ENGINE_MPROTECT = 3
};

enum daxsync_policy {
	DAXSYNC_POLICY_DEFAULT = 0, /* no choice of the program's */
	DAXSYNC_POLICY_ADAPTIVE = 1,
	DAXSYNC_POLICY_ALWAYS_CLOSE = 2,
	DAXSYNC_POLICY_NEVER_CLOSE = 3,
	DAXSYNC_POLICY_KERNEL = 4 /* every sync is the kernel's */
};

/** What daxsync_configure() sets. Set `size` to sizeof(struct daxsync_config), and what is not chosen to 0. */
struct daxsync_config {
	size_t size;
	unsigned engine; /* enum daxsync_engine */
	unsigned policy; /* enum daxsync_policy */
};

/**
 * Chooses the engine and the policy of this process, before it maps anything that is tracked.
 *
 * Guarantee: mappings made from now on have them, unless the environment says otherwise: DAXSYNC_ENGINE and
 * DAXSYNC_POLICY go first, because they are of whoever runs the program. A member that is 0 goes back to the default.
 * Not guaranteed: that the engine can track a file; ask daxsync_mode_of(). What is correct depends on neither.
 *
 * Return: 0; -EINVAL (`config->size` too small, an unknown value, or something set in a member that the library does
 * not know); -EBUSY (something is tracked already, by this call of the program's or by its shim). On an error nothing
 * has changed.
 */
int daxsync_configure(const struct daxsync_config *config);

/**
 * Maps `len` bytes of a file from byte `off` on, shared, readable and writable, and tracks stores to them.
 *
 * @param fd    descriptor of the file, open for reading and writing; may be closed afterwards
 * @param len   bytes, rounded up to whole pages
 * @param off   bytes, a multiple of the page size
 * @param opts  options, or NULL
 * @param addr  set to the address on success only
 *
 * Guarantee: on success every store to the mapping is covered by the syncs below, or the mode is PASS, in which
 * daxsync_sync() calls the kernel. Not guaranteed: any particular mode; ask daxsync_mode_of(), or use
 * DAXSYNC_OPT_STRICT.
 *
 * Return: 0; -EINVAL (`opts->size` unknown, `len` 0, `off` unaligned); -EOPNOTSUPP (strict); else the kernel's
 * mmap() error.
 */
int daxsync_map(int fd, size_t len, off_t off, const struct daxsync_opts *opts, void **addr);

/**
 * Tracks a mapping that the program has made: shared, writable, of file `fd` from byte `off` on.
 *
 * Guarantee: all of it is taken as dirty, so stores made before the call are covered too.
 *
 * Return: 0; -EINVAL (bad alignment or length, unknown `opts->size`; not all of the range is a shared mapping of that
 * file from `off` on, readable and writable, with one protection); -EEXIST (a part of it is tracked already);
 * -EOPNOTSUPP (the file is not one to be tracked; without /proc, which tells what is mapped; with strict also when no
 * engine can).
 */
int daxsync_adopt(void *addr, size_t len, int fd, off_t off, const struct daxsync_opts *opts);

/**
 * Unmaps [addr, addr + len), whole pages, after flushing what is dirty in it.
 *
 * Return: 0, or the kernel's munmap() error. An error of the flush is not reported: the kernel's own marks still
 * cover the pages, and an fsync() of the file makes them durable.
 */
int daxsync_unmap(void *addr, size_t len);

/**
 * Flushes what is dirty in [addr, addr + len) and stops tracking it; the mapping stays, readable and writable.
 *
 * Return: 0; -EINVAL (not tracked); -EIO (flush failed; the range is not tracked any more all the same).
 */
int daxsync_release(void *addr, size_t len);

/**
 * Makes stores to [addr, addr + len) durable. Any alignment.
 *
 * Guarantee: when it returns 0, every store to the range that happened before the call, by any thread of this
 * process through any tracked mapping of the same file bytes, is durable (as far as the mode goes). Stores that race
 * with the call may be or may not. On an error the range stays dirty and the next sync tries again.
 * Not guaranteed: the file's size, allocation and data written with write(2) after which no fsync() was made, unless
 * the mode is one that calls the kernel.
 *
 * Context: async-signal-safe; all signals but SIGSEGV and SIGBUS are blocked meanwhile. May sleep.
 *
 * Return: 0; -EIO (bad memory in the range); -ENOMEM (a part of the range is not mapped; the rest was synced);
 * -EOVERFLOW (addr + len wraps); else the error of the kernel's msync() where that had to be called.
 */
int daxsync_sync(const void *addr, size_t len);

/**
 * Makes stores to several ranges durable, as daxsync_sync() does for each, but with fewer fences: one for each file,
 * and more only for large amounts (over 64 pieces of 256 KiB, over 4 MiB, over 32 ranges at once). The ranges may be of
 * any alignment, in any order, in any number; they may lie in different mappings and files, overlap, or be empty.
 *
 * @param range  nr_ranges ranges of memory; not changed, and not to be changed meanwhile
 *
 * Guarantee: when it returns 0, what daxsync_sync() guarantees for one range is so for each of them. On an error it
 * goes on with the other ranges. Some are durable then and some are not, and there is no telling which; what is not
 * stays dirty, and the next sync tries again.
 * Not guaranteed: any order in which ranges become durable, or that they become so together. A power cut during the call
 * may leave any of them.
 *
 * Context: as daxsync_sync().
 *
 * Return: 0; -EOVERFLOW (a range wraps; nothing was done); else the first error that is not -ENOMEM, as of
 * daxsync_sync(): -EIO, or of the kernel's msync(); else -ENOMEM (a part of a range is not mapped; the rest was synced).
 */
int daxsync_syncv(const struct iovec *range, size_t nr_ranges);

/**
 * Makes the file durable as fsync() does: tracked stores through any mapping, then the kernel's fsync().
 *
 * Context: async-signal-safe. May sleep.
 *
 * Return: 0; -EIO; else the kernel's fsync() error (-EBADF, -EINVAL, ...).
 */
int daxsync_sync_file(int fd);

/** The mode of the mapping at an address, enum daxsync_mode; DAXSYNC_MODE_PASS where nothing is tracked. */
int daxsync_mode_of(const void *addr);

/**
 * Why the mapping at an address has its mode: static text, never NULL.
 */
const char *daxsync_reason_of(const void *addr);

/**
 * A mapping, and what was counted for its file: syncs and write faults are of the file, through whichever mapping. Set
 * `size` to sizeof(struct daxsync_map_stats) before the call; fields may be added.
 */
struct daxsync_map_stats {
	size_t size;
	uint64_t addr;          /* where the tracked mapping begins */
	uint64_t len;           /* bytes */
	uint64_t off;           /* bytes: where it begins in the file */
	uint64_t page_size;     /* bytes: the unit that is tracked */
	uint64_t mode;          /* enum daxsync_mode, now */
	uint64_t syncs;         /* sync calls that met the file */
	uint64_t traps;         /* stores to closed pages */
	uint64_t pages_flushed; /* pages of page_size */
	uint64_t bytes_flushed; /* bytes */
	uint64_t kernel_syncs;  /* sync calls passed on to the kernel */
};

/**
 * Fills the first stats->size bytes of the statistics of the mapping at an address.
 *
 * Guarantee: each counter by itself is right; they are not all of one moment. They count from when the file became known.
 * Not guaranteed: whether that goes on when the last mapping of the file has gone and a new one comes. A part of a mapping
 * that was unmapped, released or protected differently leaves two mappings.
 *
 * Return: 0; -EINVAL (size unknown); -ENOENT (nothing is tracked there).
 */
int daxsync_map_stats_get(const void *addr, struct daxsync_map_stats *stats);

/**
 * Which pages of [addr, addr + len) a sync would have to deal with, as mincore() tells which are in memory. One byte for
 * each page of 4096 bytes, len rounded up (nothing is tracked where the system's pages have another size): bit 0 is 1 if
 * the page may hold stores that are not durable. The other bits are 0, and may get a meaning.
 *
 * @param addr  a multiple of 4096
 * @param vec   (len + 4095) / 4096 bytes
 *
 * Guarantee: where the bit is 0, every store to the page that happened before the call, by any thread of this process
 * through any tracked mapping of the same file bytes, is durable, as far as the mode goes. 1 says nothing for sure: it
 * stands for all that is not known to be durable. So all of a mapping is 1 in the modes `kernel` and `pass`, where the
 * engine knows nothing of it before its first sync, while its file is left to the kernel because its pages do not come
 * back, and while a kernel sync of its file is pending (after write(2), ftruncate(2) and the like) or another thread is
 * inside one; so is what is not tracked, or not mapped; and pages that the library keeps writable are 1 for as long as it
 * does. In mode `byte` nothing has to be flushed: 0.
 * Not guaranteed: that it is still so when the call returns. It is a snapshot, page by page, and stops nobody.
 *
 * Return: 0; -EINVAL (addr is not a multiple of 4096); -EOVERFLOW (addr + len wraps). On an error vec is left
 * alone.
 */
int daxsync_dirty(const void *addr, size_t len, unsigned char *vec);

/** Counters since start. Set `size` to sizeof(struct daxsync_stats) before the call; fields may be added. */
struct daxsync_stats {
	size_t size;
	uint64_t syncs;         /* sync calls that met a tracked file */
	uint64_t traps;         /* stores to closed pages */
	uint64_t pages_flushed; /* pages */
	uint64_t bytes_flushed; /* bytes */
	uint64_t fences;        /* store fences */
	uint64_t kernel_syncs;  /* sync calls passed on to the kernel for a known file */
	uint64_t missed_pages;  /* found by the verifier: 0, or there is a bug */
};

/** Fills the first stats->size bytes of the counters. Return: 0, or -EINVAL (size unknown). */
int daxsync_stats_get(struct daxsync_stats *stats);

/** Writes the whole statistics as a JSON object to a descriptor. Return: 0, or the error of write(). */
int daxsync_stats_json(int fd);

/** What a line of the log is about, from the most important on. */
enum daxsync_log_level { DAXSYNC_LOG_ERROR = 0, DAXSYNC_LOG_WARN = 1, DAXSYNC_LOG_INFO = 2, DAXSYNC_LOG_DEBUG = 3 };

/**
 * Gets a line of the log: `text` has neither prefix nor newline nor control characters, and is the callee's until it
 * returns.
 *
 * Context: any thread, at any time, in several threads at once; in the middle of the program's own calls and in the
 * handler of a write fault; with all signals blocked but SIGSEGV and SIGBUS, and with locks of the library's held. So it
 * must be async-signal-safe. It must not call functions of this library, nor store to or sync tracked memory, nor leave by
 * longjmp() or an exception. It may change errno.
 */
typedef void daxsync_log_fn(int level, const char *text, void *arg);

/**
 * Has the lines of the log given to a function, in the place of standard error.
 *
 * @param level  enum daxsync_log_level: lines of this level and of more important ones. With fn NULL it has no meaning
 * @param fn     NULL: standard error again, at the level that DAXSYNC_LOG says
 * @param arg    handed to fn
 *
 * Guarantee: lines that are written after the call has returned go to fn, also those about settings if this is the
 * process's first call of the library. Not guaranteed: that the function that was set before is not called any more: in
 * another thread it may be under way. Both stay valid for as long as the process lives, so a library with such a function
 * is never unloaded. A forked child keeps it; a program that is executed does not.
 *
 * Return: 0; -EINVAL (level unknown); -ENOMEM. On an error nothing has changed.
 */
int daxsync_log_set(int level, daxsync_log_fn *fn, void *arg);

/**
 * What an error of this library means: static text in plain English for a value that a function here has returned;
 * "unknown error" for others. Async-signal-safe.
 */
const char *daxsync_strerror(int err);

#ifdef __cplusplus
}
#endif

#endif
