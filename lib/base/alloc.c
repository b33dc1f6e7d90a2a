// SPDX-License-Identifier: BSD-3-Clause
// alloc.c: the default allocator.
#include "base/alloc.h"

#include <stdlib.h>

static void *libc_zalloc(size_t size)
{
	return calloc(1, size);
}

struct dxs_allocator dxs_allocator = {.zalloc = libc_zalloc, .free = free};
