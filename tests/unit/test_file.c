// SPDX-License-Identifier: BSD-3-Clause
// test_file.c: the life of a tracked inode: its modes, what is pending for the kernel, its end, and whether it is cached.
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/sys.h"
#include "file/file.h"
#include "file/filecache.h"
#include "report/stats.h"

static char dir[] = "/tmp/daxsync-test-file.XXXXXX";
static char path[64], registry[128];
static int fd;
static struct stat st;
static struct dxs_file *file;

static struct dxs_file *file_make(void)
{
	struct dxs_file *made = dxs_file_new(st.st_dev, st.st_ino, DXS_PAGE_SHIFT);

	cr_assert_not_null(made);
	snprintf(made->path, sizeof(made->path), "%s", path);
	atomic_store(&made->mode, DXS_MODE_DIRECT);
	atomic_store(&made->size, (uint64_t)st.st_size);
	cr_assert_eq(dxs_tree_reserve(&made->tree, 0, 1000), 0);
	dxs_file_join(made, fd);
	return made;
}

static void begin(void)
{
	cr_assert(mkdtemp(dir));
	snprintf(dxs_config.registry, sizeof(dxs_config.registry), "%s", dir);
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && !ftruncate(fd, 10 * DXS_PAGE_SIZE) && !fstat(fd, &st));
	snprintf(registry, sizeof(registry), "%s/daxsync-writers.%lx-%lx", dir, (long)st.st_dev, (long)st.st_ino);
	dxs_sees_all = true;
	file = file_make();
}

static void end(void)
{
	dxs_filecache_drop();
	close(fd);
	unlink(path);
	unlink(registry); // stays where stores may have been left
	cr_expect(!rmdir(dir), "something is left in %s", dir);
}

TestSuite(file, .init = begin, .fini = end);

Test(file, mode_kernel_is_for_good_and_the_first_reason_stays)
{
	cr_expect_eq(dxs_file_mode(file), DXS_MODE_DIRECT);
	dxs_file_to_kernel(file, "one");
	dxs_file_to_kernel(file, "another");
	cr_expect_eq(dxs_file_mode(file), DXS_MODE_KERNEL);
	cr_expect_str_eq(dxs_file_reason(file), "one");
	cr_expect_eq(dxs_counter_get(DXS_to_kernel), 1);
	cr_expect(dxs_file_kernel_sync_pending(file));
	dxs_file_put(file);
}

Test(file, another_writer_makes_it_mode_kernel_while_he_is_there)
{
	struct dxs_file *other = file_make(); // a lock belongs to a descriptor: as of another process

	cr_expect_eq(dxs_file_own_mode(file), DXS_MODE_DIRECT);
	cr_expect_eq(dxs_file_mode(file), DXS_MODE_KERNEL);
	dxs_file_tell(file);
	cr_expect_neq(dxs_file_reason(file), NULL);
	dxs_file_put(other);
	dxs_writers_sync_end(&file->writers, dxs_writers_sync_begin(&file->writers));
	dxs_file_tell(file);
	cr_expect_eq(dxs_file_mode(file), DXS_MODE_DIRECT);
	cr_expect_eq(dxs_counter_get(DXS_from_kernel), 1);
	dxs_file_put(file);
}

Test(file, a_change_is_pending_until_a_kernel_sync_has_covered_it)
{
	cr_expect_not(dxs_file_kernel_sync_pending(file));
	dxs_file_changed(file, DXS_CAUSE_WRITE);
	cr_expect(dxs_file_kernel_sync_pending(file));
	cr_expect_eq(atomic_load(&file->causes), 1U << DXS_CAUSE_WRITE);
	atomic_store(&file->kernel_synced, atomic_load(&file->kernel_changes));
	cr_expect_not(dxs_file_kernel_sync_pending(file));
	atomic_fetch_add(&file->kernel_syncing, 1);
	cr_expect(dxs_file_kernel_sync_pending(file), "another sync of the kernel's is under way");
	atomic_fetch_sub(&file->kernel_syncing, 1);
	dxs_file_put(file);
}

Test(file, where_its_end_is_is_asked_by_its_name)
{
	cr_expect_eq(dxs_file_is_beyond(file, 10 * DXS_PAGE_SIZE - 1), 0);
	cr_expect_eq(dxs_file_is_beyond(file, 10 * DXS_PAGE_SIZE), 1);
	cr_assert(!ftruncate(fd, DXS_PAGE_SIZE));
	cr_expect_eq(dxs_file_is_beyond(file, DXS_PAGE_SIZE), 1, "not what was seen last");
	dxs_file_put(file);
}

// Then the only writer knows it, and nobody else does.
Test(file, where_its_end_is_is_not_known_by_a_name_that_is_another_files)
{
	struct dxs_file *other;
	char moved[80];

	snprintf(moved, sizeof(moved), "%s.moved", path);
	cr_assert(!rename(path, moved));
	close(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)); // empty
	cr_expect_eq(dxs_file_is_beyond(file, 10 * DXS_PAGE_SIZE - 1), 0);
	cr_expect_eq(dxs_file_is_beyond(file, 10 * DXS_PAGE_SIZE), 1);
	other = file_make();
	cr_expect_eq(dxs_file_is_beyond(file, 10 * DXS_PAGE_SIZE), -EFAULT);
	unlink(moved);
	dxs_file_put(other);
	dxs_file_put(file);
}

static struct dxs_file_state state(void)
{
	return (struct dxs_file_state){.dev = st.st_dev,
				       .ino = st.st_ino,
				       .born = file->writers.born,
				       .born_ns = file->writers.born_ns,
				       .size = 5,
				       .page_shift = DXS_PAGE_SHIFT,
				       .mode = DXS_MODE_DIRECT};
}

static bool is_cached_after(void (*change)(void))
{
	struct dxs_file_state now = state();
	struct dxs_file *again;

	if (!now.born)
		cr_skip_test("this file system keeps no birth times");
	if (change)
		change();
	dxs_file_put(file);
	again = dxs_filecache_take(&now);
	if (!again)
		return false;
	cr_expect_eq(again, file);
	cr_expect_eq(atomic_load(&again->size), 5, "what it is now");
	dxs_file_to_kernel(again, "the test is over"); // and so is not cached again
	dxs_file_put(again);
	return true;
}

Test(file, one_that_is_durable_is_cached)
{
	cr_expect(is_cached_after(NULL));
}

static void mark(void)
{
	struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, 3, true);

	dxs_tree_mark(&file->tree, leaf, DXS_DIRTY, 1);
}

Test(file, one_with_a_mark_is_not_cached)
{
	cr_expect_not(is_cached_after(mark));
}

static void flush_failed(void)
{
	atomic_fetch_add(&file->nr_failed, 1);
}

Test(file, one_whose_flush_has_failed_is_not_cached)
{
	cr_expect_not(is_cached_after(flush_failed));
}

static void be_written(void)
{
	atomic_fetch_add(&file->kwriters, 1);
}

Test(file, one_that_the_kernel_is_writing_is_not_cached)
{
	cr_expect_not(is_cached_after(be_written));
}

static void leave(void)
{
	dxs_file_to_kernel(file, "test");
}

Test(file, one_in_mode_kernel_is_not_cached)
{
	cr_expect_not(is_cached_after(leave));
}

static void miss_mappings(void)
{
	dxs_sees_all = false;
}

Test(file, none_is_cached_where_the_end_of_the_process_is_not_seen)
{
	cr_expect_not(is_cached_after(miss_mappings));
}

// The number of an inode is used again.
Test(file, another_inode_with_its_number_is_not_it)
{
	struct dxs_file_state now = state();

	dxs_file_put(file);
	now.born_ns++;
	cr_expect_null(dxs_filecache_take(&now));
}

Test(file, a_child_has_no_cached_files)
{
	struct dxs_file_state now = state();

	dxs_file_put(file);
	dxs_filecache_in_child();
	cr_expect_null(dxs_filecache_take(&now));
}

Test(file, the_last_reference_takes_its_tree_out_of_the_statistics)
{
	mark();
	dxs_file_account(file);
	cr_expect_gt(dxs_counter_get(DXS_tree_bytes), 0);
	dxs_file_get(file);
	dxs_file_put(file);
	cr_expect_gt(dxs_counter_get(DXS_tree_bytes), 0);
	dxs_file_put(file);
	cr_expect_eq(dxs_counter_get(DXS_tree_bytes), 0);
}
