// SPDX-License-Identifier: BSD-3-Clause
// fd.h: the library's own descriptors inside the application's table.
#ifndef DXS_FD_H
#define DXS_FD_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(default) // the shim uses these

#define DXS_FD_MAX 512 // beyond, descriptors are not protected from the application

// Moves a descriptor up, out of the numbers that programs expect to get, makes it close-on-exec and remembers it.
// Returns the new number, or the old one where there is no room above. The caller passes it to dxs_fd_close in the end.
int dxs_fd_hide(int fd);

// Closes and forgets one of ours.
void dxs_fd_close(int fd);

// The path of the file behind a descriptor, as /proc/self/fd shows it; empty if it cannot be read.
void dxs_fd_path(int fd, char *path, size_t size);

// Whether a descriptor is ours: the shim keeps applications that close everything from closing it.
bool dxs_fd_is_ours(int fd);

// The lowest of ours that is at least fd; -1: none.
int dxs_fd_next(int fd);

#pragma GCC visibility pop

#endif
