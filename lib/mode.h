// SPDX-License-Identifier: BSD-3-Clause
// mode.h: which mode a mapping gets, and why.
#ifndef DXS_MODE_H
#define DXS_MODE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "file.h"

// What can be said of a file before an engine was tried on a mapping of it.
struct dxs_candidate {
	enum dxs_mode mode; // PASS or KERNEL: final. EMULATED, DIRECT: if an engine can track it
	const char *reason; // static text
	unsigned page_shift;
	struct stat st;
	char path[512];
};

// Looks at the file behind a descriptor that is being mapped shared. Context: hook.
void dxs_mode_look(int fd, bool emulate, struct dxs_candidate *out);

struct dxs_mode_verdict {
	const char *mode, *engine, *reason;
};

// The verdict for a mapping of this file, found by making one and trying the engine on it, for `daxsync check`.
void dxs_mode_explain(int fd, bool emulate, struct dxs_mode_verdict *out);

#endif
