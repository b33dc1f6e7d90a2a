// SPDX-License-Identifier: BSD-3-Clause
// test_fsync.c: fsync, whose flush is the kernel's or ours.
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../asleep.h"
#include "base/config.h"
#include "base/foreign.h"
#include "base/kernel.h"
#include "call/calls.h"
#include "call/pin.h"
#include "core/engine.h"
#include "core/sync.h"
#include "file/file.h"
#include "flush/flush.h"
#include "report/stats.h"
#include "signal/signals.h"

#define PAGES 64
#define BYTES ((size_t)PAGES * 4096)

static struct dxs_file *file;
static struct dxs_map map;
static int fd;
static unsigned kernel = 612; // 100 times its major number, and its minor one

// The linker lets the library call these in the place of its own.
bool __wrap_dxs_kernel_is_before(unsigned major, unsigned minor);
bool __wrap_dxs_kernel_is_from(unsigned major, unsigned minor);
unsigned __real_dxs_flush_ranges(const struct dxs_range *range, unsigned nr, size_t *done, int *err);
unsigned __wrap_dxs_flush_ranges(const struct dxs_range *range, unsigned nr, size_t *done, int *err);

bool __wrap_dxs_kernel_is_before(unsigned major, unsigned minor)
{
	return kernel < 100 * major + minor;
}

bool __wrap_dxs_kernel_is_from(unsigned major, unsigned minor)
{
	return kernel >= 100 * major + minor;
}

static atomic_uint nr_flushes;
static void (*on_flush)(void);

unsigned __wrap_dxs_flush_ranges(const struct dxs_range *range, unsigned nr, size_t *done, int *err)
{
	unsigned whole = __real_dxs_flush_ranges(range, nr, done, err);

	atomic_fetch_add(&nr_flushes, nr);
	if (on_flush)
		on_flush();
	return whole;
}

static int fake_write_protect(struct dxs_map *at, uintptr_t addr, size_t len)
{
	(void)at;
	(void)addr;
	(void)len;
	return 0;
}

static int fake_discover(struct dxs_map *at, uint64_t first, uint64_t last)
{
	(void)at;
	(void)first;
	(void)last;
	return 0;
}

static int fake_make_all_writable(struct dxs_map *at)
{
	(void)at;
	return 0;
}

static bool fake_is_alive(void)
{
	return true;
}

static bool fake_is_short(void)
{
	return false;
}

static bool fake_is_small(const struct dxs_map *at)
{
	(void)at;
	return true;
}

static const struct dxs_engine fake = {
	.write_protect = fake_write_protect,
	.make_writable = fake_write_protect, // neither does anything
	.make_all_writable = fake_make_all_writable,
	.discover = fake_discover,
	.is_alive = fake_is_alive,
	.is_short = fake_is_short,
	.is_small = fake_is_small,
};

static void setup(void)
{
	const char *why = "";
	struct dxs_map *new = &map;
	struct stat st;

	cr_assert_eq(dxs_flush_init(&why), 0, "%s", why);
	cr_assert_eq(dxs_signals_install(0), 0);
	fd = memfd_create("test_fsync", MFD_CLOEXEC);
	cr_assert(fd >= 0 && !ftruncate(fd, (off_t)BYTES) && !fstat(fd, &st));
	file = dxs_file_new(st.st_dev, st.st_ino, 12);
	cr_assert_not_null(file);
	atomic_store(&file->size, BYTES);
	atomic_store(&file->mode, DXS_MODE_DIRECT);
	dxs_file_join(file, fd);
	cr_assert_eq(dxs_tree_reserve(&file->tree, 0, PAGES - 1), 0);
	map = (struct dxs_map){.file = file, .engine = &fake, .len = BYTES, .prot = PROT_READ | PROT_WRITE};
	map.addr = (uintptr_t)mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq((void *)map.addr, MAP_FAILED);
	cr_assert_eq(dxs_maps_replace(NULL, 0, &new, 1), 0);
	dxs_foreign_add(st.st_dev, st.st_ino);
}

static void teardown(void)
{
	dxs_file_leave(file);
}

TestSuite(fsync, .init = setup, .fini = teardown);

static void dirty(void)
{
	struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, 3, true);

	*(volatile char *)(map.addr + 3 * 4096) = 1;
	dxs_tree_mark(&file->tree, leaf, DXS_DIRTY, 1 << 3);
}

static bool is_dirty(void)
{
	return dxs_leaf_get(dxs_tree_leaf(&file->tree, 3, true), DXS_DIRTY) & 1 << 3;
}

Test(fsync, fsync_is_the_kernels_alone_where_its_own_marks_say_all)
{
	dirty();
	dxs_file_changed(file, DXS_CAUSE_WRITE);
	cr_expect_eq(dxs_fsync(fd, false), 0);
	cr_expect_eq(nr_flushes, 0);
	cr_expect(is_dirty(), "nothing is known clean to us");
	cr_expect_not(dxs_file_kernel_sync_pending(file));
	cr_expect_eq(dxs_counter_get(DXS_syncs), 1);
	cr_expect_eq(dxs_counter_get(DXS_kernel_syncs_fsync), 1);
}

Test(fsync, fsync_says_what_the_kernel_says)
{
	char path[64];
	int other;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_PATH | O_CLOEXEC);
	dirty();
	cr_expect_eq(dxs_fsync(other, false), -EBADF);
	cr_expect_eq(dxs_fsync(other, true), -EBADF);
}

// 6.15 and 5.18: see is_kernels() and dxs_kernel_tags_are_kept().
ParameterizedTestParameters(fsync, fsync_flushes_first_where_the_kernel_forgets)
{
	static unsigned kernels[] = {615, 618, 700, 518, 510};

	return cr_make_param_array(unsigned, kernels, sizeof(kernels) / sizeof(kernels[0]));
}

ParameterizedTest(unsigned *which, fsync, fsync_flushes_first_where_the_kernel_forgets)
{
	kernel = *which;
	dirty();
	cr_expect_eq(dxs_fsync(fd, false), 0);
	cr_expect_eq(nr_flushes, 1, "%u", kernel);
}

Test(fsync, fsync_flushes_first_after_a_kernel_write_into_a_mapping)
{
	struct dxs_pin pin = {0};

	dxs_engine_wants_pins();
	dirty();
	dxs_pin(&pin, (void *)(map.addr + 3 * 4096), 4096);
	dxs_unpin(&pin);
	cr_expect_eq(dxs_fsync(fd, false), 0);
	cr_expect_eq(nr_flushes, 1);
}

Test(fsync, fsync_flushes_first_after_a_cut)
{
	struct dxs_file *cut = dxs_resize_begin(fd);

	cr_assert_eq(cut, file);
	dxs_resize_end(cut, true, (off_t)BYTES);
	nr_flushes = 0;
	dirty();
	cr_expect_eq(dxs_fsync(fd, false), 0);
	cr_expect_eq(nr_flushes, 1);
}

Test(fsync, fsync_flushes_first_after_a_flush_has_failed)
{
	dirty();
	atomic_fetch_add(&file->nr_failed, 1);
	cr_expect_eq(dxs_fsync(fd, false), 0);
	cr_expect_eq(nr_flushes, 1);
}

Test(fsync, an_fsync_moves_the_clock_of_handing_over_and_not_that_of_the_policy)
{
	uint64_t fsyncs = file->handover.fsyncs, clock = file->clock;

	cr_expect_eq(dxs_fsync(fd, false), 0);
	cr_expect_gt(file->handover.fsyncs, fsyncs);
	cr_expect_eq(file->clock, clock);
}

Test(fsync, fsync_flushes_first_where_the_kernel_has_no_marks)
{
	atomic_store(&file->mode, DXS_MODE_EMULATED);
	dirty();
	cr_expect_eq(dxs_fsync(fd, false), 0);
	cr_expect_eq(nr_flushes, 1);
}

Test(fsync, fsync_flushes_first_in_mode_kernel)
{
	dirty();
	dxs_file_to_kernel(file, "a test");
	cr_expect_eq(dxs_fsync(fd, false), 0);
	cr_expect_eq(nr_flushes, 1);
}

static pthread_t thread;
static atomic_int tid;
static atomic_bool returned;

static void *fsync_body(void *arg)
{
	(void)arg;
	tid = gettid();
	cr_expect_eq(dxs_fsync(fd, true), 0);
	returned = true;
	return NULL;
}

// Of the sync in the middle: what it has flushed looks clean to the kernel, and is not fenced.
static void fsync_beside(void)
{
	cr_assert_eq(pthread_create(&thread, NULL, fsync_body, NULL), 0);
	while (!tid)
		sched_yield();
	until_asleep(tid, SYS_futex, (unsigned long)&file->sync_lock.word);
	cr_expect_not(returned);
	cr_expect_eq(dxs_counter_get(DXS_kernel_syncs_fsync), 1, "it has not called the kernel before it waits");
}

Test(fsync, fsync_waits_for_the_fence_of_a_sync_under_way)
{
	on_flush = fsync_beside;
	dirty();
	cr_expect_eq(dxs_sync_range(file, 0, BYTES), 0);
	pthread_join(thread, NULL);
	cr_expect_eq(dxs_counter_get(DXS_fences), 1);
	cr_expect(returned);
}

// While it waits, a cut has made the kernel forget what was stored before it was called.
static void cut_beside(void)
{
	on_flush = NULL;
	fsync_beside();
	atomic_store(&file->kernel_may_miss, true);
	dirty();
}

Test(fsync, fsync_flushes_after_all_where_the_kernel_may_have_missed_something_meanwhile)
{
	on_flush = cut_beside;
	dirty();
	cr_expect_eq(dxs_sync_range(file, 0, BYTES), 0);
	pthread_join(thread, NULL);
	cr_expect_eq(nr_flushes, 2, "the sync's and the fsync's");
	cr_expect_eq(dxs_counter_get(DXS_kernel_syncs_fsync), 2);
}

// Two syncs find that the file is to be handed over, and wait for a third one.
static pthread_t syncing[2];
static atomic_int sync_tid[2];

static void *sync_body(void *arg)
{
	*(atomic_int *)arg = gettid();
	cr_expect_eq(dxs_sync_range(file, 0, BYTES), 0);
	return NULL;
}

static void due_beside(void)
{
	on_flush = NULL;
	atomic_store(&file->handover.next, 0);
	for (unsigned i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&syncing[i], NULL, sync_body, &sync_tid[i]), 0);
	for (unsigned i = 0; i < 2; i++) {
		while (!sync_tid[i])
			sched_yield();
		until_asleep(sync_tid[i], SYS_futex, (unsigned long)&file->sync_lock.word);
	}
}

Test(fsync, syncs_that_find_a_decision_due_together_decide_once)
{
	dxs_config.policy = DXS_POLICY_ADAPTIVE;
	file->handover.nr_windows = 2;
	atomic_store(&file->handover.nr_traps, 1000);
	atomic_store(&file->handover.traps, 32000);
	atomic_store(&file->handover.next, UINT64_MAX);
	on_flush = due_beside;
	dirty();
	cr_expect_eq(dxs_sync_range(file, 0, BYTES), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(syncing[i], NULL);
	cr_expect(file->handover.is_over);
	cr_expect_eq(dxs_counter_get(DXS_taken_back), 0);
}
