// SPDX-License-Identifier: BSD-3-Clause
// cases_fd.c: descriptors: what the library keeps open is neither seen by the program nor lost to it.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conformance.h"

// M5: "a closed descriptor" is one of the failures; better is that it cannot be closed.
static void check_tracks(char *map, char value)
{
	uint64_t traps, flushed;

	store_pages(map, NR_PAGES, value);
	sync_all(map, FILE_SIZE);
	traps = nr_traps();
	flushed = nr_flushed();
	store_pages(map, NR_PAGES, (char)(value + 1));
	COUNTED(nr_traps() > traps);
	sync_all(map, FILE_SIZE);
	COUNTED(nr_flushed() >= flushed + NR_PAGES);
	CHECK(pages_are(map, NR_PAGES, (char)(value + 1)));
}

static void close_all_fds_keeps_tracking(void)
{
	char *map = map_closed(file_new(FILE_SIZE)), *second;
	int fd;

	CHECK(!close_range(3, ~0U, 0));
	check_tracks(map, 'b');
	second = map_closed(file_new(FILE_SIZE)); // a first use of a new file after that
	closefrom(3);
	check_tracks(map, 'd');
	check_tracks(second, 'd');
	second = map_closed(file_new(FILE_SIZE));
	for (fd = 3; fd < 4096; fd++)
		close(fd);
	check_tracks(map, 'f');
	check_tracks(second, 'f');
	check_tracks(map_closed(file_new(FILE_SIZE)), 'h');
}

// CLOSE_RANGE_CLOEXEC changes only what the program can see, too.
static void close_range_cloexec_keeps_tracking(void)
{
	char *map = map_closed(file_new(FILE_SIZE));

	CHECK(!close_range(0, ~0U, CLOSE_RANGE_CLOEXEC));
	check_tracks(map, 'b');
	CHECK_ERRNO(close_range(5, 4, 0), EINVAL);
	CHECK_ERRNO(close_range(3, 4, 0x4000), EINVAL);
	CHECK(!close_range(3, ~0U, CLOSE_RANGE_UNSHARE));
	check_tracks(map, 'd');
}

// Every number but the last few, where the library's descriptors find room (cases/numbers_all.c takes these too). What the
// verifier keeps open does not move, and is refused.
#define ROOM 32
static int dup_onto_every_fd(int from, int flags)
{
	int fd, limit = (int)sysconf(_SC_OPEN_MAX), refused = 0;

	for (fd = 3; fd < limit - ROOM && fd < 20000; fd++) {
		if (fd == from)
			continue;
		if ((flags ? dup3(from, fd, flags) : dup2(from, fd)) == fd)
			continue;
		CHECK(errno == EBADF);
		refused++;
	}
	return refused;
}

static void dup2_onto_every_fd(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	CHECK(null >= 0);
	CHECK(dup_onto_every_fd(null, 0) <= (counters_get(NULL) ? 16 : 0));
	check_tracks(map, 'b');
	CHECK(dup_onto_every_fd(null, O_CLOEXEC) <= (counters_get(NULL) ? 16 : 0));
	check_tracks(map, 'd');
	CHECK_ERRNO(dup2(null, INT_MAX), EBADF);
	CHECK_ERRNO(dup3(null, null, 0), EINVAL);
}

// The numbers that open() returns do not depend on the library.
static void lowest_fd_is_unchanged(void)
{
	int fd = file_new(FILE_SIZE), before = dup(0), after;
	char *map;

	CHECK(before >= 0 && !close(before));
	map = map_closed(fd);
	after = dup(0);
	CHECK(after == before && !close(after));
	check_tracks(map, 'b');
	CHECK(!fsync(fd));
	after = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK(after == before && !close(after));
	CHECK(!munmap(map, FILE_SIZE));
	after = dup(0);
	CHECK(after == before && !close(after));
}

struct lock {
	int fd;
	short type;
};

static void expect_lock(void *arg)
{
	const struct lock *lock = arg;
	struct flock ask = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};

	CHECK(!fcntl(lock->fd, F_GETLK, &ask));
	CHECK(ask.l_type == lock->type);
}

static void check_lock(int fd, short type)
{
	struct lock lock = {fd, type};

	CHECK(is_success(in_child(expect_lock, &lock)));
}

// Closing any descriptor of a file drops the process's POSIX locks on it: the library may not do so.
static void posix_locks_survive(void)
{
	struct flock take = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
	int fd = file_new(FILE_SIZE);
	char *map, *alias;

	CHECK(!fcntl(fd, F_SETLK, &take));
	check_lock(fd, F_WRLCK);
	map = map_closed(fd);
	alias = map_new(fd, 0, FILE_SIZE);
	store_pages(alias, NR_PAGES, 'b');
	sync_all(map, FILE_SIZE);
	CHECK(!fsync(fd) && !fdatasync(fd));
	check_lock(fd, F_WRLCK);
	CHECK(!ftruncate(fd, (off_t)FILE_SIZE / 2));
	CHECK(!munmap(map, FILE_SIZE) && !munmap(alias, FILE_SIZE));
	CHECK(!fsync(fd));
	check_lock(fd, F_WRLCK);
	take.l_type = F_UNLCK;
	CHECK(!fcntl(fd, F_SETLK, &take));
	check_lock(fd, F_UNLCK);
}

// The mapping outlives its descriptor, and a new descriptor of the same number is another file.
static void closed_and_reused_descriptor(void)
{
	int fd = file_new(FILE_SIZE), other;
	char *map = map_closed(fd), *second;

	CHECK(!close(fd));
	other = file_new(FILE_SIZE);
	CHECK(other == fd);
	second = map_closed(other);
	store_pages(map, NR_PAGES, 'b');
	CHECK(!fsync(other)); // nothing of the first file is pending
	check_tracks(map, 'c');
	check_tracks(second, 'e');
	CHECK(pages_are(map, NR_PAGES, 'd') && pages_are(second, NR_PAGES, 'f'));
}

// A program that has closed stderr, and whose data file gets the number: what the library says does not go there. Its first
// line, about emulated memory, comes with the first mapping.
static void data_file_in_the_place_of_stderr(void)
{
	int saved = dup(2), fd;
	char *map, begin;

	CHECK(saved > 2 && !close(2));
	fd = file_new(FILE_SIZE);
	map = map_new(fd, 0, FILE_SIZE);
	begin = map[0];
	CHECK(dup2(saved, 2) == 2); // what is wrong from here on can be said
	CHECK(fd == 2 && !begin);
	store_pages(map, NR_PAGES, 'b');
	sync_all(map, FILE_SIZE); // in mode kernel: libc's stream stderr could have written into the file
	CHECK(pages_are(map, NR_PAGES, 'b'));
}

const struct test_case cases_fd[] = {
	CASE(close_all_fds_keeps_tracking, ALL),
	CASE(close_range_cloexec_keeps_tracking, NO_HUGETLBFS),
	CASE(dup2_onto_every_fd, ALL),
	CASE(lowest_fd_is_unchanged, ALL),
	CASE(posix_locks_survive, SMALL),
	CASE(closed_and_reused_descriptor, ALL),
	CASE(data_file_in_the_place_of_stderr, ALL),
	END_OF_CASES,
};
