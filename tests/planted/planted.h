// SPDX-License-Identifier: BSD-3-Clause
// planted.h: planted failures (the table in lib/base/fault.h).
#ifndef PLANTED_H
#define PLANTED_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)

// Plants what DAXSYNC_FAULT would say, in the place of what was planted before: NAME, NAME:ONE_IN or NAME@NTH, with ','
// between them: every time, by chance, or at the n-th occasion in the process only. "" plants nothing. Returns 0, or
// -EINVAL with the part that is wrong in `why`, and nothing planted.
int planted_parse(const char *spec, char *why, size_t size);

// How often something was made to fail in this process.
uint64_t planted_nr_injected(void);

#pragma GCC visibility pop

#endif
