// SPDX-License-Identifier: BSD-3-Clause
// bench.h: between the workloads (workloads.c), the ways to make their stores durable (ways.c), and the plain tracker.
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>

#define PAGE ((size_t)4096)
#define LINE ((size_t)64)
#define LINE_AT ((size_t)128) // where in a page one line is stored to

enum unit {
	WHOLE,   // one sync, of the whole mapping
	EXACT,   // one for each line that was stored to, of exactly that
	ROUNDED, // the same, but from the beginning of the page on, as msync(2) wants it
};

// What one thread has stored in a round, and wants to be durable. With WHOLE a program that is not told which pages it
// has stored to knows nothing but where they can be, [from, from + len).
struct stored {
	char *map;
	size_t from, len; // bytes of the mapping
	enum unit unit;
	const size_t *page;
	size_t nr;
};

struct way {
	const char *name;
	void (*begin)(char *map, size_t len); // NULL: nothing to do
	void (*sync)(const struct stored *stored);
};

// NULL: there is none of that name.
const struct way *way_find(const char *name);

_Noreturn void fail(const char *what);

// libpmem2's, for memory whose unit is a cache line.
void lines_flush(const void *addr, size_t len);
void lines_drain(void);

// A tracker as one would write it first: every page is read-only until it is stored to, a handler of SIGSEGV notes it in a
// bitmap, and each sync protects again what it flushes. One at a time.
void tracker_begin(char *map, size_t len);
void tracker_sync(const char *addr, size_t len); // of the mapping

#endif
