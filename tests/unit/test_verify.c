// SPDX-License-Identifier: BSD-3-Clause
// test_verify.c: what the verifier reports, and what it has to excuse, with an engine that says what is writable. The rules are
// in verify.h.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "core/engine.h"
#include "emulate/history.h"
#include "emulate/image.h"
#include "emulate/run.h"
#include "emulate/verify.h"
#include "file/file.h"
#include "flush/flush.h"
#include "proc/pagemap.h"
#include "report/stats.h"
#include "signal/signals.h"

#define PAGES DXS_LEAF_PAGES
#define BYTES (PAGES * DXS_PAGE_SIZE)

static struct dxs_file *file;
static struct dxs_map map;
static struct dxs_leaf *leaf;
static char path[] = "/tmp/daxsync-test-verify.XXXXXX";
static char *addr;
static int fd;
static uint64_t writable; // by the page tables
static bool is_open;      // all of it, and nothing known

static int fake_writable(struct dxs_map *at, uintptr_t start, unsigned nr, uint64_t *mask)
{
	(void)at;
	(void)start;
	(void)nr;
	*mask = writable;
	return 0;
}

static uintptr_t fake_known(const struct dxs_map *at, uintptr_t *start, uintptr_t end)
{
	(void)at;
	*start = is_open ? end : *start;
	return end;
}

static uintptr_t knows_nothing(const struct dxs_map *at, uintptr_t *start, uintptr_t end)
{
	(void)at;
	*start = end;
	return end;
}

static const struct dxs_engine open_fake = {.name = "open", .writable = fake_writable, .known = knows_nothing};
static const struct dxs_engine fake = {.name = "fake", .writable = fake_writable, .known = fake_known};

static void setup(void)
{
	struct dxs_map *made = &map;
	const char *why = "";
	struct stat st;

	cr_assert_eq(dxs_flush_init(&why), 0, "%s", why);
	cr_assert_eq(dxs_signals_install(0), 0);
	cr_assert_eq(dxs_pagemap_open(), 0);
	fd = mkstemp(path);
	cr_assert(fd >= 0 && !ftruncate(fd, BYTES) && !fstat(fd, &st));
	addr = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(addr, MAP_FAILED);
	cr_assert_eq(dxs_run_join(&why), 0, "%s", why);
	file = dxs_file_new(st.st_dev, st.st_ino, DXS_PAGE_SHIFT);
	cr_assert_not_null(file);
	atomic_store(&file->size, BYTES);
	atomic_store(&file->mode, DXS_MODE_EMULATED);
	dxs_config.verify = true;
	cr_assert_eq(dxs_image_open(file, fd, &why), 0, "%s", why);
	map = (struct dxs_map){
		.addr = (uintptr_t)addr, .len = BYTES, .prot = PROT_READ | PROT_WRITE, .file = file, .engine = &fake};
	cr_assert_eq(dxs_tree_reserve(&file->tree, 0, PAGES - 1), 0);
	cr_assert_eq(dxs_maps_replace(NULL, 0, &made, 1), 0);
	leaf = dxs_tree_leaf(&file->tree, 0, true);
	addr[3 * DXS_PAGE_SIZE] = 1; // page 3 is stored to, and nothing else is looked at
}

static void teardown(void)
{
	close(fd);
	unlink(path);
}

TestSuite(verify, .init = setup, .fini = teardown);

#define PAGE_3 (1ULL << 3)

static void flush(void)
{
	dxs_image_snapshot(dxs_image_of(file), (uintptr_t)addr + 3 * DXS_PAGE_SIZE, 3 * DXS_PAGE_SIZE, DXS_PAGE_SIZE);
	dxs_history_add(file, DXS_EVENT_FLUSH, 0, PAGE_3);
}

static void be_durable(void)
{
	cr_assert_not_null(dxs_image_stage());
	flush();
	dxs_image_publish();
	dxs_image_unstage();
}

static void mark(enum dxs_mark which)
{
	dxs_tree_mark(&file->tree, leaf, which, PAGE_3);
}

static uint64_t missed(void)
{
	uint64_t before = dxs_counter_get(DXS_missed_pages);

	dxs_verify_range(file, NULL, 0, PAGES - 1);
	return dxs_counter_get(DXS_missed_pages) - before;
}

Test(verify, a_closed_page_is_durable)
{
	cr_expect_eq(missed(), 1);
	cr_expect_eq(dxs_run()->missed_pages, 1, "the launcher is told");
	be_durable();
	cr_expect_eq(missed(), 0);
	addr[3 * DXS_PAGE_SIZE + 4095] = 1;
	cr_expect_eq(missed(), 1, "to its last byte");
}

Test(verify, a_writable_page_is_marked)
{
	be_durable();
	writable = PAGE_3;
	cr_expect_eq(missed(), 1);
	mark(DXS_DIRTY);
	cr_expect_eq(missed(), 0);
}

Test(verify, what_a_sync_has_still_to_flush_need_not_be_durable)
{
	mark(DXS_DIRTY);
	cr_expect_eq(missed(), 0);
	dxs_tree_unmark(&file->tree, leaf, DXS_DIRTY, PAGE_3);
	mark(DXS_FLUSHING);
	cr_expect_eq(missed(), 0);
	dxs_tree_unmark(&file->tree, leaf, DXS_FLUSHING, PAGE_3);
	cr_expect_eq(missed(), 1);
}

Test(verify, of_what_is_open_nothing_is_said)
{
	is_open = true;
	writable = ~0ULL;
	cr_expect_eq(missed(), 0);
	is_open = false;
	cr_expect_eq(missed(), 1);
}

// Of the same file. A store through it has marked nothing.
Test(verify, nor_of_what_is_open_in_another_mapping)
{
	static struct dxs_map alias;
	struct dxs_map *made = &alias;

	alias = map;
	alias.engine = &open_fake;
	alias.addr = (uintptr_t)mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq((void *)alias.addr, MAP_FAILED);
	cr_assert_eq(dxs_maps_replace(NULL, 0, &made, 1), 0);
	cr_expect_eq(missed(), 0);
}

Test(verify, what_the_kernel_has_written_is_not_the_trackers)
{
	mark(DXS_KWRITE);
	cr_expect_eq(missed(), 0);
	dxs_tree_unmark(&file->tree, leaf, DXS_KWRITE, PAGE_3);
	atomic_fetch_add(&file->kwriters, 1);
	cr_expect_eq(missed(), 0);
	atomic_fetch_sub(&file->kwriters, 1);
	atomic_store(&file->cut, 3 * DXS_PAGE_SIZE);
	cr_expect_eq(missed(), 0, "zeros, which the durable file need not have");
	atomic_store(&file->cut, 4 * DXS_PAGE_SIZE);
	cr_expect_eq(missed(), 1);
	atomic_store(&file->mode, DXS_MODE_KERNEL);
	cr_expect_eq(missed(), 0);
}

Test(verify, what_another_process_stores_is_not_the_trackers)
{
	atomic_store(&file->writers.exclusive_at, DXS_NEVER);
	cr_expect_eq(missed(), 0);
}

// V3
Test(verify, what_a_sync_takes_up_it_flushes)
{
	struct dxs_due *due = dxs_image_stage();

	cr_assert_not_null(due);
	dxs_verify_begin(due);
	dxs_verify_taken(file, due, leaf, PAGE_3);
	cr_expect_eq(dxs_counter_get(DXS_missed_pages), 1);
	dxs_verify_taken(file, due, leaf, PAGE_3);
	cr_expect_eq(dxs_counter_get(DXS_missed_pages), 1, "once for each sync");
	dxs_verify_begin(due);
	flush();
	dxs_verify_taken(file, due, leaf, PAGE_3);
	cr_expect_eq(dxs_counter_get(DXS_missed_pages), 1);
}

// V4
Test(verify, what_was_dirty_when_a_sync_began_is_flushed_by_some)
{
	struct dxs_due *due = dxs_image_stage();

	cr_assert_not_null(due);
	mark(DXS_DIRTY);
	dxs_verify_begin(due);
	dxs_verify_due(file, due, 0, PAGES - 1);
	dxs_verify_end(file, due);
	cr_expect_eq(dxs_counter_get(DXS_missed_pages), 1);
	dxs_verify_begin(due);
	dxs_verify_due(file, due, 4, PAGES - 1);
	dxs_verify_end(file, due);
	cr_expect_eq(dxs_counter_get(DXS_missed_pages), 1, "of its range");
	flush(); // before it begins
	dxs_verify_begin(due);
	dxs_verify_due(file, due, 0, PAGES - 1);
	dxs_verify_end(file, due);
	cr_expect_eq(dxs_counter_get(DXS_missed_pages), 2);
	dxs_verify_begin(due);
	dxs_verify_due(file, due, 0, PAGES - 1);
	flush();
	dxs_verify_end(file, due);
	cr_expect_eq(dxs_counter_get(DXS_missed_pages), 2);
}

// V5
Test(verify, what_the_kernel_wrote_before_an_msync_is_synced_by_it)
{
	uint64_t kwrites = dxs_verify_kwrites(file);

	mark(DXS_KWRITE);
	dxs_verify_kernel(file, kwrites + 1, 0, PAGES - 1);
	cr_expect_eq(dxs_counter_get(DXS_missed_pages), 0, "it may have come meanwhile");
	dxs_verify_kernel(file, kwrites, 4, PAGES - 1);
	cr_expect_eq(dxs_counter_get(DXS_missed_pages), 0, "not of its range");
	dxs_verify_kernel(file, kwrites, 0, PAGES - 1);
	cr_expect_eq(dxs_counter_get(DXS_missed_pages), 1);
	atomic_fetch_add(&file->kwriters, 1);
	dxs_verify_kernel(file, dxs_verify_kwrites(file), 0, PAGES - 1);
	cr_expect_eq(dxs_counter_get(DXS_missed_pages), 1, "a write was under way");
}
