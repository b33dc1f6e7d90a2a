// SPDX-License-Identifier: BSD-3-Clause
// test_trap.c: a trap, on a file with a counting engine: what is marked and locked when the engine opens a page, and what
// becomes of a page that it cannot open.
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/engine.h"
#include "core/trap.h"
#include "file/file.h"
#include "inject.h"
#include "signal/signals.h"

#define PAGES ((size_t)4 * DXS_LEAF_PAGES)
#define BYTES (PAGES * 4096)
#define CALLS_MAX 4

// One call of make_writable(), and what was true when it came.
struct call {
	uint64_t first, nr;
	uint64_t nr_marked, nr_locked;
};

static struct dxs_file *file;
static struct dxs_map map;
static struct call call[CALLS_MAX];
static unsigned nr_calls, nr_all;
static uint64_t extent_first, extent_nr; // of the next traps; 0: all of the mapping
static int open_error[CALLS_MAX], all_error;

static bool has(uint64_t pgoff, uint64_t word)
{
	return word >> (pgoff % DXS_LEAF_PAGES) & 1;
}

static bool is_dirty(uint64_t pgoff)
{
	struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, pgoff, false);

	return leaf && has(pgoff, dxs_leaf_get(leaf, DXS_DIRTY));
}

static bool is_locked(uint64_t pgoff)
{
	struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, pgoff, false);

	return leaf && has(pgoff, atomic_load(&leaf->locks));
}

static int fake_make_writable(struct dxs_map *at, uintptr_t addr, size_t len)
{
	struct call now = {.first = dxs_map_pgoff(at, addr), .nr = len / 4096};
	uint64_t i;

	for (i = now.first; i < now.first + now.nr; i++) {
		now.nr_marked += is_dirty(i);
		now.nr_locked += is_locked(i);
	}
	cr_assert_lt(nr_calls, CALLS_MAX);
	call[nr_calls] = now;
	return open_error[nr_calls++];
}

static int fake_make_all_writable(struct dxs_map *at)
{
	(void)at;
	nr_all++;
	return all_error;
}

static bool fake_extent(struct dxs_map *at, uintptr_t addr, uintptr_t *start, uintptr_t *end)
{
	(void)addr;
	*start = at->addr + extent_first * 4096;
	*end = *start + extent_nr * 4096;
	return extent_nr;
}

static int fake_writable(struct dxs_map *at, uintptr_t addr, unsigned nr, uint64_t *mask)
{
	(void)at;
	(void)addr;
	(void)nr;
	*mask = 0;
	return 0;
}

static const struct dxs_engine fake = {
	.make_writable = fake_make_writable,
	.make_all_writable = fake_make_all_writable,
	.extent = fake_extent,
	.writable = fake_writable,
};

static void setup(void)
{
	struct dxs_map *made = &map;
	int fd = memfd_create("trap", MFD_CLOEXEC);
	struct stat st;
	void *addr;

	cr_assert(fd >= 0 && !ftruncate(fd, (off_t)BYTES) && !fstat(fd, &st));
	addr = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
	cr_assert_neq(addr, MAP_FAILED);
	file = dxs_file_new(st.st_dev, st.st_ino, 12);
	cr_assert_not_null(file);
	atomic_store(&file->mode, DXS_MODE_EMULATED);
	cr_assert_eq(dxs_tree_reserve(&file->tree, 0, PAGES - 1), 0);
	map.addr = (uintptr_t)addr;
	map.len = BYTES;
	map.prot = PROT_READ | PROT_WRITE;
	map.file = file;
	map.engine = &fake;
	cr_assert_eq(dxs_maps_replace(NULL, 0, &made, 1), 0);
	extent_first = 5;
	extent_nr = 1;
}

TestSuite(trap, .init = setup);

static enum dxs_trap store(uint64_t pgoff)
{
	return dxs_trap_signal(map.addr + pgoff * 4096 + 8);
}

Test(trap, a_page_is_marked_and_locked_before_it_is_opened)
{
	cr_expect_eq(store(5), DXS_TRAP_OPENED);
	cr_assert_eq(nr_calls, 1);
	cr_expect_eq(call[0].first, 5);
	cr_expect_eq(call[0].nr, 1);
	cr_expect_eq(call[0].nr_marked, 1);
	cr_expect_eq(call[0].nr_locked, 1);
	cr_expect(is_dirty(5));
	cr_expect_not(is_dirty(4));
	cr_expect_not(is_dirty(6));
	cr_expect_not(is_locked(5), "and unlocked after");
}

Test(trap, all_that_is_opened_is_marked_in_every_leaf)
{
	uint64_t i;

	extent_first = DXS_LEAF_PAGES - 3;
	extent_nr = DXS_LEAF_PAGES + 6; // all of a leaf, and parts of its neighbours
	cr_expect_eq(store(DXS_LEAF_PAGES), DXS_TRAP_OPENED);
	cr_assert_eq(nr_calls, 1);
	cr_expect_eq(call[0].nr, extent_nr);
	cr_expect_eq(call[0].nr_marked, extent_nr);
	cr_expect_eq(call[0].nr_locked, extent_nr);
	for (i = 0; i < PAGES; i++) {
		cr_expect_eq(is_dirty(i), i >= extent_first && i < extent_first + extent_nr, "%lu", i);
		cr_expect_not(is_locked(i), "%lu", i);
	}
}

Test(trap, what_cannot_be_opened_together_is_opened_alone)
{
	extent_first = 4;
	extent_nr = 3;
	open_error[0] = -EPERM;
	cr_expect_eq(store(5), DXS_TRAP_OPENED);
	cr_assert_eq(nr_calls, 2);
	cr_expect_eq(call[1].first, 5);
	cr_expect_eq(call[1].nr, 1);
	cr_expect_eq(nr_all, 0);
	cr_expect(is_dirty(4) && is_dirty(5) && is_dirty(6), "some of them may be open");
}

Test(trap, a_page_that_cannot_be_opened_opens_all_of_the_mapping)
{
	open_error[0] = -EIO;
	cr_expect_eq(store(5), DXS_TRAP_OPENED);
	cr_expect_eq(nr_calls, 1);
	cr_expect_eq(nr_all, 1);
}

Test(trap, where_nothing_can_be_opened_the_fault_is_the_programs)
{
	open_error[0] = all_error = -EIO;
	cr_expect_eq(store(5), DXS_TRAP_FOREIGN);
	cr_expect_eq(nr_all, 1);
	cr_expect_not(is_locked(5));
}

Test(trap, an_engine_without_an_extent_opens_all)
{
	extent_nr = 0;
	cr_expect_eq(store(5), DXS_TRAP_OPENED);
	cr_expect_eq(nr_calls, 0);
	cr_expect_eq(nr_all, 1);
}

Test(trap, without_memory_for_a_mark_the_kernel_syncs_and_all_is_open)
{
	char why[64];

	cr_assert_eq(inject_parse("no-memory", why, sizeof(why)), 0, "%s", why);
	cr_expect_eq(store(5), DXS_TRAP_OPENED);
	cr_expect_eq(nr_calls, 0, "nothing is opened that is not marked");
	cr_expect_eq(nr_all, 1);
	cr_expect_eq(atomic_load(&file->mode), DXS_MODE_KERNEL);
}

Test(trap, a_mapping_that_goes_is_waited_for)
{
	atomic_store(&map.frozen, true);
	cr_expect_eq(store(5), DXS_TRAP_FROZEN);
	cr_expect_eq(nr_calls + nr_all, 0);
	cr_expect_not(is_dirty(5));
}

Test(trap, what_the_program_must_not_store_to_is_its_own_fault)
{
	map.prot = PROT_READ;
	cr_expect_eq(store(5), DXS_TRAP_FOREIGN);
	map.prot = PROT_READ | PROT_WRITE;
	map.engine = NULL;
	cr_expect_eq(store(5), DXS_TRAP_FOREIGN);
	cr_expect_eq(store(PAGES), DXS_TRAP_FOREIGN, "behind its end");
	cr_expect_eq(nr_calls + nr_all, 0);
	cr_expect_not(is_dirty(5));
}

// An allocator that crashes for want of memory does: whoever waited for the end of its own change would wait for ever.
Test(trap, a_fault_in_a_change_of_ones_own_is_not_waited_for)
{
	bool (*answer)(uintptr_t addr, bool is_trap);

	cr_assert_eq(dxs_trap_install(0), 0);
	answer = atomic_load(&dxs_fault_answer);
	atomic_store(&map.frozen, true);
	dxs_trap_change();
	cr_expect_not(answer(map.addr, true), "of what is being changed");
	cr_expect_not(answer(8, true), "of what nobody has mapped");
	cr_expect_not(answer(8, false));
	dxs_trap_change();
	cr_expect(answer(8, true), "a fault that a change of another thread's may have made is tried again");
	cr_expect_not(answer(8, true));
}
