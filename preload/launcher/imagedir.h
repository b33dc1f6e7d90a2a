// SPDX-License-Identifier: BSD-3-Clause
// imagedir.h: the directory of a run's durable images, and what the run left there.
#ifndef DXS_IMAGEDIR_H
#define DXS_IMAGEDIR_H

#include <limits.h>
#include <stdbool.h>

#include "emulate/run.h"

struct dxs_imagedir {
	char path[PATH_MAX];
	bool is_temporary;
	struct dxs_run_summary before; // what earlier runs left in the same directory
};

// Takes the directory that DAXSYNC_IMAGE_DIR names, or makes a temporary one (in $TMPDIR, /dev/shm or /tmp) and sets
// the variable. 0, or -errno after one line on stderr.
int dxs_imagedir_open(struct dxs_imagedir *dir);

// What a run was asked for.
struct dxs_imagedir_asked {
	bool verify;
	const char *powercut; // the setting's value; NULL: no power cut
};

// Says what became of that, removes the directory if it is temporary and nobody will want to look at its images. Returns
// the exit status of the run, given the program's. A check that did not happen is a failure.
int dxs_imagedir_close(const struct dxs_imagedir *dir, const struct dxs_imagedir_asked *asked, int status);

#endif
