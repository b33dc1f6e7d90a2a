// SPDX-License-Identifier: BSD-3-Clause
// cases_change.c: every call that changes a mapped file by other means than stores. What it has brought is the kernel's to
// make durable, so the next msync must call the kernel: looked at is the call, since the result looks the same without it.
// And no later one: nothing is pending any more.
//
// The table has a row for each hook of that kind; tests/lint/hooks.sh complains of one without.
#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "conformance.h"

// Names of libc's that programs were built with, and that no header declares.
ssize_t __write(int fd, const void *buf, size_t len);
ssize_t __pwrite64(int fd, const void *buf, size_t len, off64_t off);
int __open(const char *path, int flags, ...);
int __open64(const char *path, int flags, ...);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
int __dprintf_chk(int fd, int flag, const char *format, ...);
int __vdprintf_chk(int fd, int flag, const char *format, va_list args);

// What a change is given: a file of NR_PAGES pages, mapped.
struct target {
	int fd;
	char *map;
	char path[PATH_MAX], link[PATH_MAX + 8]; // a symbolic link to it
};

static char words[] = "words";
static struct iovec two[] = {{words, 2}, {words + 2, 3}};
#define WORDS ((ssize_t)5)

static bool at_page(int fd, off_t at)
{
	return lseek(fd, at * (off_t)page, SEEK_SET) == at * (off_t)page;
}

static bool appended(const struct target *to)
{
	int flags = fcntl(to->fd, F_GETFL);

	return !fcntl(to->fd, F_SETFL, flags | O_APPEND) && write(to->fd, words, 5) == WORDS;
}

__attribute__((format(printf, 4, 5))) static int printed(int fd, bool fortified, int flag, const char *format, ...)
{
	va_list args;
	int ret;

	va_start(args, format);
	ret = fortified ? __vdprintf_chk(fd, flag, format, args) : vdprintf(fd, format, args);
	va_end(args);
	return ret;
}

// On the same file system.
static int other_file(void)
{
	return file_new(65536);
}

static bool copied(const struct target *to, bool at_offset)
{
	off64_t off = (off64_t)page;
	int fd = other_file();
	ssize_t ret;

	CHECK(at_page(to->fd, 2));
	ret = copy_file_range(fd, NULL, to->fd, at_offset ? &off : NULL, 50, 0);
	close(fd);
	return ret == 50;
}

static bool spliced(const struct target *to, bool at_offset)
{
	off64_t off = (off64_t)page;
	int pipes[2];
	ssize_t ret;

	CHECK(!pipe(pipes) && write(pipes[1], words, 5) == WORDS && at_page(to->fd, 2));
	ret = splice(pipes[0], NULL, to->fd, at_offset ? &off : NULL, 5, 0);
	close(pipes[0]);
	close(pipes[1]);
	return ret == WORDS;
}

static bool removed(const struct target *to, bool by_process)
{
	struct iovec range = {to->map, page};
	int pidfd = by_process ? (int)syscall(SYS_pidfd_open, getpid(), 0) : -1;
	bool done = by_process ? process_madvise(pidfd, &range, 1, MADV_REMOVE, 0) == (ssize_t)page
			       : !madvise(to->map, page, MADV_REMOVE);

	if (pidfd >= 0)
		close(pidfd);
	return done;
}

static bool cloned(const struct target *to)
{
	int fd = other_file();

	ioctl(to->fd, FICLONE, fd); // which fails, on most file systems: nobody knows what a request has done
	close(fd);
	return true;
}

static bool cut(int fd)
{
	return fd >= 0 && !close(fd);
}

static int opened_as_shared_memory(const struct target *to)
{
	static const char directory[] = "/dev/shm";
	size_t len = sizeof(directory) - 1;

	return strncmp(to->path, directory, len) ? open(to->path, O_RDWR | O_TRUNC)
						 : shm_open(to->path + len, O_RDWR | O_TRUNC, 0600);
}

// Where handles are to be had.
static int opened_by_handle(const struct target *to)
{
	_Alignas(struct file_handle) char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	struct file_handle *handle = (struct file_handle *)room;
	int mount, fd = -1;

	handle->handle_bytes = MAX_HANDLE_SZ;
	if (!name_to_handle_at(AT_FDCWD, to->path, handle, &mount, 0))
		fd = open_by_handle_at(AT_FDCWD, handle, O_RDWR | O_TRUNC);
	return fd < 0 ? open(to->path, O_RDWR | O_TRUNC) : fd;
}

// What is left is a stream that can write.
static bool streams(FILE *stream)
{
	if (stream)
		fprintf(stream, "words");
	return stream;
}

static bool queued(const struct target *to, bool list, bool wide)
{
	struct aiocb aio = {.aio_fildes = to->fd, .aio_buf = words, .aio_nbytes = 5, .aio_lio_opcode = LIO_WRITE};
	struct aiocb64 *aio64 = (struct aiocb64 *)&aio; // the same on machines of 64 bits
	struct aiocb *one[] = {&aio};
	int ret;

	if (list)
		ret = wide ? lio_listio64(LIO_WAIT, (struct aiocb64 **)one, 1, NULL)
			   : lio_listio(LIO_WAIT, one, 1, NULL);
	else
		ret = wide ? aio_write64(aio64) : aio_write(&aio);
	CHECK(!ret);
	while (aio_error(&aio) == EINPROGRESS)
		usleep(1000);
	return aio_return(&aio) == WORDS;
}

// X(hook, variant, expression), which is true when the change was made. PENDING: one msync calls the kernel. LEFT: from now on
// each of them does.
// clang-format off
#define PENDING(X) \
	X(write, at, at_page(to->fd, 1) && write(to->fd, words, 5) == WORDS) \
	X(write, append, appended(to)) \
	X(__write, at, at_page(to->fd, 1) && __write(to->fd, words, 5) == WORDS) \
	X(writev, at, at_page(to->fd, 1) && writev(to->fd, two, 2) == WORDS) \
	X(pwrite, at, pwrite(to->fd, words, 5, 5000) == WORDS) \
	X(pwrite, beyond, pwrite(to->fd, words, 5, (off_t)FILE_SIZE + 10) == WORDS) \
	X(pwrite64, at, pwrite64(to->fd, words, 5, 5000) == WORDS) \
	X(__pwrite64, at, __pwrite64(to->fd, words, 5, 5000) == WORDS) \
	X(pwritev, at, pwritev(to->fd, two, 2, 5000) == WORDS) \
	X(pwritev64, at, pwritev64(to->fd, two, 2, 5000) == WORDS) \
	X(pwritev2, at, pwritev2(to->fd, two, 2, 5000, 0) == WORDS) \
	X(pwritev2, position, at_page(to->fd, 1) && pwritev2(to->fd, two, 2, -1, 0) == WORDS) \
	X(pwritev2, append, pwritev2(to->fd, two, 2, 0, RWF_APPEND) == WORDS) \
	X(pwritev64v2, at, pwritev64v2(to->fd, two, 2, 5000, 0) == WORDS) \
	X(pwritev64v2, position, at_page(to->fd, 1) && pwritev64v2(to->fd, two, 2, -1, 0) == WORDS) \
	X(copy_file_range, position, copied(to, false)) \
	X(copy_file_range, offset, copied(to, true)) \
	X(sendfile, at, at_page(to->fd, 1) && sendfile(to->fd, other_file(), NULL, 50) == 50) \
	X(sendfile64, at, at_page(to->fd, 1) && sendfile64(to->fd, other_file(), NULL, 50) == 50) \
	X(splice, position, spliced(to, false)) \
	X(splice, offset, spliced(to, true)) \
	X(dprintf, at, at_page(to->fd, 1) && dprintf(to->fd, "%s %d", words, 12) == 8) \
	X(__dprintf_chk, at, at_page(to->fd, 1) && __dprintf_chk(to->fd, 1, "%s %d", words, 12) == 8) \
	X(vdprintf, at, at_page(to->fd, 1) && printed(to->fd, false, 0, "%s", words) == 5) \
	X(__vdprintf_chk, at, at_page(to->fd, 1) && printed(to->fd, true, 1, "%s", words) == 5) \
	X(ftruncate, same, !ftruncate(to->fd, (off_t)FILE_SIZE)) \
	X(ftruncate, down, !ftruncate(to->fd, 5000)) \
	X(ftruncate, up, !ftruncate(to->fd, 2 * (off_t)FILE_SIZE)) \
	X(ftruncate64, down, !ftruncate64(to->fd, 5000)) \
	X(truncate, down, !truncate(to->path, 5000)) \
	X(truncate, link, !truncate(to->link, 5000)) \
	X(truncate64, down, !truncate64(to->path, 5000)) \
	X(truncate64, link, !truncate64(to->link, 5000)) \
	X(fallocate, up, !fallocate(to->fd, 0, 0, 2 * (off_t)FILE_SIZE)) \
	X(fallocate, hole, !fallocate(to->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)page)) \
	X(fallocate64, up, !fallocate64(to->fd, 0, 0, 2 * (off_t)FILE_SIZE)) \
	X(posix_fallocate, up, !posix_fallocate(to->fd, 0, 2 * (off_t)FILE_SIZE)) \
	X(posix_fallocate64, up, !posix_fallocate64(to->fd, 0, 2 * (off_t)FILE_SIZE)) \
	X(open, cut, cut(open(to->path, O_RDWR | O_TRUNC))) \
	X(open, link, cut(open(to->link, O_RDWR | O_TRUNC))) \
	X(open, make, cut(open(to->link, O_RDWR | O_TRUNC | O_CREAT, 0600))) \
	X(open, no_follow, cut(open(to->path, O_RDWR | O_TRUNC | O_NOFOLLOW))) \
	X(open64, cut, cut(open64(to->path, O_RDWR | O_TRUNC))) \
	X(open64, link, cut(open64(to->link, O_RDWR | O_TRUNC))) \
	X(__open, cut, cut(__open(to->path, O_RDWR | O_TRUNC))) \
	X(__open, link, cut(__open(to->link, O_RDWR | O_TRUNC))) \
	X(__open64, cut, cut(__open64(to->path, O_RDWR | O_TRUNC))) \
	X(__open64, link, cut(__open64(to->link, O_RDWR | O_TRUNC))) \
	X(openat, cut, cut(openat(AT_FDCWD, to->path, O_RDWR | O_TRUNC))) \
	X(openat, link, cut(openat(AT_FDCWD, to->link, O_RDWR | O_TRUNC))) \
	X(openat64, cut, cut(openat64(AT_FDCWD, to->path, O_RDWR | O_TRUNC))) \
	X(openat64, link, cut(openat64(AT_FDCWD, to->link, O_RDWR | O_TRUNC))) \
	X(creat, cut, cut(creat(to->path, 0600))) \
	X(creat, link, cut(creat(to->link, 0600))) \
	X(creat64, cut, cut(creat64(to->path, 0600))) \
	X(creat64, link, cut(creat64(to->link, 0600))) \
	X(__open_2, cut, cut(__open_2(to->path, O_RDWR | O_TRUNC))) \
	X(__open_2, link, cut(__open_2(to->link, O_RDWR | O_TRUNC))) \
	X(__open64_2, cut, cut(__open64_2(to->path, O_RDWR | O_TRUNC))) \
	X(__open64_2, link, cut(__open64_2(to->link, O_RDWR | O_TRUNC))) \
	X(__openat_2, cut, cut(__openat_2(AT_FDCWD, to->path, O_RDWR | O_TRUNC))) \
	X(__openat_2, link, cut(__openat_2(AT_FDCWD, to->link, O_RDWR | O_TRUNC))) \
	X(__openat64_2, cut, cut(__openat64_2(AT_FDCWD, to->path, O_RDWR | O_TRUNC))) \
	X(__openat64_2, link, cut(__openat64_2(AT_FDCWD, to->link, O_RDWR | O_TRUNC))) \
	X(shm_open, cut, cut(opened_as_shared_memory(to))) \
	X(open_by_handle_at, cut, cut(opened_by_handle(to))) \
	X(madvise, remove, removed(to, false)) \
	X(process_madvise, remove, removed(to, true) || errno == EINVAL) \
	X(ioctl, clone, cloned(to))

#define LEFT(X) \
	X(fdopen, append, streams(fdopen(dup(to->fd), "a"))) \
	X(fopen, cut, streams(fopen(to->path, "w"))) \
	X(fopen, link, streams(fopen(to->link, "r+"))) \
	X(fopen64, cut, streams(fopen64(to->path, "w"))) \
	X(freopen, cut, streams(freopen(to->path, "w", fopen("/dev/null", "r")))) \
	X(freopen64, cut, streams(freopen64(to->path, "w", fopen("/dev/null", "r")))) \
	X(aio_write, at, queued(to, false, false)) \
	X(aio_write64, at, queued(to, false, true)) \
	X(lio_listio, at, queued(to, true, false)) \
	X(lio_listio64, at, queued(to, true, true))
// clang-format on

#define X(hook, variant, expression)                                                                                   \
	static bool change_##hook##_##variant(const struct target *to)                                                 \
	{                                                                                                              \
		return expression;                                                                                     \
	}
PENDING(X)
LEFT(X)
#undef X

struct change {
	const char *name;
	bool (*make)(const struct target *to);
};

#define X(hook, variant, expression) {#hook ", " #variant, change_##hook##_##variant},
static const struct change pending[] = {PENDING(X)};
static const struct change left[] = {LEFT(X)};
#undef X
#define NR(table) (sizeof(table) / sizeof((table)[0]))

// A mapped file of which no kernel sync is pending.
static void target_new(struct target *to)
{
	to->fd = named_file_new(FILE_SIZE, to->path);
	snprintf(to->link, sizeof(to->link), "%s.link", to->path);
	CHECK(!symlink(to->path, to->link));
	to->map = map_closed(to->fd);
	sync_all(to->map, FILE_SIZE);
}

static void target_end(struct target *to)
{
	CHECK(!munmap(to->map, FILE_SIZE) && !close(to->fd));
}

// How many kernel syncs an msync of one page makes: any page's must do, and one is as long as all others.
static uint64_t syncs_of(const struct target *to)
{
	uint64_t before = nr_kernel_syncs();

	sync_all(to->map + (NR_PAGES - 1) * page, page);
	return nr_kernel_syncs() - before;
}

static bool is_right(const struct change *change, bool each)
{
	bool done, unsupported;
	uint64_t syncs[3];
	struct target to;
	int i;

	target_new(&to);
	errno = 0;
	done = change->make(&to);
	unsupported = !done && errno == EOPNOTSUPP; // fallocate on ext2
	for (i = 0; i < 3; i++)
		syncs[i] = syncs_of(&to);
	target_end(&to);
	if (unsupported || (done && (!is_counted() || (syncs[0] && !syncs[1] == !each && !syncs[2] == !each))))
		return true;
	fprintf(stderr, "%s: %s, kernel syncs of three msyncs: %d %d %d\n", change->name, done ? "made" : "failed",
		(int)syncs[0], (int)syncs[1], (int)syncs[2]);
	return false;
}

static void each_change_is_synced_by_the_kernel_once(void)
{
	bool right = true;
	size_t i;

	for (i = 0; i < NR(pending); i++)
		right &= is_right(&pending[i], false);
	CHECK(right);
}

static void each_change_out_of_sight_leaves_the_file_to_the_kernel(void)
{
	bool right = true;
	size_t i;

	for (i = 0; i < NR(left); i++)
		right &= is_right(&left[i], true);
	CHECK(right);
}

// What one mapping's msync calls the kernel for is all that is mapped: nothing is pending for another's.
static void each_mapping_of_a_written_file_is_synced(void)
{
	int fd = file_new(FILE_SIZE), round;
	size_t half = FILE_SIZE / 2;
	char *low = map_new(fd, 0, half), *high = map_new(fd, half, half);
	uint64_t before;

	for (round = 0; round < 2; round++) {
		CHECK(pwrite(fd, words, 5, 10) == WORDS && pwrite(fd, words, 5, (off_t)half + 10) == WORDS);
		before = nr_kernel_syncs();
		sync_all(round ? high : low, page);
		COUNTED(nr_kernel_syncs() > before);
		before = nr_kernel_syncs();
		sync_all(round ? low : high, page); // the verifier looks whether the image has it
		COUNTED(nr_kernel_syncs() == before);
	}
}

struct splicer {
	int from, to;
	atomic_int tid;
};

static void *splice_words(void *arg)
{
	struct splicer *splicer = arg;
	off64_t off = (off64_t)page;

	splicer->tid = gettid();
	CHECK(splice(splicer->from, NULL, splicer->to, &off, 5, 0) == WORDS);
	return NULL;
}

// What was pending when the call began, a sync that comes while it sleeps settles: it is pending again when it ends.
static void write_that_sleeps_is_pending_at_its_end(void)
{
	struct splicer splicer = {.to = file_new(FILE_SIZE)};
	char *map = map_closed(splicer.to);
	uint64_t before;
	int pipes[2];

	CHECK(!pipe(pipes));
	splicer.from = pipes[0];
	thread_start(splice_words, &splicer);
	while (!splicer.tid || !is_asleep(splicer.tid))
		usleep(1000);
	sync_all(map, FILE_SIZE);
	CHECK(!fsync(splicer.to));
	CHECK(write(pipes[1], words, 5) == WORDS);
	threads_join();
	before = nr_kernel_syncs();
	sync_all(map + page, page);
	COUNTED(nr_kernel_syncs() > before);
	before = nr_kernel_syncs();
	sync_all(map, FILE_SIZE);
	COUNTED(nr_kernel_syncs() == before);
}

const struct test_case cases_change[] = {
	CASE(each_change_is_synced_by_the_kernel_once, NAMED),
	CASE(each_change_out_of_sight_leaves_the_file_to_the_kernel, NAMED),
	CASE(each_mapping_of_a_written_file_is_synced, SMALL),
	CASE(write_that_sleeps_is_pending_at_its_end, SMALL),
	END_OF_CASES,
};
