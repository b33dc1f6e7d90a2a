// SPDX-License-Identifier: BSD-3-Clause
// track.h: mappings coming and going.
#ifndef DXS_TRACK_H
#define DXS_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/behind.h"

#pragma GCC visibility push(default) // the shim uses these

// Loads the libraries that tracking needs. Context: init or api, no lock held; may be called again. Never in a hook: it
// allocates by the program's allocator, which may be waiting for the very call with its lock held, and takes the loader's
// lock, under which another thread may be running a constructor that maps files.
void dxs_load(void);

// Whether the program has a stdio stream open that writes into this file, by ways that nobody sees. Set by the shim.
extern bool (*dxs_stdio_writes)(dev_t dev, ino_t ino);

// mmap, munmap, mremap and mprotect for hooks and API: the kernel's call with the tracking around it. Results are
// the kernel's, errors as -errno (in the pointer, for those that return one). `next`: who makes the program's mmap, NULL for
// the kernel.
void *dxs_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off, dxs_mmap_fn next);
int dxs_munmap(void *addr, size_t len);
void *dxs_mremap(void *addr, size_t old_len, size_t new_len, int flags, void *new_addr);
#define DXS_NO_PKEY INT32_MIN // plain mprotect
int dxs_mprotect(void *addr, size_t len, int prot, int pkey);
int dxs_madvise(int pidfd, void *addr, size_t len, int advice, unsigned flags); // pidfd -1: plain madvise
int dxs_remap_file_pages(void *addr, size_t len, int prot, size_t pgoff, int flags);
void *dxs_shmat(int id, const void *addr, int flags);
int dxs_mseal(void *addr, size_t len, unsigned long flags);

// Before the program sets a seccomp filter: nothing is tracked from then on.
void dxs_filter_begin(void);

// Tracks from now on a mapping of fd that exists already, all of it taken as dirty. prot: PROT_NONE for a mapping that
// somebody else has made, which is looked at first. 0 or -errno.
int dxs_adopt(void *addr, size_t len, int prot, int fd, off_t off, bool emulate);

// Stops tracking without unmapping: flushes what is dirty, opens all.
int dxs_release(void *addr, size_t len);

#pragma GCC visibility pop

// The rest is for those that change mappings (remap.c, protect.c), inside a change.
struct dxs_file;
struct dxs_map;

// A map of bytes from `off` of a file. NULL: no memory.
struct dxs_map *dxs_map_make(struct dxs_file *file, uintptr_t addr, size_t len, int prot, int flags, off_t off);

// Adds it to its file and to the table. The file is locked. 0 or -errno: then the caller frees it.
int dxs_map_add(struct dxs_map *map);

// Lets an engine at a map that is in the file's list. The kernel keeps the file if none can.
void dxs_map_attach(struct dxs_map *map);

// A filter was set, or is about to be.
extern _Atomic bool dxs_filtered;

// Tells the statistics of it.
void dxs_map_note(const struct dxs_map *map);

// Stops tracking [at, end): flushes what is dirty, opens all. With a reason, the files are the kernel's from then on. Begins
// a change of its own. 0, or what the flush returned.
int dxs_release_range(uintptr_t at, uintptr_t end, const char *reason);

#endif
