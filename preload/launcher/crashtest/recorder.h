// SPDX-License-Identifier: BSD-3-Clause
// recorder.h: runs a program once and writes the record.
#ifndef DXS_RECORDER_H
#define DXS_RECORDER_H

#include <stdint.h>

struct dxs_recording {
	char **argv;
	const char *dir;     // of the files under test; the program runs in the launcher's own
	const char *work;    // a directory for the emulator's images, the record and the output
	uint64_t max;        // bytes that may be in `dir` at the start
	uint64_t nr_moments; // out
	uint64_t nr_outside; // out: files outside of `dir` that the program has mapped
	char outside[512];   // out: the first of them
};

#define DXS_RECORD_FILE "record"
#define DXS_OUTPUT_FILE "output"

// Returns the program's exit status, 128 + signal if one killed it; or, after one line on stderr, DXS_EXIT_ERROR, with
// *failed set, if there is no complete record.
int dxs_recorder_run(struct dxs_recording *recording, int *failed);

#endif
