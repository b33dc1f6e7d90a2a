// SPDX-License-Identifier: BSD-3-Clause
// image_walk.h: the pages in which a file and its durable image differ.
#ifndef DXS_IMAGE_WALK_H
#define DXS_IMAGE_WALK_H

#include <stdint.h>
#include <sys/types.h>

struct dxs_walk;

// One page at `off` of the file: as it is now, and as it is in the image.
typedef void (*dxs_walk_fn)(const struct dxs_walk *walk, uint64_t off, const unsigned char *now,
			    const unsigned char *durable);

// Around a look at a page that differs and a call of fn: nothing of the page is published meanwhile. What `hold` returns is
// passed to `release`.
struct dxs_leaf;
typedef struct dxs_leaf *(*dxs_walk_hold)(const struct dxs_walk *walk, uint64_t off);
typedef void (*dxs_walk_release)(const struct dxs_walk *walk, uint64_t off, struct dxs_leaf *held);

struct dxs_walk {
	const char *path; // of the file; /proc/self/fd/N will do
	dev_t dev;
	ino_t ino;
	int image_fd;
	dxs_walk_fn fn;
	dxs_walk_hold hold;
	dxs_walk_release release;
	void *arg;
};

// Calls fn for each differing page that has data in either. Holes are passed over without being touched. Opens and
// closes a descriptor of the file: run it with dxs_detached(). Returns 0, or 1 when the file cannot be opened.
int dxs_image_walk(void *walk);

#endif
