// SPDX-License-Identifier: BSD-3-Clause
// stack.h: stacks of a running program, in words.
#ifndef DXS_STACK_H
#define DXS_STACK_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

// Return addresses of process `pid`, innermost first, as text that the caller frees: "OFFSET PATH" of the calls in their files,
// a line each. The library's own frames are left out. NULL: no frame is known.
char *dxs_stack_text(pid_t pid, const uintptr_t *frame, unsigned nr);

// Prints such a text for people, up to main(): a line for each frame, the first behind `before`.
void dxs_stack_print(FILE *out, const char *before, const char *text);

#endif
