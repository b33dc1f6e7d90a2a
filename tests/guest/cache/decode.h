// SPDX-License-Identifier: BSD-3-Clause
// decode.h: which x86-64 instructions move lines from a CPU's cache towards memory, and which wait for them.
#ifndef CACHE_DECODE_H
#define CACHE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kind {
	OTHER,
	WRITE_BACK,   // CLWB, CLFLUSHOPT, CLFLUSH: of the line that the operand is in
	NON_TEMPORAL, // MOVNTI, MOVNTQ, MOVNTDQ, MOVNTPS, MOVNTPD, also as VEX: stores around the cache
	PROMISE,      // the NOPL of promise.h
	FENCE,        // SFENCE, MFENCE, locked, XCHG with memory, serialising (SDM volume 3, 9.2.5 and 9.3)
};

#define NO_REGISTER 0xff
#define RIP_RELATIVE 0xfe

// Where a WRITE_BACK has its operand: registers are numbered as in the encoding, RAX 0 to R15 15.
struct operand {
	uint8_t base, index, scale;
	char segment;  // 'f', 'g', or 0: its base is 0
	bool is_32bit; // of the address
	int32_t displacement;
};

// One instruction of 64-bit code. `operand` is set for WRITE_BACK.
enum kind decode(const uint8_t *code, size_t len, struct operand *operand);

#endif
