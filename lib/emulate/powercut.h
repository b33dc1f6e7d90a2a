// SPDX-License-Identifier: BSD-3-Clause
// powercut.h: the emulated power cut.
#ifndef DXS_POWERCUT_H
#define DXS_POWERCUT_H

#include <stdbool.h>
#include <stdint.h>

#include "emulate/coin.h"

// The coin of DAXSYNC_POWERCUT's seed.
bool dxs_powercut_coin(enum dxs_coin coin, uint64_t line);

// Power fails now: no sync of the run is acknowledged any more, its processes are killed with SIGKILL, and in each
// image every line that is not durable is kept or dropped by the coin, and so is a size. Then kills this process.
void dxs_powercut(void) __attribute__((noreturn));

#endif
