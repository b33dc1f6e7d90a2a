// SPDX-License-Identifier: BSD-3-Clause
// fd.h: the library's own descriptors inside the application's table.
#ifndef DXS_FD_H
#define DXS_FD_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(default) // the shim uses these

#define DXS_FD_MAX 512 // beyond, descriptors are not protected from the application
#define DXS_FD_GIVEN_UP (-2)

// Moves a descriptor up, out of the numbers that programs expect to get, makes it close-on-exec and remembers it.
// Returns the new number, or the old one where there is no room above. The caller passes it to dxs_fd_close in the end.
int dxs_fd_hide(int fd);

// Where a hidden descriptor's number is kept: from now on the program may have the number for itself.
void dxs_fd_register(int fd, _Atomic int *where);

// One use of a number that may change. Context: any, signals blocked or the handler of a trap.
#define DXS_FD_USE(where, fd, call)                                                                                    \
	({                                                                                                             \
		unsigned section_ = dxs_fd_enter();                                                                    \
		int fd = atomic_load(where);                                                                           \
		typeof(call) ret_ = (call);                                                                            \
                                                                                                                       \
		dxs_fd_exit(section_);                                                                                 \
		ret_;                                                                                                  \
	})
unsigned dxs_fd_enter(void);
void dxs_fd_exit(unsigned section);

// The program is about to put a descriptor of its own at a number of ours. That goes to another one, or, where none is free,
// is closed, and DXS_FD_GIVEN_UP is where it was kept. False: it stays where it is. Context: hook.
bool dxs_fd_yield(int fd);

// In a forked child: nobody uses one.
void dxs_fd_reset(void);

// Closes and forgets one of ours.
void dxs_fd_close(int fd);

// The same for one whose number is kept at `where`, which becomes -1. is_lost: the program has closed it by a system call
// that nobody has seen, so that the number is the program's. Signals are blocked; not inside a use.
void dxs_fd_drop(_Atomic int *where, bool is_lost);

// The path of the file behind a descriptor, as /proc/self/fd shows it; empty if it cannot be read.
void dxs_fd_path(int fd, char *path, size_t size);

// Whether a descriptor is ours: the shim keeps applications that close everything from closing it.
bool dxs_fd_is_ours(int fd);

// The lowest of ours that is at least fd; -1: none.
int dxs_fd_next(int fd);

#pragma GCC visibility pop

#endif
