// SPDX-License-Identifier: BSD-3-Clause
// trial.h: one power cut tried: the files as it leaves them, and the checker's word.
#ifndef DXS_TRIAL_H
#define DXS_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "state.h"

struct dxs_checker {
	const char *command; // for sh -c; NULL: the program itself runs again
	char **argv;         // the program
	unsigned timeout;    // seconds
	int output;          // descriptor of what the program wrote to its standard output
};

enum dxs_verdict { DXS_VERDICT_FINE = 1, DXS_VERDICT_BROKE, DXS_VERDICT_HUNG, DXS_VERDICT_ERROR };

struct dxs_trial {
	enum dxs_verdict verdict;
	int status; // the checker's exit status, or 128 + signal; DXS_VERDICT_ERROR: -errno
};

#define DXS_FILES_DIR "files" // what the checker finds
#define DXS_SAID_FILE "said"  // what it printed

// Tries a power cut in directory `dir`, where `files`, `output` and `said` are made, and stay.
struct dxs_trial dxs_trial_run(const struct dxs_checker *checker, const struct dxs_state *state,
			       const unsigned char *fate, const char *dir);

// From now on this signal ends the check that is under way, with what it has started in its group, and this process.
void dxs_trial_abandon_on(int sig);

// Removes a directory with all that is in it.
void dxs_remove_tree(const char *path);

#endif
