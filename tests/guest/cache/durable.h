// SPDX-License-Identifier: BSD-3-Clause
// durable.h: the files in which the plugin keeps what the power cannot take, for itself and for `cut`.
#ifndef CACHE_DURABLE_H
#define CACHE_DURABLE_H

#include <stdint.h>

#define LINE 64
#define PENDING_LINES (4U << 20) // a virtual CPU's, between two fences: 256 MiB of them
#define MAX_CPUS 4

// A line that was written back, as it was then, and not fenced.
struct pending_line {
	uint32_t nvdimm; // which one
	uint32_t unused;
	uint64_t off; // in it, bytes
	uint8_t data[LINE];
};

struct pending {
	uint64_t nr;
	struct pending_line line[PENDING_LINES];
};

// IMAGE.durable is the durable copy of the NVDIMM whose file is IMAGE. This file, sparse, is one for all of them.
struct pending_file {
	struct pending cpu[MAX_CPUS];
};

#endif
