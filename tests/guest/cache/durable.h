// SPDX-License-Identifier: BSD-3-Clause
// durable.h: the files in which the plugin keeps what the power cannot take, for itself and for `cut`.
#ifndef CACHE_DURABLE_H
#define CACHE_DURABLE_H

#include <stdint.h>

#define LINE 64
#define PENDING_LINES (4U << 20) // a virtual CPU's, between two fences: 256 MiB of them
#define MAX_CPUS 4
#define MAX_NVDIMMS 8
#define MAX_LINES (8U << 20) // of an NVDIMM: 512 MiB of them

// A line that was written back, as it was then, and not fenced.
struct pending_line {
	uint64_t nvdimm; // which one
	uint64_t off;    // in it, bytes
	uint64_t time;   // when: memory never goes back to what a line was before
	uint64_t copied; // 1: by a non-temporal store
	uint8_t data[LINE];
};

struct pending {
	uint64_t nr;
	struct pending_line line[PENDING_LINES];
};

// IMAGE.durable is the durable copy of the NVDIMM whose file is IMAGE. This file, sparse, is one for all of them.
struct pending_file {
	uint64_t time;                                 // how many lines were written back
	uint64_t durable_time[MAX_NVDIMMS][MAX_LINES]; // when what is durable was written back
	struct pending cpu[MAX_CPUS];
};

#endif
