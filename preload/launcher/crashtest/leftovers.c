// SPDX-License-Identifier: BSD-3-Clause
// leftovers.c: writes what a power cut leaves.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "memory.h"
#include "state.h"

static int put(int fd, const unsigned char *data, size_t len, uint64_t off)
{
	while (len) {
		ssize_t done = pwrite(fd, data, len, (off_t)off);

		if (done < 0)
			return -errno;
		data += done;
		off += (uint64_t)done;
		len -= (size_t)done;
	}
	return 0;
}

static int content_put(const struct dxs_content *content, int fd)
{
	uint64_t off;
	int err = 0;

	for (off = dxs_content_next(content, 0); off < content->size && !err;
	     off = dxs_content_next(content, off + DXS_PAGE_SIZE))
		err = put(fd, content->data + off, dxs_min64(DXS_PAGE_SIZE, content->size - off), off);
	return err;
}

// A durable size follows the lines that arrive, up to the file's own.
static int line_put(const struct dxs_state *state, const struct dxs_unit *unit, enum dxs_fate fate, int fd,
		    uint64_t *size)
{
	uint64_t end = dxs_min64(unit->off + state->line, dxs_max64(state->file[unit->file].shown.size, *size));
	unsigned char buf[DXS_PAGE_SIZE];

	if (fate == DXS_FATE_LOST || unit->off >= end)
		return 0;
	if (fate == DXS_FATE_FLUSHED || fate == DXS_FATE_STORED_OVER)
		*size = dxs_max64(*size, end);
	return put(fd, dxs_state_line(state, unit, fate, buf), end - unit->off, unit->off);
}

static int file_put(const struct dxs_state *state, const unsigned char *fate, uint32_t file, int fd)
{
	uint64_t size = state->file[file].durable.size;
	bool grows = false;
	int err = content_put(&state->file[file].durable, fd);

	for (size_t i = 0; i < state->nr_units && !err; i++) {
		const struct dxs_unit *unit = &state->unit[i];

		if (unit->file != file || unit->kind == DXS_UNIT_NAMES)
			continue;
		if (unit->kind == DXS_UNIT_LINE)
			err = line_put(state, unit, fate[i], fd, &size);
		else
			grows = fate[i] == DXS_FATE_STORED;
	}
	if (!err && ftruncate(fd, (off_t)(grows ? state->file[file].shown.size : size)))
		err = -errno;
	return err;
}

static int parents_make(int dir, const char *path)
{
	char parent[PATH_MAX];
	const char *slash;

	for (slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
		if (mkdirat(dir, parent, 0755) && errno != EEXIST)
			return -errno;
	}
	return 0;
}

// A name, of a file that has been written under another one perhaps.
static int name_put(const struct dxs_state *state, const unsigned char *fate, const struct dxs_name *name, int dir,
		    const char **first)
{
	int err = parents_make(dir, name->path), fd;

	if (err)
		return err;
	if (first[name->file])
		return linkat(dir, first[name->file], dir, name->path, 0) ? -errno : 0;
	fd = openat(dir, name->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	err = file_put(state, fate, name->file, fd);
	close(fd);
	first[name->file] = name->path;
	return err;
}

static bool is_kept(const struct dxs_state *state, const unsigned char *fate, size_t name, bool is_durable)
{
	uint32_t group = state->group[name];

	if (group == DXS_NO_FILE)
		return is_durable; // the same on both sides: once
	return is_durable == (fate[state->nr_units - state->nr_groups + group] == DXS_FATE_LOST);
}

int dxs_state_write(const struct dxs_state *state, const unsigned char *fate, int dir)
{
	size_t durable = state->durable_names.nr, i;
	const char **first = (const char **)dxs_need(NULL, state->nr_files * sizeof(*first));
	int err = 0;

	memset((void *)first, 0, state->nr_files * sizeof(*first));
	for (i = 0; i < durable + state->names.nr && !err; i++)
		if (is_kept(state, fate, i, i < durable))
			err = name_put(state, fate,
				       i < durable ? &state->durable_names.name[i] : &state->names.name[i - durable],
				       dir, first);
	free((void *)first);
	return err;
}
