// SPDX-License-Identifier: BSD-3-Clause
// test_api.c: the public functions: what they refuse, and the life of a mapping on tmpfs with emulation.
#include <criterion/criterion.h>
#include <daxsync/daxsync.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/behind.h"
#include "base/config.h"
#include "capture.h"
#include "report/stats.h"
#include "space/track.h"

#define PAGE 4096UL
#define PAGES 64UL
#define BYTES (PAGES * PAGE)
#define NOWHERE ((void *)0x5a5a)

static const struct daxsync_opts emulate = {sizeof(emulate), DAXSYNC_OPT_EMULATE};
static const struct daxsync_opts strict = {sizeof(strict), DAXSYNC_OPT_STRICT};
static const struct daxsync_opts both = {sizeof(both), DAXSYNC_OPT_EMULATE | DAXSYNC_OPT_STRICT};

static int fd;

static void setup(void)
{
	fd = memfd_create("test_api", MFD_CLOEXEC);
	cr_assert(fd >= 0 && !ftruncate(fd, (off_t)BYTES));
}

TestSuite(api, .init = setup);

static struct daxsync_stats stats(void)
{
	struct daxsync_stats now = {.size = sizeof(now)};

	cr_expect_eq(daxsync_stats_get(&now), 0);
	return now;
}

static void store(char *addr, char value)
{
	*(volatile char *)addr = value;
}

// A tracked mapping of all of the file.
static char *map(void)
{
	void *addr = NULL;
	int err = daxsync_map(fd, BYTES, 0, &both, &addr);

	if (err == -EOPNOTSUPP)
		cr_skip_test("no engine can track tmpfs on this machine");
	cr_assert_eq(err, 0);
	cr_assert_eq(daxsync_mode_of(addr), DAXSYNC_MODE_EMULATED);
	return addr;
}

static char *map_by_hand(int prot)
{
	char *addr = mmap(NULL, BYTES, prot, MAP_SHARED, fd, 0);

	cr_assert_neq(addr, MAP_FAILED);
	return addr;
}

Test(api, the_version_is_that_of_the_header)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d", DAXSYNC_VERSION_MAJOR, DAXSYNC_VERSION_MINOR);
	cr_expect_str_eq(daxsync_version(), text);
}

Test(api, every_error_has_a_text_of_its_own)
{
	static const int known[] = {0,          -EINVAL, -EOPNOTSUPP, -EEXIST, -EIO,   -ENOMEM,
				    -EOVERFLOW, -EBADF,  -EACCES,     -EBUSY,  -ENOENT};
	size_t nr = sizeof(known) / sizeof(known[0]);

	for (size_t i = 0; i < nr; i++) {
		cr_expect_str_neq(daxsync_strerror(known[i]), "unknown error");
		for (size_t k = 0; k < i; k++)
			cr_expect_str_neq(daxsync_strerror(known[i]), daxsync_strerror(known[k]));
	}
	cr_expect_str_eq(daxsync_strerror(-12345), "unknown error");
	cr_expect_str_eq(daxsync_strerror(EINVAL), "unknown error", "errors are negative");
}

static void expect_map_error(int file, size_t len, off_t off, const struct daxsync_opts *opts, int err)
{
	void *addr = NOWHERE;

	errno = EXDEV;
	cr_expect_eq(daxsync_map(file, len, off, opts, &addr), err, "%s", daxsync_strerror(err));
	cr_expect_eq(addr, NOWHERE, "set on success only");
	cr_expect_eq(errno, EXDEV);
}

Test(api, map_refuses_bad_arguments)
{
	struct daxsync_opts opts = emulate;

	expect_map_error(fd, 0, 0, &emulate, -EINVAL);
	expect_map_error(fd, PAGE, 100, &emulate, -EINVAL);
	expect_map_error(fd, PAGE, -(off_t)PAGE, &emulate, -EOVERFLOW);
	expect_map_error(-1, PAGE, 0, &emulate, -EBADF);
	opts.size = 0;
	expect_map_error(fd, PAGE, 0, &opts, -EINVAL);
	opts = (struct daxsync_opts){sizeof(opts), 1U << 31};
	expect_map_error(fd, PAGE, 0, &opts, -EINVAL);
}

Test(api, map_needs_a_file_open_for_both)
{
	char path[64];
	int reader;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert(reader >= 0);
	expect_map_error(reader, PAGE, 0, &emulate, -EACCES);
}

Test(api, strict_refuses_what_cannot_be_tracked)
{
	expect_map_error(fd, PAGE, 0, &strict, -EOPNOTSUPP);
}

Test(api, without_emulation_tmpfs_is_the_kernels)
{
	void *addr;

	cr_assert_eq(daxsync_map(fd, BYTES, 0, NULL, &addr), 0);
	cr_expect_eq(daxsync_mode_of(addr), DAXSYNC_MODE_PASS);
	cr_expect_not_null(daxsync_reason_of(addr));
	store(addr, 1);
	cr_expect_eq(daxsync_sync(addr, 1), 0);
	cr_expect_eq(daxsync_sync_file(fd), 0);
	cr_expect_eq(stats().pages_flushed, 0);
	cr_expect_eq(daxsync_release(addr, BYTES), -EINVAL);
	cr_expect_eq(daxsync_unmap(addr, BYTES), 0);
}

Test(api, what_was_stored_is_flushed_once)
{
	char *addr = map();
	uint64_t pages;

	cr_expect_not_null(daxsync_reason_of(addr));
	store(addr, 1);
	store(addr + 5 * PAGE, 1);
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	pages = stats().pages_flushed;
	cr_expect_geq(pages, 2);
	cr_expect_gt(stats().fences, 0);
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_eq(stats().pages_flushed, pages, "nothing was stored since");
	store(addr + 7 * PAGE, 1);
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_eq(stats().pages_flushed, pages + 1);
	cr_expect_geq(stats().traps, 1);
	cr_expect_eq(stats().syncs, 3);
	cr_expect_eq(stats().kernel_syncs, 0);
	cr_expect_eq(addr[0] + addr[5 * PAGE] + addr[7 * PAGE], 3);
}

Test(api, a_sync_of_a_part_takes_any_alignment)
{
	char *addr = map();

	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	store(addr + 3 * PAGE + 100, 1);
	store(addr + 9 * PAGE, 1);
	cr_expect_eq(daxsync_sync(addr + 3 * PAGE + 100, 1), 0);
	cr_expect_eq(stats().pages_flushed, 1);
	cr_expect_eq(daxsync_sync(addr + BYTES - 1, 1), 0);
	cr_expect_eq(daxsync_sync(addr + 1, 0), 0);
	cr_expect_eq(stats().pages_flushed, 1);
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_eq(stats().pages_flushed, 3);
}

Test(api, sync_file_takes_all_mappings_and_the_kernel)
{
	char *one = map(), *two = map();

	cr_expect_eq(daxsync_sync_file(fd), 0);
	store(one, 1);
	store(two + 9 * PAGE, 1);
	cr_expect_eq(daxsync_sync_file(fd), 0);
	cr_expect_eq(stats().pages_flushed, 2);
	cr_expect_eq(stats().kernel_syncs, 2);
	cr_expect_eq(daxsync_sync_file(-1), -EBADF);
}

static char *beside; // a tracked mapping

static int fsync_and_sync_beside(int file)
{
	uint64_t before = stats().kernel_syncs;

	store(beside, 1);
	cr_expect_eq(daxsync_sync(beside, 1), 0);
	cr_expect_eq(stats().kernel_syncs, before + 1);
	return file == fd ? 0 : -1;
}

// Lines that the kernel has flushed and not fenced yet look clean to it.
Test(api, a_sync_beside_the_kernels_has_the_kernel_follow)
{
	beside = map();
	cr_assert_eq(daxsync_sync(beside, 1), 0);
	cr_assert_eq(daxsync_sync_file(fd), 0);
	dxs_behind.fsync = dxs_behind.fdatasync = fsync_and_sync_beside;
	cr_expect_eq(daxsync_sync_file(fd), 0);
	cr_expect_eq(stats().kernel_syncs, 3);
	cr_expect_eq(dxs_counter_get(DXS_kernel_syncs_beside), 1, "which is the cause of one of them");
	dxs_behind.fsync = dxs_behind.fdatasync = NULL;
	store(beside, 2);
	cr_expect_eq(daxsync_sync(beside, 1), 0);
	cr_expect_eq(stats().kernel_syncs, 3, "and none follows when it has ended");
}

Test(api, a_sync_through_one_mapping_flushes_stores_through_the_other)
{
	char *one = map(), *two = map();

	cr_expect_eq(daxsync_sync(one, BYTES), 0);
	store(two + 2 * PAGE, 7);
	cr_expect_eq(daxsync_sync(one, BYTES), 0);
	cr_expect_eq(stats().pages_flushed, 1);
	store(two + 2 * PAGE, 8);
	cr_expect_eq(daxsync_sync(one, BYTES), 0);
	cr_expect_eq(stats().pages_flushed, 2, "closed in the other mapping too");
}

Test(api, sync_refuses_what_is_not_mapped)
{
	char *addr = map(), *hole;

	cr_expect_eq(daxsync_sync(addr, SIZE_MAX), -EOVERFLOW);
	cr_expect_eq(daxsync_sync(NOWHERE, PAGE), -ENOMEM);
	hole = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(hole + PAGE, PAGE);
	cr_expect_eq(daxsync_sync(hole, 3 * PAGE), -ENOMEM);
}

Test(api, a_length_is_rounded_up_to_whole_pages)
{
	void *addr;

	cr_assert_eq(daxsync_map(fd, PAGE + 1, (off_t)PAGE, &emulate, &addr), 0);
	cr_expect_eq(daxsync_mode_of((char *)addr + 2 * PAGE - 1), daxsync_mode_of(addr));
	cr_expect_eq(daxsync_mode_of((char *)addr + 2 * PAGE), DAXSYNC_MODE_PASS);
	store((char *)addr + 2 * PAGE - 1, 1);
	cr_expect_eq(daxsync_sync(addr, PAGE + 1), 0);
	cr_expect_eq(daxsync_unmap(addr, PAGE + 1), 0);
	cr_expect_eq(daxsync_mode_of(addr), DAXSYNC_MODE_PASS);
}

Test(api, unmap_flushes_and_forgets)
{
	char *addr = map(), byte = 0;

	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	store(addr + 4 * PAGE, 9);
	cr_expect_eq(daxsync_unmap(addr, BYTES), 0);
	cr_expect_eq(stats().pages_flushed, 1);
	cr_expect_eq(daxsync_mode_of(addr), DAXSYNC_MODE_PASS);
	cr_expect_str_eq(daxsync_reason_of(addr), "nothing is tracked there");
	cr_expect_eq(daxsync_sync(addr, BYTES), -ENOMEM);
	cr_expect(pread(fd, &byte, 1, 4 * PAGE) == 1 && byte == 9);
	cr_expect_eq(daxsync_unmap(addr + 1, PAGE), -EINVAL);
}

Test(api, unmap_of_a_part_keeps_the_rest)
{
	char *addr = map();

	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_eq(daxsync_unmap(addr + 8 * PAGE, 8 * PAGE), 0);
	cr_expect_eq(daxsync_mode_of(addr), DAXSYNC_MODE_EMULATED);
	cr_expect_eq(daxsync_mode_of(addr + 8 * PAGE), DAXSYNC_MODE_PASS);
	cr_expect_eq(daxsync_mode_of(addr + 16 * PAGE), DAXSYNC_MODE_EMULATED);
	store(addr + 7 * PAGE, 1);
	store(addr + 16 * PAGE, 1);
	cr_expect_eq(daxsync_sync(addr, BYTES), -ENOMEM, "of the hole; the rest is synced");
	cr_expect_eq(stats().pages_flushed, 2);
}

Test(api, release_flushes_forgets_and_leaves_the_mapping)
{
	char *addr = map();
	uint64_t traps;

	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	store(addr, 1);
	cr_expect_eq(daxsync_release(addr, BYTES), 0);
	cr_expect_eq(stats().pages_flushed, 1);
	traps = stats().traps;
	cr_expect_eq(daxsync_mode_of(addr), DAXSYNC_MODE_PASS);
	for (size_t i = 0; i < PAGES; i++)
		store(addr + i * PAGE, 2);
	cr_expect_eq(stats().traps, traps, "all pages are open");
	cr_expect_eq(daxsync_sync(addr, BYTES), 0, "by the kernel");
	cr_expect_eq(stats().pages_flushed, 1);
	cr_expect_eq(daxsync_release(addr, BYTES), -EINVAL);
	cr_expect_eq(munmap(addr, BYTES), 0);
}

Test(api, release_of_a_part_keeps_the_rest)
{
	char *addr = map();

	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_eq(daxsync_release(addr + 8 * PAGE, PAGE), 0);
	cr_expect_eq(daxsync_mode_of(addr + 8 * PAGE), DAXSYNC_MODE_PASS);
	cr_expect_eq(daxsync_mode_of(addr + 9 * PAGE), DAXSYNC_MODE_EMULATED);
	store(addr + 7 * PAGE, 1);
	store(addr + 8 * PAGE, 1);
	store(addr + 9 * PAGE, 1);
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_eq(stats().pages_flushed, 2);
}

Test(api, adopt_covers_stores_made_before)
{
	char *addr = map_by_hand(PROT_READ | PROT_WRITE);

	store(addr + 3 * PAGE, 1);
	if (daxsync_adopt(addr, BYTES, fd, 0, &both) == -EOPNOTSUPP)
		cr_skip_test("no engine can track tmpfs on this machine");
	cr_expect_eq(daxsync_mode_of(addr), DAXSYNC_MODE_EMULATED);
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_geq(stats().pages_flushed, 1);
	cr_expect_eq(daxsync_adopt(addr, BYTES, fd, 0, &emulate), -EEXIST);
	cr_expect_eq(daxsync_adopt(addr + BYTES - PAGE, PAGE, fd, (off_t)(BYTES - PAGE), &emulate), -EEXIST);
	cr_expect_eq(daxsync_release(addr, BYTES), 0);
	cr_expect_eq(daxsync_adopt(addr, BYTES, fd, 0, &emulate), 0, "once more");
	cr_expect_eq(daxsync_unmap(addr, BYTES), 0);
}

Test(api, adopt_refuses_bad_arguments)
{
	char *addr = map_by_hand(PROT_READ | PROT_WRITE);
	struct daxsync_opts opts = {sizeof(opts) - 1, 0};

	cr_expect_eq(daxsync_adopt(addr + 1, PAGE, fd, 0, &emulate), -EINVAL);
	cr_expect_eq(daxsync_adopt(addr, 0, fd, 0, &emulate), -EINVAL);
	cr_expect_eq(daxsync_adopt(addr, PAGE, fd, 1, &emulate), -EINVAL);
	cr_expect_eq(daxsync_adopt(addr, PAGE, fd, -(off_t)PAGE, &emulate), -EINVAL);
	cr_expect_eq(daxsync_adopt(addr, PAGE, fd, 0, &opts), -EINVAL);
	cr_expect_eq(daxsync_adopt(addr, PAGE, fd, 0, NULL), -EOPNOTSUPP, "not on persistent memory");
	cr_expect_eq(daxsync_adopt(addr, PAGE, -1, 0, &emulate), -EOPNOTSUPP);
	cr_expect_eq(daxsync_mode_of(addr), DAXSYNC_MODE_PASS);
}

// Only a shared, readable and writable mapping of the file from that offset on can be adopted.
static void expect_foreign(char *addr, size_t len, off_t off, const char *what)
{
	cr_assert_neq(addr, MAP_FAILED);
	cr_expect_eq(daxsync_adopt(addr, len, fd, off, &emulate), -EINVAL, "%s", what);
	cr_expect_eq(daxsync_mode_of(addr), DAXSYNC_MODE_PASS, "%s", what);
}

Test(api, adopt_refuses_what_is_not_a_mapping_of_the_file)
{
	int both_ways = PROT_READ | PROT_WRITE, other = memfd_create("other", MFD_CLOEXEC);
	char *addr = map_by_hand(both_ways);

	cr_assert(other >= 0 && !ftruncate(other, (off_t)BYTES));
	expect_foreign(mmap(NULL, BYTES, both_ways, MAP_PRIVATE, fd, 0), BYTES, 0, "private");
	expect_foreign(mmap(NULL, BYTES, both_ways, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), BYTES, 0, "anonymous");
	expect_foreign(mmap(NULL, BYTES, both_ways, MAP_SHARED | MAP_ANONYMOUS, -1, 0), BYTES, 0, "shared anonymous");
	expect_foreign(mmap(NULL, BYTES, both_ways, MAP_SHARED, other, 0), BYTES, 0, "another file");
	expect_foreign(map_by_hand(PROT_READ), BYTES, 0, "not writable");
	expect_foreign(addr, PAGE, (off_t)PAGE, "another offset");
	expect_foreign(addr + PAGE, PAGE, 0, "another offset");
	expect_foreign(addr, SIZE_MAX, 0, "around the end of the address space");
	expect_foreign(addr, SIZE_MAX - 2 * PAGE, 0, "around the end of the address space");
	expect_foreign((char *)0x10000, PAGE, 0, "nothing");
	cr_assert_neq(mmap(addr + BYTES - PAGE, PAGE, both_ways, MAP_SHARED | MAP_FIXED, other, 0), MAP_FAILED);
	expect_foreign(addr, BYTES, 0, "another file at the end");
	munmap(addr + BYTES - PAGE, PAGE);
	expect_foreign(addr, BYTES, 0, "nothing at the end");
	munmap(addr + PAGE, PAGE);
	expect_foreign(addr, BYTES - PAGE, 0, "a hole");
	cr_expect_eq(daxsync_adopt(addr + 2 * PAGE, BYTES - 3 * PAGE, fd, 2 * PAGE, &emulate), 0, "what is left");
	cr_expect_eq(daxsync_adopt(addr, PAGE, fd, 0, &emulate), -EEXIST, "found when the file became known");
}

Test(api, adopt_keeps_the_protection)
{
	char *addr = map_by_hand(PROT_READ | PROT_WRITE), code[] = {(char)0xc3};

	if (mprotect(addr, BYTES, PROT_READ | PROT_WRITE | PROT_EXEC))
		cr_skip_test("no memory can be written and executed on this machine");
	cr_assert_eq(mprotect(addr + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
	expect_foreign(addr, BYTES, 0, "two protections");
	cr_assert_eq(daxsync_adopt(addr, PAGE, fd, 0, &emulate), 0);
	cr_expect_eq(daxsync_sync(addr, PAGE), 0);
	memcpy(addr, code, sizeof(code));
	cr_expect_eq(daxsync_release(addr, PAGE), 0);
#ifdef __x86_64__
	((void (*)(void))addr)(); // a return
#endif
}

Test(api, syncv_makes_ranges_of_several_files_durable_with_one_fence_each)
{
	char *one = map(), *two;
	struct iovec range[] = {{one + 40 * PAGE, 9}, {NULL, 8}, {one + 3 * PAGE + 100, 1}, {NULL, 8}, {one, 0}};
	uint64_t fences, syncs, pages;

	fd = memfd_create("test_api_two", MFD_CLOEXEC);
	cr_assert(fd >= 0 && !ftruncate(fd, (off_t)BYTES));
	two = map();
	cr_expect_eq(daxsync_sync(one, BYTES), 0);
	cr_expect_eq(daxsync_sync(two, BYTES), 0);
	range[1].iov_base = two + 7 * PAGE;
	range[3].iov_base = two + 7 * PAGE + 4;
	store(one + 40 * PAGE, 1);
	store(one + 3 * PAGE + 100, 1);
	store(one + 50 * PAGE, 1); // in no range
	store(two + 7 * PAGE + 5, 1);
	fences = stats().fences;
	syncs = stats().syncs;
	pages = stats().pages_flushed;
	cr_expect_eq(daxsync_syncv(range, 5), 0);
	cr_expect_eq(stats().fences - fences, 2, "one for each file");
	cr_expect_eq(stats().syncs - syncs, 2);
	cr_expect_eq(stats().pages_flushed - pages, 3);
	cr_expect_eq(daxsync_sync(one, BYTES), 0);
	cr_expect_geq(stats().pages_flushed - pages, 4, "what is in no range is still dirty");
}

Test(api, syncv_takes_more_ranges_than_it_holds_at_once)
{
	static struct iovec range[PAGES + 2];
	char *addr = map();
	uint64_t pages;

	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	for (size_t i = 0; i < PAGES; i++) {
		range[i] = (struct iovec){addr + (PAGES - 1 - i) * PAGE, PAGE}; // in descending order
		store(addr + i * PAGE, 1);
	}
	range[PAGES] = range[PAGES + 1] = (struct iovec){addr, BYTES};
	pages = stats().pages_flushed;
	cr_expect_eq(daxsync_syncv(range, PAGES + 2), 0);
	cr_expect_eq(stats().pages_flushed - pages, PAGES, "each once: whole pages were closed");
	cr_expect_eq(daxsync_syncv(range, 0), 0);
	cr_expect_eq(daxsync_syncv(NULL, 0), 0);
}

Test(api, syncv_goes_on_behind_a_hole_and_refuses_what_wraps)
{
	char *addr = map();
	struct iovec range[] = {{addr + 8 * PAGE, 2 * PAGE}, {addr + 20 * PAGE, 1}, {NULL, 0}};
	uint64_t pages;

	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_eq(daxsync_unmap(addr + 9 * PAGE, PAGE), 0);
	store(addr + 8 * PAGE, 1);
	store(addr + 20 * PAGE, 1);
	pages = stats().pages_flushed;
	range[2] = (struct iovec){addr, SIZE_MAX};
	cr_expect_eq(daxsync_syncv(range, 3), -EOVERFLOW);
	cr_expect_eq(stats().pages_flushed, pages, "nothing was done");
	cr_expect_eq(daxsync_syncv(range, 2), -ENOMEM);
	cr_expect_eq(stats().pages_flushed - pages, 2, "both parts that are mapped");
	range[0] = (struct iovec){NOWHERE, 1};
	cr_expect_eq(daxsync_syncv(range, 1), -ENOMEM);
}

Test(api, syncv_leaves_what_is_not_tracked_to_the_kernel)
{
	char *addr = map_by_hand(PROT_READ | PROT_WRITE);
	struct iovec range = {addr + 5, BYTES - 5};

	store(addr, 1);
	cr_expect_eq(daxsync_syncv(&range, 1), 0);
	cr_expect_eq(stats().syncs, 0);
}

// The pages of the mapping that are dirty, as bits.
static uint64_t dirty(const char *addr)
{
	unsigned char vec[PAGES];
	uint64_t bits = 0;

	memset(vec, 0xff, sizeof(vec));
	cr_assert_eq(daxsync_dirty(addr, BYTES, vec), 0);
	for (size_t i = 0; i < PAGES; i++) {
		cr_assert_leq(vec[i], 1);
		bits |= (uint64_t)vec[i] << i;
	}
	return bits;
}

Test(api, dirty_is_what_was_stored_to)
{
	char *addr = map();

	store(addr + 2 * PAGE, 1);
	cr_expect(dirty(addr) & 1ULL << 2, "before the first sync");
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_eq(dirty(addr), 0);
	store(addr + 5 * PAGE, 1);
	store(addr + 63 * PAGE, 1);
	cr_expect_eq(dirty(addr), 1ULL << 5 | 1ULL << 63);
	cr_expect_eq(daxsync_sync(addr + 5 * PAGE, PAGE), 0);
	cr_expect_eq(dirty(addr), 1ULL << 63);
	cr_expect_eq(daxsync_sync(addr + 63 * PAGE, 1), 0);
	cr_expect_eq(dirty(addr), 1ULL << 63, "open still: only a part of it was synced");
	cr_expect_eq(stats().syncs, 3, "to ask is no sync");
}

Test(api, dirty_sees_stores_through_another_mapping)
{
	char *one = map(), *two;

	cr_expect_eq(daxsync_sync(one, BYTES), 0);
	cr_expect_eq(dirty(one), 0);
	two = map();
	store(two + 4 * PAGE, 1);
	cr_expect(dirty(one) & 1ULL << 4, "through a mapping that was never synced");
	cr_expect_eq(daxsync_sync(one, BYTES), 0);
	cr_expect_eq(dirty(one), 0);
	store(two + 9 * PAGE, 1);
	cr_expect_eq(dirty(one), 1ULL << 9);
}

Test(api, dirty_is_all_of_what_is_not_tracked_or_pending_in_the_kernel)
{
	char *addr = map(), *hand = map_by_hand(PROT_READ | PROT_WRITE);

	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_eq(daxsync_release(addr + 8 * PAGE, PAGE), 0);
	cr_expect(dirty(addr) & 1ULL << 8, "released");
	cr_expect_eq(daxsync_release(hand, BYTES), -EINVAL);
	cr_expect_eq(dirty(hand), ~0ULL);
	cr_expect_eq(munmap(hand, BYTES), 0);
	cr_expect_eq(dirty(hand), ~0ULL, "nothing there");
}

Test(api, dirty_refuses_bad_arguments)
{
	unsigned char vec[2] = {7, 7};
	char *addr = map();

	store(addr, 1);
	cr_expect_eq(daxsync_dirty(addr + 1, PAGE, vec), -EINVAL);
	cr_expect_eq(daxsync_dirty(addr, SIZE_MAX, vec), -EOVERFLOW);
	cr_expect_eq(daxsync_dirty(addr, SIZE_MAX - BYTES, vec), -EOVERFLOW);
	cr_expect_eq(daxsync_dirty(addr, 0, vec), 0);
	cr_expect(vec[0] == 7 && vec[1] == 7);
	cr_expect_eq(daxsync_dirty(addr, 1, vec), 0);
	cr_expect(vec[0] == 1 && vec[1] == 7, "a length is rounded up to one page");
}

Test(api, map_stats_are_those_of_the_mapping_and_its_file)
{
	char *addr = map();
	struct daxsync_map_stats now = {.size = sizeof(now)};

	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	store(addr + 3 * PAGE, 1);
	cr_expect_eq(daxsync_sync(addr + 3 * PAGE, 8), 0);
	cr_expect_eq(daxsync_sync_file(fd), 0);
	cr_expect_eq(daxsync_map_stats_get(addr + BYTES - 1, &now), 0);
	cr_expect_eq(now.addr, (uintptr_t)addr);
	cr_expect_eq(now.len, BYTES);
	cr_expect_eq(now.off, 0);
	cr_expect_eq(now.page_size, PAGE);
	cr_expect_eq(now.mode, DAXSYNC_MODE_EMULATED);
	cr_expect_eq(now.syncs, 3);
	cr_expect_eq(now.traps, 1);
	cr_expect_eq(now.pages_flushed, stats().pages_flushed);
	cr_expect_eq(now.bytes_flushed, stats().bytes_flushed);
	cr_expect_eq(now.kernel_syncs, stats().kernel_syncs);
	cr_expect_eq(daxsync_unmap(addr, 8 * PAGE), 0);
	cr_expect_eq(daxsync_map_stats_get(addr + 8 * PAGE, &now), 0);
	cr_expect_eq(now.off, 8 * PAGE);
	cr_expect_eq(now.len, BYTES - 8 * PAGE);
}

Test(api, map_stats_refuse_what_is_not_tracked_and_unknown_sizes)
{
	char *addr = map();
	struct daxsync_map_stats now = {.size = sizeof(now), .syncs = 4711};

	cr_expect_eq(daxsync_map_stats_get(addr + BYTES, &now), -ENOENT);
	cr_expect_eq(daxsync_map_stats_get((void *)UINTPTR_MAX, &now), -ENOENT);
	now.size = sizeof(now) + 1;
	cr_expect_eq(daxsync_map_stats_get(addr, &now), -EINVAL);
	now.size = sizeof(now.size) - 1;
	cr_expect_eq(daxsync_map_stats_get(addr, &now), -EINVAL);
	now.size = sizeof(now.size) + sizeof(now.addr);
	cr_expect_eq(daxsync_map_stats_get(addr, &now), 0);
	cr_expect_eq(now.syncs, 4711, "beyond the caller's size");
}

Test(api, configure_chooses_the_policy_until_something_is_tracked)
{
	struct daxsync_config config = {sizeof(config), 0, DAXSYNC_POLICY_NEVER_CLOSE};
	char *addr;

	cr_expect_eq(daxsync_configure(&config), 0);
	addr = map();
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	store(addr, 1);
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_eq(dirty(addr), 1, "never closed");
	config.policy = DAXSYNC_POLICY_ALWAYS_CLOSE;
	cr_expect_eq(daxsync_configure(&config), -EBUSY);
	cr_expect_eq(daxsync_unmap(addr, BYTES), 0);
	cr_expect_eq(daxsync_configure(&config), 0);
	addr = map();
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	store(addr, 1);
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_eq(dirty(addr), 0);
	cr_expect_eq(daxsync_unmap(addr, BYTES), 0);
	config.policy = DAXSYNC_POLICY_KERNEL;
	cr_expect_eq(daxsync_configure(&config), 0);
	addr = map();
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_eq(dirty(addr), ~0ULL >> (64 - PAGES), "the kernel's: nothing is known");
}

Test(api, configure_chooses_the_engine)
{
	struct daxsync_config config = {sizeof(config), DAXSYNC_ENGINE_MPROTECT, 0};
	static struct capture out;

	cr_expect_eq(daxsync_configure(&config), 0);
	map();
	capture_begin(&out, STDOUT_FILENO);
	cr_expect_eq(daxsync_stats_json(STDOUT_FILENO), 0);
	cr_expect_not_null(strstr(capture_end(&out), "\"engine\":\"mprotect\""));
}

Test(api, the_environment_goes_before_what_the_program_configures)
{
	struct daxsync_config config = {sizeof(config), 0, DAXSYNC_POLICY_NEVER_CLOSE};
	char *addr;

	setenv("DAXSYNC_POLICY", "always-close", 1);
	cr_expect_eq(daxsync_configure(&config), 0);
	addr = map();
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	store(addr, 1);
	cr_expect_eq(daxsync_sync(addr, BYTES), 0);
	cr_expect_eq(dirty(addr), 0);
}

Test(api, configure_refuses_what_it_does_not_know)
{
	struct {
		struct daxsync_config config;
		uint64_t newer;
	} more = {.config = {sizeof(more), 0, 0}};

	cr_expect_eq(daxsync_configure(&more.config), 0, "nothing is set there");
	more.newer = 1ULL << 63;
	cr_expect_eq(daxsync_configure(&more.config), -EINVAL);
	more.config.size = sizeof(more.config);
	cr_expect_eq(daxsync_configure(&more.config), 0);
	more.config.size--;
	cr_expect_eq(daxsync_configure(&more.config), -EINVAL);
	more.config = (struct daxsync_config){sizeof(more.config), DAXSYNC_ENGINE_MPROTECT + 1, 0};
	cr_expect_eq(daxsync_configure(&more.config), -EINVAL);
	more.config = (struct daxsync_config){sizeof(more.config), 0, DAXSYNC_POLICY_KERNEL + 1};
	cr_expect_eq(daxsync_configure(&more.config), -EINVAL);
}

struct heard {
	unsigned nr;
	int level;
	char text[512];
};

static void hear(int level, const char *text, void *arg)
{
	struct heard *heard = arg;

	heard->nr++;
	heard->level = level;
	snprintf(heard->text, sizeof(heard->text), "%s", text);
	errno = EXDEV;
}

Test(api, the_log_goes_to_a_function)
{
	struct heard heard = {0};
	static struct capture out;

	setenv("DAXSYNC_POLICY", "sometimes", 1);
	capture_begin(&out, STDERR_FILENO);
	errno = 0;
	cr_expect_eq(daxsync_log_set(DAXSYNC_LOG_WARN, hear, &heard), 0, "and hears of the settings");
	cr_expect_eq(errno, 0);
	cr_expect_str_eq(capture_end(&out), "");
	cr_expect_eq(heard.nr, 1);
	cr_expect_eq(heard.level, DAXSYNC_LOG_ERROR);
	cr_expect_eq(strncmp(heard.text, "DAXSYNC_POLICY: not one of ", 27), 0, "%s", heard.text);
	cr_expect_null(strchr(heard.text, '\n'));
}

Test(api, log_set_refuses_unknown_levels)
{
	struct heard heard = {0};

	cr_expect_eq(daxsync_log_set(-1, hear, &heard), -EINVAL);
	cr_expect_eq(daxsync_log_set(DAXSYNC_LOG_DEBUG + 1, hear, &heard), -EINVAL);
	cr_expect_eq(daxsync_log_set(4711, NULL, NULL), 0, "without a function the level has no meaning");
	cr_expect_eq(heard.nr, 0);
}

Test(api, stats_are_filled_as_far_as_the_caller_knows_them)
{
	struct daxsync_stats part = {.size = 2 * sizeof(uint64_t), .traps = 4711};

	cr_expect_eq(daxsync_stats_get(&part), 0);
	cr_expect_eq(part.size, 2 * sizeof(uint64_t));
	cr_expect_eq(part.traps, 4711, "beyond the caller's size");
	part.size = 0;
	cr_expect_eq(daxsync_stats_get(&part), -EINVAL);
	part.size = sizeof(part) + 1;
	cr_expect_eq(daxsync_stats_get(&part), -EINVAL);
}

Test(api, the_report_names_the_mapping)
{
	static struct capture out;
	const char *text;

	store(map(), 1);
	capture_begin(&out, STDOUT_FILENO);
	cr_expect_eq(daxsync_stats_json(STDOUT_FILENO), 0);
	text = capture_end(&out);
	cr_expect_not_null(strstr(text, "test_api"));
	cr_expect_not_null(strstr(text, "emulated"));
	cr_expect_eq(daxsync_stats_json(-1), -EBADF);
}

// What another thread stores when the file is there and its pages are not closed yet.
static void *map_and_store(void *addr, size_t len, int prot, int flags, int file, off_t off)
{
	char *made = mmap(addr, len, prot, flags, file, off);

	if (made != MAP_FAILED)
		store(made + 5 * PAGE, 1);
	return made;
}

static unsigned nr_asked;

static bool is_opened_meanwhile(dev_t dev, ino_t ino)
{
	(void)dev;
	(void)ino;
	return nr_asked++;
}

// It has not found the mapping, as that was not there yet.
Test(api, a_stream_that_is_opened_while_its_file_is_mapped_is_found)
{
	void *addr;

	cr_assert_eq(daxsync_unmap(map(), BYTES), 0); // from here on the library is set up
	dxs_config.emulate = true;
	dxs_stdio_writes = is_opened_meanwhile;
	addr = dxs_mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, NULL);
	cr_assert_neq(addr, MAP_FAILED);
	cr_expect_eq(daxsync_mode_of(addr), DAXSYNC_MODE_KERNEL);
	dxs_config.strict = true;
	nr_asked = 0;
	munmap(addr, BYTES);
	cr_expect_eq(daxsync_unmap(addr, BYTES), 0);
	addr = dxs_mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, NULL);
	cr_expect_eq(addr, (void *)-EOPNOTSUPP);
}

Test(api, what_is_stored_to_a_file_put_over_memory_is_found)
{
	struct daxsync_config config = {sizeof(config), DAXSYNC_ENGINE_MPROTECT, 0};
	char *over = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *addr;

	cr_assert_neq(over, MAP_FAILED);
	cr_assert_eq(daxsync_configure(&config), 0);
	cr_assert_eq(daxsync_unmap(map(), BYTES), 0); // from here on the library is set up
	dxs_config.emulate = true;
	addr = dxs_mmap(over, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0, map_and_store);
	cr_assert_eq(addr, over);
	cr_expect_eq(daxsync_mode_of(addr), DAXSYNC_MODE_EMULATED);
	cr_expect(dirty(addr) & 1ULL << 5);
}
