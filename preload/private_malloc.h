// SPDX-License-Identifier: BSD-3-Clause
// private_malloc.h: the shim's own allocator.
#ifndef DXS_PRIVATE_MALLOC_H
#define DXS_PRIVATE_MALLOC_H

#include <stddef.h>

void *dxs_private_zalloc(size_t size);
void dxs_private_free(void *ptr);
void dxs_private_forked(void);

#endif
