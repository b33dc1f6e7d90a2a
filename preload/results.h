// SPDX-License-Identifier: BSD-3-Clause
// results.h: the table of functions by which the kernel returns something small.
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
