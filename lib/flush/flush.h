// SPDX-License-Identifier: BSD-3-Clause
// flush.h: making cache lines durable. CLWB and its kin come from libpmem2.
#ifndef DXS_FLUSH_H
#define DXS_FLUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dxs_flusher {
	const char *name;
	void (*flush)(const void *addr, size_t len); // starts writing the lines back; orders nothing
	void (*drain)(void);                         // waits for the write-backs of THIS CPU's flushes
};

// Loads the flusher. 0, or -errno with the reason (static text) in *why. Context: init, no lock held, never in a trap;
// may be called again, by several threads at once.
int dxs_flush_init(const char **why);

// Whether it is loaded; if not, why the last attempt failed.
bool dxs_flush_ready(const char **why);

struct dxs_range {
	uintptr_t addr;
	size_t len; // bytes
};

// Flushes nr ranges in turn. Returns how many of them as a whole. Fewer than nr: a fault ended the next one, of which *done
// bytes were flushed before it; *err is -EIO (bad memory), -EFAULT (not readable, or the fault was at another address) or
// -ENXIO (nothing is there: beyond the end of the file; or, before Linux 6.5, bad memory of a DAX file system). One place to
// come back to serves them all. Context: api or hook, signals blocked.
unsigned dxs_flush_ranges(const struct dxs_range *range, unsigned nr, size_t *done, int *err);

#pragma GCC visibility push(default) // the emulator uses it
// Runs fn and comes back from a SIGBUS or SIGSEGV in it. Returns 0, or -1 when there was one, described in *fault.
struct dxs_fault_at {
	uintptr_t addr;
	int err; // as above
};
int dxs_flush_guard(void (*fn)(void *arg), void *arg, struct dxs_fault_at *fault);
#pragma GCC visibility pop

void dxs_flush_drain(void);

#endif
