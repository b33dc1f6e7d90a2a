// SPDX-License-Identifier: BSD-3-Clause
// test_engine.c: both engines on real mappings: what discover() (E.4) leaves known when all is opened meanwhile, when pages
// are pinned, when another sync is at the same page; and what counts as a close for M8. Moments between two steps are met
// in the system calls that the steps make.
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"
#include "core/engine.h"
#include "core/sync.h"
#include "core/trap.h"
#include "engine/mprotect.h"
#include "engine/scan.h"
#include "engine/uffd.h"
#include "file/file.h"
#include "flush/flush.h"
#include "report/stats.h"
#include "signal/signals.h"

#define PAGES (4 * DXS_LEAF_PAGES)
#define BYTES (PAGES * DXS_PAGE_SIZE)

static struct dxs_file *file;
static struct dxs_map map;
static long call_nr; // the system call in which `on_call` is called, once
static void (*on_call)(void);
static bool called;
static long error; // of that call

static long refused(long nr)
{
	void (*fn)(void) = on_call;

	if (nr != call_nr || !fn)
		return 0;
	on_call = NULL;
	called = true;
	fn();
	return error;
}

static void in_call(long nr, void (*fn)(void))
{
	call_nr = nr;
	on_call = fn;
	called = false;
}

static void setup(const struct dxs_engine *engine)
{
	struct dxs_map *made = &map;
	int fd = memfd_create("engine", MFD_CLOEXEC);
	const char *why = "";
	void *addr;

	if (engine == &dxs_engine_uffd && dxs_uffd_open(&why))
		cr_skip_test("no userfaultfd: %s", why);
	cr_assert_eq(dxs_flush_init(&why), 0, "%s", why);
	cr_assert_eq(dxs_signals_install(DXS_TRAP_SEGV), 0);
	cr_assert(fd >= 0 && !ftruncate(fd, (off_t)BYTES));
	addr = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(addr, MAP_FAILED);
	close(fd);
	file = dxs_file_new(1, 1, DXS_PAGE_SHIFT);
	cr_assert_not_null(file);
	atomic_store(&file->mode, DXS_MODE_EMULATED);
	atomic_store(&file->size, BYTES);
	file->in_memory = true;
	map = (struct dxs_map){
		.addr = (uintptr_t)addr, .len = BYTES, .prot = PROT_READ | PROT_WRITE, .file = file, .engine = engine};
	cr_assert_eq(dxs_tree_reserve(&file->tree, 0, PAGES - 1), 0);
	cr_assert_eq(dxs_maps_replace(NULL, 0, &made, 1), 0);
	cr_assert_eq(engine->attach(&map), 0);
	dxs_sys_injected = refused;
}

static void setup_mprotect(void)
{
	setup(&dxs_engine_mprotect);
}

static void setup_uffd(void)
{
	setup(&dxs_engine_uffd);
}

TestSuite(engine_mprotect, .init = setup_mprotect);
TestSuite(engine_uffd, .init = setup_uffd);

#define BOTH(name)                                                                                                     \
	static void name(void);                                                                                        \
	Test(engine_mprotect, name)                                                                                    \
	{                                                                                                              \
		name();                                                                                                \
	}                                                                                                              \
	Test(engine_uffd, name)                                                                                        \
	{                                                                                                              \
		name();                                                                                                \
	}                                                                                                              \
	static void name(void)

static void store(uint64_t pgoff)
{
	*(volatile char *)dxs_map_addr(&map, pgoff) = 1;
}

static bool is_dirty(uint64_t pgoff)
{
	struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, pgoff, false);

	return leaf && dxs_leaf_get(leaf, DXS_DIRTY) & dxs_leaf_mask(leaf, pgoff, pgoff);
}

static bool is_known(void)
{
	uintptr_t start = map.addr;

	return map.engine->known(&map, &start, dxs_map_end(&map)) > start;
}

static uint64_t writable(uint64_t leaf)
{
	uint64_t mask = 0;

	cr_expect_eq(map.engine->writable(&map, dxs_map_addr(&map, leaf * DXS_LEAF_PAGES), DXS_LEAF_PAGES, &mask), 0);
	return mask;
}

static void discover(void)
{
	cr_expect_eq(map.engine->discover(&map, 0, PAGES - 1), 0);
}

static void open_all(void)
{
	cr_expect_eq(map.engine->make_all_writable(&map), 0);
	store(7);
}

// A trap that found no VMA opened all of the mapping while a sync was looking at the page tables; the sync then called it
// closed. From then on stores marked nothing: 29,959 of 30,000 pages were never flushed, and every msync returned 0.
BOTH(what_is_opened_while_a_sync_scans_is_not_known)
{
	store(3);
	in_call(SYS_mincore, open_all);
	discover();
	cr_assert(called, "the scan is where it was expected");
	cr_expect_not(is_known());
	discover();
	cr_expect(is_known());
	cr_expect(is_dirty(7));
	cr_expect_eq(writable(0), 0);
}

static void expect_unknown(void)
{
	cr_expect_not(is_known());
}

// Another sync that begins now must look too, not trust marks that are not there yet.
BOTH(nothing_is_known_before_it_is_marked)
{
	store(3);
	in_call(SYS_mincore, expect_unknown);
	discover();
	cr_expect(called);
	cr_expect(is_known());
}

// A sync between the two would find nothing to look at, and stores that nobody has marked.
BOTH(what_is_opened_is_forgotten_before)
{
	discover();
	cr_assert(is_known());
	in_call(map.engine == &dxs_engine_uffd ? SYS_ioctl : SYS_mprotect, expect_unknown);
	cr_expect_eq(map.engine->make_all_writable(&map), 0);
	cr_expect(called);
}

static atomic_bool ended;

static void *discover_body(void *arg)
{
	(void)arg;
	discover();
	ended = true;
	return NULL;
}

// So it never marks a page between another sync's closing it and unmarking it.
BOTH(a_scan_marks_under_the_page_lock)
{
	struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, 3, true);
	pthread_t thread;

	store(3);
	dxs_leaf_lock(leaf, 1ULL << 3);
	cr_assert_eq(pthread_create(&thread, NULL, discover_body, NULL), 0);
	while (!ended && !atomic_load(&leaf->waiters))
		usleep(100);
	cr_expect_not(is_dirty(3));
	dxs_leaf_unlock(leaf, 1ULL << 3);
	pthread_join(thread, NULL);
	cr_expect(is_dirty(3));
}

static void pin(uint64_t pgoff)
{
	struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, pgoff, true);

	file->nr_pins++;
	atomic_fetch_add(&leaf->pins, 1);
	dxs_tree_mark(&file->tree, leaf, DXS_DIRTY, dxs_leaf_mask(leaf, pgoff, pgoff));
}

// A page that is pinned for good, and then a new mapping of the file: nothing of it was ever closed, and each sync looked
// at all of it (11 ms for 64 MiB).
BOTH(all_but_a_pinned_leaf_is_closed)
{
	uint64_t flushed;

	store(3);
	store(200);
	pin(70);
	discover();
	cr_expect(is_known());
	for (uint64_t leaf = 0; leaf < 4; leaf++)
		cr_expect_eq(writable(leaf), leaf == 1 ? ~0ULL : 0, "leaf %d", (int)leaf);
	for (uint64_t at = 64; at < 128; at++)
		cr_expect(is_dirty(at), "page %d is open", (int)at);
	cr_expect(is_dirty(3) && is_dirty(200));
	cr_expect_eq(dxs_sync_range(file, 0, BYTES), 0);
	cr_expect_not(is_dirty(3) || is_dirty(200));
	for (int i = 0; i < 3; i++) {
		flushed = dxs_counter_get(DXS_pages_flushed);
		store(70);
		cr_expect_eq(dxs_sync_range(file, 0, BYTES), 0);
		cr_expect_geq(dxs_counter_get(DXS_pages_flushed), flushed + 1);
		cr_expect(is_dirty(70), "it stays open");
	}
}

BOTH(pinned_leaves_at_both_ends_and_side_by_side)
{
	pin(0);
	pin(130);
	pin(PAGES - 1);
	discover();
	for (uint64_t leaf = 0; leaf < 4; leaf++)
		cr_expect_eq(writable(leaf), leaf == 1 ? 0 : ~0ULL, "leaf %d", (int)leaf);
}

// M8: what a close has caused is not the application's fault, whoever closed.
BOTH(a_scan_counts_as_a_close)
{
	uintptr_t addr = dxs_map_addr(&map, 3);

	store(3);
	cr_expect_eq(dxs_trap_signal(addr), DXS_TRAP_OPENED);
	discover();
	map.engine->make_writable(&map, addr, DXS_PAGE_SIZE); // by another thread's trap
	cr_expect_eq(dxs_trap_signal(addr), DXS_TRAP_OPENED);
	cr_expect_eq(dxs_trap_signal(addr), DXS_TRAP_FOREIGN);
	cr_expect_eq(dxs_trap_signal(addr), DXS_TRAP_OPENED);
	map.engine->write_protect(&map, addr, DXS_PAGE_SIZE);
	map.engine->make_writable(&map, addr, DXS_PAGE_SIZE);
	cr_expect_eq(dxs_trap_signal(addr), DXS_TRAP_OPENED);
}

BOTH(a_close_that_had_begun_before_the_first_fault_counts)
{
	uintptr_t addr = dxs_map_addr(&map, 3);

	dxs_trap_protect_begin();
	cr_expect_eq(dxs_trap_signal(addr), DXS_TRAP_OPENED);
	cr_expect_eq(dxs_trap_signal(addr), DXS_TRAP_OPENED, "it may be closing the page again just now");
	dxs_trap_protect_end();
	cr_expect_eq(dxs_trap_signal(addr), DXS_TRAP_OPENED, "or have closed it in between");
	cr_expect_eq(dxs_trap_signal(addr), DXS_TRAP_FOREIGN);
}

BOTH(a_fault_that_waited_for_a_change_is_tried_again)
{
	uintptr_t addr = dxs_map_addr(&map, 3);

	atomic_store(&map.frozen, true);
	cr_expect_eq(dxs_trap_signal(addr), DXS_TRAP_FROZEN);
	atomic_store(&map.frozen, false);
	cr_expect_eq(dxs_trap_signal(addr), DXS_TRAP_OPENED, "nobody has opened it for this thread yet");
	cr_expect_eq(dxs_trap_signal(addr), DXS_TRAP_FOREIGN);
}

// A part of a mapping that was too large to be closed as a whole, and is small enough now: its first chunk was closed by a
// sync of the large one, the others never were. What was stored there was not found by any later sync.
Test(engine_parts, a_part_is_not_known_for_its_first_chunk)
{
	const size_t large = (size_t)128 << 20, small = (size_t)32 << 20, at = (size_t)10 << 20;
	int memory = memfd_create("parts", MFD_CLOEXEC);
	struct dxs_map whole = {.len = large, .prot = PROT_READ | PROT_WRITE}, part = whole;
	struct dxs_leaf *leaf;
	const char *why = "";
	char *addr;

	if (dxs_uffd_open(&why) || !dxs_leaves_trace())
		cr_skip_test("mappings are closed as a whole: %s", why);
	cr_assert(memory >= 0 && !ftruncate(memory, (off_t)large));
	addr = mmap(NULL, large, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	cr_assert_neq(addr, MAP_FAILED);
	file = dxs_file_new(1, 1, DXS_PAGE_SHIFT);
	cr_assert_not_null(file);
	atomic_store(&file->mode, DXS_MODE_EMULATED);
	whole.addr = part.addr = (uintptr_t)addr;
	part.len = small;
	whole.file = part.file = file;
	cr_assert_eq(dxs_tree_reserve(&file->tree, 0, large / DXS_PAGE_SIZE - 1), 0);
	cr_assert_eq(dxs_engine_uffd.attach(&whole), 0);
	*(volatile char *)addr = 1;
	cr_assert_eq(dxs_engine_uffd.discover(&whole, 0, large / DXS_PAGE_SIZE - 1), 0);
	cr_assert_eq(dxs_engine_uffd.inherit(&part, &whole), 0);
	*(volatile char *)(addr + at) = 1; // open, as it was from the begin
	cr_assert_eq(dxs_engine_uffd.discover(&part, 0, small / DXS_PAGE_SIZE - 1), 0);
	leaf = dxs_tree_leaf(&file->tree, at / DXS_PAGE_SIZE, false);
	cr_assert_not_null(leaf);
	cr_expect(dxs_leaf_get(leaf, DXS_DIRTY) & 1);
}

#define REGION ((size_t)2 << 20)

// Two regions of 2 MiB, in step, known, and closed.
static void setup_regions(void)
{
	int memory = memfd_create("regions", MFD_CLOEXEC);
	char *room = mmap(NULL, 3 * REGION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct dxs_map *made = &map;

	cr_assert(room != MAP_FAILED && memory >= 0 && !ftruncate(memory, 2 * REGION));
	file = dxs_file_new(1, 1, DXS_PAGE_SHIFT);
	cr_assert_not_null(file);
	atomic_store(&file->mode, DXS_MODE_EMULATED);
	atomic_store(&file->size, 2 * REGION);
	map = (struct dxs_map){.addr = ((uintptr_t)room + REGION - 1) & ~(REGION - 1),
			       .len = 2 * REGION,
			       .prot = PROT_READ | PROT_WRITE,
			       .file = file,
			       .engine = &dxs_engine_mprotect};
	cr_assert_neq(mmap((void *)map.addr, map.len, map.prot, MAP_SHARED | MAP_FIXED, memory, 0), MAP_FAILED);
	madvise((void *)map.addr, map.len, MADV_NOHUGEPAGE);
	cr_assert_eq(dxs_tree_reserve(&file->tree, 0, map.len / DXS_PAGE_SIZE - 1), 0);
	cr_assert_eq(dxs_maps_replace(NULL, 0, &made, 1), 0);
	cr_assert_eq(dxs_engine_mprotect.attach(&map), 0);
	cr_assert_eq(dxs_engine_mprotect.discover(&map, 0, dxs_map_last(&map)), 0);
	dxs_sys_injected = refused;
}

TestSuite(engine_regions, .init = setup_regions);

static void regions_open(uint64_t first, uint64_t nr)
{
	dxs_engine_mprotect.make_writable(&map, dxs_map_addr(&map, first), nr * DXS_PAGE_SIZE);
}

static void regions_close(uint64_t first, uint64_t nr)
{
	cr_assert_eq(dxs_engine_mprotect.write_protect(&map, dxs_map_addr(&map, first), nr * DXS_PAGE_SIZE), 0);
}

// All 2 MiB are open, page by page. A sync that closes some of them leaves the others open, as its policy wanted.
Test(engine_regions, small_pages_are_not_closed_with_their_neighbours)
{
	regions_open(0, REGION / DXS_PAGE_SIZE);
	regions_close(3, 1);
	cr_expect_eq(writable(0), ~(1ULL << 3), "%lx", writable(0));
}

static void nothing(void)
{
}

// A sync closes a huge page with the first of its leaves. The other seven come right after it.
Test(engine_regions, what_was_closed_with_its_region_is_not_closed_again)
{
	regions_open(0, REGION / DXS_PAGE_SIZE);
	regions_close(0, REGION / DXS_PAGE_SIZE);
	in_call(SYS_mprotect, nothing);
	for (uint64_t leaf = 0; leaf < REGION / DXS_PAGE_SIZE; leaf += DXS_LEAF_PAGES)
		regions_close(leaf, DXS_LEAF_PAGES);
	cr_expect_not(called);
	regions_close(REGION / DXS_PAGE_SIZE, 1);
	cr_expect(called, "another region");
}

Test(engine_regions, what_was_opened_after_its_region_was_closed_is_closed)
{
	regions_open(0, REGION / DXS_PAGE_SIZE);
	regions_close(0, REGION / DXS_PAGE_SIZE);
	regions_open(70, 2);
	regions_close(64, DXS_LEAF_PAGES);
	cr_expect_eq(writable(1), 0, "%lx", writable(1));
	regions_close(0, REGION / DXS_PAGE_SIZE);
	cr_assert_eq(dxs_engine_mprotect.make_all_writable(&map), 0);
	in_call(SYS_mprotect, nothing);
	regions_close(64, DXS_LEAF_PAGES);
	cr_expect(called, "all of it");
}

// mprotect goes from VMA to VMA, and can fail when the first of them are open already.
Test(engine_regions, what_was_opened_in_part_only_is_closed)
{
	regions_open(0, REGION / DXS_PAGE_SIZE);
	regions_close(0, REGION / DXS_PAGE_SIZE);
	in_call(SYS_mprotect, nothing);
	error = -ENOMEM;
	regions_open(70, 2);
	cr_assert(called);
	in_call(SYS_mprotect, nothing);
	error = 0;
	regions_close(64, DXS_LEAF_PAGES);
	cr_expect(called);
}

// How many pages a trap at this one opens.
static uint64_t opened_at(uint64_t page)
{
	uintptr_t start, end;

	cr_assert(dxs_engine_mprotect.extent(&map, dxs_map_addr(&map, page), &start, &end));
	cr_expect_eq(start, dxs_map_addr(&map, page));
	return (end - start) / DXS_PAGE_SIZE;
}

Test(engine_regions, a_sequence_is_opened_ahead)
{
	cr_expect_eq(opened_at(5), 1);
	cr_expect_eq(opened_at(6), 2);
	cr_expect_eq(opened_at(8), 4);
	cr_expect_eq(opened_at(100), 1, "another one");
	cr_expect_eq(opened_at(101), 2);
	cr_expect_eq(opened_at(90), 1);
}

// 5 pages a sync: one trap for each, however many were opened in vain before that was known.
Test(engine_regions, a_sequence_gets_what_it_had_before_the_last_sync)
{
	opened_at(0);
	opened_at(1);
	opened_at(3); // and 4
	for (uint64_t page = 5; page < 50; page += 5) {
		atomic_fetch_add(&file->clock, 1); // a sync
		cr_expect_eq(opened_at(page), 5, "at %d", (int)page);
	}
	atomic_fetch_add(&file->clock, 1);
	cr_expect_eq(opened_at(400), 1, "it has ended");
}

Test(engine_regions, a_sequence_does_not_split_the_next_region)
{
	uint64_t page, last = REGION / DXS_PAGE_SIZE - 1;

	for (page = 1; page <= last;)
		page += opened_at(page);
	cr_expect_eq(page, last + 1);
}

// A sync asks for each gap between chunks that are known. With many of them the short ones are closed.
Test(engine_parts, many_short_gaps_are_closed)
{
	const size_t chunk = (size_t)2 << 20, len = 256 * chunk;
	int memory = memfd_create("gaps", MFD_CLOEXEC);
	char *room = mmap(NULL, len + chunk, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t last = len / DXS_PAGE_SIZE - 1;
	const char *why = "";
	uintptr_t start;

	if (dxs_uffd_open(&why) || !dxs_leaves_trace())
		cr_skip_test("mappings are closed as a whole: %s", why);
	cr_assert(room != MAP_FAILED && memory >= 0 && !ftruncate(memory, (off_t)len));
	file = dxs_file_new(1, 1, DXS_PAGE_SHIFT);
	cr_assert_not_null(file);
	atomic_store(&file->mode, DXS_MODE_EMULATED);
	map = (struct dxs_map){.addr = ((uintptr_t)room + chunk - 1) & ~(chunk - 1),
			       .len = len,
			       .prot = PROT_READ | PROT_WRITE,
			       .file = file,
			       .engine = &dxs_engine_uffd};
	cr_assert_neq(mmap((void *)map.addr, len, map.prot, MAP_SHARED | MAP_FIXED, memory, 0), MAP_FAILED);
	cr_assert_eq(dxs_tree_reserve(&file->tree, 0, last), 0);
	cr_assert_eq(dxs_engine_uffd.attach(&map), 0);
	for (size_t at = 0; at < len / 2; at += 4 * chunk)
		*(volatile char *)(map.addr + at) = 1;
	cr_assert_eq(dxs_engine_uffd.discover(&map, 0, last), 0);
	*(volatile char *)(map.addr + chunk) = 1; // in a gap, which is open
	cr_assert_eq(dxs_engine_uffd.discover(&map, 0, last), 0);
	start = map.addr;
	cr_expect_eq(dxs_engine_uffd.known(&map, &start, dxs_map_end(&map)) - map.addr, len / 2 - 3 * chunk);
	cr_expect_eq(start, map.addr);
	cr_expect_eq(writable(chunk / DXS_PAGE_SIZE / DXS_LEAF_PAGES), 0);
	cr_expect(is_dirty(chunk / DXS_PAGE_SIZE));
}
