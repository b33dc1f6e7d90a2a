// SPDX-License-Identifier: BSD-3-Clause
// names.c: tables of names.
#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

void dxs_names_add(struct dxs_names *names, const char *path, uint32_t file)
{
	if (names->nr == names->room) {
		names->room = names->room * 2 + 16;
		names->name = dxs_need(names->name, names->room * sizeof(*names->name));
	}
	names->name[names->nr++] = (struct dxs_name){dxs_need_text(path), file};
}

static int compare(const void *a, const void *b)
{
	const struct dxs_name *one = a, *other = b;

	return strcmp(one->path, other->path);
}

void dxs_names_sort(struct dxs_names *names)
{
	if (names->nr)
		qsort(names->name, names->nr, sizeof(*names->name), compare);
}

void dxs_names_clear(struct dxs_names *names)
{
	for (size_t i = 0; i < names->nr; i++)
		free(names->name[i].path);
	names->nr = 0;
}

void dxs_names_copy(struct dxs_names *to, const struct dxs_names *from)
{
	dxs_names_clear(to);
	for (size_t i = 0; i < from->nr; i++)
		dxs_names_add(to, from->name[i].path, from->name[i].file);
}

bool dxs_names_equal(const struct dxs_names *a, const struct dxs_names *b)
{
	if (a->nr != b->nr)
		return false;
	for (size_t i = 0; i < a->nr; i++)
		if (a->name[i].file != b->name[i].file || strcmp(a->name[i].path, b->name[i].path) != 0)
			return false;
	return true;
}

uint32_t dxs_names_find(const struct dxs_names *names, const char *path)
{
	struct dxs_name key = {(char *)path, 0};
	const struct dxs_name *found = names->nr ? bsearch(&key, names->name, names->nr, sizeof(key), compare) : NULL;

	return found ? found->file : DXS_NO_FILE;
}

bool dxs_names_clash(const char *one, const char *other)
{
	while (*one && *one == *other)
		one++, other++;
	return (!*one && (!*other || *other == '/')) || (!*other && *one == '/');
}

const char *dxs_names_of(const struct dxs_names *names, uint32_t file)
{
	for (size_t i = 0; i < names->nr; i++)
		if (names->name[i].file == file)
			return names->name[i].path;
	return NULL;
}

char *dxs_names_pack(const struct dxs_names *names, size_t *len)
{
	size_t size = 1, at = 0;
	char *text;

	for (size_t i = 0; i < names->nr; i++)
		size += 12 + strlen(names->name[i].path) + 1;
	text = dxs_need(NULL, size);
	for (size_t i = 0; i < names->nr; i++) {
		at += (size_t)snprintf(text + at, size - at, "%u", names->name[i].file) + 1;
		at += (size_t)snprintf(text + at, size - at, "%s", names->name[i].path) + 1;
	}
	*len = at;
	return text;
}

void dxs_names_unpack(struct dxs_names *names, const char *text, size_t len)
{
	const char *end = text + len;

	dxs_names_clear(names);
	while (text < end) {
		uint32_t file = (uint32_t)(strtoul(text, NULL, 10) % DXS_MOST_FILES);

		text += strlen(text) + 1;
		if (text < end)
			dxs_names_add(names, text, file);
		text += strlen(text) + 1;
	}
	dxs_names_sort(names);
}
