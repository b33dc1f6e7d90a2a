// SPDX-License-Identifier: BSD-3-Clause
// watch.c: looking at the files under test.
//
// A look reads all that is in the files and compares it with the last look. A stamp would not do: a store to a mapping
// leaves none that can be relied on.
#include "watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "emulate/coin.h"
#include "memory.h"

#define LINE 64
#define CHUNK ((size_t)256 * 1024)
#define DEEP 32 // directories in each other

static void note(struct dxs_watch *watch, int err)
{
	if (!watch->err)
		watch->err = err;
}

static void note_unread(struct dxs_watch *watch, const char *path, int err)
{
	if (!watch->err)
		snprintf(watch->unread, sizeof(watch->unread), "%.511s", path);
	note(watch, err);
}

static void add(struct dxs_watch *watch, enum dxs_item_kind kind, uint32_t file, uint64_t off)
{
	struct dxs_item item = {.kind = kind, .file = file, .off = off};

	dxs_record_add(watch->writer, &item, NULL);
}

static void add_names(struct dxs_watch *watch, enum dxs_item_kind kind, const struct dxs_names *names)
{
	struct dxs_item item = {.kind = kind};
	char *text = dxs_names_pack(names, &item.len);

	dxs_record_add(watch->writer, &item, text);
	free(text);
}

// A file that is being looked at.
struct looked {
	struct dxs_watch *watch;
	uint32_t file;
	struct dxs_content *content;
};

static void changed(const struct looked *looked, uint64_t off, const unsigned char *data, size_t len)
{
	struct dxs_watch *watch = looked->watch;
	const struct dxs_watched *file = &watch->file[looked->file];
	struct dxs_item item = {.kind = DXS_ITEM_STORED, .file = looked->file, .off = off, .len = len};

	if (watch->site)
		item.site = watch->site(watch, file->dev, file->ino, off / DXS_PAGE_SIZE);
	dxs_record_add(watch->writer, &item, data);
	if (dxs_content_write(looked->content, off, data, len))
		note(watch, -ENOMEM);
}

// A page, or what there is of one at the end.
static void page_compare(const struct looked *looked, uint64_t off, const unsigned char *now, size_t len)
{
	unsigned char buf[DXS_PAGE_SIZE];
	const unsigned char *before = dxs_content_at(looked->content, off, len, buf);
	size_t at, end;

	for (at = 0; at < len; at = end) {
		end = at;
		while (end < len && memcmp(now + end, before + end, dxs_min64(LINE, len - end)) != 0)
			end += dxs_min64(LINE, len - end);
		if (end > at)
			changed(looked, off + at, now + at, end - at);
		else
			end += dxs_min64(LINE, len - end);
	}
}

// A stretch with data.
static void stretch_compare(const struct looked *looked, int fd, uint64_t off, uint64_t end)
{
	static unsigned char chunk[CHUNK];

	while (off < end) {
		ssize_t len = pread(fd, chunk, dxs_min64(CHUNK, end - off), (off_t)off);
		size_t at;

		if (len <= 0)
			return;
		for (at = 0; at < (size_t)len; at += DXS_PAGE_SIZE)
			page_compare(looked, off + at, chunk + at, dxs_min64(DXS_PAGE_SIZE, (size_t)len - at));
		off += (uint64_t)len;
	}
}

// A hole: what was there is zeros now.
static void hole_compare(const struct looked *looked, uint64_t off, uint64_t end)
{
	static const unsigned char zeros[DXS_PAGE_SIZE];
	uint64_t page = dxs_content_next(looked->content, off);

	for (; page < end; page = dxs_content_next(looked->content, page + DXS_PAGE_SIZE))
		page_compare(looked, page, zeros, dxs_min64(DXS_PAGE_SIZE, end - page));
}

static void fd_compare(const struct looked *looked, int fd, uint64_t size)
{
	uint64_t at = 0;

	if (size != looked->content->size) {
		add(looked->watch, DXS_ITEM_SIZE, looked->file, size);
		if (dxs_content_resize(looked->content, size))
			note(looked->watch, -ENOMEM);
	}
	while (at < size) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		uint64_t from = data < 0 ? size : (uint64_t)data & ~(uint64_t)(DXS_PAGE_SIZE - 1);

		hole_compare(looked, at, dxs_min64(from, size));
		at = hole < 0 ? size : dxs_min64((uint64_t)hole, size);
		stretch_compare(looked, fd, from, at);
	}
}

uint32_t dxs_watch_find(const struct dxs_watch *watch, dev_t dev, ino_t ino)
{
	uint32_t i;

	for (i = 0; i < watch->nr; i++)
		if (watch->file[i].ino == ino && watch->file[i].dev == dev)
			return i;
	return DXS_NO_FILE;
}

// What tells a file from a later one with the same number: when it was made, and the file system's own count of such uses.
static uint64_t incarnation_of(int fd)
{
	struct statx stx = {0};
	int generation = 0;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx) || !(stx.stx_mask & STATX_BTIME))
		stx.stx_btime = (struct statx_timestamp){0};
	if (ioctl(fd, FS_IOC_GETVERSION, &generation))
		generation = 0;
	return dxs_mix64(((uint64_t)stx.stx_btime.tv_sec << 30) + stx.stx_btime.tv_nsec) ^ (uint32_t)generation;
}

static uint32_t find_or_add(struct dxs_watch *watch, const struct stat *st, int fd)
{
	uint32_t file = dxs_watch_find(watch, st->st_dev, st->st_ino);
	uint64_t incarnation = incarnation_of(fd);

	if (file != DXS_NO_FILE && watch->file[file].incarnation == incarnation)
		return file;
	if (file != DXS_NO_FILE)
		watch->file[file].ino = 0;  // it is gone, but for what is durable of it
	if (!(watch->nr & (watch->nr + 1))) // 0, 1, 3, 7, ...: as many again
		watch->file = dxs_need(watch->file, (watch->nr * 2 + 1) * sizeof(*watch->file));
	watch->file[watch->nr] = (struct dxs_watched){.dev = st->st_dev, .ino = st->st_ino, .incarnation = incarnation};
	return watch->nr++;
}

// A walk through the directory.
struct walk {
	struct dxs_watch *watch;
	struct dxs_names names;
	uint64_t size, max;
};

static void file_visit(struct walk *walk, int dir, const char *name, const char *path)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	uint32_t file;

	if (fd < 0) {
		if (errno != ENOENT && errno != ELOOP)
			note_unread(walk->watch, path, -errno);
		return;
	}
	if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
		walk->size += (uint64_t)st.st_blocks * 512;
		if (walk->size > walk->max) {
			note(walk->watch, -EFBIG);
		} else {
			file = find_or_add(walk->watch, &st, fd);
			dxs_names_add(&walk->names, path, file);
			fd_compare(&(struct looked){walk->watch, file, &walk->watch->file[file].shown}, fd,
				   (uint64_t)st.st_size);
		}
	}
	close(fd);
}

static void dir_visit(struct walk *walk, int parent, const char *name, const char *path, int deep);

static void entry_visit(struct walk *walk, int dir, const struct dirent *entry, const char *path, int deep)
{
	char full[PATH_MAX];
	struct stat st;

	if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
		return;
	if (snprintf(full, sizeof(full), "%s%s%s", path, *path ? "/" : "", entry->d_name) >= (int)sizeof(full) ||
	    fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return;
	if (S_ISDIR(st.st_mode))
		dir_visit(walk, dir, entry->d_name, full, deep + 1);
	else if (S_ISREG(st.st_mode))
		file_visit(walk, dir, entry->d_name, full);
}

static void dir_visit(struct walk *walk, int parent, const char *name, const char *path, int deep)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	struct stat st;

	if (!stream || deep > DEEP) {
		if (deep > DEEP || errno != ENOENT) // not removed since its name was read
			note_unread(walk->watch, path, deep > DEEP ? -ELOOP : -errno);
		if (stream)
			closedir(stream);
		return;
	}
	if (fstat(fd, &st) || st.st_ino != walk->watch->skip.st_ino || st.st_dev != walk->watch->skip.st_dev)
		while ((entry = readdir(stream)) && !walk->watch->err)
			entry_visit(walk, fd, entry, path, deep);
	closedir(stream);
}

static void names_scan(struct dxs_watch *watch, uint64_t max)
{
	struct walk walk = {.watch = watch, .max = max};

	dir_visit(&walk, watch->dir, ".", "", 0);
	dxs_names_sort(&walk.names);
	if (!dxs_names_equal(&walk.names, &watch->names))
		add_names(watch, DXS_ITEM_NAMES, &walk.names);
	dxs_names_clear(&watch->names);
	free(watch->names.name);
	watch->names = walk.names;
}

int dxs_watch_begin(struct dxs_watch *watch, const char *dir, const struct stat *skip, uint64_t max)
{
	watch->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (watch->dir < 0)
		return -errno;
	if (skip)
		watch->skip = *skip;
	names_scan(watch, max);
	dxs_watch_synced_all(watch);
	return watch->err;
}

void dxs_watch_scan(struct dxs_watch *watch)
{
	names_scan(watch, UINT64_MAX);
}

static void pending_clear(struct dxs_watched *file, uint64_t off, uint64_t end)
{
	uint64_t line = off / LINE, last = dxs_min64((end + LINE - 1) / LINE, file->pending.size);

	if (line < last)
		memset(file->pending.data + line, 0, last - line);
}

// Data that is durable now.
static void settle(struct dxs_watch *watch, uint32_t i, uint64_t off, const unsigned char *data, size_t len)
{
	struct dxs_item item = {.kind = DXS_ITEM_DURABLE, .file = i, .off = off, .len = len};

	dxs_record_add(watch->writer, &item, data);
	if (dxs_content_write(&watch->file[i].durable, off, data, len))
		note(watch, -ENOMEM);
}

static void size_settle(struct dxs_watch *watch, uint32_t i)
{
	struct dxs_watched *file = &watch->file[i];

	if (file->durable.size == file->shown.size)
		return;
	add(watch, DXS_ITEM_DURABLE_SIZE, i, file->shown.size);
	if (dxs_content_resize(&file->durable, file->shown.size))
		note(watch, -ENOMEM);
}

// The first page from `page` on that may hold something else than zeros, or did when it became durable. UINT64_MAX: none.
static uint64_t page_next(const struct dxs_watched *file, uint64_t page)
{
	return dxs_min64(dxs_content_next(&file->shown, page), dxs_content_next(&file->durable, page));
}

// What the file shows.
static void shown_settle(struct dxs_watch *watch, uint32_t i, uint64_t off, uint64_t end)
{
	struct dxs_watched *file = &watch->file[i];
	unsigned char buf[DXS_PAGE_SIZE];
	uint64_t page, at, len;

	size_settle(watch, i);
	end = dxs_min64(end, file->shown.size);
	for (page = page_next(file, off & ~(uint64_t)(DXS_PAGE_SIZE - 1)); page < end;
	     page = page_next(file, page + DXS_PAGE_SIZE)) {
		at = dxs_max64(page, off);
		len = dxs_min64(end, page + DXS_PAGE_SIZE) - at;
		if (memcmp(file->shown.data + at, dxs_content_at(&file->durable, at, len, buf), len) != 0)
			settle(watch, i, at, file->shown.data + at, len);
	}
	pending_clear(file, off, end);
}

// What was flushed of it.
static void flushed_settle(struct dxs_watch *watch, uint32_t i, uint64_t off, uint64_t end)
{
	struct dxs_watched *file = &watch->file[i];
	uint64_t line, block, last = dxs_min64((end + LINE - 1) / LINE, file->pending.size);

	size_settle(watch, i);
	for (block = dxs_content_next(&file->pending, off / LINE & ~(uint64_t)(DXS_PAGE_SIZE - 1)); block < last;
	     block = dxs_content_next(&file->pending, block + DXS_PAGE_SIZE))
		for (line = dxs_max64(block, off / LINE); line < dxs_min64(block + DXS_PAGE_SIZE, last); line++)
			if (file->pending.data[line])
				settle(watch, i, line * LINE, file->flushed.data + line * LINE, LINE);
	pending_clear(file, off, end);
	size_settle(watch, i); // the last line may reach beyond it
}

void dxs_watch_staged(struct dxs_watch *watch, dev_t dev, ino_t ino, uint64_t off, const void *data, size_t len,
		      uint32_t site)
{
	struct dxs_item item = {.kind = DXS_ITEM_STAGED, .off = off, .len = len, .site = site};
	static const unsigned char ones[DXS_PAGE_SIZE / LINE + 1] = {[0 ... DXS_PAGE_SIZE / LINE] = 1};

	item.file = dxs_watch_find(watch, dev, ino);
	if (item.file == DXS_NO_FILE || !len || len > DXS_PAGE_SIZE)
		return; // outside of the directory, or without a name
	dxs_record_add(watch->writer, &item, data);
	if (dxs_content_write(&watch->file[item.file].flushed, off, data, len) ||
	    dxs_content_write(&watch->file[item.file].pending, off / LINE, ones, (len + LINE - 1) / LINE))
		note(watch, -ENOMEM);
}

void dxs_watch_mapped(struct dxs_watch *watch, dev_t dev, ino_t ino)
{
	uint32_t i = dxs_watch_find(watch, dev, ino);
	unsigned char one[LINE], other[LINE];
	struct dxs_watched *file;
	uint64_t page, at;

	for (page = 0; i != DXS_NO_FILE && page != UINT64_MAX;
	     page = dxs_content_next(&watch->file[i].shown, page + DXS_PAGE_SIZE)) {
		file = &watch->file[i];
		for (at = page; at < dxs_min64(page + DXS_PAGE_SIZE, file->shown.size); at += LINE)
			if (memcmp(dxs_content_at(&file->shown, at, LINE, one),
				   dxs_content_at(&file->durable, at, LINE, other), LINE) != 0)
				dxs_watch_staged(watch, dev, ino, at, dxs_content_at(&file->shown, at, LINE, one), LINE,
						 0);
	}
}

static bool is_in(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (!len)
		return !strchr(path, '/');
	return !strncmp(path, dir, len) && path[len] == '/' && !strchr(path + len + 1, '/');
}

struct meant {
	bool (*is_meant)(const struct dxs_name *name, const void *arg);
	const void *arg;
	unsigned char *is_moved; // a byte for each file: a name of it that is meant has changed
};

static bool is_settled(const struct meant *meant, const struct dxs_name *name)
{
	return meant->is_moved[name->file] || meant->is_meant(name, meant->arg);
}

static void moved_find(const struct meant *meant, const struct dxs_names *names, const struct dxs_names *others)
{
	size_t i;

	for (i = 0; i < names->nr; i++)
		if (meant->is_meant(&names->name[i], meant->arg) &&
		    dxs_names_find(others, names->name[i].path) != names->name[i].file)
			meant->is_moved[names->name[i].file] = 1;
}

static bool clashes(const struct dxs_names *names, const char *path)
{
	size_t i;

	for (i = 0; i < names->nr; i++)
		if (dxs_names_clash(names->name[i].path, path))
			return true;
	return false;
}

// The names of now that are meant take the place of the durable ones that are. A file that has moved from one directory to
// another does so as a whole, when either is synced.
static void names_settle(struct dxs_watch *watch, bool (*is_meant)(const struct dxs_name *name, const void *arg),
			 const void *arg)
{
	struct meant meant = {is_meant, arg, dxs_need(NULL, watch->nr)};
	struct dxs_names settled = {0}, left = {0};
	size_t i;

	memset(meant.is_moved, 0, watch->nr);
	moved_find(&meant, &watch->names, &watch->durable_names);
	moved_find(&meant, &watch->durable_names, &watch->names);
	for (i = 0; i < watch->names.nr; i++)
		if (is_settled(&meant, &watch->names.name[i]))
			dxs_names_add(&settled, watch->names.name[i].path, watch->names.name[i].file);
	dxs_names_sort(&settled);
	for (i = 0; i < watch->durable_names.nr; i++) {
		const struct dxs_name *name = &watch->durable_names.name[i];

		if (!is_settled(&meant, name) && !clashes(&settled, name->path))
			dxs_names_add(&left, name->path, name->file);
	}
	for (i = 0; i < left.nr; i++)
		dxs_names_add(&settled, left.name[i].path, left.name[i].file);
	dxs_names_sort(&settled);
	dxs_names_clear(&left);
	free(left.name);
	free(meant.is_moved);
	if (!dxs_names_equal(&settled, &watch->durable_names))
		add_names(watch, DXS_ITEM_DURABLE_NAMES, &settled);
	dxs_names_clear(&watch->durable_names);
	free(watch->durable_names.name);
	watch->durable_names = settled;
}

static bool leads_to(const struct dxs_name *name, const void *file)
{
	return name->file == *(const uint32_t *)file;
}

static bool is_of_dir(const struct dxs_name *name, const void *dir)
{
	return is_in(name->path, dir);
}

static bool is_any(const struct dxs_name *name, const void *arg)
{
	(void)name;
	(void)arg;
	return true;
}

void dxs_watch_answered(struct dxs_watch *watch, dev_t dev, ino_t ino, uint64_t off, uint64_t end)
{
	uint32_t file = dxs_watch_find(watch, dev, ino);

	if (file == DXS_NO_FILE)
		return;
	flushed_settle(watch, file, off, end);
	names_settle(watch, leads_to, &file);
}

// The path of a directory that holds a file, or NULL: no name is in it.
static char *dir_find(const struct dxs_watch *watch, dev_t dev, ino_t ino)
{
	struct stat st;
	size_t i;

	if (!fstat(watch->dir, &st) && st.st_dev == dev && st.st_ino == ino)
		return dxs_need_text("");
	for (i = 0; i < watch->names.nr + watch->durable_names.nr; i++) {
		const struct dxs_name *name = i < watch->names.nr ? &watch->names.name[i]
								  : &watch->durable_names.name[i - watch->names.nr];
		char *dir = dxs_need_text(name->path), *end;

		while ((end = strrchr(dir, '/'))) {
			*end = '\0';
			if (!fstatat(watch->dir, dir, &st, AT_SYMLINK_NOFOLLOW) && st.st_dev == dev && st.st_ino == ino)
				return dir;
		}
		free(dir);
	}
	return NULL;
}

void dxs_watch_synced(struct dxs_watch *watch, dev_t dev, ino_t ino, uint64_t off, uint64_t end)
{
	uint32_t file = dxs_watch_find(watch, dev, ino);
	char *dir = file == DXS_NO_FILE ? dir_find(watch, dev, ino) : NULL;

	if (file != DXS_NO_FILE) {
		shown_settle(watch, file, off, end);
		names_settle(watch, leads_to, &file);
	} else if (dir) {
		names_settle(watch, is_of_dir, dir);
		free(dir);
	}
}

void dxs_watch_synced_all(struct dxs_watch *watch)
{
	uint32_t i;

	for (i = 0; i < watch->nr; i++)
		shown_settle(watch, i, 0, UINT64_MAX);
	names_settle(watch, is_any, NULL);
}

void dxs_watch_end(struct dxs_watch *watch)
{
	uint32_t i;

	for (i = 0; i < watch->nr; i++) {
		dxs_content_free(&watch->file[i].shown);
		dxs_content_free(&watch->file[i].durable);
		dxs_content_free(&watch->file[i].flushed);
		dxs_content_free(&watch->file[i].pending);
	}
	free(watch->file);
	dxs_names_clear(&watch->names);
	dxs_names_clear(&watch->durable_names);
	free(watch->names.name);
	free(watch->durable_names.name);
	close(watch->dir);
}
