// SPDX-License-Identifier: BSD-3-Clause
// results.h: the table of functions with which the kernel stores a small result.
#ifndef DXS_RESULTS_H
#define DXS_RESULTS_H

#include <stddef.h>

struct dxs_result {
	const char *name;
	void **next;
};
extern const struct dxs_result dxs_results[];
extern const size_t dxs_nr_results;

#endif
