// SPDX-License-Identifier: BSD-3-Clause
// coin.h: what a power cut does to a line that is not durable: kept or dropped, as a seeded coin falls.
#ifndef DXS_COIN_H
#define DXS_COIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mix.h"

// Which question a coin answers about line `nr`: whether it arrived though it was only flushed, or only stored; whether a
// size did; whether a name did (crash tests only).
enum dxs_coin { DXS_COIN_FLUSHED, DXS_COIN_STORED, DXS_COIN_SIZE, DXS_COIN_NAME };

// The same seed gives the same answers.
static inline bool dxs_coin(uint64_t seed, enum dxs_coin coin, uint64_t nr)
{
	return dxs_mix64((nr * 4 + coin + 1) * 0x9e3779b97f4a7c15ULL ^ seed * 0xd1342543de82ef95ULL) & 1;
}

#endif
