// SPDX-License-Identifier: BSD-3-Clause
// check.h: the parts of `daxsync check`. Each part prints its lines and returns whether the thing it examined can be
// served.
#ifndef DXS_CHECK_H
#define DXS_CHECK_H

#include <stdbool.h>

// One fact about what is looked at; "conclusion" is the verdict, and the last. '?' stands for control characters (utf8.h).
void dxs_check_say(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// What the kernel, the CPU and the libraries offer.
bool dxs_check_machine(void);

// Which of the library's system calls a filter refuses here (doc/using.md).
void dxs_check_calls(void);

// What a mapping of a file, or of a new file in a directory, would get. Nothing is changed: of an existing file,
// nothing is read or written.
bool dxs_check_place(const char *path);

#endif
