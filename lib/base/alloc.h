// SPDX-License-Identifier: BSD-3-Clause
// alloc.h: where the library's own objects come from. libc's allocator, unless the shim brings a private one so that
// a hook never enters the application's malloc.
#ifndef DXS_ALLOC_H
#define DXS_ALLOC_H

#include <stddef.h>

#include "base/failure.h"

#pragma GCC visibility push(default) // the shim uses these

struct dxs_allocator {
	void *(*zalloc)(size_t size); // zeroed, or NULL
	void (*free)(void *ptr);
	void (*forked)(
		void); // in a forked child: other threads of the parent may have been inside. NULL: nothing to do
};

extern struct dxs_allocator dxs_allocator;

static inline void *dxs_zalloc(size_t size)
{
	return dxs_injected(DXS_FAIL_ALLOC) ? NULL : dxs_allocator.zalloc(size);
}

static inline void dxs_free(void *ptr)
{
	dxs_allocator.free(ptr);
}

#pragma GCC visibility pop

#endif
