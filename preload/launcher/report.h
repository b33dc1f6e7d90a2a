// SPDX-License-Identifier: BSD-3-Clause
// report.h: the statistics of a process as one screen for people: `daxsync run --report`, `daxsync top`.
#ifndef DXS_REPORT_H
#define DXS_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct dxs_report {
	int pid;
	bool is_running;
	bool has_symbols; // call sites by function and line; else by file and offset, and nothing of theirs is opened
};

// Prints what dxs_stats_read() has taken over. What is foreign text is shown without control characters.
void dxs_report_print(FILE *out, const struct dxs_report *report);

// In a unit in which it has at most four digits.
void dxs_report_duration(FILE *out, uint64_t ns);

#endif
