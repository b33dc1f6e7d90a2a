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
 *  - All functions return 0 (or a value) or a negative errno; errno itself is not changed. Unless a function says
 *    otherwise it may be called from any thread, may sleep, and is not async-signal-safe.
 */
#ifndef DAXSYNC_H
#define DAXSYNC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

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

/**
 * What an error of this library means: static text in plain English for a value that a function here has returned;
 * "unknown error" for others. Async-signal-safe.
 */
const char *daxsync_strerror(int err);

#ifdef __cplusplus
}
#endif

#endif
