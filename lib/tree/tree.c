// SPDX-License-Identifier: BSD-3-Clause
// tree.c: the dirty tree, a lock-free radix tree from page index to marks.
//
// STRUCTURE
//   Six levels of 64-way nodes, fixed height: any index reaches its leaf in five loads. A leaf holds 64 entries, one
//   bit of one atomic word per kind of mark, and their page locks. A node above holds 64 child pointers and, per kind
//   of mark, a summary of which children may have such an entry. A 2 MiB entry of a file with 4 KiB entries is eight
//   leaf words: there is no second entry type that could collide with the first. A file made of huge pages has one
//   entry per huge page.
//
//   Memory: a leaf is 192 bytes, a node 576; everything dirty costs 201 bytes per 256 KiB, 1/1300 of the data.
//
// CONCURRENCY
//   All operations but reserve, unreserve and destroy are lock-free and may run at any time, in any thread.
//   T.1 Nodes are inserted by compare-and-swap and never removed, so a pointer once read stays good until destroy.
//   T.2 If dxs_tree_mark(e) returned before dxs_tree_next() began, and nobody unmarked e in between, then the walk
//       finds e's leaf. A summary may be spurious; it is never lost.
//   How T.2 is kept: each child has two summary bits in ONE word, SET and CLEARING, and a walk descends where either
//   is set. mark() sets the leaf bit, then makes sure that SET is set on every level, bottom-up. prune() first moves
//   the child from exactly {SET} to {CLEARING} (compare-and-swap, so there is one pruner per child), then looks
//   whether the child is empty, and only then takes CLEARING away, or restores SET if it is not empty. A marker that
//   found SET before the move had set its bit before, so the look sees it; one that comes after the move sets SET
//   again, which taking CLEARING away does not touch. At no moment is a child with a completed mark without both bits.
//   The obvious "clear the summary, look, set it again" has a moment in which a walk by another sync sees nothing and
//   returns although a page is dirty; tests/model/tree.pml finds it.
//   T.2 needs one total order of the four accesses (bit, summary, CLEARING, look): all of them are seq_cst.
//   T.3 A waiter on a leaf never sleeps through its wake-up: it counts itself in `waiters` before it looks at the
//       words, and a releaser changes the words before it looks at `waiters` (both seq_cst: one of them sees the
//       other).
//
// LIMITS
//   Indices below 2^36. A mark on an unreserved range may fail for lack of memory; the caller then takes the whole
//   mapping as dirty (M5).
#include "tree/tree.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>

#include "base/space.h"
#include "base/sys.h"
#include "base/witness.h"

#define WAYS 64
#define HALF 32 // children per summary word: SET in the low half, CLEARING in the high half

struct dxs_node {
	// seq_cst: T.2; partners: dxs_tree_mark, prune, and the walks by summary_children.
	_Atomic uint64_t summary[DXS_NR_MARKS][WAYS / HALF];
	// release (part of seq_cst): a child's content before its address; partner: the load in child_get.
	_Atomic(void *) slot[WAYS];
};

struct dxs_chunk {
	struct dxs_chunk *next;
	uint64_t size;
	_Atomic uint64_t used; // seq_cst, the default: relaxed would do, each addition is of memory for one
};

#define ALIGN_UP(x, a) (((x) + (a - 1)) / (a) * (a))
#define NODE_ALIGN 64
#define LEAF_BYTES ALIGN_UP(sizeof(struct dxs_leaf), NODE_ALIGN)
#define NODE_BYTES ALIGN_UP(sizeof(struct dxs_node), NODE_ALIGN)
#define CHUNK_HEADER ALIGN_UP(sizeof(struct dxs_chunk), NODE_ALIGN)
#define CHUNK_MIN ((uint64_t)64 << 10)
#define CHUNK_LEAST_MAX ((uint64_t)4 << 20)
#define SLACK (16 * NODE_BYTES) // nodes that lost an insertion race
#define SLEEPS 8                // of one wait

_Static_assert(LEAF_BYTES == 192, "a leaf is three cache lines");
_Static_assert(offsetof(struct dxs_leaf, stay) == 64, "what a store and a flush need is in the first");

void dxs_tree_init(struct dxs_tree *tree)
{
	memset(tree, 0, sizeof(*tree));
}

void dxs_tree_destroy(struct dxs_tree *tree)
{
	struct dxs_chunk *chunk = atomic_load(&tree->chunks);

	while (chunk) {
		struct dxs_chunk *next = chunk->next;

		dxs_sys_munmap(chunk, chunk->size);
		chunk = next;
	}
	dxs_tree_init(tree);
}

uint64_t dxs_tree_bytes(const struct dxs_tree *tree)
{
	return atomic_load_explicit(&tree->used, memory_order_relaxed); // relaxed: a statistic
}

// The most node memory that the entries of [first, last] can need: one node more than full on each level, because
// the range may begin and end inside one.
static uint64_t bytes_needed(uint64_t first, uint64_t last)
{
	uint64_t need = 0;
	unsigned level;

	for (level = 0; level < DXS_TREE_LEVELS; level++) {
		uint64_t nr;

		first >>= DXS_LEAF_SHIFT;
		last >>= DXS_LEAF_SHIFT;
		nr = last - first + 1;
		need += nr * (level ? NODE_BYTES : LEAF_BYTES);
	}
	return need;
}

// Adds node memory, of a quarter of what there is at least: with very many mappings of a file that leaves the program its
// VMAs. MAP_NORESERVE: it is address space until used.
static int chunk_add(struct dxs_tree *tree, uint64_t need)
{
	uint64_t least = dxs_max64(CHUNK_MIN, dxs_min64(tree->capacity / 4, CHUNK_LEAST_MAX));
	uint64_t size = ALIGN_UP(dxs_max64(need + CHUNK_HEADER + NODE_BYTES, least), DXS_PAGE_SIZE);
	struct dxs_chunk *chunk = dxs_space_map(size, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	if (dxs_is_err(chunk))
		return -ENOMEM;
	dxs_sys6(SYS_madvise, (long)chunk, (long)size, MADV_NOHUGEPAGE, 0, 0, 0); // a huge page for one node is waste
	chunk->size = size;
	atomic_init(&chunk->used, CHUNK_HEADER);
	chunk->next = atomic_load(&tree->chunks);
	atomic_store(&tree->chunks, chunk); // reserve is serialised by its callers, so a plain store is enough
	tree->capacity += size - CHUNK_HEADER - NODE_BYTES; // a chunk's end may be too small for a node
	return 0;
}

int dxs_tree_reserve(struct dxs_tree *tree, uint64_t first, uint64_t last)
{
	uint64_t need, have;
	int err;

	if (last >= DXS_TREE_PAGES)
		return -EFBIG;
	need = bytes_needed(first, last);
	have = tree->capacity - dxs_min64(tree->capacity, dxs_tree_bytes(tree));
	if (have < tree->promised + need + SLACK) {
		err = chunk_add(tree, tree->promised + need + SLACK - have);
		if (err)
			return err;
	}
	tree->promised += need;
	return 0;
}

void dxs_tree_unreserve(struct dxs_tree *tree, uint64_t first, uint64_t last)
{
	tree->promised -= dxs_min64(tree->promised, bytes_needed(first, last));
}

// Node memory from any chunk with room. A chunk's `used` may run past its size when several threads find it full;
// that is harmless, it only says full.
static void *node_alloc(struct dxs_tree *tree, uint64_t bytes)
{
	struct dxs_chunk *chunk;

	for (chunk = atomic_load(&tree->chunks); chunk; chunk = chunk->next) {
		uint64_t at;

		if (atomic_load(&chunk->used) + bytes > chunk->size)
			continue;
		at = atomic_fetch_add(&chunk->used, bytes);
		if (at + bytes > chunk->size)
			continue;
		atomic_fetch_add_explicit(&tree->used, bytes, memory_order_relaxed); // relaxed: a statistic
		return (char *)chunk + at;
	}
	return NULL;
}

// The child of a slot, made if it is missing. A node that lost the race stays unused in its chunk (SLACK).
static void *child_get(struct dxs_tree *tree, _Atomic(void *) *slot, unsigned level, uint64_t pgoff, bool create)
{
	void *child = atomic_load(slot);
	void *made;

	if (child || !create)
		return child;
	made = node_alloc(tree, level ? NODE_BYTES : LEAF_BYTES);
	if (!made)
		return NULL;
	if (!level)
		((struct dxs_leaf *)made)->first = pgoff & ~(uint64_t)(DXS_LEAF_PAGES - 1);
	// release (part of seq_cst): the node's content before its address; partner: the load above
	if (atomic_compare_exchange_strong(slot, &child, made))
		return made;
	return child;
}

static unsigned slot_of(uint64_t pgoff, unsigned level)
{
	return (unsigned)(pgoff >> (level * DXS_LEAF_SHIFT)) & (WAYS - 1);
}

// Fills path[1..5] with the nodes above an entry and returns its leaf.
static struct dxs_leaf *descend(struct dxs_tree *tree, uint64_t pgoff, bool create, struct dxs_node **path)
{
	_Atomic(void *) *slot = (_Atomic(void *) *)&tree->root;
	unsigned level;

	if (pgoff >= DXS_TREE_PAGES)
		return NULL;
	for (level = DXS_TREE_LEVELS - 1; level > 0; level--) {
		struct dxs_node *node = child_get(tree, slot, level, pgoff, create);

		if (!node)
			return NULL;
		path[level] = node;
		slot = &node->slot[slot_of(pgoff, level)];
	}
	return child_get(tree, slot, 0, pgoff, create);
}

struct dxs_leaf *dxs_tree_leaf(struct dxs_tree *tree, uint64_t pgoff, bool create)
{
	struct dxs_node *path[DXS_TREE_LEVELS];

	return descend(tree, pgoff, create, path);
}

static _Atomic uint64_t *summary_word(struct dxs_node *node, enum dxs_mark mark, unsigned slot)
{
	return &node->summary[mark][slot / HALF];
}

static uint64_t summary_set(unsigned slot)
{
	return 1ULL << (slot % HALF);
}

static uint64_t summary_clearing(unsigned slot)
{
	return 1ULL << (slot % HALF + HALF);
}

// The children that may have an entry with the mark, one bit each.
static uint64_t summary_children(struct dxs_node *node, enum dxs_mark mark)
{
	uint64_t lo = atomic_load(&node->summary[mark][0]);
	uint64_t hi = atomic_load(&node->summary[mark][1]);

	return (uint32_t)(lo | lo >> HALF) | (uint64_t)(uint32_t)(hi | hi >> HALF) << HALF;
}

void dxs_tree_mark(struct dxs_tree *tree, struct dxs_leaf *leaf, enum dxs_mark mark, uint64_t mask)
{
	struct dxs_node *path[DXS_TREE_LEVELS] = {NULL};
	unsigned level;

	descend(tree, leaf->first, false, path);
	atomic_fetch_or(&leaf->marks[mark], mask); // seq_cst, before the looks at the summaries below: T.2
	for (level = 1; level < DXS_TREE_LEVELS; level++) {
		unsigned slot = slot_of(leaf->first, level);
		_Atomic uint64_t *word = summary_word(path[level], mark, slot);

		// Every level is looked at even where this one is set already: whoever set it may not have come
		// further up yet, and this mark has to be complete when the call returns.
		if (!(atomic_load(word) & summary_set(slot)))
			atomic_fetch_or(word, summary_set(slot));
	}
}

static bool child_is_empty(struct dxs_node *node, unsigned level, unsigned slot, enum dxs_mark mark)
{
	void *child = atomic_load(&node->slot[slot]);

	if (level == 1)
		return atomic_load(&((struct dxs_leaf *)child)->marks[mark]) == 0;
	return summary_children(child, mark) == 0;
}

// Takes away the summary of a child that has become empty. Returns false when the child is not empty or somebody
// else is at it: then the summary stays, spurious at worst.
// order: SET goes before the look at the child, and is back before CLEARING goes: T.2; partners: dxs_tree_mark, whose
// bit comes before its look at SET, and the walks.
static bool prune(struct dxs_node *node, unsigned level, unsigned slot, enum dxs_mark mark)
{
	_Atomic uint64_t *word = summary_word(node, mark, slot);
	uint64_t set = summary_set(slot), clearing = summary_clearing(slot);
	uint64_t old = atomic_load(word);

	do {
		if ((old & (set | clearing)) != set)
			return false;
	} while (!atomic_compare_exchange_weak(word, &old, (old & ~set) | clearing));
	if (child_is_empty(node, level, slot, mark)) {
		atomic_fetch_and(word, ~clearing);
		return true;
	}
	atomic_fetch_or(word, set);
	atomic_fetch_and(word, ~clearing);
	return false;
}

void dxs_tree_unmark(struct dxs_tree *tree, struct dxs_leaf *leaf, enum dxs_mark mark, uint64_t mask)
{
	struct dxs_node *path[DXS_TREE_LEVELS] = {NULL};
	unsigned level;

	// Before prune() looks: T.2. release (part of seq_cst): who finds the mark gone sees what was done before.
	if (atomic_fetch_and(&leaf->marks[mark], ~mask) & ~mask)
		return; // others in this leaf still have it
	descend(tree, leaf->first, false, path);
	for (level = 1; level < DXS_TREE_LEVELS; level++)
		if (!prune(path[level], level, slot_of(leaf->first, level), mark))
			return;
}

uint64_t dxs_leaf_mask(const struct dxs_leaf *leaf, uint64_t first, uint64_t last)
{
	uint64_t from = dxs_max64(first, leaf->first) - leaf->first;
	uint64_t to = dxs_min64(last, leaf->first + DXS_LEAF_PAGES - 1) - leaf->first;

	return (~0ULL >> (63 - to)) & (~0ULL << from);
}

static bool leaf_has(struct dxs_leaf *leaf, uint64_t first, uint64_t last, unsigned kinds)
{
	uint64_t found = 0;
	unsigned mark;

	// In the order of enum dxs_mark, DIRTY before FLUSHING: a sync sets FLUSHING before it clears DIRTY, so an entry
	// on its way from one to the other is seen in one of them.
	for (mark = 0; mark < DXS_NR_MARKS; mark++)
		if (kinds & 1U << mark)
			found |= dxs_leaf_get(leaf, mark);
	return found & dxs_leaf_mask(leaf, first, last);
}

// The entries below a node of this level, less one.
static uint64_t level_mask(unsigned level)
{
	return ((uint64_t)WAYS << (level * DXS_LEAF_SHIFT)) - 1;
}

// Children of a node that may hold a marked entry of [first, last], which overlaps the node.
static uint64_t candidates(struct dxs_node *node, unsigned level, uint64_t base, uint64_t first, uint64_t last,
			   unsigned kinds)
{
	unsigned shift = level * DXS_LEAF_SHIFT;
	uint64_t end = base + level_mask(level);
	uint64_t from = (dxs_max64(first, base) - base) >> shift;
	uint64_t to = (dxs_min64(last, end) - base) >> shift;
	uint64_t found = 0;
	unsigned mark;

	if (from == to)
		return 1ULL << from;                // to look at the child itself costs no more than its summaries
	for (mark = 0; mark < DXS_NR_MARKS; mark++) // in this order: see leaf_has
		if (kinds & 1U << mark)
			found |= summary_children(node, mark);
	return found & (~0ULL >> (63 - to)) & (~0ULL << from);
}

// What is asked of a walk.
struct asked {
	uint64_t first, last;
	unsigned kinds;
};

// The next of the leaves that the cursor has still to come to. A leaf that is not among them had no mark when its summary
// was read, in this walk.
static struct dxs_leaf *cursor_next(struct dxs_cursor *cursor, const struct asked *asked)
{
	while (cursor->to_come) {
		unsigned slot = (unsigned)__builtin_ctzll(cursor->to_come);
		struct dxs_leaf *leaf = atomic_load(&cursor->node->slot[slot]);

		cursor->to_come &= cursor->to_come - 1;
		if (leaf && leaf_has(leaf, asked->first, asked->last, asked->kinds))
			return leaf;
	}
	return NULL;
}

static struct dxs_leaf *next_below(struct dxs_node *node, unsigned level, uint64_t base, const struct asked *asked,
				   struct dxs_cursor *cursor)
{
	uint64_t found = candidates(node, level, base, asked->first, asked->last, asked->kinds);

	if (level == 1) {
		*cursor = (struct dxs_cursor){node, base, found};
		return cursor_next(cursor, asked);
	}
	for (; found; found &= found - 1) {
		unsigned slot = (unsigned)__builtin_ctzll(found);
		struct dxs_node *child = atomic_load(&node->slot[slot]);
		struct dxs_leaf *leaf = NULL;

		if (child)
			leaf = next_below(child, level - 1, base + ((uint64_t)slot << (level * DXS_LEAF_SHIFT)), asked,
					  cursor);
		if (leaf)
			return leaf;
	}
	return NULL;
}

// The lowest node, from `level` down, that has all of [first, last] below it. Until there no summary says anything.
static struct dxs_node *node_of_all(struct dxs_tree *tree, uint64_t first, uint64_t last, unsigned *level)
{
	struct dxs_node *node = atomic_load(&tree->root);

	for (; node && *level > 1 && !((first ^ last) & ~level_mask(*level - 1)); --*level)
		node = atomic_load(&node->slot[first >> (*level * DXS_LEAF_SHIFT) & (WAYS - 1)]);
	return node;
}

struct dxs_leaf *dxs_tree_walk(struct dxs_tree *tree, struct dxs_cursor *cursor, uint64_t first, uint64_t last,
			       unsigned kinds)
{
	struct asked asked = {first, dxs_min64(last, DXS_TREE_PAGES - 1), kinds};
	struct dxs_leaf *leaf = cursor_next(cursor, &asked);
	unsigned level = DXS_TREE_LEVELS - 1;
	struct dxs_node *node;

	if (leaf)
		return leaf;
	if (cursor->node)
		asked.first = dxs_max64(first, cursor->first + WAYS * DXS_LEAF_PAGES);
	if (asked.first > asked.last)
		return NULL;
	node = node_of_all(tree, asked.first, asked.last, &level);
	return node ? next_below(node, level, asked.first & ~level_mask(level), &asked, cursor) : NULL;
}

struct dxs_leaf *dxs_tree_next(struct dxs_tree *tree, uint64_t first, uint64_t last, unsigned kinds)
{
	struct dxs_cursor cursor = {0};

	return dxs_tree_walk(tree, &cursor, first, last, kinds);
}

static void reset_below(struct dxs_tree *tree, void *at, unsigned level)
{
	struct dxs_leaf *leaf = at;
	unsigned slot;

	for (slot = 0; at && level && slot < WAYS; slot++)
		reset_below(tree, atomic_load(&((struct dxs_node *)at)->slot[slot]), level - 1);
	if (!at || level)
		return;
	atomic_store(&leaf->locks, 0); // by the child's only thread, as the next two
	atomic_store(&leaf->pins, 0);
	atomic_store(&leaf->waiters, 0);
	dxs_tree_mark(tree, leaf, DXS_DIRTY, dxs_leaf_get(leaf, DXS_FLUSHING));
	dxs_tree_unmark(tree, leaf, DXS_FLUSHING, ~0ULL);
}

void dxs_tree_reset_locks(struct dxs_tree *tree)
{
	reset_below(tree, atomic_load(&tree->root), DXS_TREE_LEVELS - 1);
}

// Sleeps until no bit of `mask` is set, or has been woken in vain so often that others may be setting them again and again;
// callers look again. Whoever clears one calls dxs_leaf_wake afterwards.
static void leaf_wait(struct dxs_leaf *leaf, _Atomic uint64_t *word, uint64_t mask)
{
	unsigned i;

	atomic_fetch_add(&leaf->waiters, 1); // before the look below: T.3
	for (i = 0; i < SLEEPS; i++) {
		uint32_t event = atomic_load(&leaf->event);

		if (!(atomic_load(word) & mask))
			break;
		dxs_futex_wait(&leaf->event, event);
	}
	atomic_fetch_sub(&leaf->waiters, 1);
}

void dxs_leaf_wake(struct dxs_leaf *leaf)
{
	if (!atomic_load(&leaf->waiters)) // after the change of the words: T.3
		return;
	atomic_fetch_add(&leaf->event, 1); // after the words; partner: leaf_wait, which reads it before them
	dxs_futex_wake(&leaf->event, INT32_MAX);
}

void dxs_leaf_lock(struct dxs_leaf *leaf, uint64_t mask)
{
	uint64_t old = atomic_load(&leaf->locks);

	dxs_witness_take(DXS_RANK_PAGE, true);
	for (;;) {
		if (old & mask) {
			leaf_wait(leaf, &leaf->locks, mask);
			old = atomic_load(&leaf->locks);
		} else if (atomic_compare_exchange_weak(&leaf->locks, &old, old | mask)) {
			return; // acquire (part of seq_cst); partner: dxs_leaf_unlock
		}
	}
}

void dxs_leaf_unlock(struct dxs_leaf *leaf, uint64_t mask)
{
	dxs_witness_release(DXS_RANK_PAGE);
	atomic_fetch_and(&leaf->locks, ~mask); // release (part of seq_cst); partner: dxs_leaf_lock
	dxs_leaf_wake(leaf);
}

// order: acquire (part of seq_cst): what the last owner has done; partners: dxs_leaf_release, dxs_tree_unmark.
bool dxs_leaf_claim(struct dxs_leaf *leaf, uint64_t mask)
{
	uint64_t old = atomic_load(&leaf->marks[DXS_FLUSHING]);

	do {
		if (old & mask)
			return false;
	} while (!atomic_compare_exchange_weak(&leaf->marks[DXS_FLUSHING], &old, old | mask));
	return true;
}

// order: release (part of seq_cst): the fence, and a mark that is back (M6); partners: dxs_leaf_claim, leaf_wait.
void dxs_leaf_release(struct dxs_leaf *leaf, uint64_t mask)
{
	atomic_fetch_and(&leaf->marks[DXS_FLUSHING], ~mask);
	dxs_leaf_wake(leaf);
}

void dxs_leaf_wait_flushed(struct dxs_leaf *leaf, uint64_t mask)
{
	leaf_wait(leaf, &leaf->marks[DXS_FLUSHING], mask);
}
