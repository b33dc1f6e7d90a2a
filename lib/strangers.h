// SPDX-License-Identifier: BSD-3-Clause
// strangers.h: mappings that the library did not see being made.
#ifndef DXS_STRANGERS_H
#define DXS_STRANGERS_H

#include "vma.h"

// Calls fn for every shared writable mapping of the file that is mapped at addr, that mapping included, as
// /proc/self/maps has them. 0 or -errno. Context: hook, with the registry's lock.
int dxs_strangers(uintptr_t addr, void (*fn)(const struct dxs_vma *stranger, void *arg), void *arg);

// Whether all of [addr, addr + len) is mapped shared, with one protection (*prot), from file fd, whose pages have `page`
// bytes, from byte off on. 0; -EINVAL: it is not; -EOPNOTSUPP: that cannot be found out. Context: api.
int dxs_mapped_from(uintptr_t addr, size_t len, int fd, size_t page, off_t off, int *prot);

#endif
