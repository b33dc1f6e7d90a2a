// SPDX-License-Identifier: BSD-3-Clause
// state.c: replaying a record.
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "emulate/coin.h"
#include "launcher.h"
#include "memory.h"

#define LINE 64 // of `pending`

void dxs_state_begin(struct dxs_state *state, const struct dxs_record *record, uint32_t line)
{
	*state = (struct dxs_state){.record = record, .line = line};
}

static void need(int err)
{
	if (!err)
		return;
	dxs_error("no memory for the crash test");
	exit(DXS_EXIT_ERROR);
}

static struct dxs_replayed *file_get(struct dxs_state *state, uint32_t file)
{
	if (file >= state->nr_files) {
		state->file = dxs_need(state->file, (file + 1) * sizeof(*state->file));
		memset(state->file + state->nr_files, 0, (file + 1 - state->nr_files) * sizeof(*state->file));
		state->nr_files = file + 1;
	}
	return &state->file[file];
}

// A number for each page of a range.
static void pages_set(struct dxs_content *numbers, uint64_t off, uint64_t len, uint32_t number)
{
	uint64_t page;

	for (page = off / DXS_PAGE_SIZE; len && page <= (off + len - 1) / DXS_PAGE_SIZE; page++)
		need(dxs_content_write(numbers, page * sizeof(number), &number, sizeof(number)));
}

static uint32_t page_number(const struct dxs_content *numbers, uint64_t off)
{
	unsigned char buf[sizeof(uint32_t)];
	uint32_t number;

	memcpy(&number, dxs_content_at(numbers, off / DXS_PAGE_SIZE * sizeof(number), sizeof(number), buf),
	       sizeof(number));
	return number;
}

static void pages_touch(struct dxs_replayed *file, uint64_t off, uint64_t len)
{
	static const unsigned char yes = 1;
	uint64_t page;

	for (page = off / DXS_PAGE_SIZE; len && page <= (off + len - 1) / DXS_PAGE_SIZE; page++)
		need(dxs_content_write(&file->touched, page, &yes, 1));
}

// What is cut off differs from what is durable, and the other way round.
static void resize(struct dxs_replayed *file, struct dxs_content *content, uint64_t size)
{
	uint64_t page = size & ~(uint64_t)(DXS_PAGE_SIZE - 1);

	for (page = dxs_content_next(content, page); page < content->size;
	     page = dxs_content_next(content, page + DXS_PAGE_SIZE))
		pages_touch(file, page, 1);
	if (size % DXS_PAGE_SIZE)
		pages_touch(file, size, 1);
	need(dxs_content_resize(content, size));
}

static void pending_set(struct dxs_replayed *file, uint64_t off, uint64_t len, unsigned char value)
{
	uint64_t line;

	for (line = off / LINE; len && line <= (off + len - 1) / LINE; line++)
		if (value || line < file->pending.size)
			need(dxs_content_write(&file->pending, line, &value, 1));
}

static void site_keep(struct dxs_state *state, uint32_t number, const char *text)
{
	if (number >= state->nr_sites) {
		state->site = (const char **)dxs_need((void *)state->site, (number + 1) * sizeof(*state->site));
		memset((void *)(state->site + state->nr_sites), 0,
		       (number + 1 - state->nr_sites) * sizeof(*state->site));
		state->nr_sites = number + 1;
	}
	state->site[number] = text;
}

static void data_apply(struct dxs_state *state, const struct dxs_item *item, const unsigned char *data)
{
	struct dxs_replayed *file = file_get(state, item->file);

	switch (item->kind) {
	case DXS_ITEM_STORED:
		need(dxs_content_write(&file->shown, item->off, data, item->len));
		pages_set(&file->stored_by, item->off, item->len, item->site);
		break;
	case DXS_ITEM_STAGED:
		need(dxs_content_write(&file->flushed, item->off, data, item->len));
		pending_set(file, item->off, item->len, 1);
		pages_set(&file->flushed_by, item->off, item->len, item->site);
		break;
	case DXS_ITEM_DURABLE:
		need(dxs_content_write(&file->durable, item->off, data, item->len));
		pending_set(file, item->off, item->len, 0);
		break;
	case DXS_ITEM_SIZE:
		resize(file, &file->shown, item->off);
		return;
	default: // DXS_ITEM_DURABLE_SIZE
		resize(file, &file->durable, item->off);
		return;
	}
	pages_touch(file, item->off, item->len);
}

// A file that is empty is in no other item.
static void names_apply(struct dxs_state *state, struct dxs_names *names, const char *text, size_t len)
{
	size_t i;

	dxs_names_unpack(names, text, len);
	for (i = 0; i < names->nr; i++)
		file_get(state, names->name[i].file);
}

static void apply(struct dxs_state *state, const struct dxs_item *item, const void *data)
{
	switch (item->kind) {
	case DXS_ITEM_NAMES:
		names_apply(state, &state->names, data, item->len);
		break;
	case DXS_ITEM_DURABLE_NAMES:
		names_apply(state, &state->durable_names, data, item->len);
		break;
	case DXS_ITEM_SITE:
		site_keep(state, item->file, data);
		break;
	case DXS_ITEM_MOMENT:
		memcpy(&state->data, data, sizeof(state->data));
		break;
	default:
		data_apply(state, item, data);
	}
}

bool dxs_state_next(struct dxs_state *state)
{
	const struct dxs_item *item;
	const void *data;

	while ((item = dxs_record_next(state->record, &state->at, &data))) {
		apply(state, item, data);
		if (item->kind == DXS_ITEM_MOMENT) {
			state->moment++;
			return true;
		}
	}
	return false;
}

// Puts what was flushed of a line over it. Whether anything was.
static bool flushed_over(const struct dxs_replayed *file, uint64_t off, size_t len, unsigned char *line)
{
	unsigned char buf[LINE];
	bool any = false;
	size_t at;

	for (at = 0; at < len; at += LINE) {
		if ((off + at) / LINE >= file->pending.size || !file->pending.data[(off + at) / LINE])
			continue;
		memcpy(line + at, dxs_content_at(&file->flushed, off + at, LINE, buf), LINE);
		any = true;
	}
	return any;
}

// A line, after a fate.
const unsigned char *dxs_state_line(const struct dxs_state *state, const struct dxs_unit *unit, enum dxs_fate fate,
				    unsigned char *buf)
{
	const struct dxs_replayed *file = &state->file[unit->file];
	const unsigned char *line;

	if (fate >= DXS_FATE_STORED)
		return dxs_content_at(&file->shown, unit->off, state->line, buf);
	line = dxs_content_at(&file->durable, unit->off, state->line, buf);
	if (fate == DXS_FATE_LOST)
		return line;
	if (line != buf)
		memcpy(buf, line, state->line);
	flushed_over(file, unit->off, state->line, buf);
	return buf;
}

bool dxs_state_is_lost(const struct dxs_state *state, size_t unit, enum dxs_fate fate)
{
	unsigned char one[DXS_PAGE_SIZE], other[DXS_PAGE_SIZE];
	const struct dxs_unit *line = &state->unit[unit];

	if (fate >= DXS_FATE_STORED)
		return false;
	return line->kind != DXS_UNIT_LINE ||
	       memcmp(dxs_state_line(state, line, fate, one), dxs_state_line(state, line, DXS_FATE_STORED, other),
		      state->line) != 0;
}

static void unit_add(struct dxs_state *state, const struct dxs_unit *unit)
{
	if (state->nr_units == state->units_room) {
		state->units_room = state->units_room * 2 + 64;
		state->unit = dxs_need(state->unit, state->units_room * sizeof(*state->unit));
	}
	state->unit[state->nr_units++] = *unit;
}

// Whether it matters that a line was flushed: it shows something else then, or makes the file longer, by zeros perhaps.
static bool is_flushed(const struct dxs_state *state, const struct dxs_unit *unit)
{
	unsigned char one[DXS_PAGE_SIZE], other[DXS_PAGE_SIZE];
	const struct dxs_replayed *file = &state->file[unit->file];

	if (unit->off + state->line > file->durable.size && flushed_over(file, unit->off, state->line, one))
		return true;
	return memcmp(dxs_state_line(state, unit, DXS_FATE_FLUSHED, one),
		      dxs_state_line(state, unit, DXS_FATE_LOST, other), state->line) != 0;
}

// The lines of one page. Whether any differs.
static bool page_lines(struct dxs_state *state, uint32_t file, uint64_t page)
{
	unsigned char one[DXS_PAGE_SIZE], other[DXS_PAGE_SIZE];
	size_t before = state->nr_units;
	struct dxs_unit unit = {.kind = DXS_UNIT_LINE, .file = file, .off = page};

	for (; unit.off < page + DXS_PAGE_SIZE; unit.off += state->line) {
		unit.is_flushed = is_flushed(state, &unit);
		if (unit.is_flushed || memcmp(dxs_state_line(state, &unit, DXS_FATE_STORED, one),
					      dxs_state_line(state, &unit, DXS_FATE_LOST, other), state->line) != 0)
			unit_add(state, &unit);
	}
	return state->nr_units > before;
}

static void file_lines(struct dxs_state *state, uint32_t number)
{
	struct dxs_replayed *file = &state->file[number];
	struct dxs_content *touched = &file->touched;
	uint64_t block, page;

	for (block = dxs_content_next(touched, 0); block < touched->size;
	     block = dxs_content_next(touched, block + DXS_PAGE_SIZE))
		for (page = block; page < dxs_min64(block + DXS_PAGE_SIZE, touched->size); page++)
			if (touched->data[page] && !page_lines(state, number, page * DXS_PAGE_SIZE))
				touched->data[page] = 0;
	if (file->shown.size != file->durable.size)
		unit_add(state, &(struct dxs_unit){.kind = DXS_UNIT_SIZE, .file = number});
}

static struct dxs_name *name_at(const struct dxs_state *state, size_t i)
{
	size_t durable = state->durable_names.nr;

	return i < durable ? &state->durable_names.name[i] : &state->names.name[i - durable];
}

static bool has_changed(const struct dxs_state *state, size_t i)
{
	const struct dxs_name *name = name_at(state, i);
	const struct dxs_names *others = i < state->durable_names.nr ? &state->names : &state->durable_names;

	return dxs_names_find(others, name->path) != name->file;
}

// Changed names of one path, or of one file, go together: a rename is one step. So do a file and what is below a directory
// of the same name: only one of them can be there.
static void group_spread(struct dxs_state *state, size_t from, uint32_t group)
{
	size_t all = state->durable_names.nr + state->names.nr, i;
	const struct dxs_name *name = name_at(state, from);

	state->group[from] = group;
	for (i = 0; i < all; i++) {
		const struct dxs_name *other = name_at(state, i);

		if (state->group[i] == DXS_NO_FILE && has_changed(state, i) &&
		    (other->file == name->file || dxs_names_clash(other->path, name->path)))
			group_spread(state, i, group);
	}
}

static void name_units(struct dxs_state *state)
{
	size_t all = state->durable_names.nr + state->names.nr, i;

	state->group = dxs_need(state->group, all * sizeof(*state->group));
	memset(state->group, 0xff, all * sizeof(*state->group));
	state->nr_groups = 0;
	for (i = 0; i < all; i++) {
		if (state->group[i] != DXS_NO_FILE || !has_changed(state, i))
			continue;
		group_spread(state, i, state->nr_groups);
		unit_add(state, &(struct dxs_unit){.kind = DXS_UNIT_NAMES, .file = state->nr_groups++});
	}
}

void dxs_state_units(struct dxs_state *state)
{
	uint32_t i;

	state->nr_units = 0;
	for (i = 0; i < state->nr_files; i++)
		file_lines(state, i);
	name_units(state);
}

void dxs_state_toss(const struct dxs_state *state, uint64_t seed, unsigned char *fate)
{
	size_t i;

	for (i = 0; i < state->nr_units; i++) {
		const struct dxs_unit *unit = &state->unit[i];
		uint64_t line = unit->off / state->line;

		if (unit->kind == DXS_UNIT_SIZE) {
			fate[i] = dxs_coin(seed, DXS_COIN_SIZE, unit->file) ? DXS_FATE_STORED : DXS_FATE_LOST;
		} else if (unit->kind == DXS_UNIT_NAMES) {
			fate[i] = dxs_coin(seed, DXS_COIN_NAME, unit->file) ? DXS_FATE_STORED : DXS_FATE_LOST;
		} else {
			fate[i] = unit->is_flushed && dxs_coin(seed, DXS_COIN_FLUSHED, line) ? DXS_FATE_FLUSHED
											     : DXS_FATE_LOST;
			if (dxs_state_is_lost(state, i, fate[i]) && dxs_coin(seed, DXS_COIN_STORED, line))
				fate[i] = fate[i] == DXS_FATE_FLUSHED ? DXS_FATE_STORED_OVER : DXS_FATE_STORED;
		}
	}
}

static const char *site_text(const struct dxs_state *state, const struct dxs_content *numbers, uint64_t off)
{
	uint32_t number = page_number(numbers, off);

	return number < state->nr_sites ? state->site[number] : NULL;
}

const char *dxs_state_stored_by(const struct dxs_state *state, const struct dxs_unit *unit)
{
	return unit->kind == DXS_UNIT_LINE ? site_text(state, &state->file[unit->file].stored_by, unit->off) : NULL;
}

const char *dxs_state_flushed_by(const struct dxs_state *state, const struct dxs_unit *unit)
{
	return unit->kind == DXS_UNIT_LINE ? site_text(state, &state->file[unit->file].flushed_by, unit->off) : NULL;
}

void dxs_state_end(struct dxs_state *state)
{
	uint32_t i;

	for (i = 0; i < state->nr_files; i++) {
		struct dxs_replayed *file = &state->file[i];

		dxs_content_free(&file->shown);
		dxs_content_free(&file->durable);
		dxs_content_free(&file->flushed);
		dxs_content_free(&file->pending);
		dxs_content_free(&file->stored_by);
		dxs_content_free(&file->flushed_by);
		dxs_content_free(&file->touched);
	}
	dxs_names_clear(&state->names);
	dxs_names_clear(&state->durable_names);
	free(state->names.name);
	free(state->durable_names.name);
	free(state->file);
	free((void *)state->site);
	free(state->unit);
	free(state->group);
}
