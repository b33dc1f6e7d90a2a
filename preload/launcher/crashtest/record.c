// SPDX-License-Identifier: BSD-3-Clause
// record.c: writing and reading records.
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "names.h"

static const char magic[8] = "dsycrec1";

#define BUFFER ((size_t)1 << 20)

static void flush(struct dxs_record_writer *writer)
{
	size_t done = 0;

	while (done < writer->used && !writer->err) {
		ssize_t ret = write(writer->fd, writer->buf + done, writer->used - done);

		if (ret >= 0)
			done += (size_t)ret;
		else if (errno != EINTR)
			writer->err = -errno;
	}
	writer->used = 0;
}

static void put(struct dxs_record_writer *writer, const void *data, size_t len)
{
	const char *from = data;

	while (len && !writer->err) {
		size_t part = dxs_min64(len, BUFFER - writer->used);

		memcpy(writer->buf + writer->used, from, part);
		writer->used += part;
		from += part;
		len -= part;
		if (writer->used == BUFFER)
			flush(writer);
	}
}

int dxs_record_create(struct dxs_record_writer *writer, const char *path)
{
	*writer = (struct dxs_record_writer){.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
	if (writer->fd < 0)
		return -errno;
	writer->buf = malloc(BUFFER);
	if (!writer->buf) {
		close(writer->fd);
		return -ENOMEM;
	}
	put(writer, magic, sizeof(magic));
	return 0;
}

void dxs_record_add(struct dxs_record_writer *writer, const struct dxs_item *item, const void *data)
{
	static const char zeros[8];

	put(writer, item, sizeof(*item));
	put(writer, data, item->len);
	put(writer, zeros, -item->len % 8);
	writer->nr_moments += item->kind == DXS_ITEM_MOMENT;
}

int dxs_record_close(struct dxs_record_writer *writer)
{
	flush(writer);
	if (close(writer->fd) && !writer->err)
		writer->err = -errno;
	free(writer->buf);
	return writer->err;
}

// Where the item at `at` ends, or 0 if it is not whole.
static size_t item_end(const struct dxs_record *record, size_t at)
{
	const struct dxs_item *item = (const void *)(record->data + at);
	size_t left = record->size - at;

	if (left < sizeof(*item) || item->len > left - sizeof(*item) || item->kind < DXS_ITEM_STORED ||
	    item->kind > DXS_ITEM_MOMENT)
		return 0;
	left -= sizeof(*item) + item->len;
	return -item->len % 8 > left ? 0 : record->size - left + -item->len % 8;
}

// Names stay below the directory that they are written to: a record may come from somebody else.
static bool are_names_sound(const char *text, size_t len)
{
	const char *end = text + len, *part;

	if (len && end[-1])
		return false;
	while (text < end) {
		text += strlen(text) + 1; // the file's number
		if (text == end || !*text || strlen(text) >= PATH_MAX)
			return false;
		for (part = text; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
			if (*part == '/' || !*part || !strncmp(part, "../", 3) || !strcmp(part, ".."))
				return false;
		text += strlen(text) + 1;
	}
	return true;
}

// Texts end in a NUL, numbers are small ones.
static bool is_sound(const struct dxs_item *item)
{
	const char *text = (const char *)(item + 1);

	if (item->file >= DXS_MOST_FILES || item->site >= DXS_MOST_FILES || item->off > INT64_MAX / 2)
		return false;
	switch (item->kind) {
	case DXS_ITEM_NAMES:
	case DXS_ITEM_DURABLE_NAMES:
		return are_names_sound(text, item->len);
	case DXS_ITEM_SITE:
		return item->len && !text[item->len - 1];
	case DXS_ITEM_STAGED:
		return item->len <= DXS_PAGE_SIZE;
	case DXS_ITEM_MOMENT:
		return item->len == sizeof(struct dxs_moment_data);
	default:
		return true;
	}
}

static bool is_whole(struct dxs_record *record)
{
	size_t at = sizeof(magic), end;

	for (; at < record->size; at = end) {
		const struct dxs_item *item = (const void *)(record->data + at);

		end = item_end(record, at);
		if (!end || !is_sound(item))
			return false;
		record->nr_moments += item->kind == DXS_ITEM_MOMENT;
	}
	return true;
}

int dxs_record_open(struct dxs_record *record, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	struct stat st;
	void *data;

	if (fd < 0)
		return -errno;
	err = fstat(fd, &st) ? -errno : 0;
	data = err || st.st_size < (off_t)sizeof(magic) ? MAP_FAILED
							: mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (data == MAP_FAILED)
		return err ? err : -EINVAL;
	*record = (struct dxs_record){data, (size_t)st.st_size, 0};
	return memcmp(data, magic, sizeof(magic)) || !is_whole(record) ? -EINVAL : 0;
}

const struct dxs_item *dxs_record_next(const struct dxs_record *record, size_t *at, const void **data)
{
	const struct dxs_item *item;

	if (!*at)
		*at = sizeof(magic);
	if (*at >= record->size)
		return NULL;
	item = (const void *)(record->data + *at);
	*data = item + 1;
	*at = item_end(record, *at);
	return item;
}
