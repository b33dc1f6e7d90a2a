// SPDX-License-Identifier: BSD-3-Clause
// mix.h: neighbouring numbers become unrelated ones (the finisher of splitmix64: Steele, Lea and Flood, OOPSLA 2014).
#ifndef DXS_MIX_H
#define DXS_MIX_H

#include <stdint.h>

static inline uint64_t dxs_mix64(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

#endif
