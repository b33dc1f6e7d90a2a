// SPDX-License-Identifier: BSD-3-Clause
// test_mapping.c: the table of mappings: lookups, changes, readers' sections.
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "file/file.h"
#include "file/mapping.h"

#define BASE ((uintptr_t)1 << 40)
#define SIZE ((uintptr_t)0x4000)
#define MANY 300

static struct dxs_file file[MANY];
static struct dxs_map map[MANY];

static void setup(void)
{
	for (unsigned i = 0; i < MANY; i++) {
		file[i].dev = i % 2;
		file[i].ino = 1000 + i / 2;
		map[i].addr = BASE + i * 2 * SIZE; // with a gap behind each
		map[i].len = SIZE;
		map[i].file = &file[i];
	}
}

TestSuite(mapping, .init = setup);

static void replace(struct dxs_map *gone, struct dxs_map *made)
{
	dxs_registry_lock();
	cr_expect_eq(dxs_maps_replace(&gone, gone != NULL, &made, made != NULL), 0);
	dxs_registry_unlock();
}

static void add(unsigned i)
{
	replace(NULL, &map[i]);
}

// All files of an even device come before those of an odd one.
static struct dxs_file *by_identity(unsigned i)
{
	return &file[i < MANY / 2 ? 2 * i : 2 * (i - MANY / 2) + 1];
}

Test(mapping, an_empty_table_has_nothing)
{
	cr_expect_not(dxs_maps_any());
	cr_expect_null(dxs_maps_find(0));
	cr_expect_null(dxs_maps_find(UINTPTR_MAX - 1));
	cr_expect_null(dxs_maps_first(0, UINTPTR_MAX));
	cr_expect_null(dxs_maps_file(0, 1000));
	cr_expect_null(dxs_maps_next_file(NULL));
	replace(NULL, NULL);
	cr_expect_not(dxs_maps_any());
}

Test(mapping, find_knows_the_first_and_the_last_byte)
{
	add(0);
	cr_expect(dxs_maps_any());
	cr_expect_null(dxs_maps_find(BASE - 1));
	cr_expect_eq(dxs_maps_find(BASE), &map[0]);
	cr_expect_eq(dxs_maps_find(BASE + SIZE - 1), &map[0]);
	cr_expect_null(dxs_maps_find(BASE + SIZE));
}

Test(mapping, neighbours_without_a_gap_are_told_apart)
{
	map[1].addr = BASE + SIZE;
	add(1);
	add(0);
	cr_expect_eq(dxs_maps_find(BASE + SIZE - 1), &map[0]);
	cr_expect_eq(dxs_maps_find(BASE + SIZE), &map[1]);
}

Test(mapping, first_is_the_lowest_that_overlaps)
{
	add(0);
	add(1);
	add(2);
	cr_expect_eq(dxs_maps_first(0, UINTPTR_MAX), &map[0]);
	cr_expect_eq(dxs_maps_first(BASE + SIZE - 1, UINTPTR_MAX), &map[0]);
	cr_expect_eq(dxs_maps_first(BASE + SIZE, UINTPTR_MAX), &map[1]);
	cr_expect_null(dxs_maps_first(BASE + SIZE, map[1].addr), "the end is not part of the range");
	cr_expect_eq(dxs_maps_first(BASE + SIZE, map[1].addr + 1), &map[1]);
	cr_expect_null(dxs_maps_first(dxs_map_end(&map[2]), UINTPTR_MAX));
}

Test(mapping, many_added_in_any_order_are_sorted_and_found)
{
	for (unsigned i = 0; i < MANY; i++)
		add(i * 7 % MANY); // 7 and MANY have no common divisor
	for (unsigned i = 0; i < MANY; i++) {
		cr_expect_eq(dxs_maps_first(i ? dxs_map_end(&map[i - 1]) : 0, UINTPTR_MAX), &map[i]);
		cr_expect_eq(dxs_maps_next_file(i ? by_identity(i - 1) : NULL), by_identity(i));
		cr_expect_eq(dxs_maps_find(map[i].addr + 5), &map[i]);
		cr_expect_null(dxs_maps_find(dxs_map_end(&map[i])));
		cr_expect_eq(dxs_maps_file(file[i].dev, file[i].ino), &file[i]);
	}
	cr_expect_null(dxs_maps_next_file(by_identity(MANY - 1)));
	cr_expect_null(dxs_maps_file(2, 1000));
	cr_expect_null(dxs_maps_file(0, 1000 + MANY));
	for (unsigned i = 0; i < MANY; i++) {
		replace(&map[i], NULL);
		cr_expect_null(dxs_maps_find(map[i].addr));
		cr_expect_null(dxs_maps_file(file[i].dev, file[i].ino));
		cr_expect_eq(dxs_maps_first(0, UINTPTR_MAX), i + 1 < MANY ? &map[i + 1] : NULL);
	}
	cr_expect_not(dxs_maps_any());
}

Test(mapping, one_goes_and_its_parts_come_in_one_change)
{
	struct dxs_map *gone[] = {&map[0]}, *made[] = {&map[2], &map[1]};

	add(0);
	add(3);
	map[1] = (struct dxs_map){.addr = BASE, .len = SIZE / 2, .file = &file[0]};
	map[2] = (struct dxs_map){.addr = BASE + SIZE / 2, .len = SIZE / 2, .first = SIZE / 2, .file = &file[0]};
	dxs_registry_lock();
	cr_expect_eq(dxs_maps_replace(gone, 1, made, 2), 0);
	dxs_registry_unlock();
	cr_expect_eq(dxs_maps_first(0, UINTPTR_MAX), &map[1]);
	cr_expect_eq(dxs_maps_first(BASE + SIZE / 2, UINTPTR_MAX), &map[2]);
	cr_expect_eq(dxs_maps_first(BASE + SIZE, UINTPTR_MAX), &map[3]);
	cr_expect_eq(dxs_file_map_next(&file[0], NULL, 0, UINT64_MAX), &map[1]);
	cr_expect_eq(dxs_file_map_next(&file[0], &map[1], 0, UINT64_MAX), &map[2]);
	cr_expect_null(dxs_file_map_next(&file[0], &map[2], 0, UINT64_MAX));
}

Test(mapping, a_file_stays_until_its_last_mapping_is_gone)
{
	map[1].file = &file[0];
	add(0);
	add(1);
	replace(&map[0], NULL);
	cr_expect_eq(dxs_maps_file(file[0].dev, file[0].ino), &file[0]);
	replace(&map[1], NULL);
	cr_expect_null(dxs_maps_file(file[0].dev, file[0].ino));
}

Test(mapping, the_mappings_of_a_file_are_found_by_what_they_show_of_it)
{
	static const uint64_t first[] = {40, 10, 0, 10}; // of map[0] to map[3], SIZE entries each

	for (unsigned i = 0; i < 4; i++) {
		map[i].file = &file[0];
		map[i].first = first[i] * SIZE;
		add(i);
	}
	cr_expect_eq(dxs_file_map_next(&file[0], NULL, 0, UINT64_MAX), &map[2]);
	cr_expect_eq(dxs_file_map_next(&file[0], &map[2], 0, UINT64_MAX), &map[1], "the lower address first");
	cr_expect_eq(dxs_file_map_next(&file[0], &map[1], 0, UINT64_MAX), &map[3]);
	cr_expect_eq(dxs_file_map_next(&file[0], &map[3], 0, UINT64_MAX), &map[0]);
	cr_expect_null(dxs_file_map_next(&file[0], &map[0], 0, UINT64_MAX));
	cr_expect_eq(dxs_file_map_next(&file[0], NULL, SIZE - 1, SIZE - 1), &map[2]);
	cr_expect_null(dxs_file_map_next(&file[0], NULL, SIZE, 10 * SIZE - 1));
	cr_expect_eq(dxs_file_map_next(&file[0], NULL, SIZE, 10 * SIZE), &map[1]);
	cr_expect_null(dxs_file_map_next(&file[0], &map[3], 0, 40 * SIZE - 1));
}

// A change that runs while this thread is in a section.
static atomic_bool changed;

static void *change_body(void *arg)
{
	(void)arg;
	replace(&map[0], &map[1]);
	atomic_store(&changed, true);
	return NULL;
}

Test(mapping, a_change_waits_for_the_section_that_may_see_what_is_gone)
{
	pthread_t thread;
	unsigned section, later;

	add(0);
	section = dxs_maps_enter();
	cr_assert_eq(pthread_create(&thread, NULL, change_body, NULL), 0);
	while (dxs_maps_find(map[0].addr))
		usleep(100); // a new lookup sees the new table at once
	usleep(20000);
	cr_expect_not(atomic_load(&changed));
	later = dxs_maps_enter(); // a section that begins now is not waited for
	dxs_maps_exit(section);
	pthread_join(thread, NULL);
	cr_expect(atomic_load(&changed));
	dxs_maps_exit(later);
}

static void *owner_body(void *arg)
{
	(void)arg;
	dxs_maps_enter();
	dxs_registry_lock();
	return NULL;
}

Test(mapping, a_forked_child_forgets_sections_and_owners_of_the_lock)
{
	pthread_t owner;

	add(0);
	cr_assert_eq(pthread_create(&owner, NULL, owner_body, NULL), 0);
	pthread_join(owner, NULL);
	dxs_maps_reset_locks(); // as the child does
	replace(&map[0], NULL);
	cr_expect_not(dxs_maps_any());
}
