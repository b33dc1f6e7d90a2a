// SPDX-License-Identifier: BSD-3-Clause
// memory.h: memory of a launcher that has nothing to save when there is none.
#ifndef DXS_MEMORY_H
#define DXS_MEMORY_H

#include <stddef.h>

// realloc and strdup that end the launcher, with one line, where there is no memory.
void *dxs_need(void *old, size_t size);
char *dxs_need_text(const char *text);

#endif
