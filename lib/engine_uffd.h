// SPDX-License-Identifier: BSD-3-Clause
// engine_uffd.h: userfaultfd write-protect, for tmpfs, memfd and hugetlbfs.
#ifndef DXS_ENGINE_UFFD_H
#define DXS_ENGINE_UFFD_H

#include <stdbool.h>

#include "engine.h"

extern const struct dxs_engine dxs_engine_uffd;

// Opens the process's userfaultfd with a delivery that DAXSYNC_ENGINE allows: a handler thread where the kernel lets
// us serve its own faults too (privileged), else SIGBUS in the faulting thread. 0 or -errno with the reason (static
// text) in *why. Context: init; may be called again.
int dxs_uffd_open(const char **why);

// The process's first thread is about to end, and the process not with it: from now on the handler thread looks whether it
// is the last one.
#pragma GCC visibility push(default) // the shim uses it
void dxs_uffd_first_thread_ends(void);
#pragma GCC visibility pop

// What the machine grants, for `daxsync check`: opens and closes a descriptor of its own. Returns the features that
// UFFDIO_API reports, or 0 with the reason (static text) in *why.
uint64_t dxs_uffd_probe(bool privileged, const char **why);

void dxs_uffd_reset(void);

#endif
