// SPDX-License-Identifier: BSD-3-Clause
// strangers.h: shared writable mappings of a file that the library did not see being made.
#ifndef DXS_STRANGERS_H
#define DXS_STRANGERS_H

#include "vma.h"

// Calls fn for every shared writable mapping of the file that is mapped at addr, that mapping included, as
// /proc/self/maps has them. 0 or -errno. Context: hook, with the registry's lock.
int dxs_strangers(uintptr_t addr, void (*fn)(const struct dxs_vma *stranger, void *arg), void *arg);

#endif
