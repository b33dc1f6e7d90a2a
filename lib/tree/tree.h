// SPDX-License-Identifier: BSD-3-Clause
// tree.h: page index -> marks. One lock-free radix tree per inode.
//
// Compiles alone: nothing here knows of mappings, engines or files.
#ifndef DXS_TREE_H
#define DXS_TREE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DXS_LEAF_SHIFT 6
#define DXS_LEAF_PAGES 64
#define DXS_TREE_LEVELS 6                              // one of leaves, five of nodes above
#define DXS_TREE_PAGES (1ULL << (DXS_TREE_LEVELS * 6)) // 2^36 entries: 256 TiB of 4 KiB pages

// The marks of an entry. Of each there is a summary on every level above. A walk reads them in this order: a sync sets
// FLUSHING before it clears DIRTY.
enum dxs_mark {
	DXS_DIRTY,    // open somewhere, or written and not yet flushed: the next sync must flush it
	DXS_FLUSHING, // taken up by a sync whose thread has not fenced yet; has a summary where it is not DIRTY as well
	DXS_KWRITE,   // written by the kernel on the program's behalf (write(2)); a kernel sync is pending
	DXS_NR_MARKS
};

#define DXS_AGE_BITS 8

// In each word of 64 bits, bit i is of entry i.
struct dxs_leaf {
	// seq_cst: T.2, and a walk sees one of two marks that take turns (M4); partners: dxs_tree_mark, dxs_leaf_claim,
	// dxs_tree_unmark and leaf_has.
	_Atomic uint64_t marks[DXS_NR_MARKS];
	// seq_cst: T.3. For what they guard acquire and release would do (dxs_leaf_lock, dxs_leaf_unlock).
	_Atomic uint64_t locks; // the page locks
	uint64_t first;         // index of entry 0; constant
	// seq_cst: T.3; partners: leaf_wait, dxs_leaf_wake.
	_Atomic uint32_t event; // futex: changes when a lock or FLUSHING is released to waiters
	_Atomic uint32_t waiters;
	// seq_cst, the default: the page lock orders it, or pin_mutex. Who sees one that is over leaves pages open.
	_Atomic uint32_t pins; // kernel writes under way into this leaf: a sync leaves its pages open (M9)
	// The rest is the policy's (policy.c). What it reads at every sync comes first.
	// relaxed, all: nothing else is read because of them; seq_cst, the default, where `left_open` changes.
	_Atomic uint32_t epoch;                       // of `closed`
	_Atomic uint64_t left_open;                   // left open by a sync
	_Atomic uint64_t stay[2];                     // for how many flushes an entry stays open: a number of 2 bits
	_Atomic uint64_t age[DXS_AGE_BITS];           // flushes since it was opened: a number of 8 bits
	_Atomic uint64_t closed, closed_before;       // in this epoch, in the one before, and not opened since
	_Atomic uint64_t stored;                      // a store had them opened last, and not one beside them
	_Atomic uint64_t last_closed, last_closed_at; // by the last sync that closed any; the file's clock then
};

struct dxs_chunk;
struct dxs_node;

// Where a walk is. All zero: at its beginning.
struct dxs_cursor {
	struct dxs_node *node; // above leaves
	uint64_t first;        // entry of that node
	uint64_t to_come;      // of its leaves, those that may have a mark and were not returned yet
};

struct dxs_tree {
	// release (part of seq_cst): what they point to; partners: child_get, node_alloc.
	_Atomic(struct dxs_node *) root;
	_Atomic(struct dxs_chunk *) chunks; // node memory, newest first; only grows
	_Atomic uint64_t used;              // bytes of node memory handed out; relaxed: a statistic
	uint64_t capacity;                  // bytes of node memory reserved (caller's lock)
	uint64_t promised;                  // bytes that the live reservations may still need (caller's lock)
};

// Prepares an empty tree. No memory is taken before the first reservation.
void dxs_tree_init(struct dxs_tree *tree);

// Gives all memory back. No other call may be running or follow.
void dxs_tree_destroy(struct dxs_tree *tree);

// Reserves the node memory that marking every entry of [first, last] could need, so that a trap never has to ask the
// kernel for memory. Address space only: pages are taken as nodes are used. Undone with dxs_tree_unreserve of the
// same range. The caller serialises both. 0, -ENOMEM, or -EFBIG beyond DXS_TREE_PAGES.
int dxs_tree_reserve(struct dxs_tree *tree, uint64_t first, uint64_t last);
void dxs_tree_unreserve(struct dxs_tree *tree, uint64_t first, uint64_t last);

#pragma GCC visibility push(default) // the emulator uses these
// The leaf of an entry; NULL if there is none. With `create` it is made from reserved memory; then NULL means that the
// range was never reserved or the machine has no memory. Lock-free, async-signal-safe.
struct dxs_leaf *dxs_tree_leaf(struct dxs_tree *tree, uint64_t pgoff, bool create);

// Sets a mark on the entries of `mask` in a leaf, then its summaries, bottom-up. When it returns, every dxs_tree_next
// that begins later finds the leaf. Lock-free, async-signal-safe.
void dxs_tree_mark(struct dxs_tree *tree, struct dxs_leaf *leaf, enum dxs_mark mark, uint64_t mask);

// Clears a mark on the entries of `mask` and prunes summaries that have become empty.
void dxs_tree_unmark(struct dxs_tree *tree, struct dxs_leaf *leaf, enum dxs_mark mark, uint64_t mask);

// The first leaf with an entry in [first, last] that may have one of the marks in `kinds` (bits 1 << enum dxs_mark).
// Walks marked parts only: the cost follows the marked leaves, not the distance. NULL: none.
struct dxs_leaf *dxs_tree_next(struct dxs_tree *tree, uint64_t first, uint64_t last, unsigned kinds);

// The same for all of them, each once, in ascending order, one at each call: a walk goes down the tree once for 64 leaves.
// Same range and kinds at each call. What is marked after the walk began may be passed over.
struct dxs_leaf *dxs_tree_walk(struct dxs_tree *tree, struct dxs_cursor *cursor, uint64_t first, uint64_t last,
			       unsigned kinds);
#pragma GCC visibility pop

static inline uint64_t dxs_leaf_get(struct dxs_leaf *leaf, enum dxs_mark mark)
{
	return atomic_load(&leaf->marks[mark]);
}

#pragma GCC visibility push(default) // the emulator uses these
// The entries of [first, last] as a mask in this leaf.
uint64_t dxs_leaf_mask(const struct dxs_leaf *leaf, uint64_t first, uint64_t last);

// Page locks. A holder never waits for anything but the kernel call that opens or closes the page; everybody who may
// hold one has all signals blocked. Locks of one leaf are taken together; those of several leaves by traps only, in
// ascending order.
void dxs_leaf_lock(struct dxs_leaf *leaf, uint64_t mask);
void dxs_leaf_unlock(struct dxs_leaf *leaf, uint64_t mask);

// Sets FLUSHING on the entries of `mask` for the caller alone, in the leaf only: no walk finds them by it. False: one of
// them is FLUSHING, and nothing was changed.
bool dxs_leaf_claim(struct dxs_leaf *leaf, uint64_t mask);

// Takes back what dxs_leaf_claim has set, and wakes those who wait. Where dxs_tree_mark has set it as well, dxs_tree_unmark
// does that, which prunes the summaries.
void dxs_leaf_release(struct dxs_leaf *leaf, uint64_t mask);

// Sleeps until no entry of `mask` is FLUSHING, or a few times in vain: others may claim them again before this thread runs.
// The caller looks again, holds no lock and has nothing FLUSHING itself.
void dxs_leaf_wait_flushed(struct dxs_leaf *leaf, uint64_t mask);
#pragma GCC visibility pop

// Wakes those who wait on the leaf; called after dxs_tree_unmark of FLUSHING.
void dxs_leaf_wake(struct dxs_leaf *leaf);

// In a forked child, where only the calling thread exists: nobody holds a page lock, a pin or waits, and what was FLUSHING
// is DIRTY.
void dxs_tree_reset_locks(struct dxs_tree *tree);

// Bytes of node memory in use.
uint64_t dxs_tree_bytes(const struct dxs_tree *tree);

#endif
