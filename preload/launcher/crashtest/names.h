// SPDX-License-Identifier: BSD-3-Clause
// names.h: which names lead to which files, below one directory.
#ifndef DXS_NAMES_H
#define DXS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DXS_NO_FILE UINT32_MAX
#define DXS_MOST_FILES 1000000 // in one record

struct dxs_name {
	char *path; // relative
	uint32_t file;
};

struct dxs_names {
	struct dxs_name *name; // in the order of paths once sorted
	size_t nr, room;
};

// Out of memory ends the launcher with one line, here and below.
void dxs_names_add(struct dxs_names *names, const char *path, uint32_t file);
void dxs_names_sort(struct dxs_names *names);
void dxs_names_clear(struct dxs_names *names);
void dxs_names_copy(struct dxs_names *to, const struct dxs_names *from);
bool dxs_names_equal(const struct dxs_names *a, const struct dxs_names *b);

// The file of a path, or DXS_NO_FILE. Names must be sorted.
uint32_t dxs_names_find(const struct dxs_names *names, const char *path);
// Whether only one of two paths can be there: they are the same, or one would be a directory on the way to the other.
bool dxs_names_clash(const char *one, const char *other);

// The first path of a file, or NULL.
const char *dxs_names_of(const struct dxs_names *names, uint32_t file);

// What DXS_ITEM_NAMES holds: the caller frees it.
char *dxs_names_pack(const struct dxs_names *names, size_t *len);
void dxs_names_unpack(struct dxs_names *names, const char *text, size_t len);

#endif
