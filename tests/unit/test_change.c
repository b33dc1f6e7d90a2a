// SPDX-License-Identifier: BSD-3-Clause
// test_change.c: what every change of mappings has in common, with an engine that notes what it is asked for: traps wait, what
// was stored is flushed, and what is left is as before.
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "core/engine.h"
#include "core/mark.h"
#include "core/trap.h"
#include "file/file.h"
#include "flush/flush.h"
#include "report/stats.h"
#include "signal/signals.h"
#include "space/change.h"

#define PAGES (2 * DXS_LEAF_PAGES)
#define BYTES (PAGES * DXS_PAGE_SIZE)

static struct dxs_file *file;
static uintptr_t addr;
static unsigned nr_detached, nr_gone, nr_inherited, nr_unprotected, nr_opened;
static unsigned inherits = 8; // how often it can
static long refused_nr = -1;  // a system call that fails

static long refused(long nr)
{
	return nr == refused_nr ? -ENOMEM : 0;
}

static int fake_range(struct dxs_map *map, uintptr_t start, size_t len)
{
	(void)map;
	(void)start;
	(void)len;
	return 0;
}

static int fake_make_writable(struct dxs_map *map, uintptr_t start, size_t len)
{
	nr_opened++;
	return fake_range(map, start, len);
}

static int fake_discover(struct dxs_map *map, uint64_t first, uint64_t last)
{
	(void)map;
	(void)first;
	(void)last;
	return 0;
}

static void fake_detach(struct dxs_map *map, bool gone)
{
	(void)map;
	nr_detached++;
	nr_gone += gone;
}

static int fake_inherit(struct dxs_map *made, const struct dxs_map *map)
{
	cr_expect(made->addr >= map->addr && dxs_map_end(made) <= dxs_map_end(map));
	if (nr_inherited == inherits)
		return -ENOMEM;
	nr_inherited++;
	return 0;
}

static void fake_unprotected(struct dxs_map *map)
{
	(void)map;
	nr_unprotected++;
}

static bool fake_extent(struct dxs_map *map, uintptr_t at, uintptr_t *start, uintptr_t *end)
{
	(void)map;
	*start = at;
	*end = at + DXS_PAGE_SIZE;
	return true;
}

static bool yes(void)
{
	return true;
}

static bool no(void)
{
	return false;
}

static const struct dxs_engine fake = {
	.name = "fake",
	.write_protect = fake_range,
	.make_writable = fake_make_writable,
	.discover = fake_discover,
	.detach = fake_detach,
	.inherit = fake_inherit,
	.unprotected = fake_unprotected,
	.extent = fake_extent,
	.is_alive = yes,
	.is_short = no,
};

static void setup(void)
{
	struct dxs_map *map = dxs_zalloc(sizeof(*map));
	int fd = memfd_create("change", MFD_CLOEXEC);
	const char *why = "";

	cr_assert_eq(dxs_flush_init(&why), 0, "%s", why);
	cr_assert_eq(dxs_signals_install(DXS_TRAP_SEGV), 0);
	cr_assert(fd >= 0 && !ftruncate(fd, (off_t)BYTES));
	addr = (uintptr_t)mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq((void *)addr, MAP_FAILED);
	close(fd);
	file = dxs_file_new(1, 1, DXS_PAGE_SHIFT);
	cr_assert(file && map);
	atomic_store(&file->mode, DXS_MODE_DIRECT);
	atomic_store(&file->size, BYTES);
	*map = (struct dxs_map){
		.addr = addr, .len = BYTES, .prot = PROT_READ | PROT_WRITE, .file = file, .engine = &fake};
	dxs_file_get(file); // the test's own
	cr_assert_eq(dxs_tree_reserve(&file->tree, 0, PAGES - 1), 0);
	cr_assert_eq(dxs_maps_replace(NULL, 0, &map, 1), 0);
	dxs_sys_injected = refused;
}

TestSuite(change, .init = setup);

static uintptr_t page(uint64_t pgoff)
{
	return addr + pgoff * DXS_PAGE_SIZE;
}

static bool can_store(uintptr_t at)
{
	int pair[2];
	bool can;

	cr_assert_eq(pipe(pair), 0);
	cr_assert_eq(write(pair[1], "x", 1), 1);
	can = read(pair[0], (void *)at, 1) == 1; // the kernel says EFAULT
	close(pair[0]);
	close(pair[1]);
	return can;
}

static unsigned nr_maps(void)
{
	unsigned nr = 0;
	struct dxs_map *map;

	dxs_for_each_map (map, addr, addr + BYTES)
		nr++;
	return nr;
}

Test(change, no_store_completes_and_traps_wait_until_it_has_ended)
{
	struct dxs_change change;

	dxs_mark_range(dxs_maps_find(addr), page(3), page(5));
	cr_expect_eq(dxs_change_begin(&change, addr, BYTES), 0);
	cr_expect_not(can_store(page(3)));
	cr_expect_eq(dxs_trap_signal(page(3)), DXS_TRAP_FROZEN);
	cr_expect_eq(dxs_counter_get(DXS_pages_flushed), 2, "what was stored is flushed");
	cr_expect_null(dxs_tree_next(&file->tree, 0, PAGES - 1, 1U << DXS_DIRTY));
	dxs_change_commit(&change, false);
	cr_expect(can_store(page(3)));
	cr_expect_eq(dxs_trap_signal(page(3)), DXS_TRAP_OPENED);
	dxs_change_end(&change);
	cr_expect_eq(nr_unprotected, 1, "its engine knows that all is open");
	cr_expect_eq(nr_maps(), 1);
	cr_expect_eq(nr_detached, 0);
}

Test(change, what_is_gone_is_forgotten)
{
	struct dxs_change change;

	dxs_change_begin(&change, addr, BYTES);
	dxs_change_commit(&change, true);
	dxs_change_end(&change);
	cr_expect_eq(nr_maps(), 0);
	cr_expect_eq(nr_detached, 1);
	cr_expect_eq(nr_gone, 1);
	cr_expect_not(dxs_is_known(addr, BYTES));
}

// The kernel's call has failed, and has taken the mapping away all the same.
Test(change, what_a_failed_call_has_taken_away_is_forgotten)
{
	struct dxs_change change;

	dxs_change_begin(&change, addr, BYTES);
	munmap((void *)addr, BYTES);
	dxs_change_commit(&change, false);
	dxs_change_end(&change);
	cr_expect_eq(nr_maps(), 0);
}

Test(change, a_part_is_split_off_and_the_others_go_on)
{
	struct dxs_change change;

	dxs_change_begin(&change, page(10), 5 * DXS_PAGE_SIZE);
	cr_expect_eq(nr_maps(), 3);
	cr_expect_eq(nr_inherited, 4, "two parts, and one of them again");
	cr_expect(can_store(page(9)));
	cr_expect_not(can_store(page(10)));
	cr_expect_not(can_store(page(14)));
	cr_expect(can_store(page(15)));
	cr_expect_eq(dxs_trap_signal(page(9)), DXS_TRAP_OPENED, "traps do not wait there");
	dxs_change_commit(&change, true);
	dxs_change_end(&change);
	cr_expect_eq(nr_maps(), 2);
	cr_expect(dxs_is_known(page(9), 1));
	cr_expect_not(dxs_is_known(page(10), 5 * DXS_PAGE_SIZE));
	cr_expect_eq(dxs_map_pgoff(dxs_maps_find(page(20)), page(20)), 20);
}

// Nobody must take for a part of a mapping what comes to lie in its gaps.
Test(change, a_mapping_that_cannot_be_split_is_let_go)
{
	struct dxs_change change;

	inherits = 1;
	dxs_mark_range(dxs_maps_find(addr), page(3), page(4));
	dxs_change_begin(&change, page(10), 5 * DXS_PAGE_SIZE);
	dxs_change_commit(&change, true);
	dxs_change_end(&change);
	cr_expect_eq(nr_maps(), 0);
	cr_expect_eq(dxs_file_mode(file), DXS_MODE_KERNEL);
	cr_expect_eq(dxs_counter_get(DXS_pages_flushed), 1, "what was stored before");
	cr_expect_eq(nr_gone, 1, "the part that was made; the mapping itself is still there");
	cr_expect_eq(nr_detached, 2);
}

Test(change, stores_that_cannot_be_held_up_are_the_kernels)
{
	struct dxs_change change;

	refused_nr = SYS_mprotect;
	dxs_change_begin(&change, addr, BYTES);
	refused_nr = -1;
	cr_expect_eq(dxs_file_mode(file), DXS_MODE_KERNEL);
	dxs_change_commit(&change, false);
	dxs_change_end(&change);
	cr_expect_eq(nr_maps(), 1);
}

Test(change, a_protection_that_cannot_come_back_is_told)
{
	struct dxs_change change;

	dxs_change_begin(&change, addr, BYTES);
	refused_nr = SYS_mprotect;
	dxs_change_commit(&change, false);
	refused_nr = -1;
	dxs_change_end(&change);
	cr_expect_eq(nr_unprotected, 1, "nothing is known clean");
	cr_expect_eq(nr_maps(), 1, "a trap tries it again");
}

Test(change, the_thread_is_as_it_was)
{
	struct dxs_change change;
	sigset_t before, inside, after;

	pthread_sigmask(SIG_BLOCK, NULL, &before);
	errno = EXDEV;
	dxs_change_begin(&change, addr, BYTES);
	pthread_sigmask(SIG_BLOCK, NULL, &inside);
	errno = EBADF;
	dxs_change_commit(&change, false);
	dxs_change_end(&change);
	cr_expect_eq(errno, EXDEV);
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	cr_expect(sigismember(&inside, SIGUSR1) && !sigismember(&before, SIGUSR1) && !sigismember(&after, SIGUSR1));
	cr_expect_eq(atomic_load(&file->maps_lock.word), 0, "nor is the file locked");
}

Test(change, a_read_only_mapping_stays_so)
{
	struct dxs_change change;

	dxs_maps_find(addr)->prot = PROT_READ;
	mprotect((void *)addr, BYTES, PROT_READ);
	dxs_change_begin(&change, addr, BYTES);
	dxs_change_commit(&change, false);
	dxs_change_end(&change);
	cr_expect_not(can_store(addr));
	cr_expect_eq(nr_unprotected, 0);
}
