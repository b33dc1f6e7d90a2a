// SPDX-License-Identifier: BSD-3-Clause
// rows.h: a table of rows. A row is a small program that runs in a process of its own. What it says, and how it ends,
// must be the same with the shim and without.
#ifndef ROWS_H
#define ROWS_H

#include <stddef.h>
#include <sys/resource.h>

// Runs one row in a child and prints its line.
typedef void row_fn(const void *arg);
void row(const char *name, row_fn *run, const void *arg);

// Says something, at most 255 bytes; async-signal-safe.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Ends the row as broken unless the condition holds.
#define MUST(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			broken(__LINE__, #condition);                                                                  \
	} while (0)
void broken(int line, const char *what) __attribute__((noreturn));

// What a table has of its own. Everything but `all` and `place` may be NULL.
struct table {
	void (*all)(void);                      // calls row() for each
	const char *(*place)(const void *addr); // an address of the row that has ended, in words
	rlim_t (*core)(const char *name);       // how much core a row may dump
	void (*begin)(const char *name);        // in the row, before it
	void (*end)(void);                      // in the row, behind it
	void (*ended)(const char *name);        // in the parent, behind it
	const char *killed_elsewhere;           // in a name: a thread that is not traced is killed
	unsigned timeout;                       // seconds for a row
	unsigned part, parts;                   // of all rows only each parts-th, from number `part` on; 0: all
};

// main() of a table: prints the lines of all rows whose name begins with `prefix`.
int rows_print(const struct table *table, const char *prefix);

#endif
