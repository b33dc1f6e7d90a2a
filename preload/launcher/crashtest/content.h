// SPDX-License-Identifier: BSD-3-Clause
// content.h: what is in a file, in memory that is only taken where there is something.
#ifndef DXS_CONTENT_H
#define DXS_CONTENT_H

#include <stddef.h>
#include <stdint.h>

struct dxs_content {
	unsigned char *data; // zeros from `size` up to `room`
	uint64_t size, room;
	uint64_t *used; // a bit for each page up to `room` that may hold something else than zeros
};

// Cuts it, or makes it longer by zeros. 0 or -ENOMEM.
int dxs_content_resize(struct dxs_content *content, uint64_t size);

// Writes, and makes it longer if need be. 0 or -ENOMEM.
int dxs_content_write(struct dxs_content *content, uint64_t off, const void *data, size_t len);

// The bytes at `off`, in `buf` if some of them lie beyond the room. `len` up to a page.
const unsigned char *dxs_content_at(const struct dxs_content *content, uint64_t off, size_t len, unsigned char *buf);

// The first page from `off` on that may hold something else than zeros, as an offset; UINT64_MAX: none.
uint64_t dxs_content_next(const struct dxs_content *content, uint64_t off);

// 0 or -ENOMEM.
int dxs_content_copy(struct dxs_content *to, const struct dxs_content *from);
void dxs_content_free(struct dxs_content *content);

#endif
