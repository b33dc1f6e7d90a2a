// SPDX-License-Identifier: BSD-3-Clause
// test_bitmap.c: sparse bits against a plain array of them.
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

#include "proc/pagemap.h"
#include "random.h"
#include "tree/bitmap.h"

#define NR 20000                 // more than one word of the summary
#define TERA ((uint64_t)1 << 28) // pages of 4 KiB in 1 TiB

static struct dxs_bitmap *bitmap;
static bool plain[NR];

// Around the ends of words of bits (64), and of words of the summary (4096).
static const uint64_t boundary[] = {0,    1,    63,   64,   65,   127,  128,  511,    512,    513,
				    4031, 4032, 4095, 4096, 4097, 8191, 8192, NR - 2, NR - 1, NR};
#define NR_BOUNDARIES (sizeof(boundary) / sizeof(boundary[0]))

static void setup(void)
{
	bitmap = dxs_bitmap_new(NR);
	cr_assert_not_null(bitmap);
	memset(plain, 0, sizeof(plain));
}

static void teardown(void)
{
	dxs_bitmap_free(bitmap);
}

TestSuite(bitmap, .init = setup, .fini = teardown);

static void change(uint64_t from, uint64_t end, bool one)
{
	for (uint64_t i = from; i < end; i++)
		plain[i] = one;
	if (one)
		dxs_bitmap_set(bitmap, from, end);
	else
		dxs_bitmap_reset(bitmap, from, end);
}

static uint64_t plain_next(bool one, uint64_t from, uint64_t end)
{
	while (from < end && plain[from] != one)
		from++;
	return from < end ? from : end;
}

static uint64_t plain_edges(uint64_t from, uint64_t end)
{
	uint64_t nr = 0;

	for (uint64_t i = from + 1; i < end; i++)
		nr += plain[i] != plain[i - 1];
	return nr;
}

static void expect_same(uint64_t from, uint64_t end)
{
	uint64_t start = from, stop = dxs_bitmap_run(bitmap, &start, end);
	uint64_t one = plain_next(true, from, end), zero = plain_next(false, from, end);

	cr_assert_eq(dxs_bitmap_next_one(bitmap, from, end), one, "[%lu, %lu)", from, end);
	cr_assert_eq(dxs_bitmap_next_zero(bitmap, from, end), zero, "[%lu, %lu)", from, end);
	cr_assert_eq(start, one, "[%lu, %lu)", from, end);
	cr_assert_eq(stop, plain_next(false, one, end), "[%lu, %lu)", from, end);
	cr_assert_eq(dxs_bitmap_edges(bitmap, from, end), plain_edges(from, end), "[%lu, %lu)", from, end);
}

static void expect_same_everywhere(void)
{
	for (uint64_t i = 0; i < NR; i++)
		cr_assert_eq(dxs_bitmap_get(bitmap, i), plain[i], "bit %lu", i);
	for (size_t i = 0; i < NR_BOUNDARIES; i++)
		for (size_t j = i; j < NR_BOUNDARIES; j++)
			expect_same(boundary[i], boundary[j]);
}

Test(bitmap, a_new_one_is_all_zero)
{
	expect_same_everywhere();
}

Test(bitmap, ranges_between_all_boundaries_are_set_and_reset)
{
	for (size_t i = 0; i < NR_BOUNDARIES; i++) {
		for (size_t j = i; j < NR_BOUNDARIES; j += 3) {
			change(boundary[i], boundary[j], true);
			expect_same_everywhere();
			change(boundary[i] + (boundary[j] - boundary[i]) / 2, boundary[j], false);
			expect_same_everywhere();
			change(0, NR, false);
		}
	}
}

Test(bitmap, nothing_beside_a_single_bit_changes)
{
	for (size_t i = 0; i < NR_BOUNDARIES - 1; i++) {
		change(boundary[i], boundary[i] + 1, true);
		expect_same_everywhere();
		change(boundary[i], boundary[i] + 1, false);
	}
}

Test(bitmap, after_reset_all_it_is_as_new)
{
	change(3, 5, true);
	change(4095, NR, true);
	dxs_bitmap_reset_all(bitmap);
	memset(plain, 0, sizeof(plain));
	expect_same_everywhere();
	change(4096, 4097, true);
	expect_same_everywhere();
}

static uint64_t some_bit(uint64_t *state)
{
	return random_below(state, 2) ? boundary[random_below(state, NR_BOUNDARIES)] : random_below(state, NR + 1);
}

Test(bitmap, random_changes_give_what_a_plain_array_gives)
{
	uint64_t state = random_seed("bitmap");

	for (int i = 0; i < 20000; i++) {
		uint64_t from = some_bit(&state), end = some_bit(&state);

		if (from > end)
			continue;
		if (random_below(&state, 4)) // most are short, or all would be one run
			end = end - from < 70 ? end : from + random_below(&state, 70);
		change(from, end, random_below(&state, 2));
		for (int look = 0; look < 4; look++) {
			uint64_t at = some_bit(&state), to = some_bit(&state);

			expect_same(at < to ? at : to, at < to ? to : at);
		}
	}
	expect_same_everywhere();
}

static uint64_t pages_touched(void)
{
	struct dxs_region region[32];
	uintptr_t next = (uintptr_t)bitmap, end = next + (TERA / 8 + TERA / 8 / 64 + 4096) / 4096 * 4096;
	uint64_t nr = 0;

	while (next < end) {
		int found = dxs_pagemap_populated(next, end, DXS_PM_PRESENT, region, 32, &next);

		cr_assert_geq(found, 0);
		for (int i = 0; i < found; i++)
			nr += (region[i].end - region[i].start) / 4096;
	}
	return nr;
}

// The cost is counted in pages of memory that were looked at: 32 MiB of bits for 1 TiB, of which only those are read in
// which a bit was set, and the summary, a 64th of it.
Test(bitmap, a_search_through_a_tebibyte_reads_only_words_in_which_bits_were_set)
{
	cr_assert_eq(dxs_pagemap_open(), 0);
	dxs_bitmap_free(bitmap);
	bitmap = dxs_bitmap_new(TERA);
	cr_assert_not_null(bitmap);
	dxs_bitmap_set(bitmap, 1000, 1001);
	dxs_bitmap_set(bitmap, TERA / 2, TERA / 2 + 1);
	dxs_bitmap_set(bitmap, TERA - 1, TERA);
	cr_expect_eq(dxs_bitmap_next_one(bitmap, 1001, TERA), TERA / 2);
	cr_expect_eq(dxs_bitmap_next_one(bitmap, TERA / 2 + 1, TERA), TERA - 1);
	cr_expect_eq(dxs_bitmap_edges(bitmap, 0, TERA), 5);
	dxs_bitmap_reset_all(bitmap);
	cr_expect_eq(dxs_bitmap_next_one(bitmap, 0, TERA), TERA);
	cr_expect_leq(pages_touched(), TERA / 8 / 64 / 4096 + 8, "%lu pages", pages_touched());
}
