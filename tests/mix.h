// SPDX-License-Identifier: BSD-3-Clause
// mix.h: the finisher of splitmix64: neighbouring numbers become unrelated ones. mix(x += DXS_MIX_STEP) is the generator.
#ifndef DXS_TEST_MIX_H
#define DXS_TEST_MIX_H

#include <stdint.h>

#define DXS_MIX_STEP 0x9e3779b97f4a7c15ULL

static inline uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

#endif
