// SPDX-License-Identifier: BSD-3-Clause
// programs.h: the small programs of the explorer, and what must hold in them.
//
// A program is what is marked at its begin and what each of its threads does:
//
//   mE   marks entry E DIRTY            cE   the same, and makes its leaf
//   uE   unmarks it
//   w    walks: the first DIRTY leaf    wE   the same from entry E on
//   x    walks: the first leaf that is DIRTY or FLUSHING
//   a    walks over all of these
//   lE   locks E's page, and unlocks it
//   fE   flushes E as a sync does that leaves it open: claims it, and lets go of it
//   kE   closes it besides: FLUSHING gets its summaries, then DIRTY goes
//   hE   the same, and keeps it FLUSHING
//
// Entries 0 and 1 are of one leaf, 2 and 3 of the next, 4 of a leaf below another node.
#ifndef EXPLORE_PROGRAMS_H
#define EXPLORE_PROGRAMS_H

struct program {
	const char *name, *marked;
};

// The name is the program: threads, `|` between them.
static const struct program programs[] = {
	{"m0|m0|w", ""},  {"m0|m1|w", ""},   {"m0|m2|w", ""},  {"c0|w", ""},     {"h0|x", "0"},
	{"h0|m1|x", "0"}, {"k0|x", "0"},     {"l0|l0", ""},    {"l0 l0|l0", ""}, {"f0|f0", "0"},
	{"f0|f1", "01"},  {"k0|f0", "0"},    {"k0|f1", "01"},  {"k0|k1", "01"},  {"f0 f0|f0", "0"},
	{"m0|u1|w", "1"}, {"m2|u0|w2", "0"}, {"m4|u0|w", "0"}, {"m2|u0|w", "0"}, {"m0 w|u1 m1|u1", "1"},
	{"c0|c1", ""},    {"h2|a", "02"},    {"u0|a", "024"},  {"k0|a", "04"},
};

static const uint64_t pages[] = {0, 1, 64, 65, 64 * 64};
#define NR_ENTRIES 5

enum ghost { MARKED = 0, UNMARKING = 10, RELEASING = 20, FORGETTING = 30 };

static char memory[MEMORY] __attribute__((aligned(64)));
static struct dxs_tree tree;
long (*dxs_sys_injected)(long nr);
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
		e = *c - '0';
		dxs_tree_mark(&tree, leaf_of(e, true), DXS_DIRTY, bit_of(e));
		happened(MARKED + e);
	}
}

// T.2: what was marked when the walk began, and is not being unmarked, is found; with FLUSHING, until what was closed is let
// go of. The walk has found nothing in [first, beyond).
static void expect_nothing(uint64_t before, uint64_t first, uint64_t beyond, enum ghost gone)
{
	uint64_t after = what_happened();
	int e;

	for (e = 0; e < NR_ENTRIES; e++)
		if ((before & 1ULL << (MARKED + e)) && !(after & 1ULL << (gone + e)) && pages[e] >= first &&
		    pages[e] < beyond)
			wrong("a walk has missed a mark");
}

static uint64_t walk_begin(void)
{
	begin_step();
	return what_happened();
}

static void walk(uint64_t first, unsigned kinds, enum ghost gone)
{
	uint64_t before = walk_begin();
	const struct dxs_leaf *leaf = dxs_tree_next(&tree, first, DXS_TREE_PAGES - 1, kinds);

	expect_nothing(before, first, leaf ? leaf->first : DXS_TREE_PAGES, gone);
}

static void walk_all(void)
{
	uint64_t before = walk_begin(), at = 0;
	struct dxs_cursor cursor = {0};
	const struct dxs_leaf *leaf;

	do {
		leaf = dxs_tree_walk(&tree, &cursor, 0, DXS_TREE_PAGES - 1, 1U << DXS_DIRTY | 1U << DXS_FLUSHING);
		if (leaf && leaf->first < at)
			wrong("a walk goes back");
		expect_nothing(before, at, leaf ? leaf->first : DXS_TREE_PAGES, FORGETTING);
		at = leaf ? leaf->first + DXS_LEAF_PAGES : at;
	} while (leaf);
}

static uint64_t holder[NR_ENTRIES]; // words of the program's own: no other may come between two changes

static void hold(int e, const char *by_two)
{
	if (explore_change(&holder[e], ~0ULL, 0, 1, memory_order_seq_cst) != 0)
		wrong(by_two);
	explore_change(&holder[e], ~0ULL, 0, -1ULL, memory_order_seq_cst);
}

static void lock_and_unlock(int e)
{
	struct dxs_leaf *leaf = leaf_of(e, false);

	dxs_leaf_lock(leaf, bit_of(e));
	hold(e, "two threads hold a page lock");
	dxs_leaf_unlock(leaf, bit_of(e));
}

static void claim(int e)
{
	while (!dxs_leaf_claim(leaf_of(e, false), bit_of(e)))
		dxs_leaf_wait_flushed(leaf_of(e, false), bit_of(e));
	hold(e, "two threads have a page FLUSHING");
}

// What is claimed stays so, whatever others do in this leaf.
static void release(int e, bool in_tree)
{
	struct dxs_leaf *leaf = leaf_of(e, false);

	if (!(dxs_leaf_get(leaf, DXS_FLUSHING) & bit_of(e)))
		wrong("a claim is gone");
	happened(RELEASING + e);
	if (!in_tree) {
		dxs_leaf_release(leaf, bit_of(e));
		return;
	}
	happened(FORGETTING + e);
	dxs_tree_unmark(&tree, leaf, DXS_FLUSHING, bit_of(e));
	dxs_leaf_wake(leaf);
}

static void close_page(int e)
{
	dxs_tree_mark(&tree, leaf_of(e, false), DXS_FLUSHING, bit_of(e));
	happened(UNMARKING + e);
	dxs_tree_unmark(&tree, leaf_of(e, false), DXS_DIRTY, bit_of(e));
}

// What sync.c does with a page, without the flush.
static void sync_page(int e, bool is_closed, bool is_kept)
{
	begin_step();
	claim(e);
	if (is_closed && dxs_leaf_get(leaf_of(e, false), DXS_DIRTY) & bit_of(e))
		close_page(e);
	else
		is_closed = false;
	if (!is_kept)
		release(e, is_closed);
}

static void unmark(int e)
{
	begin_step();
	happened(UNMARKING + e);
	happened(FORGETTING + e); // it was not FLUSHING
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
		walk(e < 0 ? 0 : pages[e], 1U << DXS_DIRTY, UNMARKING);
		break;
	case 'x':
		walk(0, 1U << DXS_DIRTY | 1U << DXS_FLUSHING, FORGETTING);
		break;
	case 'a':
		walk_all();
		break;
	case 'l':
		lock_and_unlock(e);
		break;
	case 'f':
	case 'k':
	case 'h':
		sync_page(e, *c != 'f', *c == 'h');
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

// Where a walk is to find an entry: DIRTY always, FLUSHING where it has no other mark.
static bool is_to_be_found(struct dxs_leaf *leaf, enum dxs_mark mark, int e)
{
	return (dxs_leaf_get(leaf, mark) & bit_of(e)) &&
	       (mark == DXS_DIRTY || !(dxs_leaf_get(leaf, DXS_DIRTY) & bit_of(e)));
}

// Nobody runs any more: each mark is found, nothing that was let go of is FLUSHING, and no summary is left half taken away.
static void check_end(void)
{
	struct dxs_node *path[DXS_TREE_LEVELS];
	unsigned mark, level;
	int e;

	for (e = 0; e < NR_ENTRIES; e++) {
		struct dxs_leaf *leaf = descend(&tree, pages[e], false, path);

		for (mark = DXS_DIRTY; leaf && mark <= DXS_FLUSHING; mark++) {
			if (is_to_be_found(leaf, mark, e) &&
			    dxs_tree_next(&tree, leaf->first, DXS_TREE_PAGES - 1, 1U << mark) != leaf)
				wrong("a mark is not found in the end");
			for (level = 1; level < DXS_TREE_LEVELS; level++)
				if (atomic_load(summary_word(path[level], mark, slot_of(pages[e], level))) &
				    summary_clearing(slot_of(pages[e], level)))
					wrong("CLEARING is left");
		}
		if (leaf && (now->ghosts & 1ULL << (MARKED + e)) && !(now->ghosts & 1ULL << (UNMARKING + e)) &&
		    !(dxs_leaf_get(leaf, DXS_DIRTY) & bit_of(e)))
			wrong("a mark is gone");
		if (leaf && (now->ghosts & 1ULL << (RELEASING + e)) && dxs_leaf_get(leaf, DXS_FLUSHING) & bit_of(e))
			wrong("FLUSHING is left");
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
