// SPDX-License-Identifier: BSD-3-Clause
// cases_sync.c: what a sync does with stores and loads, through one mapping and through several.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conformance.h"

// E.2, E.5: after a sync has closed a page, the next store to it is seen.
static void store_after_sync_traps_again(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	uint64_t before = nr_traps();

	store_pages(map, 1, 'b');
	COUNTED(nr_traps() > before);
	CHECK(*map == 'b');
	sync_all(map, FILE_SIZE);
}

// E.5; kernel series: a read fault creates an entry that is not dirty.
static void load_never_makes_dirty(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_new(fd, 0, FILE_SIZE);
	uint64_t flushed, traps;

	CHECK(pages_are(map, NR_PAGES, 0));
	sync_all(map, FILE_SIZE); // may take what was never closed as dirty
	flushed = nr_flushed();
	traps = nr_traps();
	CHECK(pages_are(map, NR_PAGES, 0));
	sync_all(map, FILE_SIZE);
	COUNTED(nr_flushed() == flushed && nr_traps() == traps);
}

// M2; kernel series: an entry (of 2 MiB, on hugetlbfs) left writable after the first sync.
static void second_sync_after_store_flushes(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	char value;

	for (value = 'b'; value < 'g'; value++) {
		uint64_t before = nr_flushed();

		map[page - 1] = value;
		map[FILE_SIZE - 1] = value;
		sync_all(map, FILE_SIZE);
		COUNTED(nr_flushed() >= before + 2);
	}
}

// M2: nothing but the range is unmarked.
static void sync_of_one_page_leaves_others_dirty(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	uint64_t before;

	store_pages(map, NR_PAGES, 'b');
	before = nr_flushed();
	sync_all(map + 2 * page, page);
	COUNTED(nr_flushed() == before + 1);
	sync_all(map, FILE_SIZE);
	COUNTED(nr_flushed() >= before + NR_PAGES);
}

// M2: aliases share pages: a store through one is found by a sync of the other.
static void alias_store_is_synced_through_the_other(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd), *alias = map_new(fd, 0, FILE_SIZE);
	uint64_t before;

	sync_all(map, FILE_SIZE);
	before = nr_flushed();
	alias[3 * page + 17] = 'x';
	sync_all(map + 3 * page, page);
	COUNTED(nr_flushed() > before);
	CHECK(map[3 * page + 17] == 'x');
	sync_all(alias, FILE_SIZE);
}

// E.2, M2: a page is closed in every mapping before it is unmarked. M1: a new mapping is all open.
static void alias_is_closed_too(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd), *alias = map_new(fd, 0, FILE_SIZE);
	uint64_t flushed, traps;

	store_pages(alias, NR_PAGES, 'b');
	sync_all(map, FILE_SIZE);
	flushed = nr_flushed();
	traps = nr_traps();
	store_pages(alias, NR_PAGES, 'c');
	COUNTED(nr_traps() > traps);
	sync_all(map, FILE_SIZE);
	COUNTED(nr_flushed() >= flushed + NR_PAGES);
	CHECK(pages_are(map, NR_PAGES, 'c'));
}

// M1: an alias at another offset that overlaps the first mapping in part.
static void alias_that_overlaps_in_part(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd), *tail = map_new(fd, 5 * page, 3 * page);
	uint64_t flushed;

	sync_all(map, FILE_SIZE);
	flushed = nr_flushed();
	store_pages(tail, 3, 'b');
	sync_all(map, 5 * page);
	COUNTED(nr_flushed() == flushed);
	sync_all(map + 5 * page, 3 * page);
	COUNTED(nr_flushed() >= flushed + 3);
	CHECK(pages_are(map + 5 * page, 3, 'b') && pages_are(map, 5, 'a'));
}

// Two mappings side by side, of files in this order: [first, second].
static char *map_pair(int first, int second, size_t second_off)
{
	char *addr = room_for(FILE_SIZE);

	CHECK(mmap(addr, FILE_SIZE / 2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, first, 0) == addr);
	CHECK(mmap(addr + FILE_SIZE / 2, FILE_SIZE / 2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, second,
		   (off_t)second_off) == addr + FILE_SIZE / 2);
	return addr;
}

// One msync covers the mappings of two files.
static void sync_range_across_two_mappings(void)
{
	char *map = map_pair(file_new(FILE_SIZE), file_new(FILE_SIZE), 0);
	size_t middle = FILE_SIZE / 2;
	uint64_t before;

	store_pages(map, NR_PAGES, 'a');
	sync_all(map, FILE_SIZE);
	before = nr_flushed();
	store_pages(map, NR_PAGES, 'b');
	sync_all(map + middle - page, 2 * page);
	COUNTED(nr_flushed() == before + 2);
	sync_all(map, FILE_SIZE);
	COUNTED(nr_flushed() >= before + NR_PAGES);
}

// The second mapping continues the first one, in memory and in the file: the kernel may merge them into one.
static void two_mappings_adjacent_of_one_file(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_pair(fd, fd, FILE_SIZE / 2);
	uint64_t before;

	store_pages(map, NR_PAGES, 'a');
	sync_all(map, FILE_SIZE);
	before = nr_flushed();
	store_pages(map, NR_PAGES, 'b');
	sync_all(map + page, FILE_SIZE - 2 * page);
	COUNTED(nr_flushed() >= before + NR_PAGES - 2);
	CHECK(!munmap(map, FILE_SIZE / 2));
	store_pages(map + FILE_SIZE / 2, NR_PAGES / 2, 'c');
	sync_all(map + FILE_SIZE / 2, FILE_SIZE / 2);
	CHECK(file_has(fd, FILE_SIZE / 2, 'c') && file_has(fd, 0, 'b'));
}

// Argument errors are the kernel's.
static void msync_errors_equal_kernel(void)
{
	char *map = map_closed(file_new(FILE_SIZE));

	CHECK_ERRNO(msync(map + 1, page, MS_SYNC), EINVAL);
	CHECK_ERRNO(msync(map, page, 0x4000), EINVAL);
	CHECK_ERRNO(msync(map, page, MS_SYNC | 0x4000), EINVAL);
	CHECK_ERRNO(msync(map, page, MS_SYNC | MS_ASYNC), EINVAL);
	CHECK_ERRNO(msync(map, (size_t)0 - 4096, MS_SYNC), ENOMEM);
	CHECK(!msync(map, SIZE_MAX, MS_SYNC)); // rounded up to whole pages, this is 0
	CHECK(!msync(map, 0, MS_SYNC));
	CHECK(!msync(map, 0, 0));
	CHECK(!msync(map, page, MS_ASYNC));
	CHECK(!msync(map, page, 0));
	CHECK(!msync(map, page, MS_SYNC | MS_INVALIDATE));
	CHECK(!msync(map, 1, MS_SYNC));
}

// ENOMEM for a hole; what is mapped around it is synced all the same.
static void msync_over_a_hole_is_enomem(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	uint64_t before;

	CHECK(!munmap(map + 3 * page, page));
	store_pages(map, 3, 'b');
	store_pages(map + 4 * page, NR_PAGES - 4, 'b');
	before = nr_flushed();
	CHECK_ERRNO(msync(map, FILE_SIZE, MS_SYNC), ENOMEM);
	COUNTED(nr_flushed() >= before + NR_PAGES - 1);
	CHECK_ERRNO(msync(map + 3 * page, page, MS_SYNC), ENOMEM);
	CHECK_ERRNO(msync(map + 3 * page, page, MS_ASYNC), ENOMEM);
	sync_all(map, 3 * page);
}

// MS_INVALIDATE of locked memory is EBUSY, and nothing of it counts as synced.
static void msync_invalidate_of_locked_memory_is_ebusy(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	needs_mlock(fd);
	if (mlock(map + 2 * page, page))
		cell_skip("mlock is not allowed");
	store_pages(map, NR_PAGES, 'b');
	CHECK_ERRNO(msync(map, FILE_SIZE, MS_SYNC | MS_INVALIDATE), EBUSY);
	CHECK_ERRNO(msync(map, FILE_SIZE, MS_INVALIDATE), EBUSY);
	sync_all(map, FILE_SIZE);
	CHECK(!munlock(map + 2 * page, page));
	CHECK(!msync(map, FILE_SIZE, MS_SYNC | MS_INVALIDATE));
}

// Each of them, and not only the kernel's call: all that is dirty, through any mapping.
static void fsync_flushes_what_was_stored(void)
{
	int fd = file_new(FILE_SIZE), round;
	char *map = map_closed(fd), *alias = map_new(fd, 0, FILE_SIZE);
	uint64_t before;

	for (round = 0; round < 4; round++) {
		store_pages(map, NR_PAGES / 2, (char)('b' + round));
		store_pages(alias + FILE_SIZE / 2, NR_PAGES / 2, (char)('b' + round));
		before = nr_flushed();
		CHECK(!(round % 2 ? fdatasync(fd) : fsync(fd)));
		COUNTED(nr_flushed() >= before + NR_PAGES);
	}
}

static void fsync_bad_fd(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	int pipes[2];

	CHECK_ERRNO(fsync(-1), EBADF);
	CHECK_ERRNO(fdatasync(-1), EBADF);
	CHECK_ERRNO(fsync(1000), EBADF);
	CHECK_ERRNO(fdatasync(INT_MAX), EBADF);
	CHECK(!pipe2(pipes, O_CLOEXEC));
	CHECK_ERRNO(fsync(pipes[0]), EINVAL);
	sync_all(map, FILE_SIZE);
}

static void errno_kept_on_success(void)
{
	int fd = file_new(FILE_SIZE);
	char *map;

	errno = EXDEV;
	map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED && errno == EXDEV);
	store_pages(map, NR_PAGES, 'a');
	CHECK(!msync(map, FILE_SIZE, MS_SYNC) && errno == EXDEV);
	store_pages(map, NR_PAGES, 'b'); // traps
	CHECK(errno == EXDEV);
	CHECK(!fsync(fd) && errno == EXDEV);
	store_pages(map, NR_PAGES, 'c');
	CHECK(!fdatasync(fd) && errno == EXDEV);
	CHECK(!mprotect(map, FILE_SIZE, PROT_READ) && errno == EXDEV);
	CHECK(!ftruncate(fd, (off_t)FILE_SIZE) && errno == EXDEV);
	CHECK(!munmap(map, FILE_SIZE) && errno == EXDEV);
	CHECK(!close(fd) && errno == EXDEV);
}

static void file_longer_than_mapping(void)
{
	int fd = file_new(2 * FILE_SIZE);
	char *map = map_new(fd, FILE_SIZE / 2, FILE_SIZE);
	uint64_t before;

	store_pages(map, NR_PAGES, 'a');
	CHECK(!fsync(fd));
	before = nr_flushed();
	store_pages(map, NR_PAGES, 'b');
	CHECK(!fsync(fd));
	COUNTED(nr_flushed() >= before + NR_PAGES);
	CHECK(file_has(fd, FILE_SIZE / 2, 'b') && file_has(fd, 0, 0) && file_has(fd, 2 * FILE_SIZE - 1, 0));
}

// M7: beyond the end of the file there is nothing to flush, and that is no error.
static void mapping_longer_than_file(void)
{
	int fd = file_new(FILE_SIZE / 2);
	char *map = map_new(fd, 0, FILE_SIZE);

	store_pages(map, NR_PAGES / 2, 'a');
	sync_all(map, FILE_SIZE);
	store_pages(map, NR_PAGES / 2, 'b');
	sync_all(map, FILE_SIZE);
	sync_all(map + FILE_SIZE / 2, FILE_SIZE / 2);
	CHECK(!ftruncate(fd, (off_t)FILE_SIZE));
	store_pages(map, NR_PAGES, 'c'); // the new part has never been closed
	sync_all(map, FILE_SIZE);
	store_pages(map, NR_PAGES, 'd');
	sync_all(map, FILE_SIZE);
	CHECK(file_has(fd, FILE_SIZE - page, 'd'));
}

// A file that is unlinked while it is mapped; the others have no name anyway.
static void unlinked_file(void)
{
	char name[PATH_MAX];
	int fd = named_file_new(FILE_SIZE, name);
	char *map = map_closed(fd);

	CHECK(!unlink(name));
	store_pages(map, NR_PAGES, 'b');
	sync_all(map, FILE_SIZE);
	CHECK(!close(fd));
	store_pages(map, NR_PAGES, 'c');
	sync_all(map, FILE_SIZE);
	CHECK(pages_are(map, NR_PAGES, 'c'));
}

// A file that is renamed over another one while both are mapped: inodes are tracked, not names.
static void renamed_over_a_mapped_file(void)
{
	char name[2][PATH_MAX], *map[2];
	int i, fd;

	for (i = 0; i < 2; i++) {
		fd = named_file_new(FILE_SIZE, name[i]);
		map[i] = map_closed(fd);
		close(fd);
	}
	CHECK(!rename(name[0], name[1]));
	store_pages(map[0], NR_PAGES, 'b');
	store_pages(map[1], NR_PAGES, 'c');
	fd = open(name[1], O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && !fsync(fd));
	CHECK(file_has(fd, 0, 'b'));
	CHECK(!unlink(name[1]));
	sync_all(map[0], FILE_SIZE);
	sync_all(map[1], FILE_SIZE);
}

// Private copies are nobody's business; stores to them never reach the file.
static void map_private_is_untouched(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);
	char *copy = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	uint64_t flushed = nr_flushed(), traps = nr_traps();

	CHECK(copy != MAP_FAILED);
	store_pages(copy, NR_PAGES, 'p');
	sync_all(copy, FILE_SIZE);
	store_pages(copy, NR_PAGES, 'q');
	sync_all(map, FILE_SIZE);
	COUNTED(nr_flushed() == flushed && nr_traps() == traps);
	CHECK(pages_are(copy, NR_PAGES, 'q') && pages_are(map, NR_PAGES, 'a'));
}

static void store_and_exit(void *arg)
{
	char *map = map_closed(*(int *)arg);

	store_pages(map, NR_PAGES, 'z');
	exit(0);
}

static void store_and_return(void *arg)
{
	store_pages(map_closed(*(int *)arg), NR_PAGES, 'y');
}

static void store_and_be_killed(void *arg)
{
	char *map = map_closed(*(int *)arg);

	store_pages(map, NR_PAGES, 'x');
	kill(getpid(), SIGKILL);
}

// Stores that were never synced are in the file all the same after the process has ended, in whatever way.
static void exit_with_unsynced_pages(void)
{
	int fd = file_new(FILE_SIZE);

	CHECK(is_success(in_child(store_and_exit, &fd)));
	CHECK(file_has(fd, FILE_SIZE - page, 'z'));
	CHECK(is_success(in_child(store_and_return, &fd)));
	CHECK(file_has(fd, FILE_SIZE - page, 'y'));
	CHECK(in_child(store_and_be_killed, &fd) == SIGKILL);
	CHECK(file_has(fd, FILE_SIZE - page, 'x'));
	store_pages(map_closed(fd), NR_PAGES, 'w'); // and the cell itself
}

const struct test_case cases_sync[] = {
	CASE(store_after_sync_traps_again, ALL),
	CASE(load_never_makes_dirty, ALL),
	CASE(second_sync_after_store_flushes, ALL),
	CASE(sync_of_one_page_leaves_others_dirty, ALL),
	CASE(alias_store_is_synced_through_the_other, ALL),
	CASE(alias_is_closed_too, ALL),
	CASE(alias_that_overlaps_in_part, ALL),
	CASE(sync_range_across_two_mappings, ALL),
	CASE(two_mappings_adjacent_of_one_file, ALL),
	CASE(msync_errors_equal_kernel, ALL),
	CASE(msync_over_a_hole_is_enomem, ALL),
	CASE(msync_invalidate_of_locked_memory_is_ebusy, SMALL),
	CASE(fsync_flushes_what_was_stored, FILES),
	CASE(fsync_bad_fd, ALL),
	CASE(errno_kept_on_success, FILES),
	CASE(file_longer_than_mapping, ALL),
	CASE(mapping_longer_than_file, FILES),
	CASE(unlinked_file, NAMED),
	CASE(renamed_over_a_mapped_file, NAMED),
	CASE(map_private_is_untouched, FILES),
	CASE(exit_with_unsynced_pages, ALL),
	END_OF_CASES,
};
