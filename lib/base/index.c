// SPDX-License-Identifier: BSD-3-Clause
// index.c: balanced trees that are never changed, but replaced.
//
// STRUCTURE
//   AVL trees. A change makes new nodes for the path from the root to the place of the change, and shares all others with
//   the old tree. Each node knows the greatest end below it, so what overlaps a range is found without a look at the rest.
//   Nodes come from a pool, and go back to it: taking an item out never needs the allocator.
//
// CONCURRENCY
//   A node is not written after its tree was published, until nobody can be reading any tree that it is in. Changes of all
//   trees are serialised by the caller, as they share the pool.
//
// LIMITS
//   The pool's memory is kept for ever: about 72 bytes for each item of the largest number there was.
#include "base/index.h"

#include "base/alloc.h"
#include "base/sys.h"

#define BLOCK 56 // nodes in one allocation: a page

struct dxs_index_node {
	const struct dxs_index_node *left, *right;
	struct dxs_key key;
	uint64_t end;
	uint64_t least; // of all keys' `at` from here down
	uint64_t max;   // of all ends
	void *item;
	// In a list of nodes that are in no tree, or soon will not be; readers never look at it.
	struct dxs_index_node *next;
	unsigned height;
};

struct block {
	struct block *next;
	struct dxs_index_node node[BLOCK];
};

static struct block *blocks;
static struct dxs_index_node *pool, *retired;
static unsigned nr_pool;

static unsigned height_of(const struct dxs_index_node *node)
{
	return node ? node->height : 0;
}

static uint64_t max_of(const struct dxs_index_node *node)
{
	return node ? node->max : 0;
}

// Nodes that one change can need: three on each level of the path (a double rotation), of a tree that may have grown.
static unsigned nodes_for(const struct dxs_index_node *root)
{
	return 3 * (height_of(root) + 2);
}

static bool block_add(void)
{
	struct block *block = dxs_zalloc(sizeof(*block));
	unsigned i;

	if (!block)
		return false;
	block->next = blocks;
	blocks = block;
	for (i = 0; i < BLOCK; i++) {
		block->node[i].next = pool;
		pool = &block->node[i];
	}
	nr_pool += BLOCK;
	return true;
}

// What is asked for, and behind it the three changes that have to find memory whatever happens.
int dxs_index_prepare(const struct dxs_index_node *root, unsigned nr)
{
	static unsigned most; // of all trees: of any of them something can be taken out
	unsigned each = nodes_for(root);

	most = each > most ? each : most;
	while (nr_pool < (nr + 3) * most)
		if (!block_add())
			return -ENOMEM;
	return 0;
}

static struct dxs_index_node *make(const struct dxs_index_node *left, const struct dxs_index_node *like,
				   const struct dxs_index_node *right)
{
	struct dxs_index_node *node = pool;
	unsigned l = height_of(left), r = height_of(right);

	pool = node->next;
	nr_pool--;
	*node = *like;
	node->left = left;
	node->right = right;
	node->height = (l > r ? l : r) + 1;
	node->least = left ? left->least : like->key.at;
	node->max = dxs_max64(like->end, dxs_max64(max_of(left), max_of(right)));
	return node;
}

// In the new tree it is replaced by another, or not needed.
static void retire(const struct dxs_index_node *old)
{
	// Of this module; only `next` is written, which nobody reads.
	struct dxs_index_node *node = (struct dxs_index_node *)old;

	node->next = retired;
	retired = node;
}

static const struct dxs_index_node *rotate_right(const struct dxs_index_node *left, const struct dxs_index_node *like,
						 const struct dxs_index_node *right)
{
	const struct dxs_index_node *inner = left->right, *a, *b;

	retire(left);
	if (!inner || height_of(left->left) >= height_of(inner))
		return make(left->left, left, make(inner, like, right));
	retire(inner);
	a = make(left->left, left, inner->left);
	b = make(inner->right, like, right);
	return make(a, inner, b);
}

static const struct dxs_index_node *rotate_left(const struct dxs_index_node *left, const struct dxs_index_node *like,
						const struct dxs_index_node *right)
{
	const struct dxs_index_node *inner = right->left, *a, *b;

	retire(right);
	if (!inner || height_of(right->right) >= height_of(inner))
		return make(make(left, like, inner), right, right->right);
	retire(inner);
	a = make(left, like, inner->left);
	b = make(inner->right, right, right->right);
	return make(a, inner, b);
}

// A tree of two whose heights differ by two at most, with an item between them.
static const struct dxs_index_node *join(const struct dxs_index_node *left, const struct dxs_index_node *like,
					 const struct dxs_index_node *right)
{
	if (height_of(left) > height_of(right) + 1)
		return rotate_right(left, like, right);
	if (height_of(right) > height_of(left) + 1)
		return rotate_left(left, like, right);
	return make(left, like, right);
}

static int compare(struct dxs_key a, struct dxs_key b)
{
	if (a.at != b.at)
		return a.at < b.at ? -1 : 1;
	return a.then == b.then ? 0 : a.then < b.then ? -1 : 1;
}

const struct dxs_index_node *dxs_index_insert(const struct dxs_index_node *root, struct dxs_key key, uint64_t end,
					      void *item)
{
	if (!root)
		return make(NULL, &(struct dxs_index_node){.key = key, .end = end, .item = item}, NULL);
	retire(root);
	return compare(key, root->key) < 0 ? join(dxs_index_insert(root->left, key, end, item), root, root->right)
					   : join(root->left, root, dxs_index_insert(root->right, key, end, item));
}

static const struct dxs_index_node *leftmost(const struct dxs_index_node *node)
{
	while (node->left)
		node = node->left;
	return node;
}

const struct dxs_index_node *dxs_index_remove(const struct dxs_index_node *root, struct dxs_key key)
{
	int way = root ? compare(key, root->key) : 0;
	const struct dxs_index_node *next;

	if (!root)
		return NULL;
	retire(root); // it can still be read below: the pool gets it later
	if (way < 0)
		return join(dxs_index_remove(root->left, key), root, root->right);
	if (way > 0)
		return join(root->left, root, dxs_index_remove(root->right, key));
	if (!root->left || !root->right)
		return root->left ? root->left : root->right;
	next = leftmost(root->right);
	return join(root->left, next, dxs_index_remove(root->right, next->key));
}

void dxs_index_settle(void)
{
	while (retired) {
		struct dxs_index_node *node = retired;

		retired = node->next;
		node->next = pool;
		pool = node;
		nr_pool++;
	}
}

// Nodes that were in no tree are lost: nobody knows how far the lists of them had come.
void dxs_index_reset(void)
{
	pool = retired = NULL;
	nr_pool = 0;
}

void *dxs_index_get(const struct dxs_index_node *root, struct dxs_key key)
{
	while (root && compare(key, root->key))
		root = compare(key, root->key) < 0 ? root->left : root->right;
	return root ? root->item : NULL;
}

static const struct dxs_index_node *find(const struct dxs_index_node *node, const struct dxs_key *after, uint64_t from)
{
	const struct dxs_index_node *found;

	if (max_of(node) <= from)
		return NULL;
	if (after && compare(node->key, *after) <= 0)
		return find(node->right, after, from);
	found = find(node->left, after, from);
	if (found)
		return found;
	return node->end > from ? node : find(node->right, NULL, from);
}

// The first that ends behind `from`: if it does not begin before `to`, none behind it does.
void *dxs_index_first(const struct dxs_index_node *root, const struct dxs_key *after, uint64_t from, uint64_t to)
{
	const struct dxs_index_node *node = find(root, after, from);

	return node && node->key.at < to ? node->item : NULL;
}

static void summary(const struct dxs_index_node *node, unsigned depth, void (*fn)(uint64_t at, uint64_t end, void *arg),
		    void *arg)
{
	if (!node)
		return;
	if (!depth) {
		fn(node->least, node->max, arg);
		return;
	}
	summary(node->left, depth - 1, fn, arg);
	fn(node->key.at, node->end, arg);
	summary(node->right, depth - 1, fn, arg);
}

#define SUMMARY_DEPTH 5 // 31 items, and 32 trees below them

_Static_assert(DXS_INDEX_SUMMARY == (2 << SUMMARY_DEPTH) - 1, "what a summary can give");

void dxs_index_summary(const struct dxs_index_node *root, void (*fn)(uint64_t at, uint64_t end, void *arg), void *arg)
{
	summary(root, SUMMARY_DEPTH, fn, arg);
}
