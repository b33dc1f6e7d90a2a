// SPDX-License-Identifier: BSD-3-Clause
// calls.h: the system calls that make files durable or change them, for files that daxsync knows.
//
// Each returns DXS_PASS when the call has nothing to do with a known file: the hook then makes the kernel's call
// unchanged. Otherwise 0, a value, or -errno: the answer to the program.
#ifndef DXS_CALLS_H
#define DXS_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "file/observer.h"

#pragma GCC visibility push(default) // the shim uses these

struct dxs_file;

#define DXS_PASS 1

int dxs_msync(void *addr, size_t len, int flags);
int dxs_msync_bytes(uintptr_t start, uintptr_t end); // MS_SYNC at any alignment: only these bytes are promised
int dxs_fsync(int fd, bool data_only);

// The same of several ranges, with what is known of one file synced together. Goes on behind an error, and returns the first
// that is not -ENOMEM; what is not known is synced by the kernel, so DXS_PASS means that all was done.
int dxs_msync_ranges(const struct iovec *range, size_t nr);

// Flushes bytes [off, end) of a descriptor's file, before somebody else's call of its fsync, or one that promises less.
int dxs_flush_fd(int fd, uint64_t off, uint64_t end);

// sync and syncfs: makes all known files durable, of the file system that fd is on or, with -1, of all. 0 or the first
// -errno. The kernel's call has to follow.
int dxs_sync_files(int fd);

// Around a call by which the kernel writes into a file (write, copy_file_range, ...). begin finds the file, held, or NULL
// when it is none of ours; is_known tells after the call whether it is one, also if it became one meanwhile: such a call may
// have written after the first sync. end tells what was written (len < 0: nothing).
struct dxs_kwrite {
	struct dxs_file *file;
	uint64_t generation; // 0: not looked at
};
struct dxs_kwrite dxs_kwrite_begin(int fd);
bool dxs_kwrite_is_known(struct dxs_kwrite *kwrite, int fd);
void dxs_kwrite_end(struct dxs_file *file, off_t off, ssize_t len);

// After a write of `len` bytes at `off` (-1: where the position was) to any file that an observer should know of: through
// O_SYNC or O_DSYNC it has made the pages durable.
void dxs_written(int fd, off_t off, ssize_t len);
static inline void dxs_wrote(int fd, off_t off, ssize_t len)
{
	if (dxs_unlikely(dxs_observer))
		dxs_written(fd, off, len);
}

// The file of a descriptor is the kernel's from now on, if it is one of ours: it is going to be written in ways that no
// hook sees, by a stdio stream or by a thread of libc's.
#define DXS_STDIO_REASON "also written through a stdio stream"
#define DXS_AIO_REASON "also written by asynchronous I/O"
void dxs_leave_to_kernel(int fd, const char *reason);

// The position of a descriptor, and where a call that writes at it will begin; the size of its file.
off_t dxs_position(int fd);
off_t dxs_write_position(int fd);
off_t dxs_end_of(int fd);

// Whether any file is known: one load.
bool dxs_known_any(void);

// Around a call that changes a file's size or blocks (ftruncate, fallocate, ...): flushes everything before, because
// kernels from 6.15 on forget what they held dirty. Holes: [off, off + len) was punched or moved;
// `size` of the file now, -1: the same.
struct dxs_file *dxs_resize_begin(int fd);
struct dxs_file *dxs_resize_begin_path(int dir, const char *path, bool follow); // dir, follow: as openat
void dxs_resize_end(struct dxs_file *file, bool done, off_t size);
void dxs_holes_end(struct dxs_file *file, off_t off, off_t len, off_t size);

// The part of a hole that one known mapping in [*addr, end) covers, flushed and begun as by dxs_resize_begin; *addr moves
// on. False: none left.
struct dxs_hole {
	struct dxs_file *file;
	off_t off, len;
};
bool dxs_hole_begin(uintptr_t *addr, uintptr_t end, struct dxs_hole *hole);

// Flushes all that is dirty anywhere: before exit and exec, when the marks go.
void dxs_sync_all(void);

// At the end of the process, after that: other writers of its files need not fear for what it has stored.
void dxs_leave_all(void);

#pragma GCC visibility pop

#endif
