// SPDX-License-Identifier: BSD-3-Clause
// init.h: what is done once for each process.
#ifndef DXS_INIT_H
#define DXS_INIT_H

#pragma GCC visibility push(default) // the shim uses it

// Before anything else: reads the configuration. Context: init; may be called again.
void dxs_init(void);

#pragma GCC visibility pop

#endif
