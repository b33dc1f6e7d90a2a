// SPDX-License-Identifier: BSD-3-Clause
// space.h: where the library's own memory lies.
#ifndef DXS_SPACE_H
#define DXS_SPACE_H

#include <stddef.h>

#pragma GCC visibility push(default) // the shim uses these

// From now on dxs_space_map() keeps out of the program's way. Context: init.
void dxs_space_init(void);

// Memory, or a mapping of a file from its begin, that stays longer than a call. As mmap, or -errno in the pointer. Context:
// any.
void *dxs_space_map(size_t len, int prot, int flags, int fd);

#pragma GCC visibility pop

#endif
