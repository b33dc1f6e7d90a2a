// SPDX-License-Identifier: BSD-3-Clause
// runner.h: what runs the cells of the table.
#ifndef RUNNER_H
#define RUNNER_H

#define SKIP 77 // exit status of a cell that cannot be run here

#define NAME_PREFIX "daxsync-conformance." // of files; then the process group of the cell
#define SLOW "CONFORMANCE_SLOW"            // in the environment: a slow machine
#define UNCOUNTED "CONFORMANCE_UNCOUNTED"  // what the library counts is not looked at

extern unsigned memory;  // of this cell: TMPFS, MEMFD, ...
extern const char *path; // of its directory, or of the device; NULL without one

#endif
