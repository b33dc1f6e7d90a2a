// SPDX-License-Identifier: BSD-3-Clause
// run.h: what the processes of one verified run share: DAXSYNC_IMAGE_DIR/daxsync.run, or private memory without it.
#ifndef DXS_RUN_H
#define DXS_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DXS_RUN_CONTROL "daxsync.run"
#define DXS_RUN_MAGIC 0x316e757263797364ULL // "dsycrun1"
#define DXS_RUN_PROCESSES 256
#define DXS_RUN_IMAGES 256

struct dxs_run_process {
	_Atomic int pid; // 0: free
	uint64_t start;  // start time in clock ticks, so that a reused pid is not mistaken for it
};

struct dxs_run_image {
	uint64_t dev, ino;
	char name[128]; // of the image file
	char path[512]; // of the file
};

struct dxs_run {
	uint64_t magic;          // this and the next three: what dxs_run_read() reads
	_Atomic uint64_t fences; // of all processes
	_Atomic uint64_t missed_pages;
	_Atomic uint32_t frozen; // power is cut: no sync returns any more
	_Atomic uint32_t nr_images;
	struct dxs_run_process process[DXS_RUN_PROCESSES];
	struct dxs_run_image image[DXS_RUN_IMAGES];
};

// Opens a directory of images: one that others could put files into, or a link that others could have made, is refused.
// A descriptor, or -errno with the reason (static text) in *why.
int dxs_run_open_dir(const char *path, const char **why);

// Joins the run, making it if this is its first process. 0, or -errno with the reason (static text) in *why.
// Context: init; may be called again.
int dxs_run_join(const char **why);

// The run, after dxs_run_join().
struct dxs_run *dxs_run(void);

// The descriptor of the image directory, or -1 where images are private memory.
int dxs_run_dir(void);

// Serialises the making of images among processes.
void dxs_run_lock(void);
void dxs_run_unlock(void);

// Whether pid is still the process that joined.
bool dxs_run_is_same(const struct dxs_run_process *process, int pid);

// In a forked child: it is one more process of the run.
void dxs_run_forked(void);

// Never returns: for a thread whose sync must not be acknowledged because power is cut.
void dxs_run_halt(void) __attribute__((noreturn));

struct dxs_run_summary {
	uint64_t fences, missed_pages, frozen;
};

// Reads a run's control file from outside, for the launcher. 0 or -errno (-ENOENT: no process joined).
int dxs_run_read(const char *image_dir, struct dxs_run_summary *out);

#endif
