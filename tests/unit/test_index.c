// SPDX-License-Identifier: BSD-3-Clause
// test_index.c: the trees that are replaced, against a plain array, and without memory.
#include <criterion/criterion.h>
#include <string.h>

#include "base/alloc.h"
#include "base/index.h"
#include "random.h"

#define MANY 500
#define ROOM 64 // places where an item may begin: many begin at the same one
#define STEPS 20000

struct item {
	struct dxs_key key;
	uint64_t end;
	bool there;
};

static struct item item[MANY]; // sorted by key
static const struct dxs_index_node *root;

static void setup(void)
{
	root = NULL;
	for (unsigned i = 0; i < MANY; i++)
		item[i] = (struct item){.key = {i * ROOM / MANY, i}};
}

TestSuite(index, .init = setup);

static void add(unsigned i, uint64_t len)
{
	cr_assert_eq(dxs_index_prepare(root, 1), 0);
	item[i].end = item[i].key.at + len;
	item[i].there = true;
	root = dxs_index_insert(root, item[i].key, item[i].end, &item[i]);
	dxs_index_settle();
}

static void take(unsigned i)
{
	item[i].there = false;
	root = dxs_index_remove(root, item[i].key);
	dxs_index_settle();
}

static struct item *first_plainly(unsigned behind, uint64_t from, uint64_t to)
{
	for (unsigned i = behind; i < MANY; i++)
		if (item[i].there && item[i].end > from)
			return item[i].key.at < to ? &item[i] : NULL;
	return NULL;
}

Test(index, answers_as_an_array_does)
{
	uint64_t state = random_seed("test_index"), most = 0, nr = 0;

	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = (unsigned)random_below(&state, MANY), behind = (unsigned)random_below(&state, MANY);
		uint64_t from = random_below(&state, ROOM), to = random_below(&state, ROOM + 2);

		if (item[i].there) {
			take(i);
			nr--;
		} else if (step < STEPS / 2 || random_below(&state, 3) == 0) { // grows, then shrinks
			add(i, 1 + random_below(&state, random_below(&state, 8) ? 2 : ROOM));
			nr++;
		}
		most = nr > most ? nr : most;
		cr_assert_eq(dxs_index_get(root, item[i].key), item[i].there ? &item[i] : NULL);
		cr_assert_eq(dxs_index_first(root, NULL, from, to), first_plainly(0, from, to));
		cr_assert_eq(dxs_index_first(root, &item[behind].key, from, to), first_plainly(behind + 1, from, to));
	}
	cr_expect_gt(most, MANY / 3, "%lu: hardly anything was looked for", (unsigned long)most);
}

static unsigned nr_ranges, nr_found;

// A range begins where an item does and ends where one does: the next that are there, which nobody else has given.
static void check_range(uint64_t at, uint64_t end, void *arg)
{
	unsigned *next = arg;
	uint64_t last = 0;

	while (*next < MANY && !item[*next].there)
		(*next)++;
	cr_assert_lt(*next, MANY);
	cr_assert_eq(item[*next].key.at, at);
	for (; *next < MANY && item[*next].key.at < end; (*next)++) {
		nr_found += item[*next].there;
		last = item[*next].there ? item[*next].end : last;
	}
	cr_assert_eq(last, end);
	nr_ranges++;
}

Test(index, a_summary_has_every_item_in_a_range)
{
	for (unsigned many = 1; many <= MANY; many += many < 40 ? 1 : 45) {
		unsigned next = 0;

		setup();
		for (unsigned i = 0; i < MANY; i++)
			item[i].key.at = 10 * i;
		for (unsigned i = 0; i < many; i++)
			add(i * 7 % MANY, 5);
		nr_ranges = nr_found = 0;
		dxs_index_summary(root, check_range, &next);
		cr_assert_eq(nr_found, many);
		cr_assert_leq(nr_ranges, DXS_INDEX_SUMMARY);
		cr_assert_geq(nr_ranges, many < 20 ? many : 20, "%u of %u", nr_ranges, many);
	}
	dxs_index_summary(NULL, check_range, NULL);
}

// Whoever reads a tree sees it as it was.
Test(index, an_old_tree_stays_until_it_is_settled)
{
	const struct dxs_index_node *old;

	for (unsigned i = 0; i < MANY; i += 2)
		add(i, 1);
	old = root;
	cr_assert_eq(dxs_index_prepare(root, 2), 0);
	root = dxs_index_remove(root, item[200].key);
	root = dxs_index_insert(root, item[201].key, item[201].key.at + 1, &item[201]);
	for (unsigned i = 0; i < MANY; i++) {
		cr_expect_eq(dxs_index_get(old, item[i].key), i % 2 ? NULL : &item[i]);
		cr_expect_eq(dxs_index_get(root, item[i].key), i == 201 || (i != 200 && i % 2 == 0) ? &item[i] : NULL);
	}
}

static void *no_memory(size_t size)
{
	(void)size;
	return NULL;
}

// Three at a time, and all of them in the end.
Test(index, taking_out_needs_no_memory)
{
	unsigned i;

	for (i = 0; i < MANY; i++)
		add(i * 7 % MANY, 1); // 7 and MANY have no common divisor
	dxs_allocator.zalloc = no_memory;
	cr_expect_neq(dxs_index_prepare(root, 1000), 0);
	for (i = 0; i + 2 < MANY; i += 3) {
		root = dxs_index_remove(root, item[(i + 250) % MANY].key);
		root = dxs_index_remove(root, item[(i + 251) % MANY].key);
		root = dxs_index_remove(root, item[(i + 252) % MANY].key);
		dxs_index_settle();
	}
	for (; i < MANY; i++) {
		root = dxs_index_remove(root, item[(i + 250) % MANY].key);
		dxs_index_settle();
	}
	cr_expect_null(root);
}

Test(index, a_key_that_is_not_there_changes_nothing)
{
	add(1, 1);
	root = dxs_index_remove(root, item[2].key);
	dxs_index_settle();
	cr_expect_eq(dxs_index_get(root, item[1].key), &item[1]);
	cr_expect_null(dxs_index_remove(NULL, item[2].key));
}
