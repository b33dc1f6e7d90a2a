// SPDX-License-Identifier: BSD-3-Clause
// simulation.h: what the plugin's other files may know of the simulation (cache.c). All of it from a callback of an
// instruction with QEMU_PLUGIN_CB_R_REGS, of the CPU that executes it.
#ifndef CACHE_SIMULATION_H
#define CACHE_SIMULATION_H

#include <stdbool.h>
#include <stdint.h>

enum { RAX = 0, RDX = 2, RSI = 6, RDI = 7 }; // as in the encoding

// A page of an NVDIMM's: its number, and the offset there.
struct place {
	unsigned nvdimm;
	uint64_t off;
};

uint64_t simulation_register(unsigned nr);

// Whose page tables are in use: a process, as long as it lives.
uint64_t simulation_process(void);

// The page of an NVDIMM that is mapped at vaddr, a multiple of 4 KiB. False: nothing, or other memory.
bool simulation_place(uint64_t vaddr, struct place *place);

// How many lines were written back so far, by all CPUs.
uint64_t simulation_time(void);

// What the page holds.
const uint8_t *simulation_image(const struct place *place);

// Whether its line `line` (0 to 63) holds, as far as it is durable, these 64 bytes or what it held when it was written back
// after `since`.
bool simulation_is_durable(const struct place *place, unsigned line, const uint8_t *data, uint64_t since);

#endif
