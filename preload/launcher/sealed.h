// SPDX-License-Identifier: BSD-3-Clause
// sealed.h: the statistics of other processes, which may be hostile: only memory whose size stays what it is.
#ifndef DXS_SEALED_H
#define DXS_SEALED_H

#include <stdbool.h>

// A descriptor of the statistics of a process, or -errno; -ENODATA: it has none.
int dxs_sealed_open(int pid);

// Whether a descriptor that somebody has sent is of such memory.
bool dxs_sealed_is(int fd);

#endif
