// SPDX-License-Identifier: BSD-3-Clause
// launcher.h: the commands of `daxsync` and its exit statuses.
#ifndef DXS_LAUNCHER_H
#define DXS_LAUNCHER_H

// What the launcher itself answers; everything else is the program's own status (128 + signal if one killed it).
enum dxs_exit {
	DXS_EXIT_NOT_SERVED = 1,     // check, plot: something asked for cannot be served, or drawn
	DXS_EXIT_MISSED = 120,       // run: the program succeeded, but the verifier found missed pages
	DXS_EXIT_NOT_VERIFIED = 121, // run: it succeeded, but nothing was verified that was to be
	DXS_EXIT_NOT_CUT = 122,      // run: it succeeded, but the power was not cut that was to be
	DXS_EXIT_ERROR = 125,        // the launcher itself failed: wrong option, no library, no image directory
	DXS_EXIT_CANNOT_EXEC = 126,  // run: the program was found but cannot be executed
	DXS_EXIT_NOT_FOUND = 127,    // run: there is no such program
};

// `argv` is what follows the command's name, ended by a NULL.
int dxs_cmd_run(char **argv);
int dxs_cmd_check(char **argv);
int dxs_cmd_stat(char **argv);
int dxs_cmd_top(char **argv);
int dxs_cmd_crashtest(char **argv);
int dxs_cmd_plot(char **argv);

// A process id, or 0: it is none.
int dxs_pid_of(const char *arg);

// Says why the statistics of a process cannot be shown (-errno), and returns the exit status for it.
int dxs_stat_failed(int pid, int err);

#endif
