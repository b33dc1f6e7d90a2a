// SPDX-License-Identifier: BSD-3-Clause
// uffd.h: userfaultfd write-protect, for tmpfs, memfd and hugetlbfs.
#ifndef DXS_ENGINE_UFFD_H
#define DXS_ENGINE_UFFD_H

#include "core/engine.h"

extern const struct dxs_engine dxs_engine_uffd;

// Opens the process's userfaultfd. 0 or -errno with the reason (static text) in *why. May be called again.
int dxs_uffd_open(const char **why);

// What the machine grants, for `daxsync check`: opens and closes a descriptor of its own. Returns the features that
// UFFDIO_API reports, or 0 with the reason (static text) in *why.
uint64_t dxs_uffd_probe(const char **why);

void dxs_uffd_reset(void);

#endif
