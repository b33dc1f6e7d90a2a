// SPDX-License-Identifier: BSD-3-Clause
// cells.h: memory for the small things that every tracked mapping has.
//
// Not from the allocator, because a trap in a forked child may come to free it; and not a mapping for each, which would cost
// two system calls, and the program a VMA for each of its own.
#ifndef DXS_CELLS_H
#define DXS_CELLS_H

#include <stddef.h>

// Zeroed, or NULL. `size` is given back with it. Context: hook, with the registry's lock; a forked child.
void *dxs_cell_new(size_t size);
void dxs_cell_free(void *cell, size_t size);

#endif
