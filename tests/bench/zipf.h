// SPDX-License-Identifier: BSD-3-Clause
// zipf.h: which of nr things is used next where a few are used often, by Zipf's law with the exponent 0.99.
#ifndef BENCH_ZIPF_H
#define BENCH_ZIPF_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

// 0 is used most. By the inverse of the continuous distribution with density x^-0.99, which needs no sum over all.
static inline size_t zipf_rank(size_t nr, uint64_t random)
{
	double rest = 1 - 0.99, u = (double)(random >> 11) * 0x1p-53;
	size_t rank = (size_t)pow((pow((double)nr, rest) - 1) * u + 1, 1 / rest) - 1;

	return rank < nr ? rank : nr - 1;
}

#endif
