// SPDX-License-Identifier: BSD-3-Clause
// directory.h: the directory in which the registry of writers has its files.
#ifndef DXS_DIRECTORY_H
#define DXS_DIRECTORY_H

#include <stddef.h>

#define DXS_REGISTRY_OPEN_FLAGS (O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) // of a file in there
#define DXS_REGISTRY_UNUSABLE "the registry of writers cannot be used"

// Opens the directory. path: as DAXSYNC_REGISTRY gives it; empty: the user's own, which is made if need be. A descriptor;
// or -errno, and why (static text).
int dxs_registry_dir_open(const char *path);
const char *dxs_registry_dir_reason(const char *path, int err);

// The directory that is used, for people.
void dxs_registry_dir_place(char *to, size_t size);

// Whether a registry can be kept in this directory (empty: the user's own): 0, or -errno with the reason (static text) in
// *why. Nobody is announced, nothing is left there.
int dxs_registry_dir_try(const char *dir, const char **why);

#endif
