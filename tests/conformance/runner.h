// SPDX-License-Identifier: BSD-3-Clause
// runner.h: what runs the cells of the table.
#ifndef RUNNER_H
#define RUNNER_H

#define SKIP 77 // exit status of a cell that cannot be run here

#define TMPFS_PREFIX "/dev/shm/daxsync-conformance." // then the process group of the cell

extern unsigned memory; // of this cell: TMPFS, MEMFD or HUGETLBFS

#endif
