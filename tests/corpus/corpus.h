// SPDX-License-Identifier: BSD-3-Clause
// corpus.h: what the rows of the corpus share.
//
// A row is a small program that does with a mapped file what programs do. It says what each call returned, which errno
// and which faults it saw, and what the mappings and the file hold. All of that must be the same with the shim and
// without, in each mode.
#ifndef CORPUS_H
#define CORPUS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../rows/rows.h"

#define PAGE ((size_t)4096)
#define NR_PAGES ((size_t)8)
#define SIZE (NR_PAGES * PAGE)

// The row cannot run here, and says why. Only for what the machine or the kernel lacks.
void skip(const char *why) __attribute__((noreturn));

// Says LABEL=VALUE, or LABEL=ERRNO for -1. TELL_ERRNO: of calls that return the number.
#define TELL(label, call) (errno = 0, tell(label, (long)(call)))
long tell(const char *label, long ret);
void tell_errno(const char *label, int error);

// Says where an mmap went, or its errno. The addresses that a row knows are its regions.
void *tell_mmap(const char *label, void *addr);
char *region(const char *name, void *addr, size_t len); // returns addr
const char *place(const void *addr);

// A load and a store that may fault: says the signal, its si_code and where, if so. The number of the signal, or 0.
int load(const char *addr, char *value);
int store(char *addr, char value);

// A byte into each page, at an offset inside it. No fault is expected.
void fill(char *addr, size_t nr, size_t at, char value);

// What is there: one character for each page, the first byte that is not 0 ('.' if none), or "<SIGNAL>"; and a sum of it
// all. say_file reads it with pread(), its first 64 pages.
void say_memory(const char *label, const char *addr, size_t len);
void say_file(const char *label, int fd);
void say_bytes(const char *label, int fd, off_t off, size_t len);

// A new file in the row's directory, which is the working directory and empty.
int file_new(const char *name, size_t size);

// Shared, readable and writable.
char *map_new(const char *name, int fd, off_t off, size_t len);

// What most rows begin with: the file "file" of SIZE bytes, 'a' in each page, mapped as `map` into the middle of
// `arena`, reserved addresses; every page is closed. `around` is what is reserved on either side.
#define AROUND (16 * PAGE)
extern int fd;
extern char *map, *arena;
void memory_make(void);
void memory_store(void); // a 'b' into pages 1, 3, 5, 7: dirty

// And end with: what the mapping holds, a store to each of its pages, the syncs, what it holds then, and the file.
void after(void);
void after_syncs(void);

// Whether pages of `fd`'s file are persistent memory.
bool is_dax(void);

// Runs it in a forked child and says how that ended: exit status or signal.
void in_child(const char *label, void (*run)(void));
void say_status(const char *label, int status);

void rows_map(void);
void rows_remap(void);
void rows_file(void);
void rows_size(void);
void rows_pattern(void);
void rows_sync(void);
void rows_process(void);

// corpus --helper DEED: a program that rows start.
int process_helper(const char *deed);

#endif
