// SPDX-License-Identifier: BSD-3-Clause
// known.h: what is known of a call's argument: of addresses, of a descriptor, or of all files. What is found is held.
#ifndef DXS_KNOWN_H
#define DXS_KNOWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "signal/sigmask.h"

struct dxs_file;

// One mapping's part of an msync range.
struct dxs_part {
	struct dxs_file *file; // held
	uint64_t off, end;     // in the file
	uintptr_t addr, next;  // where the part begins, and where to go on
};

// The first known part of [addr, end). False: none.
bool dxs_part_find(uintptr_t addr, uintptr_t end, struct dxs_part *part);

// The known file behind a stat or a descriptor, held and with signals blocked, or NULL and nothing changed. dxs_known_give
// undoes both.
struct dxs_file *dxs_known_take(const struct stat *st, dxs_sigset *set);
struct dxs_file *dxs_known_file(int fd, dxs_sigset *set);
void dxs_known_give(struct dxs_file *file, dxs_sigset set);

// Instead of `file`, which it lets go of, the next one, held; NULL: the first, or no more.
struct dxs_file *dxs_known_next(struct dxs_file *file);

#endif
