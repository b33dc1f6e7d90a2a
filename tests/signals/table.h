// SPDX-License-Identifier: BSD-3-Clause
// table.h: what the rows of the signal table share.
//
// A row is a small program about SIGSEGV and SIGBUS, with a shared mapping of a file that has closed pages under the shim.
#ifndef TABLE_H
#define TABLE_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../rows/rows.h"

#define PAGE ((size_t)4096)
#define NR_PAGES ((size_t)8)

// The memory of a row.
extern char *map;     // shared, of a file of NR_PAGES pages; closed where the shim tracks it
extern char *private; // anonymous: the first page readable, the second without any access

// Makes it. All pages of `map` are closed afterwards.
void memory_make(void);
void memory_close(void);
void memory_store(void); // to all pages of the mapping but the last

// An address as a place in that memory.
const char *place(const void *addr);

// Of our two signals and SIGUSR1, those in a set: "SBU", with '-' for each that is not.
const char *members(const sigset_t *set);
void say_mask(const char *when);
void say_action(int sig);

void rows_product(void); // faults by actions by masks
void rows_single(void);  // one thing at a time

#endif
