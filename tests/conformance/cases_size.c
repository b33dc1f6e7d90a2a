// SPDX-License-Identifier: BSD-3-Clause
// cases_size.c: files that are written, cut, extended and given holes while they are mapped.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conformance.h"

// Kernel series: write(2) invalidating a dirty entry. What was stored to the rest of the page is flushed.
static void write2_does_not_drop_a_dirty_page(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);
	uint64_t before = nr_flushed();

	map[page + 10] = 's';
	CHECK(lseek(fd, (off_t)page + 100, SEEK_SET) == (off_t)page + 100);
	CHECK(write(fd, "write", 5) == 5);
	sync_all(map, FILE_SIZE);
	COUNTED(nr_flushed() > before);
	CHECK(map[page + 10] == 's' && !memcmp(map + page + 100, "write", 5));
	CHECK(!fsync(fd));
	sync_all(map, FILE_SIZE);
}

// What write(2) has brought is the kernel's to make durable: the next msync goes there.
static void pwrite_then_msync(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd), block[6000];

	memset(block, 'w', sizeof(block));
	CHECK(pwrite(fd, block, sizeof(block), (off_t)page + 2000) == sizeof(block));
	sync_all(map, FILE_SIZE);
	CHECK(!memcmp(map + page + 2000, block, sizeof(block)));
	map[page + 2001] = 's';
	sync_all(map, FILE_SIZE);
	CHECK(map[page + 2001] == 's');
	CHECK(pwrite(fd, block, sizeof(block), (off_t)page + 2000) == sizeof(block));
	CHECK(map[page + 2001] == 'w');
	CHECK(!fdatasync(fd));
}

// What a stdio stream brings goes out by calls that nobody sees: every msync goes to the kernel.
static void stream_writes(FILE *stream, char *map)
{
	uint64_t before;
	int round;

	CHECK(stream);
	for (round = 0; round < 3; round++) {
		map[0] = (char)('a' + round);
		CHECK(!fseek(stream, (long)page + 100, SEEK_SET));
		CHECK(fprintf(stream, "stream %d", round) == 8 && !fflush(stream));
		before = nr_kernel_syncs();
		sync_all(map, FILE_SIZE);
		COUNTED(nr_kernel_syncs() > before);
		CHECK(map[page + 107] == '0' + round && map[0] == 'a' + round);
	}
	CHECK(!fclose(stream));
}

static void stdio_stream_opened_before_the_mapping(void)
{
	int fd = file_new(FILE_SIZE);
	FILE *stream = fdopen(dup(fd), "r+");

	stream_writes(stream, map_new(fd, 0, FILE_SIZE));
}

static void stdio_stream_opened_after_the_mapping(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	stream_writes(fdopen(dup(fd), "r+"), map);
}

// A stream that only reads changes nothing.
static void stdio_stream_that_reads(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);
	int before = mode_of(map);
	FILE *stream = fdopen(dup(fd), "r");
	uint64_t syncs;

	CHECK(stream && getc(stream) == map[0]);
	CHECK(mode_of(map) == before);
	sync_all(map, FILE_SIZE);
	syncs = nr_kernel_syncs();
	map[0]++;
	sync_all(map, FILE_SIZE);
	COUNTED(nr_kernel_syncs() == syncs);
	CHECK(!fclose(stream));
}

// A write(2) that makes the file longer than it was when it was mapped.
static void write_beyond_the_end_then_store(void)
{
	int fd = file_new(FILE_SIZE / 2);
	char *map = map_new(fd, 0, FILE_SIZE);

	store_pages(map, NR_PAGES / 2, 'a');
	sync_all(map, FILE_SIZE);
	CHECK(pwrite(fd, "end", 3, (off_t)FILE_SIZE - 3) == 3);
	store_pages(map, NR_PAGES, 'b');
	sync_all(map, FILE_SIZE);
	store_pages(map, NR_PAGES, 'c');
	sync_all(map, FILE_SIZE);
	CHECK(!memcmp(map + FILE_SIZE - 3, "end", 3) && pages_are(map, NR_PAGES, 'c'));
}

// From the mapping itself into the file: source and target are tracked memory.
static void pwrite_from_the_mapping(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	store_pages(map, 1, 'b');
	CHECK(pwrite(fd, map, page, (off_t)page) == (ssize_t)page);
	CHECK(map[page] == 'b');
	sync_all(map, FILE_SIZE);
	store_pages(map, NR_PAGES, 'c');
	sync_all(map, FILE_SIZE);
}

// Kernel series: clear_exceptional_entry() on truncate. No mark outlives its page, no page its mark.
static void truncate_down_and_up(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	store_pages(map, NR_PAGES, 'b');
	CHECK(!ftruncate(fd, (off_t)FILE_SIZE / 2));
	sync_all(map, FILE_SIZE);
	CHECK(!ftruncate(fd, (off_t)FILE_SIZE));
	CHECK(pages_are(map, NR_PAGES / 2, 'b') && pages_are(map + FILE_SIZE / 2, NR_PAGES / 2, 0));
	store_pages(map, NR_PAGES, 'c');
	sync_all(map, FILE_SIZE);
	store_pages(map, NR_PAGES, 'd');
	sync_all(map, FILE_SIZE);
	CHECK(file_has(fd, FILE_SIZE - page, 'd'));
}

// The same without a sync in between, with a cut inside a page, many times.
static void truncate_again_and_again(void)
{
	int fd = file_new(FILE_SIZE), i, nr = (int)nr_times(50);
	char *map = map_closed(fd);

	for (i = 0; i < nr; i++) {
		size_t size = (size_t)(i % 7) * page + (i % 2 ? page / 2 : 0);

		store_pages(map, NR_PAGES, (char)('b' + i % 20));
		CHECK(!ftruncate(fd, (off_t)size));
		CHECK(!ftruncate(fd, (off_t)FILE_SIZE));
		CHECK(pages_are(map + (size + page - 1) / page * page, NR_PAGES - (size + page - 1) / page, 0));
		if (i % 3 == 0)
			sync_all(map, FILE_SIZE);
	}
	sync_all(map, FILE_SIZE);
	CHECK(!fsync(fd));
}

// Kernels from 6.15 on forget what they held dirty at a truncate, also at one that changes nothing.
static void truncate_same_size(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);
	uint64_t before = nr_flushed();

	store_pages(map, NR_PAGES, 'b');
	CHECK(!ftruncate(fd, (off_t)FILE_SIZE));
	sync_all(map, FILE_SIZE);
	COUNTED(nr_flushed() >= before + NR_PAGES);
	CHECK(pages_are(map, NR_PAGES, 'b'));
	store_pages(map, NR_PAGES, 'c');
	sync_all(map, FILE_SIZE);
}

static void truncate_errors_equal_kernel(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
	CHECK_ERRNO(ftruncate(-1, 0), EBADF);
	CHECK_ERRNO(truncate("/nonexistent/file", 0), ENOENT);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, (off_t)page), EOPNOTSUPP);
	CHECK_ERRNO(fallocate(fd, 0, 0, -1), EINVAL);
	CHECK(posix_fallocate(fd, -1, 1) == EINVAL && posix_fallocate(-1, 0, 1) == EBADF);
	store_pages(map, NR_PAGES, 'b');
	sync_all(map, FILE_SIZE);
	CHECK(pages_are(map, NR_PAGES, 'b'));
}

static blkcnt_t blocks_of(int fd)
{
	struct stat st;

	CHECK(!fstat(fd, &st));
	return st.st_blocks;
}

// M7: holes are never touched by a flush, which would fill them.
static void punch_hole_then_sync_keeps_hole(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);
	blkcnt_t full = blocks_of(fd);

	store_pages(map, NR_PAGES, 'b');
	CHECK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(2 * page), (off_t)(4 * page)));
	CHECK(blocks_of(fd) == full / 2);
	sync_all(map, FILE_SIZE);
	CHECK(!fsync(fd));
	CHECK(blocks_of(fd) == full / 2);
	store_pages(map + 3 * page, 1, 'h');
	sync_all(map, FILE_SIZE);
	CHECK(blocks_of(fd) == full / 8 * 5);
	CHECK(pages_are(map, 2, 'b') && pages_are(map + 2 * page, 1, 0) && pages_are(map + 3 * page, 1, 'h'));
	store_pages(map, NR_PAGES, 'c');
	sync_all(map, FILE_SIZE);
}

// The pages of the mapping go, the file's stay; that they were dirty must not be forgotten.
static void madvise_dontneed_keeps_stores(void)
{
	int fd = file_new(FILE_SIZE), round;
	char *map = map_closed(fd);

	for (round = 0; round < 3; round++) {
		uint64_t before = nr_flushed();

		store_pages(map, NR_PAGES, (char)('b' + round));
		CHECK(!madvise(map, FILE_SIZE, MADV_DONTNEED));
		CHECK(pages_are(map + page, 3, (char)('b' + round)));
		sync_all(map, FILE_SIZE);
		COUNTED(nr_flushed() >= before + NR_PAGES);
	}
	CHECK(!madvise(map, FILE_SIZE, MADV_DONTNEED)); // closed pages: they must not come back open
	store_pages(map, NR_PAGES, 'x');
	sync_all(map, FILE_SIZE);
	store_pages(map, NR_PAGES, 'y');
	sync_all(map, FILE_SIZE);
	CHECK(file_has(fd, 0, 'y'));
}

// MADV_REMOVE punches a hole through the mapping.
static void madvise_remove(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);
	blkcnt_t full = blocks_of(fd);

	store_pages(map, NR_PAGES, 'b');
	CHECK(!madvise(map + 4 * page, 4 * page, MADV_REMOVE));
	sync_all(map, FILE_SIZE);
	CHECK(blocks_of(fd) == full / 2);
	CHECK(pages_are(map, 4, 'b') && pages_are(map + 4 * page, 4, 0));
	CHECK_ERRNO(madvise(map + 1, page, MADV_REMOVE), EINVAL);
	store_pages(map, NR_PAGES, 'c');
	sync_all(map, FILE_SIZE);
	store_pages(map, NR_PAGES, 'd');
	sync_all(map, FILE_SIZE);
}

static sigjmp_buf out;
static volatile int nr_faults;
static volatile uintptr_t fault_addr;
static volatile int fault_code;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	nr_faults++;
	fault_addr = (uintptr_t)info->si_addr;
	fault_code = info->si_code;
	siglongjmp(out, 1);
}

static void check_store_is_sigbus(char *addr)
{
	nr_faults = 0;
	if (!sigsetjmp(out, 1)) {
		*(volatile char *)addr = 'X';
		cell_fail(__FILE__, __LINE__, "the store should not have succeeded");
	}
	CHECK(nr_faults == 1);
	CHECK(fault_code == BUS_ADRERR);
	CHECK(fault_addr / page == (uintptr_t)addr / page);
}

// M8: a trap that is not the library's reaches the program's handler, once for every store.
static void store_beyond_eof_is_sigbus_for_the_app(void)
{
	struct sigaction act = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
	int fd = file_new(FILE_SIZE), i;
	char *map = map_closed(fd);

	CHECK(!sigaction(SIGBUS, &act, NULL));
	CHECK(!ftruncate(fd, (off_t)FILE_SIZE / 2));
	for (i = 0; i < 5; i++) {
		check_store_is_sigbus(map + FILE_SIZE / 2 + 3);
		check_store_is_sigbus(map + FILE_SIZE - 1);
	}
	store_pages(map, NR_PAGES / 2, 'b');
	sync_all(map, FILE_SIZE);
	check_store_is_sigbus(map + FILE_SIZE / 2);
	store_pages(map, NR_PAGES / 2, 'c');
	sync_all(map, FILE_SIZE);
	CHECK(!ftruncate(fd, (off_t)FILE_SIZE));
	store_pages(map, NR_PAGES, 'd');
	sync_all(map, FILE_SIZE);
	CHECK(nr_faults == 1);
}

// The address of the fault is the store's, to the byte.
static void sigbus_address_is_exact(void)
{
	struct sigaction act = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
	int fd = file_new(page);
	char *map = map_new(fd, 0, 2 * page);

	store_pages(map, 1, 'a');
	sync_all(map, 2 * page);
	CHECK(!sigaction(SIGBUS, &act, NULL));
	check_store_is_sigbus(map + page + 123);
	CHECK(fault_addr == (uintptr_t)(map + page + 123));
}

const struct test_case cases_size[] = {
	CASE(write2_does_not_drop_a_dirty_page, SMALL),
	CASE(pwrite_then_msync, SMALL),
	CASE(stdio_stream_opened_before_the_mapping, SMALL),
	CASE(stdio_stream_opened_after_the_mapping, SMALL),
	CASE(stdio_stream_that_reads, SMALL),
	CASE(write_beyond_the_end_then_store, SMALL),
	CASE(pwrite_from_the_mapping, SMALL),
	CASE(truncate_down_and_up, FILES),
	CASE(truncate_again_and_again, SMALL),
	CASE(truncate_same_size, FILES),
	CASE(truncate_errors_equal_kernel, FILES),
	CASE(punch_hole_then_sync_keeps_hole, FILES),
	CASE(madvise_dontneed_keeps_stores, ALL),
	CASE(madvise_remove, FILES),
	CASE(store_beyond_eof_is_sigbus_for_the_app, FILES),
	CASE(sigbus_address_is_exact, SMALL),
	END_OF_CASES,
};
