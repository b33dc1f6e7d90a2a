// SPDX-License-Identifier: BSD-3-Clause
// filecache.h: files that are mapped no more, cached for when they are mapped again.
//
// Programs map and unmap one file in a loop. To begin anew each time costs its place in the registry of writers (a file
// made, locked, mapped and removed) and its tree.
#ifndef DXS_FILECACHE_H
#define DXS_FILECACHE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct dxs_file;

// Takes over a file to which nobody refers any more. False: there is something about it that must not outlast its mappings.
// Context: any with signals blocked.
bool dxs_filecache_add(struct dxs_file *file);

// What a file is like now that is mapped again.
struct dxs_file_state {
	dev_t dev;
	ino_t ino;
	uint64_t born, born_ns, size;
	unsigned page_shift;
	int mode; // enum dxs_mode
};

// Gives it back, with one reference, if it is the same inode and can go on where it was. NULL: it has to be made.
struct dxs_file *dxs_filecache_take(const struct dxs_file_state *state);

// Lets go of all, before the process ends or executes.
void dxs_filecache_drop(void);

// In a forked child: they are the parent's.
void dxs_filecache_in_child(void);

#endif
