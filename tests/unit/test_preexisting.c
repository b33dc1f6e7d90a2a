// SPDX-License-Identifier: BSD-3-Clause
// test_preexisting.c: finding the other shared writable mappings of a file.
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proc/vma.h"
#include "space/preexisting.h"

#define PAGE 4096
#define FOUND_MAX 16

static struct dxs_vma found[FOUND_MAX];
static unsigned nr_found;

static void note(const struct dxs_vma *vma, void *arg)
{
	cr_expect_eq(arg, found);
	if (nr_found < FOUND_MAX)
		found[nr_found] = *vma;
	nr_found++;
}

static int each_of(const void *addr)
{
	nr_found = 0;
	return dxs_preexisting_each((uintptr_t)addr, note, found);
}

static int file_of_pages(int pages)
{
	int fd = memfd_create("preexisting", MFD_CLOEXEC);

	cr_assert(fd >= 0 && !ftruncate(fd, pages * PAGE));
	return fd;
}

// Mappings of their own: with a gap behind, so that the kernel does not merge two into one.
static char *map(int fd, int pages, int prot, int flags, off_t off)
{
	char *gap = mmap(NULL, (size_t)(pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *addr = mmap(gap + PAGE, (size_t)pages * PAGE, prot, flags | MAP_FIXED, fd, off);

	cr_assert_neq(addr, MAP_FAILED);
	return addr;
}

static const struct dxs_vma *found_at(const char *addr)
{
	for (unsigned i = 0; i < nr_found && i < FOUND_MAX; i++)
		if (found[i].addr == (uintptr_t)addr)
			return &found[i];
	return NULL;
}

Test(preexisting, a_mapping_finds_itself)
{
	char *addr = map(file_of_pages(4), 3, PROT_READ | PROT_WRITE, MAP_SHARED, PAGE);

	cr_assert_eq(each_of(addr + 2 * PAGE + 5), 0);
	cr_assert_eq(nr_found, 1);
	cr_expect_eq(found[0].addr, (uintptr_t)addr);
	cr_expect_eq(found[0].len, 3 * PAGE);
	cr_expect_eq(found[0].off, PAGE);
	cr_expect_eq(found[0].prot, PROT_READ | PROT_WRITE);
	cr_expect(found[0].shared);
}

Test(preexisting, all_shared_writable_mappings_of_the_file_are_found_and_no_others)
{
	int fd = file_of_pages(8), other = file_of_pages(8);
	char *known = map(fd, 1, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	char *far = map(fd, 2, PROT_READ | PROT_WRITE, MAP_SHARED, 6 * PAGE);
	char *exec = map(fd, 1, PROT_WRITE | PROT_EXEC, MAP_SHARED, 0);
	char *read_only = map(fd, 1, PROT_READ, MAP_SHARED, 0);
	char *own = map(fd, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);
	char *others = map(other, 1, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	cr_assert_eq(each_of(known), 0);
	cr_expect_eq(nr_found, 3);
	cr_expect_not_null(found_at(known));
	cr_assert_not_null(found_at(far));
	cr_expect_eq(found_at(far)->off, 6 * PAGE);
	cr_expect_not_null(found_at(exec));
	cr_expect_null(found_at(read_only));
	cr_expect_null(found_at(own));
	cr_expect_null(found_at(others));
	cr_assert_eq(each_of(read_only), 0, "also from a mapping that is not writable itself");
	cr_expect_eq(nr_found, 3);
}

Test(preexisting, a_deleted_file_with_a_strange_name_is_found)
{
	char name[] = "/dev/shm/a b\n 00:00 1 (deleted)\\XXXXXX", *addr;
	int fd = mkstemp(name);

	if (fd < 0)
		cr_skip_test("no file can be made in /dev/shm");
	cr_assert_eq(ftruncate(fd, PAGE), 0);
	addr = map(fd, 1, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	map(fd, 1, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	unlink(name);
	cr_assert_eq(each_of(addr), 0);
	cr_expect_eq(nr_found, 2);
}

Test(preexisting, an_address_without_a_mapping_is_an_error)
{
	cr_expect_eq(each_of((void *)16), -ENOENT);
	cr_expect_eq(nr_found, 0);
}

// More lines than one read of /proc/self/maps gives.
Test(preexisting, many_mappings_are_all_read)
{
	enum { MANY = 500 };
	int fd = file_of_pages(1);
	char *addr = NULL;

	for (int i = 0; i < MANY; i++)
		addr = map(fd, 1, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	cr_assert_eq(each_of(addr), 0);
	cr_expect_eq(nr_found, MANY);
}
