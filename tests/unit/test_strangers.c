// SPDX-License-Identifier: BSD-3-Clause
// test_strangers.c: finding the other shared writable mappings of a file.
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proc/vma.h"
#include "space/strangers.h"

#define PAGE 4096
#define FOUND_MAX 16

static struct dxs_vma found[FOUND_MAX];
static unsigned nr_found;

static void note(const struct dxs_vma *stranger, void *arg)
{
	cr_expect_eq(arg, found);
	if (nr_found < FOUND_MAX)
		found[nr_found] = *stranger;
	nr_found++;
}

static int look(const void *addr)
{
	nr_found = 0;
	return dxs_strangers((uintptr_t)addr, note, found);
}

static int file_of_pages(int pages)
{
	int fd = memfd_create("strangers", MFD_CLOEXEC);

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

Test(strangers, a_mapping_finds_itself)
{
	char *addr = map(file_of_pages(4), 3, PROT_READ | PROT_WRITE, MAP_SHARED, PAGE);

	cr_assert_eq(look(addr + 2 * PAGE + 5), 0);
	cr_assert_eq(nr_found, 1);
	cr_expect_eq(found[0].addr, (uintptr_t)addr);
	cr_expect_eq(found[0].len, 3 * PAGE);
	cr_expect_eq(found[0].off, PAGE);
	cr_expect_eq(found[0].prot, PROT_READ | PROT_WRITE);
	cr_expect(found[0].shared);
}

Test(strangers, all_shared_writable_mappings_of_the_file_are_found_and_no_others)
{
	int fd = file_of_pages(8), other = file_of_pages(8);
	char *known = map(fd, 1, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	char *far = map(fd, 2, PROT_READ | PROT_WRITE, MAP_SHARED, 6 * PAGE);
	char *exec = map(fd, 1, PROT_WRITE | PROT_EXEC, MAP_SHARED, 0);
	char *read_only = map(fd, 1, PROT_READ, MAP_SHARED, 0);
	char *own = map(fd, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);
	char *others = map(other, 1, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	cr_assert_eq(look(known), 0);
	cr_expect_eq(nr_found, 3);
	cr_expect_not_null(found_at(known));
	cr_assert_not_null(found_at(far));
	cr_expect_eq(found_at(far)->off, 6 * PAGE);
	cr_expect_not_null(found_at(exec));
	cr_expect_null(found_at(read_only));
	cr_expect_null(found_at(own));
	cr_expect_null(found_at(others));
	cr_assert_eq(look(read_only), 0, "also from a mapping that is not writable itself");
	cr_expect_eq(nr_found, 3);
}

Test(strangers, a_deleted_file_with_a_strange_name_is_found)
{
	char name[] = "/dev/shm/a b\n 00:00 1 (deleted)\\XXXXXX", *addr;
	int fd = mkstemp(name);

	if (fd < 0)
		cr_skip_test("no file can be made in /dev/shm");
	cr_assert_eq(ftruncate(fd, PAGE), 0);
	addr = map(fd, 1, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	map(fd, 1, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	unlink(name);
	cr_assert_eq(look(addr), 0);
	cr_expect_eq(nr_found, 2);
}

Test(strangers, an_address_without_a_mapping_is_an_error)
{
	cr_expect_eq(look((void *)16), -ENOENT);
	cr_expect_eq(nr_found, 0);
}

// More lines than one read of /proc/self/maps gives.
Test(strangers, many_mappings_are_all_read)
{
	enum { MANY = 500 };
	int fd = file_of_pages(1);
	char *addr = NULL;

	for (int i = 0; i < MANY; i++)
		addr = map(fd, 1, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	cr_assert_eq(look(addr), 0);
	cr_expect_eq(nr_found, MANY);
}
