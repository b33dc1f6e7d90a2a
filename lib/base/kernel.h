// SPDX-License-Identifier: BSD-3-Clause
// kernel.h: which Linux this is.
#ifndef DXS_KERNEL_H
#define DXS_KERNEL_H

#include <stdbool.h>

// Asks, once. Context: init; later a filter of system calls may end the process for it.
void dxs_kernel_init(void);

// Whether it is known to be older than Linux major.minor. A distribution's kernel counts as what it calls itself. Context: any.
bool dxs_kernel_is_before(unsigned major, unsigned minor);

#endif
