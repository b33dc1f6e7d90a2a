// SPDX-License-Identifier: BSD-3-Clause
// state.h: what a power cut at one moment can leave: read from a record, moment by moment.
//
// A unit is a piece that arrives as a whole or not at all: a line of a file (64 bytes of persistent memory, a sector or a
// page of a disk), a file's size, or names that a rename has bound to each other.
#ifndef DXS_STATE_H
#define DXS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "content.h"
#include "names.h"
#include "record.h"

struct dxs_replayed {
	struct dxs_content shown, durable;
	struct dxs_content flushed,
		pending; // what was flushed since, where a byte of `pending` stands for a line of 64: 1
	struct dxs_content stored_by, flushed_by; // the site of each page, 4 bytes each; 0: not known
	struct dxs_content touched; // where shown and durable may differ: a page in which a byte stands for a page
};

enum dxs_unit_kind { DXS_UNIT_LINE, DXS_UNIT_SIZE, DXS_UNIT_NAMES };

// What became of a unit: it is as it was when a sync last returned; as it was flushed since, by a sync that had not returned;
// or as it was stored last, in place of either. What arrives by a flush makes the file longer if need be, a store alone does not.
enum dxs_fate { DXS_FATE_LOST, DXS_FATE_FLUSHED, DXS_FATE_STORED, DXS_FATE_STORED_OVER };

struct dxs_unit {
	enum dxs_unit_kind kind;
	uint32_t file;   // names: their group
	uint64_t off;    // line: where it begins
	bool is_flushed; // line: it was flushed since
};

struct dxs_state {
	const struct dxs_record *record;
	size_t at;       // in the record
	uint32_t line;   // bytes
	uint64_t moment; // the number of the last that was read, from 1; 0: none
	struct dxs_moment_data data;

	struct dxs_replayed *file;
	uint32_t nr_files;
	struct dxs_names names, durable_names;
	const char **site; // by number: text
	uint32_t nr_sites;

	struct dxs_unit *unit; // of this moment: lines by file and offset, sizes, names
	size_t nr_units, units_room;
	uint32_t *group; // of each durable name, and behind them of each name: DXS_NO_FILE where nothing has changed
	uint32_t nr_groups;
};

void dxs_state_begin(struct dxs_state *state, const struct dxs_record *record, uint32_t line);

// Reads up to the next moment. False: there is none.
bool dxs_state_next(struct dxs_state *state);

// The units of this moment. Empty: a power cut leaves what the files show.
void dxs_state_units(struct dxs_state *state);

// How the coin of one seed decides each unit's fate; the emulator's power cut decides in the same way (lib/emulate/coin.h).
void dxs_state_toss(const struct dxs_state *state, uint64_t seed, unsigned char *fate);

// Whether a unit of this fate shows something else than what was stored last.
bool dxs_state_is_lost(const struct dxs_state *state, size_t unit, enum dxs_fate fate);

// A line as a fate leaves it, in `buf` (a page) or in the state itself.
const unsigned char *dxs_state_line(const struct dxs_state *state, const struct dxs_unit *unit, enum dxs_fate fate,
				    unsigned char *buf);

// Writes the files, as these fates leave them, into an empty directory. 0 or -errno.
int dxs_state_write(const struct dxs_state *state, const unsigned char *fate, int dir);

// Who stored to a line last, and who flushed the page last: text of the record's, or NULL.
const char *dxs_state_stored_by(const struct dxs_state *state, const struct dxs_unit *unit);
const char *dxs_state_flushed_by(const struct dxs_state *state, const struct dxs_unit *unit);

void dxs_state_end(struct dxs_state *state);

#endif
