// SPDX-License-Identifier: BSD-3-Clause
// hole.h: marked pages that are holes of their file.
#ifndef DXS_HOLE_H
#define DXS_HOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dxs_file;

// Whether pages that are DIRTY can be holes of the file: a trap may have opened pages that nobody has stored to, and a hole
// may be made under pages that are open. Where the file system keeps pages in memory (emulation), reading or flushing a
// hole would fill it; on DAX it does not, and nothing is called a hole.
bool dxs_may_be_holes(struct dxs_file *file);

// Which of a leaf's worth of pages were mapped when that was asked: one call for the runs of a leaf. All zero: not asked.
struct dxs_mapped {
	uintptr_t page;
	uint64_t pages; // bit i: the i-th from `page` on
};

#pragma GCC visibility push(default) // the emulator uses it
// How many of len bytes from addr on are a hole of the file, or are none: *is_hole. A page that was mapped when `mapped` was
// read is none.
size_t dxs_hole_stretch(struct dxs_file *file, struct dxs_mapped *mapped, uintptr_t addr, size_t len, bool *is_hole);
#pragma GCC visibility pop

#endif
