// SPDX-License-Identifier: BSD-3-Clause
// rows_remap.c: mappings being moved and resized by mremap.
#include "corpus.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define NR(array) (sizeof(array) / sizeof((array)[0]))

#define NOWHERE (-100)

struct remapped {
	const char *name;
	long from, old_nr, new_nr; // pages
	int flags;
	long to;    // page where it shall go, for MREMAP_FIXED and MREMAP_DONTUNMAP
	long free;  // page from which on 4 pages are unmapped before, or NOWHERE
	size_t odd; // bytes more in both lengths
};

// What there is: the mapping in the middle of the arena, whose ends are reserved.
static const struct remapped table[] = {
	{"shrink", 0, 8, 3, 0, 0, NOWHERE, 0},
	{"shrink_maymove", 0, 8, 3, MREMAP_MAYMOVE, 0, NOWHERE, 0},
	{"shrink_middle", 2, 4, 2, 0, 0, NOWHERE, 0},
	{"shrink_to_1", 0, 8, 1, 0, 0, NOWHERE, 0},
	{"same", 0, 8, 8, 0, 0, NOWHERE, 0},
	{"same_maymove", 0, 8, 8, MREMAP_MAYMOVE, 0, NOWHERE, 0},
	{"odd_lengths", 0, 7, 5, 0, 0, NOWHERE, 100},
	{"grow_no_room", 0, 8, 10, 0, 0, NOWHERE, 0},
	{"grow_in_place", 0, 8, 10, 0, 0, 8, 0},
	{"grow_in_place_maymove", 0, 8, 12, MREMAP_MAYMOVE, 0, 8, 0},
	{"grow_a_part", 2, 2, 4, 0, 0, NOWHERE, 0},
	{"grow_a_tail", 6, 2, 4, 0, 0, 8, 0},
	{"grow_moves", 0, 8, 12, MREMAP_MAYMOVE, 0, NOWHERE, 0},
	{"grow_a_part_moves", 2, 2, 4, MREMAP_MAYMOVE, 0, NOWHERE, 0},
	{"fixed", 0, 8, 8, MREMAP_MAYMOVE | MREMAP_FIXED, 8, NOWHERE, 0},
	{"fixed_grow", 0, 8, 10, MREMAP_MAYMOVE | MREMAP_FIXED, -12, NOWHERE, 0},
	{"fixed_shrink", 0, 8, 4, MREMAP_MAYMOVE | MREMAP_FIXED, 8, NOWHERE, 0},
	{"fixed_middle", 2, 3, 3, MREMAP_MAYMOVE | MREMAP_FIXED, 10, NOWHERE, 0},
	{"fixed_tail_over_head", 5, 3, 3, MREMAP_MAYMOVE | MREMAP_FIXED, 0, NOWHERE, 0},
	{"fixed_head_over_tail", 0, 2, 2, MREMAP_MAYMOVE | MREMAP_FIXED, 6, NOWHERE, 0},
	{"fixed_head_over_middle_grow", 0, 2, 4, MREMAP_MAYMOVE | MREMAP_FIXED, 3, NOWHERE, 0},
	{"fixed_over_itself", 0, 8, 8, MREMAP_MAYMOVE | MREMAP_FIXED, 2, NOWHERE, 0},
	{"fixed_onto_itself", 0, 8, 8, MREMAP_MAYMOVE | MREMAP_FIXED, 0, NOWHERE, 0},
	{"fixed_without_maymove", 0, 8, 8, MREMAP_FIXED, 8, NOWHERE, 0},
	{"fixed_reservation_over_it", -4, 2, 2, MREMAP_MAYMOVE | MREMAP_FIXED, 3, NOWHERE, 0},
	{"reservation_grows_into_it", -4, 4, 6, 0, 0, NOWHERE, 0},
	{"dontunmap", 0, 8, 8, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0, NOWHERE, 0},
	{"dontunmap_part", 2, 3, 3, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0, NOWHERE, 0},
	{"dontunmap_fixed", 0, 8, 8, MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED, 8, NOWHERE, 0},
	{"dontunmap_grow", 0, 8, 9, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0, NOWHERE, 0},
	{"dontunmap_without_maymove", 0, 8, 8, MREMAP_DONTUNMAP, 0, NOWHERE, 0},
	{"old_length_0", 0, 0, 8, MREMAP_MAYMOVE, 0, NOWHERE, 0},
	{"old_length_0_middle", 3, 0, 4, MREMAP_MAYMOVE, 0, NOWHERE, 0},
	{"old_length_0_fixed", 0, 0, 8, MREMAP_MAYMOVE | MREMAP_FIXED, 8, NOWHERE, 0},
	{"old_length_0_in_place", 0, 0, 8, 0, 0, NOWHERE, 0},
	{"new_length_0", 0, 8, 0, 0, 0, NOWHERE, 0},
	{"new_length_0_maymove", 0, 8, 0, MREMAP_MAYMOVE, 0, NOWHERE, 0},
	{"unknown_flag", 0, 8, 8, 8, 0, NOWHERE, 0},
	{"beyond_mapping", 4, 8, 8, 0, 0, 8, 0},
	{"beyond_mapping_moves", 4, 8, 10, MREMAP_MAYMOVE, 0, 8, 0},
	{"over_the_end", 4, 8, 8, MREMAP_MAYMOVE | MREMAP_FIXED, -12, 8, 0},
	{"over_two_mappings", 4, 6, 6, MREMAP_MAYMOVE | MREMAP_FIXED, -12, NOWHERE, 0},
	{"over_two_mappings_reservation_first", -2, 6, 6, MREMAP_MAYMOVE | MREMAP_FIXED, 9, NOWHERE, 0},
	{"over_two_mappings_grow", 4, 6, 8, MREMAP_MAYMOVE, 0, NOWHERE, 0},
	{"shrink_across", 4, 8, 2, 0, 0, NOWHERE, 0},
	{"unmapped", 8, 2, 2, MREMAP_MAYMOVE, 0, 8, 0},
	{"beyond_file", 0, 8, 16, MREMAP_MAYMOVE | MREMAP_FIXED, 8, NOWHERE, 0},
};

static char *page_at(long page)
{
	return map + page * (long)PAGE;
}

// What the moved mapping holds now, and what a store to it leaves in the file.
static void moved(char *to, size_t len)
{
	size_t i;

	if (to < arena || to >= arena + SIZE + 2 * AROUND)
		region("moved", to, len);
	say(" at %s", place(to));
	say_memory("moved", to, len);
	for (i = 0; i < len; i += PAGE)
		store(to + i + 30, 'm');
	TELL("msync", msync(to, len, MS_SYNC));
	store(to + 31, 'n');
}

static void remap(const void *arg)
{
	const struct remapped *how = arg;
	size_t old_len = (size_t)how->old_nr * PAGE + how->odd, new_len = (size_t)how->new_nr * PAGE + how->odd;
	char *to;

	memory_make();
	memory_store();
	MUST(how->free == NOWHERE || !munmap(page_at(how->free), 4 * PAGE));
	to = mremap(page_at(how->from), old_len, new_len, how->flags,
		    how->flags & MREMAP_FIXED ? page_at(how->to) : NULL);
	if (to == MAP_FAILED)
		tell_mmap("mremap", to);
	else
		moved(to, (new_len + PAGE - 1) / PAGE * PAGE);
	after();
	if (to != MAP_FAILED) {
		store(to + 32, 'o');
		TELL("msync", msync(to, PAGE, MS_SYNC));
		TELL("munmap", munmap(to, new_len));
	}
	TELL("fsync", fsync(fd));
	say_file("file", fd);
}

static void remap_unaligned(const void *arg)
{
	(void)arg;
	memory_make();
	memory_store();
	tell_mmap("old", mremap(map + 100, PAGE, PAGE, MREMAP_MAYMOVE));
	tell_mmap("new", mremap(map, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map + SIZE + 100));
	tell_mmap("huge", mremap(map, PAGE, SIZE_MAX, MREMAP_MAYMOVE));
	tell_mmap("old huge", mremap(map, SIZE_MAX, PAGE, MREMAP_MAYMOVE));
	tell_mmap("large", mremap(map, SIZE, (size_t)1 << 50, MREMAP_MAYMOVE));
	after();
}

// As a program that grows its file does, again and again.
static void remap_and_grow(const void *arg)
{
	int growing = file_new("growing", PAGE), flags = *(const int *)arg;
	char *at = map_new("growing", growing, 0, PAGE);
	size_t nr;

	for (nr = 1; nr < 64; nr += 1 + nr / 2) {
		size_t more = nr + 1 + nr / 2;

		fill(at, nr, nr, 'g');
		if (flags & 1)
			TELL("msync", msync(at, nr * PAGE, MS_SYNC));
		TELL("ftruncate", ftruncate(growing, (off_t)(more * PAGE)));
		at = mremap(at, nr * PAGE, more * PAGE, MREMAP_MAYMOVE);
		MUST(at != MAP_FAILED);
		fill(at, more, 100 + nr, 'h');
		if (flags & 2)
			TELL("fsync", fsync(growing));
		fill(at, 1, 200 + nr, 'i');
	}
	TELL("msync", msync(at, nr * PAGE, MS_SYNC));
	say_file("file", growing);
}

// A window of a mapping that is moved, and one that stays.
static void remap_an_alias(const void *arg)
{
	char *alias, *to;

	(void)arg;
	memory_make();
	memory_store();
	alias = map_new("alias", fd, 0, SIZE);
	fill(alias, 4, 40, 'A');
	to = mremap(alias + 2 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map + SIZE);
	MUST(to == map + SIZE);
	fill(to, 2, 41, 'B');
	fill(alias, 2, 42, 'C');
	TELL("msync", msync(map, SIZE + 2 * PAGE, MS_SYNC));
	store(to, 'D');
	store(alias, 'E'); // what was moved away from is anybody's
	after();
	say_memory("moved", to, 2 * PAGE);
}

static void remap_protected(const void *arg)
{
	char *to;

	(void)arg;
	memory_make();
	memory_store();
	MUST(!mprotect(map, SIZE, PROT_READ));
	to = mremap(map, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, map + SIZE);
	MUST(to == map + SIZE);
	store(to, 'x');
	TELL("mprotect", mprotect(to, 4 * PAGE, PROT_READ | PROT_WRITE));
	store(to + PAGE, 'y');
	store(to + 4 * PAGE, 'z');
	TELL("msync", msync(to, SIZE, MS_SYNC));
	store(to + PAGE, 'Y');
	after();
	say_memory("moved", to, SIZE);
}

static void remap_private(const void *arg)
{
	char *private, *to;

	(void)arg;
	memory_make();
	memory_store();
	private = region("private", mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), SIZE);
	fill(private, 2, 50, 'p');
	to = mremap(private, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, map);
	tell_mmap("over", to);
	after();
}

void rows_remap(void)
{
	static const int syncs[] = {0, 1, 2, 3};
	char name[64];
	size_t i;

	for (i = 0; i < NR(table); i++) {
		snprintf(name, sizeof(name), "remap/%s", table[i].name);
		row(name, remap, &table[i]);
	}
	row("remap/unaligned", remap_unaligned, NULL);
	for (i = 0; i < NR(syncs); i++) {
		snprintf(name, sizeof(name), "remap/grow_file/%d", syncs[i]);
		row(name, remap_and_grow, &syncs[i]);
	}
	row("remap/alias", remap_an_alias, NULL);
	row("remap/protected", remap_protected, NULL);
	row("remap/private_over_it", remap_private, NULL);
}
