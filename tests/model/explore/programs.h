// SPDX-License-Identifier: BSD-3-Clause
// programs.h: the small programs of the explorer, and what must hold in them.
//
// A program is what is marked at its begin and what each of its threads does:
//
//   mE   marks entry E DIRTY            cE   the same, and makes its leaf
//   uE   unmarks it
//   w    walks: the first DIRTY leaf    wE   the same in entry E's place only
//   t    tags all that is DIRTY
//   hE   hands E over: marks it FLUSHING, then takes TOWRITE away
//   x    walks: the first leaf that is TOWRITE or FLUSHING
//   lE   locks E's page, and unlocks it
//
// A `t` before what is marked at the begin: it is TOWRITE.
//
// Entries 0 and 1 are of one leaf, 2 and 3 of the next, 4 of a leaf below another node.
#ifndef EXPLORE_PROGRAMS_H
#define EXPLORE_PROGRAMS_H

struct program {
	const char *name, *marked;
};

// The name is the program: threads, `|` between them.
static const struct program programs[] = {
	{"m0|m0|w", ""},   {"m0|m1|w", ""},  {"m0|m2|w", ""},  {"c0|w", ""},           {"h0|x", "t0"},
	{"h0|m1|x", "t0"}, {"l0|l0", ""},    {"l0 l0|l0", ""}, {"m0|u1|w", "1"},       {"m0|u1|w0", "1"},
	{"m4|u0|w", "0"},  {"m2|u0|w", "0"}, {"m0|u1|t", "1"}, {"m0 w|u1 m1|u1", "1"}, {"c0|c1", ""},
};

static const uint64_t pages[] = {0, 1, 64, 65, 64 * 64};
#define NR_ENTRIES 5

enum ghost { MARKED = 0, UNMARKING = 10, TAGGED = 20, CLEARING_FLUSH = 30, HOLDS = 40 };

static char memory[MEMORY] __attribute__((aligned(64)));
static struct dxs_tree tree;
long (*dxs_sys_planted)(long nr);
static const struct program *program;
static bool has_plain_stores;

void *dxs_space_map(size_t len, int prot, int flags, int fd)
{
	(void)prot, (void)flags, (void)fd;
	return len <= sizeof(memory) ? memory : (void *)-ENOMEM;
}

static uint64_t bit_of(int e)
{
	return 1ULL << (pages[e] & (DXS_LEAF_PAGES - 1));
}

static struct dxs_leaf *leaf_of(int e, bool create)
{
	return dxs_tree_leaf(&tree, pages[e], create);
}

static void begin_program(const struct program *p)
{
	const char *c;
	int e;

	program = p;
	has_plain_stores = strchr(p->name, 'c') != NULL;
	memset(memory, 0, sizeof(memory));
	memset(&tree, 0, sizeof(tree));
	dxs_tree_reserve(&tree, 0, 64 * 64);
	for (e = 0; e < NR_ENTRIES && !has_plain_stores; e++)
		leaf_of(e, true);
	for (c = p->marked; *c; c++) {
		if (*c == 't')
			continue;
		e = *c - '0';
		dxs_tree_mark(&tree, leaf_of(e, true), p->marked[0] == 't' ? DXS_TOWRITE : DXS_DIRTY, bit_of(e));
		happened((p->marked[0] == 't' ? TAGGED : MARKED) + e);
	}
}

// T.2: what was marked when the walk began, and is not being unmarked, is found.
static void walk(uint64_t first, uint64_t last, unsigned kinds, enum ghost marked, enum ghost unmarking)
{
	struct dxs_leaf *leaf;
	uint64_t before, after;
	int e;

	begin_step();
	before = what_happened();
	leaf = dxs_tree_next(&tree, first, last, kinds);
	after = what_happened();
	for (e = 0; e < NR_ENTRIES; e++)
		if ((before & 1ULL << (marked + e)) && !(after & 1ULL << (unmarking + e)) && pages[e] >= first &&
		    pages[e] <= last && (!leaf || leaf->first > pages[e]))
			wrong("a walk has missed a mark");
}

static void tag(void)
{
	uint64_t before, after;
	int e;

	begin_step();
	before = what_happened();
	dxs_tree_tag(&tree, 0, DXS_TREE_PAGES - 1);
	after = what_happened();
	for (e = 0; e < NR_ENTRIES; e++)
		if ((before & 1ULL << (MARKED + e)) && !(after & 1ULL << (UNMARKING + e)) &&
		    !(dxs_leaf_get(leaf_of(e, false), DXS_TOWRITE) & bit_of(e)))
			wrong("an entry that was DIRTY is not tagged");
}

static void lock_and_unlock(int e)
{
	struct dxs_leaf *leaf = leaf_of(e, false);
	static uint64_t holder; // a word of the program's own: a load and a store that no other may come between

	dxs_leaf_lock(leaf, bit_of(e));
	if (explore_change(&holder, ~0ULL, 0, 1, memory_order_seq_cst) != 0)
		wrong("two threads hold a page lock");
	explore_change(&holder, ~0ULL, 0, -1ULL, memory_order_seq_cst);
	dxs_leaf_unlock(leaf, bit_of(e));
}

static void hand_over(int e)
{
	begin_step();
	dxs_tree_mark(&tree, leaf_of(e, false), DXS_FLUSHING, bit_of(e));
	dxs_tree_unmark(&tree, leaf_of(e, false), DXS_TOWRITE, bit_of(e));
}

static void unmark(int e)
{
	begin_step();
	happened(UNMARKING + e);
	dxs_tree_unmark(&tree, leaf_of(e, false), DXS_DIRTY, bit_of(e));
}

static void operation(const char *c)
{
	int e = c[1] >= '0' && c[1] <= '9' ? c[1] - '0' : -1;

	switch (*c) {
	case 'm':
	case 'c':
		dxs_tree_mark(&tree, leaf_of(e, *c == 'c'), DXS_DIRTY, bit_of(e));
		happened(MARKED + e);
		break;
	case 'u':
		unmark(e);
		break;
	case 'w':
		walk(e < 0 ? 0 : pages[e], e < 0 ? DXS_TREE_PAGES - 1 : pages[e], 1U << DXS_DIRTY, MARKED, UNMARKING);
		break;
	case 't':
		tag();
		break;
	case 'h':
		hand_over(e);
		break;
	case 'x':
		walk(0, DXS_TREE_PAGES - 1, 1U << DXS_TOWRITE | 1U << DXS_FLUSHING, TAGGED, CLEARING_FLUSH);
		break;
	case 'l':
		lock_and_unlock(e);
		break;
	default:
		break;
	}
}

static void thread_of_program(int thread)
{
	const char *c = program->name;

	for (; thread > 0; thread--) {
		c = strchr(c, '|');
		if (!c++)
			return;
	}
	for (; *c && *c != '|'; c++)
		operation(c);
}

// Nobody runs any more: each mark is found, and no summary is left half taken away.
static void check_end(void)
{
	static const enum dxs_mark marks[] = {DXS_DIRTY, DXS_TOWRITE, DXS_FLUSHING};
	struct dxs_node *path[DXS_TREE_LEVELS];
	unsigned i, level;
	int e;

	for (e = 0; e < NR_ENTRIES; e++) {
		struct dxs_leaf *leaf = descend(&tree, pages[e], false, path);

		for (i = 0; leaf && i < 3; i++) {
			if ((dxs_leaf_get(leaf, marks[i]) & bit_of(e)) &&
			    dxs_tree_next(&tree, pages[e], pages[e], 1U << marks[i]) != leaf)
				wrong("a mark is not found in the end");
			for (level = 1; level < DXS_TREE_LEVELS; level++)
				if (atomic_load(summary_word(path[level], marks[i], slot_of(pages[e], level))) &
				    summary_clearing(slot_of(pages[e], level)))
					wrong("CLEARING is left");
		}
		if (leaf && (now->ghosts & 1ULL << (MARKED + e)) && !(now->ghosts & 1ULL << (UNMARKING + e)) &&
		    !(dxs_leaf_get(leaf, DXS_DIRTY) & bit_of(e)))
			wrong("a mark is gone");
	}
}

static void name_location(const char *p, char *name)
{
	int e;

	sprintf(name, "tree+%ld", (long)(p - (char *)&tree));
	if (p >= memory && p < memory + sizeof(memory))
		sprintf(name, "memory+%ld", (long)(p - memory));
	for (e = 0; e < NR_ENTRIES; e++) {
		struct dxs_node *path[DXS_TREE_LEVELS] = {NULL};
		struct dxs_leaf *leaf;
		int level;

		running = -1;
		leaf = descend(&tree, pages[e], false, path);
		if (leaf && p >= (char *)leaf && p < (char *)(leaf + 1))
			sprintf(name, "leaf %llu+%ld", (unsigned long long)leaf->first, (long)(p - (char *)leaf));
		for (level = 1; level < DXS_TREE_LEVELS; level++)
			if (path[level] && p >= (char *)path[level] && p < (char *)(path[level] + 1))
				sprintf(name, "node of level %d+%ld", level, (long)(p - (char *)path[level]));
	}
}

#endif
