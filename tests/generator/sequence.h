// SPDX-License-Identifier: BSD-3-Clause
// sequence.h: sequences of operations on one file and up to three mappings of it.
//
// An operation is a call with its arguments, taken from a small table. What it can be done to is told by a model of
// the mappings (struct layout), which is the same for every run of a sequence: addresses are not part of it.
#ifndef SEQUENCE_H
#define SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PAGE 4096L
#define FILE_PAGES 6  // the file at the beginning; the first DATA_PAGES hold data, the others are a hole
#define DATA_PAGES 4  //
#define MAP_PAGES 8   // a mapping of the whole file reaches beyond its end
#define SLOTS 3       // mappings
#define SLOT_PAGES 16 // of one, at most
#define READ_AT 8
#define MAX_LEN 32

enum kind {
	MAP,       // a: first page of the file, b: pages; into the first free slot
	MAP_OVER,  // the same part of the file once more over pages a to a + b - 1 of the slot (MAP_FIXED)
	STORE,     // to page a
	STORE_ALL, // to every page
	MSYNC,     // b pages from page a on; b 0: all
	FSYNC,     //
	FDATASYNC, //
	RESIZE,    // a: pages, b: bytes more
	PUNCH,     // b pages of the file from a on
	ALLOCATE,  // the same, filled with zeros where they are none; the file may grow
	REMAP,     // a: the new length in pages; may move
	MOVE,      // to an address that is given
	FORK,      // the child stores to page a, and syncs the slot if b
	PWRITE,    // a: offset in the file, b: bytes
	READ,      // b bytes from another file into page a and on, from READ_AT there
	UNMAP,     // b pages from page a on; b 0: all
	PROTECT,   // a: whether writable
	REMOVE,    // b pages from page a on (MADV_REMOVE)
	NR_KINDS
};

struct op {
	enum kind kind;
	int slot, a, b;
	bool rare; // not among those of which all sequences are tried
};

extern const struct op ops[];
extern const unsigned nr_ops;
extern unsigned nr_common; // the first nr_common of them are not rare

struct sequence {
	unsigned len;
	uint8_t op[MAX_LEN];
};

struct slot {
	int first;       // page of the file at its beginning
	int len;         // pages, 0: free
	uint32_t mapped; // of these
};

struct layout {
	struct slot slot[SLOTS];
};

// Whether an operation makes sense in a layout, and what it makes of it when it has worked.
bool layout_allows(const struct layout *layout, const struct op *op);
void layout_apply(struct layout *layout, const struct op *op);

// The slot that a MAP takes; -1: none is free.
int layout_free_slot(const struct layout *layout);

// "store(a,1)" and back: a sequence as a line of such words.
void op_name(const struct op *op, char *name, size_t size);
bool sequence_parse(const char *text, struct sequence *sequence);
void sequence_print(FILE *to, const struct sequence *sequence);

// The sequence as a C program.
void program_print(FILE *to, const struct sequence *sequence);

#endif
