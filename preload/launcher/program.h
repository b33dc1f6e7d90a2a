// SPDX-License-Identifier: BSD-3-Clause
// program.h: whether a preloaded library is loaded into a program.
#ifndef DXS_PROGRAM_H
#define DXS_PROGRAM_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct dxs_program {
	bool is_program;          // an ELF program or a script; if not, only execvp(3) can tell what becomes of it
	bool is_reachable;        // when started by this user
	bool is_go;               // and then served in part at most
	char kind[PATH_MAX + 64]; // in words: "script, run by /bin/sh"
	char reason[512];         // why it is out of reach; else what is to be known, or empty
};

// Finds what execvp(3) would execute. 0, -ENOENT, or -EACCES if all there is cannot be executed.
int dxs_program_find(const char *name, char *path, size_t size);

// Looks at a program, and at what runs it if it is a script: the one judgement of `check` and `run`. 0, or -errno if the
// file cannot be read.
int dxs_program_examine(const char *path, struct dxs_program *out);

#endif
