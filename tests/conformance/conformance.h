// SPDX-License-Identifier: BSD-3-Clause
// conformance.h: what the cases of the conformance suite share.
//
// A case is a function named as a sentence. It runs in a process of its own, on one kind of memory, and ends the
// process through CHECK() at the first thing that is wrong. It must also pass without the shim, where only what the
// library counts is not looked at (COUNTED). The runner checks afterwards that the verifier missed nothing.
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <daxsync/daxsync.h>

#define TMPFS 1U
#define MEMFD 2U
#define HUGETLBFS 4U
#define DIRECTORY 8U // files in a directory of any file system
#define DEVICE 16U   // device DAX: one file of fixed size, without a name of its own, never read or written
#define NAMED (TMPFS | DIRECTORY)
#define SMALL (TMPFS | MEMFD | DIRECTORY) // what makes sense on pages of 4 KiB only
#define NO_HUGETLBFS (SMALL | DEVICE)
#define FILES (SMALL | HUGETLBFS)
#define ALL (FILES | DEVICE)

struct test_case {
	const char *name;
	void (*run)(void);
	unsigned memories; // the kinds of memory on which it makes sense
};

// clang-format off
#define CASE(function, memories) {#function, function, memories}
#define END_OF_CASES {NULL, NULL, 0}
// clang-format on

extern const struct test_case cases_change[], cases_fd[], cases_kernel_write[], cases_map[], cases_process[],
	cases_results[], cases_rare[], cases_signal[], cases_size[], cases_sync[], cases_thread[];

// Ends the process: the cell has failed, or cannot be run here.
void cell_fail(const char *file, int line, const char *what) __attribute__((noreturn));
void cell_skip(const char *reason) __attribute__((noreturn));

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			cell_fail(__FILE__, __LINE__, #condition);                                                     \
	} while (0)

// Skips the cell on memory that cannot be locked.
void needs_mlock(int fd);

// Skips the cell where a whole mapping is closed at once, however large.
void needs_lazy_closing(void);

// A call that fails with -1 and this errno.
#define CHECK_ERRNO(call, error)                                                                                       \
	do {                                                                                                           \
		errno = 0;                                                                                             \
		CHECK((call) == -1 && errno == (error));                                                               \
	} while (0)

// Looked at only where there is a library that counts, and not with -u.
#define COUNTED(condition)                                                                                             \
	do {                                                                                                           \
		if (is_counted())                                                                                      \
			CHECK(condition);                                                                              \
	} while (0)

// Whether there are counters; reads them all, or sets them to 0. `now` may be NULL.
bool counters_get(struct daxsync_stats *now);
bool is_counted(void);
uint64_t nr_traps(void);
uint64_t nr_flushed(void);
uint64_t nr_kernel_syncs(void);

// The mode of an address, -1 without the library.
int mode_of(const void *addr);

// The memory of the cell.
extern size_t page; // bytes of one of its pages
#define NR_PAGES ((size_t)8)
#define FILE_SIZE (NR_PAGES * page)

bool is_device(void);                          // device DAX
bool is_named(void);                           // files have names
int file_new(size_t size);                     // a descriptor of a new file of zeros
int named_file_new(size_t size, char *path);   // the same with its name, of at most PATH_MAX bytes
char *map_new(int fd, size_t off, size_t len); // shared, readable and writable
char *map_closed(int fd);                      // FILE_SIZE of it, each page stored to and synced once
char *room_for(size_t len);                    // reserved addresses, aligned to a page of the file
void sync_all(char *addr, size_t len);         // msync(MS_SYNC), which must succeed

// Stores a byte to each of `nr` pages, and asks for them.
void store_pages(char *addr, size_t nr, char value);
bool pages_are(const char *addr, size_t nr, char value);

// What a store through one view looks like in the file, by a way of its own (read through a new mapping).
bool file_has(int fd, size_t off, char value);

// Seconds since some time in the past. How long a loop goes on, and how often: less on a slow machine.
double now(void);
double seconds(double full);
unsigned nr_times(unsigned full);

// Forks, runs, and waits: the child's wait status.
int in_child(void (*run)(void *arg), void *arg);
bool is_success(int status);

// A thread that runs until `stop`.
void thread_start(void *(*run)(void *arg), void *arg);
void threads_join(void);
bool is_asleep(int tid);

#endif
