// SPDX-License-Identifier: BSD-3-Clause
// cases_rare.c: calls that few programs make of files that are mapped.
#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "conformance.h"

#define POPULATE_WRITE 23 // MADV_POPULATE_WRITE, Linux 5.14

static atomic_bool stop;

static void check_tracks(char *map, char value)
{
	store_pages(map, NR_PAGES, value);
	sync_all(map, FILE_SIZE);
	store_pages(map, NR_PAGES, (char)(value + 1));
	sync_all(map, FILE_SIZE);
	CHECK(pages_are(map, NR_PAGES, (char)(value + 1)));
}

// However a file is opened with O_TRUNC: it is cut off, as by ftruncate, and what is stored when it has grown again is
// made durable with its size.
static char opened_path[PATH_MAX];

static int by_open(void)
{
	return open(opened_path, O_RDWR | O_TRUNC);
}

static int by_open_that_makes(void)
{
	return open(opened_path, O_RDWR | O_TRUNC | O_CREAT, 0600);
}

static int by_openat(void)
{
	int dir, fd;

	*strrchr(opened_path, '/') = '\0';
	dir = open(opened_path, O_PATH | O_DIRECTORY);
	fd = openat(dir, opened_path + strlen(opened_path) + 1, O_WRONLY | O_TRUNC | O_NOFOLLOW);
	opened_path[strlen(opened_path)] = '/';
	CHECK(!close(dir));
	return fd;
}

static int by_creat(void)
{
	return creat(opened_path, 0600);
}

static int by_fopen(void)
{
	FILE *stream = fopen(opened_path, "w");

	return stream ? dup(fileno(stream)) : -1;
}

static void check_opened(int (*opens)(void), char value)
{
	int fd = named_file_new(FILE_SIZE, opened_path), again;
	char *map = map_closed(fd);
	uint64_t before;

	store_pages(map, NR_PAGES, value);
	again = opens();
	CHECK(again >= 0 && !lseek(fd, 0, SEEK_END));
	CHECK(!ftruncate(fd, (off_t)FILE_SIZE));
	CHECK(pages_are(map, NR_PAGES, 0));
	store_pages(map, 1, value);
	before = nr_kernel_syncs();
	sync_all(map, FILE_SIZE);
	COUNTED(nr_kernel_syncs() > before);
	check_tracks(map, value);
	CHECK(!close(again) && !munmap(map, FILE_SIZE) && !close(fd));
}

static void open_that_truncates(void)
{
	check_opened(by_open, 'b');
	check_opened(by_open_that_makes, 'd');
	check_opened(by_openat, 'f');
	check_opened(by_creat, 'h');
	check_opened(by_fopen, 'j');
}

// The msync after it has to call the kernel, however little was stored.
static void open_that_truncates_leaves_a_kernel_sync_pending(void)
{
	int fd = named_file_new(FILE_SIZE, opened_path), again;
	char *map = map_closed(fd);
	uint64_t before;

	sync_all(map, FILE_SIZE);
	before = nr_kernel_syncs();
	sync_all(map, FILE_SIZE);
	COUNTED(nr_kernel_syncs() == before);
	CHECK_ERRNO(open(opened_path, O_RDWR | O_TRUNC | O_CREAT | O_EXCL, 0600), EEXIST);
	again = by_open();
	before = nr_kernel_syncs();
	sync_all(map, FILE_SIZE);
	COUNTED(nr_kernel_syncs() > before);
	CHECK(!close(again));
}

// Everything behind the range moves: the verifier's image follows, and does not walk to the end of the world.
static void fallocate_that_shifts(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);
	long i;

	for (i = 0; i < (long)NR_PAGES; i++)
		store_pages(map + (size_t)i * page, 1, (char)('a' + i));
	if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, (off_t)page, (off_t)page))
		cell_skip("the file system does not collapse ranges");
	CHECK(lseek(fd, 0, SEEK_END) == (off_t)(FILE_SIZE - page));
	CHECK(pages_are(map, 1, 'a') && pages_are(map + page, 1, 'c'));
	sync_all(map, FILE_SIZE);
	CHECK(!fallocate(fd, FALLOC_FL_INSERT_RANGE, (off_t)(2 * page), (off_t)page));
	CHECK(pages_are(map + 2 * page, 1, 0) && pages_are(map + 3 * page, 1, 'd'));
	sync_all(map, FILE_SIZE);
	check_tracks(map, 'k');
}

static void sync_and_syncfs_flush(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);
	uint64_t before = nr_flushed();

	store_pages(map, NR_PAGES, 'b');
	sync();
	COUNTED(nr_flushed() >= before + NR_PAGES);
	before = nr_flushed();
	store_pages(map, NR_PAGES, 'c');
	CHECK(!syncfs(fd));
	COUNTED(nr_flushed() >= before + NR_PAGES);
	CHECK_ERRNO(syncfs(-1), EBADF);
	before = nr_flushed();
	store_pages(map, NR_PAGES, 'd');
	CHECK(!syncfs(STDIN_FILENO)); // of another file system
	COUNTED(nr_flushed() == before);
	sync_all(map, FILE_SIZE);
	check_tracks(map, 'e');
}

// It promises nothing, but what the kernel would write back is flushed; its errors are the kernel's.
static void sync_file_range_flushes_the_range(void)
{
	int fd = file_new(FILE_SIZE), pipes[2];
	char *map = map_closed(fd);
	uint64_t before = nr_flushed();

	store_pages(map, NR_PAGES, 'b');
	CHECK(!sync_file_range(fd, (off_t)page, (off_t)(3 * page), SYNC_FILE_RANGE_WRITE));
	COUNTED(nr_flushed() == before + 3);
	CHECK(!sync_file_range(fd, (off_t)(4 * page), 0, SYNC_FILE_RANGE_WRITE));
	COUNTED(nr_flushed() == before + 7);
	CHECK_ERRNO(sync_file_range(fd, 0, 0, 0x100), EINVAL);
	CHECK_ERRNO(sync_file_range(fd, -1, 0, SYNC_FILE_RANGE_WRITE), EINVAL);
	CHECK_ERRNO(sync_file_range(-1, 0, 0, SYNC_FILE_RANGE_WRITE), EBADF);
	CHECK(!pipe(pipes));
	CHECK_ERRNO(sync_file_range(pipes[0], 0, 0, SYNC_FILE_RANGE_WRITE), ESPIPE);
	check_tracks(map, 'c');
}

static ssize_t aio_wait(struct aiocb *request)
{
	const struct aiocb *const list[] = {request};

	while (aio_error(request) == EINPROGRESS)
		aio_suspend(list, 1, NULL);
	return aio_return(request);
}

static void aio_fsync_flushes(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);
	struct aiocb request = {.aio_fildes = fd};
	uint64_t before = nr_flushed();

	store_pages(map, NR_PAGES, 'b');
	CHECK(!aio_fsync(O_SYNC, &request) && !aio_wait(&request));
	COUNTED(nr_flushed() >= before + NR_PAGES);
	CHECK_ERRNO(aio_fsync(0, &request), EINVAL);
	check_tracks(map, 'c');
}

// What libc writes in a thread of its own nobody sees: the kernel's sync has to follow from then on.
static void aio_write_then_msync(void)
{
	int fd = file_new(FILE_SIZE), round;
	char *map = map_closed(fd);
	struct aiocb request = {.aio_fildes = fd, .aio_buf = "written", .aio_nbytes = 7, .aio_offset = (off_t)page};
	struct aiocb *const list[] = {&request, NULL};
	uint64_t before;

	for (round = 0; round < 3; round++) {
		store_pages(map, 1, (char)('b' + round));
		request.aio_lio_opcode = LIO_WRITE;
		CHECK(!(round ? lio_listio(LIO_WAIT, list, 2, NULL) : aio_write(&request)));
		CHECK(aio_wait(&request) == 7);
		before = nr_kernel_syncs();
		sync_all(map, FILE_SIZE);
		COUNTED(nr_kernel_syncs() > before);
		CHECK(!memcmp(map + page, "written", 7) && map[0] == 'b' + round);
	}
}

// Closed pages are the library's doing: the kernel makes them writable for whoever may write them.
static void madvise_populate_write(void)
{
	char *map = map_closed(file_new(FILE_SIZE));

	if (madvise(map, FILE_SIZE, POPULATE_WRITE) && errno == EINVAL && mode_of(map) < 0)
		cell_skip("needs Linux 5.14");
	CHECK(!madvise(map, FILE_SIZE, POPULATE_WRITE));
	check_tracks(map, 'b');
	CHECK(!mprotect(map, page, PROT_READ));
	CHECK_ERRNO(madvise(map, page, POPULATE_WRITE), EINVAL);
	CHECK(!mprotect(map, page, PROT_READ | PROT_WRITE));
	check_tracks(map, 'd');
}

// Advice by which the kernel takes pages out of page tables, of a mapping so large that nothing of it was closed yet, and of
// one that was opened as a whole: what was stored before is flushed all the same.
static void madvise_pageout_keeps_stores(void)
{
	size_t size = (size_t)96 << 20;
	int fd = file_new(size);
	char *map = map_new(fd, 0, size);
	uint64_t before = nr_flushed();

	store_pages(map + size / 2, NR_PAGES, 'b');
	madvise(map, size, MADV_PAGEOUT); // whatever it does
	sync_all(map, size);
	COUNTED(nr_flushed() >= before + NR_PAGES);
	CHECK(!mprotect(map, size, PROT_READ) && !mprotect(map, size, PROT_READ | PROT_WRITE));
	before = nr_flushed();
	store_pages(map + size / 2, NR_PAGES, 'c');
	madvise(map, size, MADV_PAGEOUT);
	sync_all(map, size);
	COUNTED(nr_flushed() >= before + NR_PAGES);
	CHECK(pages_are(map + size / 2, NR_PAGES, 'c'));
}

static void *write_in_a_loop(void *arg)
{
	int fd = *(int *)arg, i;
	char text[100];

	for (i = 0; !stop; i++) {
		memset(text, 'a' + i % 20, sizeof(text));
		CHECK(pwrite(fd, text, sizeof(text), (off_t)((size_t)i % NR_PAGES * page)) == sizeof(text));
		CHECK(write(fd, text, sizeof(text)) == sizeof(text));
		if (i % 16 == 0)
			CHECK(!lseek(fd, 0, SEEK_SET));
	}
	return NULL;
}

// Two threads write at one position while a third syncs: no write is taken for one that the kernel has synced before.
static void write_beside_msync(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);
	double end;

	thread_start(write_in_a_loop, &fd);
	thread_start(write_in_a_loop, &fd);
	for (end = now() + seconds(1); now() < end;)
		sync_all(map, FILE_SIZE);
	stop = true;
	threads_join();
	sync_all(map, FILE_SIZE);
	CHECK(!fsync(fd));
	sync_all(map, FILE_SIZE);
	check_tracks(map, 'b');
}

// MADV_REMOVE over more than one mapping, with what lies between them not mapped.
static void madvise_remove_of_many(void)
{
	int fd = file_new(FILE_SIZE), i;
	char *room = room_for(4 * FILE_SIZE);
	size_t part = 2 * page;

	for (i = 0; i < 4; i++)
		CHECK(mmap(room + (size_t)i * part, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			   (off_t)((size_t)i * part)) != MAP_FAILED);
	CHECK(!munmap(room + page, page));
	for (i = 0; i < 4; i++)
		store_pages(room + (size_t)i * part, 1, 'b');
	CHECK_ERRNO(madvise(room, part + page, MADV_REMOVE), ENOMEM); // and yet it is done
	CHECK(pages_are(room, 1, 0) && pages_are(room + part, 1, 0) && pages_are(room + 2 * part, 1, 'b'));
	for (i = 0; i < 4; i++)
		sync_all(room + (size_t)i * part, page);
}

static void process_madvise_of_itself(void)
{
	int fd = file_new(FILE_SIZE), self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	char *map = map_closed(fd);
	struct iovec iov[] = {{map, page}, {map + 4 * page, 2 * page}};
	uint64_t before;

	sync_all(map, FILE_SIZE);
	store_pages(map, NR_PAGES, 'b');
	if (process_madvise(self, iov, 2, MADV_DONTNEED, 0) < 0)
		cell_skip("needs Linux 6.13");
	CHECK(pages_are(map, NR_PAGES, 'b'));
	CHECK_ERRNO(process_madvise(-1, iov, 1, MADV_REMOVE, 0), EBADF);
	iov[1].iov_base = map + 1;
	CHECK_ERRNO(process_madvise(self, iov + 1, 1, MADV_REMOVE, 0), EINVAL);
	CHECK(process_madvise(self, iov, 2, MADV_REMOVE, 0) == (ssize_t)page);
	iov[1].iov_base = map + 4 * page;
	CHECK(process_madvise(self, iov, 2, MADV_REMOVE, 0) == (ssize_t)(3 * page));
	CHECK(pages_are(map, 1, 0) && pages_are(map + page, 3, 'b') && pages_are(map + 4 * page, 2, 0));
	before = nr_kernel_syncs();
	sync_all(map, FILE_SIZE); // the hole is the kernel's to make durable
	COUNTED(nr_kernel_syncs() > before);
	check_tracks(map, 'c');
}

// Pages of a file in another order: what is stored through them is synced all the same.
static void remap_file_pages_of_the_middle(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	store_pages(map, NR_PAGES, 'b');
	CHECK(!remap_file_pages(map + 2 * page, 2 * page, 0, 6, 0));
	store_pages(map + 2 * page, 2, 'c');
	CHECK(file_has(fd, 6 * page, 'c') && file_has(fd, 2 * page, 'b'));
	sync_all(map, FILE_SIZE);
	store_pages(map, 2, 'd');
	store_pages(map + 2 * page, 1, 'e');
	sync_all(map, FILE_SIZE);
	CHECK(file_has(fd, 0, 'd') && file_has(fd, 6 * page, 'e') && map[6 * page] == 'e');
	CHECK(!fsync(fd));
}

// A segment of System V's in the place of a part of the mapping, as by MAP_FIXED.
static void shmat_over_tracked(void)
{
	int fd = file_new(FILE_SIZE), id = shmget(IPC_PRIVATE, 2 * page, IPC_CREAT | 0600);
	char *map = map_closed(fd);

	CHECK(id >= 0);
	store_pages(map, NR_PAGES, 'b');
	CHECK_ERRNO((long)shmat(id, map + 2 * page, 0), EINVAL);
	CHECK(shmat(id, map + 2 * page, SHM_REMAP) == map + 2 * page);
	CHECK(!shmctl(id, IPC_RMID, NULL));
	memset(map + 2 * page, 'x', 2 * page);
	CHECK(file_has(fd, 2 * page, 'b') && file_has(fd, 3 * page, 'b'));
	sync_all(map, FILE_SIZE);
	CHECK(!fsync(fd));
	store_pages(map, 2, 'c');
	store_pages(map + 4 * page, NR_PAGES - 4, 'c');
	sync_all(map, FILE_SIZE);
	CHECK(!shmdt(map + 2 * page) && file_has(fd, 4 * page, 'c'));
}

const struct test_case cases_rare[] = {
	CASE(open_that_truncates, NAMED),
	CASE(open_that_truncates_leaves_a_kernel_sync_pending, NAMED),
	CASE(fallocate_that_shifts, DIRECTORY),
	CASE(sync_and_syncfs_flush, ALL),
	CASE(sync_file_range_flushes_the_range, SMALL),
	CASE(aio_fsync_flushes, FILES),
	CASE(aio_write_then_msync, SMALL),
	CASE(madvise_populate_write, FILES),
	CASE(madvise_pageout_keeps_stores, SMALL),
	CASE(write_beside_msync, SMALL),
	CASE(madvise_remove_of_many, FILES),
	CASE(process_madvise_of_itself, FILES),
	CASE(remap_file_pages_of_the_middle, SMALL),
	CASE(shmat_over_tracked, SMALL),
	END_OF_CASES,
};
