// SPDX-License-Identifier: BSD-3-Clause
// preexisting.h: mappings that the library did not see being made.
#ifndef DXS_PREEXISTING_H
#define DXS_PREEXISTING_H

#include "proc/vma.h"

// Whether there may be shared writable mappings of files that are in no table. Reading /proc/self/maps costs microseconds
// for each mapping of the process, so it is not read for every new file where all mmaps are seen (the shim's hooks). What
// hooks cannot see was made before them, which one reading finds, or by a system call that does not go through libc.
// `addr`: a mapping that is being taken up. Context: hook, with the registry's lock.
bool dxs_preexisting_possible(uintptr_t addr);

// From now on there may be: a mapping stays that is tracked no more, or could not be tracked.
void dxs_preexisting_left(void);

// Calls fn for every shared writable mapping of the file that is mapped at addr, that mapping included, as
// /proc/self/maps has them. 0 or -errno. Context: hook, with the registry's lock.
int dxs_preexisting_each(uintptr_t addr, void (*fn)(const struct dxs_vma *vma, void *arg), void *arg);

// Whether all of [addr, addr + len) is mapped shared, with one protection (*prot), from file fd, whose pages have `page`
// bytes, from byte off on. 0; -EINVAL: it is not; -EOPNOTSUPP: that cannot be found out. Context: api.
int dxs_mapped_from(uintptr_t addr, size_t len, int fd, size_t page, off_t off, int *prot);

#endif
