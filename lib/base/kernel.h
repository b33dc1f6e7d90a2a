// SPDX-License-Identifier: BSD-3-Clause
// kernel.h: which Linux this is.
#ifndef DXS_KERNEL_H
#define DXS_KERNEL_H

#include <stdbool.h>

// Asks, once. Context: init; later a filter of system calls may end the process for it.
void dxs_kernel_init(void);

// Whether it is known to be older than Linux major.minor; or not to be. Both are false where the version is not known. A
// distribution's kernel counts as what it calls itself. Context: any.
bool dxs_kernel_is_before(unsigned major, unsigned minor);
bool dxs_kernel_is_from(unsigned major, unsigned minor);

// Whether the kernel's tag of a DAX page goes only when the page is write-protected in all page tables. Before Linux 5.19 it
// forgot those of the small pages that a huge one was split into (commit 06083a0921fd, fs/dax.c dax_writeback_one).
static inline bool dxs_kernel_tags_are_kept(void)
{
	return dxs_kernel_is_from(5, 19);
}

#endif
