// SPDX-License-Identifier: BSD-3-Clause
// random.h: random numbers that a printed seed brings back, for unit and stress tests.
#ifndef DXS_TEST_RANDOM_H
#define DXS_TEST_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../mix.h"

// splitmix64: any seed is good, also consecutive ones for threads.
static inline uint64_t random_next(uint64_t *state)
{
	return mix(*state += DXS_MIX_STEP);
}

// A number in [0, below).
static inline uint64_t random_below(uint64_t *state, uint64_t below)
{
	return random_next(state) % below;
}

// The seed of this run: TEST_SEED, or the clock. Printed, so that a failure can be repeated.
static inline uint64_t random_seed(const char *what)
{
	const char *given = getenv("TEST_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_sec * 1000000007 + (uint64_t)now.tv_nsec;
	fprintf(stderr, "%s: TEST_SEED=%llu\n", what, (unsigned long long)seed);
	return seed;
}

#endif
