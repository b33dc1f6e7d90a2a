// SPDX-License-Identifier: BSD-3-Clause
// keeper.h: keeps the statistics of the processes of a run, and writes them when each has ended, whatever has ended it.
#ifndef DXS_LAUNCHER_KEEPER_H
#define DXS_LAUNCHER_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

// The statistics of the programs that one process has executed, one after the other.
struct dxs_kept_process {
	pid_t pid;
	int pidfd; // -1: none to be had
	int nr;
	int *fd; // of the statistics
	bool has_ended;
};

struct dxs_keeper {
	int poll_fd; // readable when there is something to do
	int socket;
	pid_t child;         // of the launcher: the statistics of the others have names of their own
	const char *pattern; // of the files of statistics; NULL: none
	FILE *report;        // where the report goes; NULL: nowhere
	bool has_reported;
	struct dxs_kept_process *process;
	size_t nr;
};

// Makes a keeper that writes to what DAXSYNC_STATS says (NULL: nowhere) and a report for people (a path, "-" for standard
// error; NULL: none), and tells the library of it by the environment. 0, or -errno after one line on stderr.
int dxs_keeper_open(struct dxs_keeper *keeper, const char *pattern, const char *report);

// Its child has started.
void dxs_keeper_begin(struct dxs_keeper *keeper, pid_t child);

// Takes what was sent and writes what has come to its end. Does not wait.
void dxs_keeper_turn(struct dxs_keeper *keeper);

// The run is at its end: writes what is left. Processes that go on write their own from now on.
void dxs_keeper_close(struct dxs_keeper *keeper);

#endif
