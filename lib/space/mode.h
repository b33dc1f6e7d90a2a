// SPDX-License-Identifier: BSD-3-Clause
// mode.h: which mode a mapping gets, and why.
#ifndef DXS_MODE_H
#define DXS_MODE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/behind.h"
#include "file/file.h"

// What can be said of a file before an engine was tried on a mapping of it.
struct dxs_candidate {
	enum dxs_mode mode; // PASS or KERNEL: final. EMULATED, DIRECT: if an engine can track it
	const char *reason; // static text
	unsigned page_shift;
	bool is_device;       // device DAX: no file system, no kernel sync
	bool in_memory;       // tmpfs, hugetlbfs: what is not in memory is not there
	bool is_plain_memory; // see struct dxs_file
	bool is_fresh;        // see struct dxs_map
	bool is_unserved;     // left to the kernel, and nobody has asked for that (report/unserved.h)
	dxs_mmap_fn next;     // who makes the program's mmap; NULL: the kernel
	struct stat st;       // st_size: of a device too
	uint64_t born, born_ns;
	char path[512]; // only where it decides, or of a device; else empty
};

// Whether any mapping in this process may come to be tracked: emulation is asked for, or the machine has devices of
// persistent memory. Constant once asked. Context: any.
#pragma GCC visibility push(default) // the shim uses it
bool dxs_mode_is_possible(void);
#pragma GCC visibility pop

// Looks at the file behind a descriptor that is being mapped shared. Context: hook.
void dxs_mode_probe(int fd, bool emulate, struct dxs_candidate *out);

// The program's mmap. On DAX, MAP_SYNC is asked for on the program's behalf: with it, the blocks of a page that can be
// written are durable metadata, and flushing the page is all that is left (Documentation/filesystems/dax.rst). Where it
// is refused the candidate's mode becomes KERNEL. Returns the address, or -errno in the pointer.
void *dxs_mode_map(struct dxs_candidate *candidate, void *addr, size_t len, int prot, int flags, int fd, off_t off);

// Whether a mapping has to be one with MAP_SYNC.
bool dxs_mode_wants_sync(const struct dxs_candidate *candidate);

struct dxs_mode_verdict {
	const char *mode, *engine, *reason;
};

// The verdict for a mapping of this file, found by making one and trying the engine on it, for `daxsync check`.
void dxs_mode_explain(int fd, bool emulate, struct dxs_mode_verdict *out);

#endif
