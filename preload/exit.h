// SPDX-License-Identifier: BSD-3-Clause
// exit.h: the end of a process.
#ifndef DXS_EXIT_H
#define DXS_EXIT_H

// Flushes what is dirty and writes the statistics, once.
void dxs_finish(void);

#endif
