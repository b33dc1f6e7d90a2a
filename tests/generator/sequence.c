// SPDX-License-Identifier: BSD-3-Clause
// sequence.c: the table of operations, the model of the mappings, and their words.
#include "sequence.h"

#include <string.h>

// The common ones first.
const struct op ops[] = {
	{MAP, 0, 0, MAP_PAGES, false}, {MAP, 0, 2, 4, false},          {STORE, 0, 1, 0, false},
	{STORE, 0, 4, 0, false},       {STORE, 0, 7, 0, false},        {STORE, 1, 0, 0, false},
	{MSYNC, 0, 1, 2, false},       {MSYNC, 0, 0, 0, false},        {MSYNC, 1, 0, 0, false},
	{FSYNC, 0, 0, 0, false},       {RESIZE, 0, 1, 2000, false},    {RESIZE, 0, 4, 0, false},
	{RESIZE, 0, 8, 0, false},      {PUNCH, 0, 1, 1, false},        {PUNCH, 0, 2, 3, false},
	{REMAP, 0, 4, 0, false},       {REMAP, 0, 10, 0, false},       {MOVE, 0, 0, 0, false},
	{FORK, 0, 1, 0, false},        {PWRITE, 0, 4096, 4096, false}, {PWRITE, 0, 18000, 100, false},
	{READ, 0, 1, 512, false},      {READ, 0, 4, 6000, false},      {UNMAP, 0, 0, 0, false},
	{UNMAP, 0, 2, 2, false},       {UNMAP, 1, 0, 0, false},

	{MAP, 0, 4, 8, true},          {MAP_OVER, 0, 0, 8, true},      {MAP_OVER, 0, 1, 3, true},
	{MAP_OVER, 1, 1, 2, true},     {STORE, 0, 0, 0, true},         {STORE, 0, 2, 0, true},
	{STORE, 0, 9, 0, true},        {STORE, 1, 2, 0, true},         {STORE, 2, 1, 0, true},
	{STORE_ALL, 0, 0, 0, true},    {STORE_ALL, 1, 0, 0, true},     {STORE_ALL, 2, 0, 0, true},
	{MSYNC, 0, 4, 1, true},        {MSYNC, 1, 1, 1, true},         {MSYNC, 2, 0, 0, true},
	{FDATASYNC, 0, 0, 0, true},    {RESIZE, 0, 0, 0, true},        {RESIZE, 0, 6, 0, true},
	{RESIZE, 0, 12, 0, true},      {RESIZE, 0, 5, 100, true},      {PUNCH, 0, 0, 12, true},
	{PUNCH, 0, 5, 1, true},        {ALLOCATE, 0, 3, 2, true},      {ALLOCATE, 0, 5, 3, true},
	{REMAP, 0, 8, 0, true},        {REMAP, 0, 2, 0, true},         {REMAP, 1, 6, 0, true},
	{REMAP, 1, 2, 0, true},        {MOVE, 1, 0, 0, true},          {FORK, 0, 4, 1, true},
	{FORK, 1, 1, 1, true},         {PWRITE, 0, 0, 20000, true},    {PWRITE, 0, 30000, 5000, true},
	{READ, 0, 0, 20000, true},     {READ, 1, 1, 4096, true},       {READ, 0, 6, 100, true},
	{UNMAP, 0, 0, 1, true},        {UNMAP, 0, 4, 4, true},         {UNMAP, 1, 1, 2, true},
	{UNMAP, 2, 0, 0, true},        {PROTECT, 0, 0, 0, true},       {PROTECT, 0, 1, 0, true},
	{PROTECT, 1, 0, 0, true},      {PROTECT, 1, 1, 0, true},       {REMOVE, 0, 1, 2, true},
	{REMOVE, 1, 0, 1, true},
};
const unsigned nr_ops = sizeof(ops) / sizeof(ops[0]);
unsigned nr_common;

__attribute__((constructor)) static void common_count(void)
{
	while (nr_common < nr_ops && !ops[nr_common].rare)
		nr_common++;
}

static uint32_t pages(int first, int nr)
{
	return ((1U << nr) - 1) << first;
}

static uint32_t pages_of(const struct slot *slot, const struct op *op)
{
	return op->b ? pages(op->a, op->b) : pages(0, slot->len);
}

int layout_free_slot(const struct layout *layout)
{
	int i;

	for (i = 0; i < SLOTS; i++)
		if (!layout->slot[i].len)
			return i;
	return -1;
}

static bool is_whole(const struct slot *slot)
{
	return slot->len && slot->mapped == pages(0, slot->len);
}

bool layout_allows(const struct layout *layout, const struct op *op)
{
	const struct slot *slot = &layout->slot[op->slot];

	switch (op->kind) {
	case MAP:
		return layout_free_slot(layout) >= 0;
	case STORE:
	case FORK:
		return slot->mapped & 1U << op->a;
	case READ: // not beyond: there lies other memory
		return !(pages(op->a, (int)((READ_AT + op->b + PAGE - 1) / PAGE)) & ~slot->mapped);
	case STORE_ALL:
	case PROTECT:
		return slot->mapped;
	case MSYNC: // what is not mapped is ENOMEM, which is asked for too
	case UNMAP:
		return slot->mapped && op->a + op->b <= slot->len;
	case MAP_OVER:
		return slot->len && op->a + op->b <= slot->len;
	case REMOVE:
		return !(pages_of(slot, op) & ~slot->mapped);
	case REMAP:
	case MOVE: // several mappings in one call are not for this version (doc/limits.md)
		return is_whole(slot);
	default:
		return true;
	}
}

void layout_apply(struct layout *layout, const struct op *op)
{
	int at = op->kind == MAP ? layout_free_slot(layout) : op->slot;
	struct slot *slot = &layout->slot[at];

	switch (op->kind) {
	case MAP:
		*slot = (struct slot){op->a, op->b, pages(0, op->b)};
		break;
	case MAP_OVER:
		slot->mapped |= pages(op->a, op->b);
		break;
	case REMAP:
		*slot = (struct slot){slot->first, op->a, pages(0, op->a)};
		break;
	case UNMAP:
		slot->mapped &= ~pages_of(slot, op);
		if (!slot->mapped)
			slot->len = 0;
		break;
	default:
		break;
	}
}

static const char *const kind_name[NR_KINDS] = {
	[MAP] = "map",       [MAP_OVER] = "over",     [STORE] = "store",         [STORE_ALL] = "stores",
	[MSYNC] = "msync",   [FSYNC] = "fsync",       [FDATASYNC] = "fdatasync", [RESIZE] = "resize",
	[PUNCH] = "punch",   [REMAP] = "mremap",      [MOVE] = "move",           [FORK] = "fork",
	[PWRITE] = "pwrite", [READ] = "read",         [UNMAP] = "unmap",         [PROTECT] = "protect",
	[REMOVE] = "remove", [ALLOCATE] = "allocate",
};

static bool has_slot(enum kind kind)
{
	return kind != MAP && kind != FSYNC && kind != FDATASYNC && kind != RESIZE && kind != PUNCH &&
	       kind != ALLOCATE && kind != PWRITE;
}

void op_name(const struct op *op, char *name, size_t size)
{
	char slot[4] = "";

	if (has_slot(op->kind))
		snprintf(slot, sizeof(slot), "%c,", 'a' + op->slot);
	snprintf(name, size, "%s(%s%d,%d)", kind_name[op->kind], slot, op->a, op->b);
}

static int op_find(const char *word, size_t len)
{
	char name[64];
	unsigned i;

	for (i = 0; i < nr_ops; i++) {
		op_name(&ops[i], name, sizeof(name));
		if (strlen(name) == len && !memcmp(name, word, len))
			return (int)i;
	}
	return -1;
}

bool sequence_parse(const char *text, struct sequence *sequence)
{
	sequence->len = 0;
	while (*(text += strspn(text, " \n"))) {
		size_t len = strcspn(text, " \n");
		int op = op_find(text, len);

		if (op < 0 || sequence->len == MAX_LEN)
			return false;
		sequence->op[sequence->len++] = (uint8_t)op;
		text += len;
	}
	return true;
}

void sequence_print(FILE *to, const struct sequence *sequence)
{
	char name[64];
	unsigned i;

	for (i = 0; i < sequence->len; i++) {
		op_name(&ops[sequence->op[i]], name, sizeof(name));
		fprintf(to, "%s%s", i ? " " : "", name);
	}
}
