// SPDX-License-Identifier: BSD-3-Clause
// supervise.h: runs a program as a child that behaves, to the shell and to whoever sends signals, as if it had been
// executed in the launcher's place.
#ifndef DXS_SUPERVISE_H
#define DXS_SUPERVISE_H

struct dxs_keeper;

// Executes argv[0] (found as execvp does) in the place of the launcher. Returns only on failure, with the exit status
// that a shell would give, after one line on stderr.
int dxs_supervise_exec(char **argv);

// Starts it as a child, hands signals on, stops and continues with it, and waits for its end. Returns its exit status,
// 128 + signal if one killed it. Children that the program leaves behind are not waited for. The signals that would end
// the launcher stay blocked, so that it can clean up. A keeper (NULL: none) does its work meanwhile.
int dxs_supervise(char **argv, struct dxs_keeper *keeper);

#endif
