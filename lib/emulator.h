// SPDX-License-Identifier: BSD-3-Clause
// emulator.h: the emulator (lib/emulate), a library of its own.
//
// The library of a production run cannot fake durability: without the emulator no file is taken for persistent memory that is
// not, and nothing keeps images or cuts power.
#ifndef DXS_EMULATOR_H
#define DXS_EMULATOR_H

#include <stdbool.h>

#include "base/config.h"

#define DXS_EMULATOR "libdaxsync-emulate.so." DXS_VERSION

// Whether the emulator is there; loads it if it is not yet: from where this library lies, or else from where the dynamic
// linker looks. If not, one line says why, once. Context: init or api, no lock held.
bool dxs_emulator_load(void);

// What the settings ask of it, done; without it they are taken back. Context: init.
void dxs_emulator_init(void);

#endif
