// SPDX-License-Identifier: BSD-3-Clause
// content.c: sparse copies of files.
#include "content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"

#define WORD (64 * DXS_PAGE_SIZE)  // what a word of `used` stands for
#define ROOM ((uint64_t)16 * WORD) // room is made in multiples of it

static int used_grow(struct dxs_content *content, uint64_t room)
{
	uint64_t *used = realloc(content->used, room / WORD * sizeof(*used));

	if (!used)
		return -ENOMEM;
	memset(used + content->room / WORD, 0, (room - content->room) / WORD * sizeof(*used));
	content->used = used;
	return 0;
}

static int room_make(struct dxs_content *content, uint64_t size)
{
	uint64_t room;
	void *data;

	if (size <= content->room)
		return 0;
	if (size > INT64_MAX / 2)
		return -ENOMEM;
	room = dxs_max64(size, content->room + content->room / 2);
	room = (room + ROOM - 1) / ROOM * ROOM;
	if (used_grow(content, room))
		return -ENOMEM;
	data = content->data
		       ? mremap(content->data, content->room, room, MREMAP_MAYMOVE)
		       : mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (data == MAP_FAILED)
		return -ENOMEM;
	content->data = data;
	content->room = room;
	return 0;
}

static void cut(struct dxs_content *content, uint64_t size)
{
	uint64_t page = (size + DXS_PAGE_SIZE - 1) & ~(uint64_t)(DXS_PAGE_SIZE - 1), off;

	memset(content->data + size, 0, page - size);
	for (off = dxs_content_next(content, page); off != UINT64_MAX; off = dxs_content_next(content, off)) {
		memset(content->data + off, 0, DXS_PAGE_SIZE);
		content->used[off / WORD] &= ~(1ULL << off / DXS_PAGE_SIZE % 64);
	}
}

int dxs_content_resize(struct dxs_content *content, uint64_t size)
{
	if (room_make(content, size))
		return -ENOMEM;
	if (size < content->size)
		cut(content, size);
	content->size = size;
	return 0;
}

int dxs_content_write(struct dxs_content *content, uint64_t off, const void *data, size_t len)
{
	uint64_t page;

	if (!len)
		return 0;
	if (off + len > content->size && dxs_content_resize(content, off + len))
		return -ENOMEM;
	memcpy(content->data + off, data, len);
	for (page = off / DXS_PAGE_SIZE; page <= (off + len - 1) / DXS_PAGE_SIZE; page++)
		content->used[page / 64] |= 1ULL << page % 64;
	return 0;
}

const unsigned char *dxs_content_at(const struct dxs_content *content, uint64_t off, size_t len, unsigned char *buf)
{
	if (off + len <= content->room)
		return content->data + off;
	memset(buf, 0, len);
	if (off < content->room)
		memcpy(buf, content->data + off, content->room - off);
	return buf;
}

uint64_t dxs_content_next(const struct dxs_content *content, uint64_t off)
{
	uint64_t page = (off + DXS_PAGE_SIZE - 1) / DXS_PAGE_SIZE, word;

	for (; page < content->room / DXS_PAGE_SIZE; page = (page | 63) + 1) {
		word = content->used[page / 64] >> page % 64;
		if (word)
			return (page + (unsigned)__builtin_ctzll(word)) * DXS_PAGE_SIZE;
	}
	return UINT64_MAX;
}

int dxs_content_copy(struct dxs_content *to, const struct dxs_content *from)
{
	uint64_t off;

	if (dxs_content_resize(to, 0) || dxs_content_resize(to, from->size))
		return -ENOMEM;
	for (off = dxs_content_next(from, 0); off < from->size; off = dxs_content_next(from, off + DXS_PAGE_SIZE))
		dxs_content_write(to, off, from->data + off, dxs_min64(DXS_PAGE_SIZE, from->size - off));
	return 0;
}

void dxs_content_free(struct dxs_content *content)
{
	if (content->data)
		munmap(content->data, content->room);
	free(content->used);
	*content = (struct dxs_content){0};
}
