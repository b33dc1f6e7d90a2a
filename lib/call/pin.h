// SPDX-License-Identifier: BSD-3-Clause
// pin.h: pages that the kernel is about to write for the program (M9).
#ifndef DXS_PIN_H
#define DXS_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default) // the shim uses these

struct dxs_file;

// Whether there may be anything to pin.
bool dxs_pins_wanted(void);

// Kernel writes into mapped memory (read, recv, ...): keeps the pages of [addr, addr + len) open for the call (M9). May
// be called for several buffers; dxs_unpin undoes all. What does not fit is not pinned, and the kernel says EFAULT.
#define DXS_PINS 48
struct dxs_pin {
	unsigned nr;
	struct dxs_pinned {
		struct dxs_file *file;
		uint64_t first, end; // entries; end: of the last leaf that is pinned
	} pinned[DXS_PINS];
};
bool dxs_pin_near(const void *addr,
		  size_t len); // cheap: false for nearly everything that is not mapped from a known file
void dxs_pin(struct dxs_pin *pin, void *addr, size_t len);
void dxs_unpin(struct dxs_pin *pin);

#pragma GCC visibility pop

#endif
