// SPDX-License-Identifier: BSD-3-Clause
// interrupt.h: ^C and the like end the search, and what was found until then is said.
#ifndef DXS_INTERRUPT_H
#define DXS_INTERRUPT_H

#include <stdbool.h>

// From now on SIGINT, SIGTERM and SIGHUP are only noted.
void dxs_interrupt_catch(void);
bool dxs_interrupted(void);

// In a child that does a part of the work, whose parent tells it when to stop; in one that executes a program.
void dxs_interrupt_ignore(void);
void dxs_interrupt_default(void);

#endif
