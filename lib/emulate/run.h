// SPDX-License-Identifier: BSD-3-Clause
// run.h: what the processes of one verified run share: DAXSYNC_IMAGE_DIR/daxsync.run, or private memory without it.
#ifndef DXS_RUN_H
#define DXS_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emulate/coin.h"

#define DXS_RUN_CONTROL "daxsync.run"
#define DXS_RUN_MAGIC 0x336e757263797364ULL // "dsycrun3"
#define DXS_RUN_PROCESSES 256
#define DXS_RUN_IMAGES 256

struct dxs_run_process {
	// seq_cst, the default: one exchange takes the place; partner: the power cut, which compares `start` as well.
	_Atomic int pid; // 0: free
	uint64_t start;  // start time in clock ticks, so that a reused pid is not mistaken for it
};

struct dxs_run_image {
	uint64_t dev, ino;
	char name[128]; // of the image file
	char path[512]; // of the file
};

// `daxsync crashtest`: a recorder, outside of the run's processes, writes down what becomes durable. Who has something to
// tell takes `owner`, says here what it is, counts `asked` up and waits until `answered` has followed.
enum dxs_moment {
	DXS_MOMENT_MAPPED, // a file is about to be mapped: what it shows now, the next sync makes durable too
	DXS_MOMENT_FENCE,  // is about to make the lines in DXS_RUN_STAGED durable
	DXS_MOMENT_ANSWERED, // an msync of these ranges is about to return: what was flushed of them is durable for the program
	DXS_MOMENT_SYNCED, // the kernel has synced these ranges of a file, or (no ranges) a file or directory as a whole
	DXS_MOMENT_SYNCED_ALL,
};

#define DXS_RUN_FRAMES 24
#define DXS_RUN_RANGES 16

struct dxs_run_recorder {
	// seq_cst, the default: relaxed would do. It is set before the program begins.
	_Atomic int pid; // 0: nobody records
	// acquire and release, parts of seq_cst: a lock of all below; partners: dxs_record_begin, dxs_record_end.
	_Atomic uint32_t owner; // a thread's id, 0: free; futex
	// release (part of seq_cst): the question, and what was done about it; partners: `ask`, and `serve` there.
	_Atomic uint32_t asked, answered; // futexes
	// seq_cst, the default: relaxed would do. It is read when the program has ended.
	_Atomic int err; // -errno: something could not be told
	int asker;       // process
	uint32_t moment; // enum dxs_moment
	uint64_t fence;  // its number
	uint64_t staged; // bytes in DXS_RUN_STAGED
	uint64_t dev, ino;
	uint32_t nr_ranges;
	uint32_t nr_frames;
	struct {
		uint64_t off, end; // bytes
	} range[DXS_RUN_RANGES];
	uintptr_t frame[DXS_RUN_FRAMES]; // who asks
};

#define DXS_RUN_STAGED "daxsync.staged"

// In DXS_RUN_STAGED: what one fence publishes of one page, with `len` bytes behind it.
struct dxs_run_staged {
	uint64_t dev, ino, off, len;
};

#define DXS_RUN_SITES "daxsync.sites"
#define DXS_RUN_NR_SITES 16384

// DXS_RUN_SITES is an array of these, a hash table: who stored to a page first since it was closed.
struct dxs_run_site {
	// seq_cst, the default: one exchange takes the place. Frames come before the pid, and may be mixed (record.c).
	_Atomic uint64_t key; // dxs_run_site_key(), 0: unused
	_Atomic int pid;
	uint32_t nr_frames;
	uintptr_t frame[DXS_RUN_FRAMES];
};

#define DXS_RUN_SITE_TRIES 8 // places that a key can be in, from its value modulo DXS_RUN_NR_SITES on

static inline uint64_t dxs_run_site_key(uint64_t dev, uint64_t ino, uint64_t page)
{
	return (dxs_mix64(dev ^ dxs_mix64(ino ^ dxs_mix64(page)))) | 1;
}

struct dxs_run {
	uint64_t magic;                // this and the next three: what dxs_run_read() reads
	_Atomic uint64_t fences;       // of all processes; seq_cst: all count in one order, one of them is the cut
	_Atomic uint64_t missed_pages; // relaxed: a statistic; seq_cst, the default, where it changes
	// seq_cst: I.1. Set before any image is spoilt; partner: the look behind what a fence has published (image.c).
	_Atomic uint32_t frozen; // power is cut: no sync returns any more
	// acquire and release, parts of seq_cst: a lock of the images; partners: dxs_run_publish_begin and its end.
	_Atomic uint32_t publisher; // the task that writes into an image, 0: none; futex
	// release (part of seq_cst): the note before its number (run_note); partners: the power cut, the recorder.
	_Atomic uint32_t nr_images;
	struct dxs_run_process process[DXS_RUN_PROCESSES];
	struct dxs_run_image image[DXS_RUN_IMAGES];
	struct dxs_run_recorder recorder;
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

// Around a look at a file and the write of what was seen into its image: in the whole run one after the other, so nothing
// older is written over what is newer. A holder that has died or is stopped holds up the others for about a second.
void dxs_run_publish_begin(void);
void dxs_run_publish_end(void);

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
