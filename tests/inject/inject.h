// SPDX-License-Identifier: BSD-3-Clause
// inject.h: injected failure (the table in lib/base/failure.h).
#ifndef INJECT_H
#define INJECT_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)

// Injects what DAXSYNC_FAULT would say, in the place of what was injected before: NAME, NAME:ONE_IN or NAME@NTH, with ','
// between them: every time, by chance, or at the n-th occasion in the process only. "" injects nothing. Returns 0, or
// -EINVAL with the part that is wrong in `why`, and nothing injected.
int inject_parse(const char *spec, char *why, size_t size);

// How often something was made to fail in this process.
uint64_t inject_count(void);

#pragma GCC visibility pop

#endif
