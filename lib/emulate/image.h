// SPDX-License-Identifier: BSD-3-Clause
// image.h: the durable image of a file in verify mode: what an emulated persistent memory would hold.
//
// Only two things write it: a fence, which publishes the lines that the SAME thread had flushed, with the content they had
// when they were flushed (or, where other processes write the file, have now: I.3); and an emulated kernel sync. The image
// is a file in DAXSYNC_IMAGE_DIR, shared by all processes of a run; its size is the durable size.
#ifndef DXS_IMAGE_H
#define DXS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file/observer.h"

struct dxs_file;
struct dxs_image;
struct dxs_map;

// Opens or makes the image of a file that is being mapped from descriptor fd, and sets file->observed. A new image is a
// copy of the file: what was there before the run is taken as durable. In one that another process has made, what
// differs from the file is not durable, and is marked DIRTY. 0, or -errno with the reason (static text) in *why.
// Context: hook or api, with the registry's lock, signals blocked.
int dxs_image_open(struct dxs_file *file, int fd, const char **why);
// Device DAX cannot be read but through a mapping: what a new mapping shows, and no earlier one has shown, is durable. 0 or
// -errno.
int dxs_image_cover(const struct dxs_map *map);

void dxs_image_close(struct dxs_image *image);

static inline struct dxs_image *dxs_image_of(const struct dxs_file *file)
{
	return file->observed;
}

struct dxs_due;

// Around a sync: gives the calling thread a place to keep what it flushes until it fences.
// Returns where the verifier may note what is due (NULL: no memory).
struct dxs_due *dxs_image_stage(void);
void dxs_image_unstage(void);

// The flush primitive: keeps the 64-byte lines of [addr, addr + len), at `off` in the file, as they are now.
void dxs_image_snapshot(struct dxs_image *image, uintptr_t addr, uint64_t off, size_t len);

// The same where there was a hole: nothing to keep, but it was dealt with.
void dxs_image_note_hole(struct dxs_image *image, uint64_t off, size_t len);

// Which of the 64 entries from `first` on this thread has dealt with since its last fence.
uint64_t dxs_image_staged(const struct dxs_image *image, uint64_t first);

// The fence: publishes what this thread kept. At the fence that DAXSYNC_POWERCUT names it does not return.
void dxs_image_publish(void);

// Drops what this thread kept, as if its flushes were still on their way.
void dxs_image_forget(void);

// The kernel has written entries [first, last], by write(2) and the like: KWRITE, until a kernel sync has published them.
void dxs_image_written(struct dxs_file *file, uint64_t first, uint64_t last);

// The kernel has synced these entries of the file: publishes what write(2) and the like had changed there (marked KWRITE),
// all of them if `all`, and the size with what was cut off. fd: a descriptor of the file, or -1. False: the file could not
// be opened, and what was cut off is not zeros yet.
bool dxs_image_kernel_synced(struct dxs_file *file, int fd, const struct dxs_asked *asked, bool all);
bool dxs_image_kernel_synced_locked(struct dxs_file *file, int fd, const struct dxs_asked *asked, bool all);

// Whether a new mapping of these entries shows what the kernel has written, and no sync has published.
bool dxs_image_shows_more(struct dxs_file *file, uint64_t first, uint64_t last);

// How often the kernel has written into the file.
uint64_t dxs_image_kwrites(struct dxs_file *file);

// In a forked child.
void dxs_image_reset_locks(void);

// The size of the file itself now, or as a hook saw it last.
uint64_t dxs_image_file_size(struct dxs_image *image);

// Reads durable bytes; what lies beyond the durable size reads as zeros. 0 or -errno.
int dxs_image_read(struct dxs_image *image, uint64_t off, void *buf, size_t len);

// Maps durable bytes for reading, which faults beyond the durable size; NULL without memory. The caller unmaps them.
const void *dxs_image_map(const struct dxs_image *image, uint64_t off, size_t len);

#endif
