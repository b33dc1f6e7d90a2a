// SPDX-License-Identifier: BSD-3-Clause
// uffd.c: the userfaultfd write-protect engine.
//
// STRUCTURE
//   One userfaultfd per process. A store to a protected page raises SIGBUS in the storing thread (UFFD_FEATURE_SIGBUS),
//   which needs no privilege and no thread to answer it: nobody ever sleeps in the fault. Faults of the kernel are not
//   served: kernel writes into closed pages fail with EFAULT, and so are pinned (M9).
//   Protection lives in page-table entries. An entry that was never touched can be protected too, by a marker, but
//   markers fill page tables: 1 GiB of them for a sparse file of 512 GiB. So a large mapping starts all open, and a
//   2 MiB chunk (what one page table maps) is closed, markers and all, the first time a sync finds a page in it:
//   then its page table exists anyway. `armed` has a bit for each such chunk. Which chunks have pages is asked from
//   the page tables with PAGEMAP_SCAN, in microseconds per TiB of emptiness, but one call for each gap between armed
//   chunks. Where there are many, those of up to 64 chunks are closed too, for 4 KiB of page table each. Small mappings
//   and huge pages start closed as a whole, and so does everything on kernels without PAGEMAP_SCAN and on machines
//   with swap space.
//
// CONCURRENCY
//   E.2 After UFFDIO_WRITEPROTECT returns, no CPU holds a writable translation (Linux 6.12 mm/userfaultfd.c:
//       change_protection and tlb_finish_mmu run inside the ioctl).
//   E.4 discover() closes the whole chunk before it looks at the page tables. A store that completed before the
//       close left its page populated, so the scan finds it; one that comes after traps and marks itself. `armed` is
//       set last, so another sync that still sees the chunk unarmed does the same work again instead of trusting
//       marks that are not there yet (model: ARM_FIRST). A trap may open all meanwhile: then nothing is armed, which
//       `nr_reopened` tells, counted and compared under the map's mutex (model: REOPENED).
//   E.7 Closing the descriptor drops all protection silently. The shim keeps applications from closing it; is_alive
//       finds out about the rest, and the sync point asks before it trusts a mark.
//
// LIMITS
//   Linux 5.19 or newer (write-protect on shmem). Never on DAX: there the kernel refuses synchronous userfaultfd, and
//   the asynchronous one loses writes (doc/design.md).
#include "engine/uffd.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <sys/ioctl.h>

#include "base/config.h"
#include "base/fd.h"
#include "base/filter.h"
#include "base/sys.h"
#include "core/trap.h"
#include "engine/scan.h"
#include "file/file.h"
#include "proc/pagemap.h"
#include "report/stats.h"
#include "signal/signals.h"
#include "tree/bitmap.h"

#define CHUNK ((uintptr_t)2 << 20)
#define EAGER_LIMIT ((size_t)64 << 20) // closed as a whole up to here: 128 KiB of page tables at most
#define MANY_GAPS 16                   // of which the short ones are closed: of no more chunks than there are gaps,
#define SHORT_GAP 64                   // and of no more than this
#define FEATURES (UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_SIGBUS)

// seq_cst: it may be moved (fd.c), and is written before the epoch turns; partner: DXS_FD_USE.
static _Atomic int uffd = -1;
static struct dxs_mutex opening = {.rank = DXS_RANK_UFFD};
static bool can_be_lazy; // PAGEMAP_SCAN, and no swap space: a page that is swapped out leaves an empty entry

// The kernel need not serve its own faults: no privilege is asked for (Linux 5.11).
static int open_uffd(void)
{
	return (int)dxs_sys6(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY, 0, 0, 0, 0, 0);
}

// UFFDIO_API with these features; 0 or -errno.
static int handshake(int fd, uint64_t features, uint64_t *have)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};
	int err = dxs_sys_ioctl(fd, UFFDIO_API, &api);

	if (have)
		*have = api.features;
	return err < 0 ? err : 0;
}

uint64_t dxs_uffd_probe(const char **why)
{
	int fd = open_uffd();
	uint64_t have = 0;

	if (fd < 0) {
		*why = fd == -EPERM ? "not permitted" : "not there";
		return 0;
	}
	if (handshake(fd, 0, &have))
		*why = "refused UFFDIO_API";
	dxs_sys_close(fd);
	return have;
}

static int start(int fd, const char **why)
{
	int err;

	can_be_lazy = dxs_leaves_trace();
	err = dxs_trap_install(DXS_TRAP_BUS);
	if (err) {
		*why = "the SIGBUS handler cannot be installed";
		dxs_fd_close(fd);
		return err;
	}
	atomic_store(&uffd, fd);
	dxs_fd_register(fd, &uffd);
	return 0;
}

static int open_once(const char **why)
{
	int err, fd;

	*why = "the program took the number of the userfaultfd, and had no other left";
	if (atomic_load(&uffd) == DXS_FD_GIVEN_UP) // mappings of before are not known to be protected by a new one
		return -EMFILE;
	*why = "/proc/self/pagemap cannot be read";
	if (dxs_pagemap_open())
		return -ENOENT;
	*why = "a filter of system calls may end the process for userfaultfd";
	if (dxs_config.engine == DXS_ENGINE_AUTO && dxs_is_filtered()) // the other engine does without
		return -EPERM;
	fd = open_uffd();
	if (fd < 0) {
		*why = fd == -EPERM ? "userfaultfd is not permitted to this process" : "this kernel has no userfaultfd";
		return fd;
	}
	err = handshake(fd, FEATURES, NULL);
	if (err) {
		*why = "this kernel has no userfaultfd write-protect for files";
		dxs_sys_close(fd);
		return err;
	}
	return start(dxs_fd_hide(fd), why);
}

int dxs_uffd_open(const char **why)
{
	int err = 0;

	dxs_mutex_lock(&opening);
	if (atomic_load(&uffd) < 0)
		err = open_once(why);
	dxs_mutex_unlock(&opening);
	return err;
}

static int write_protect(uintptr_t addr, size_t len, bool protect)
{
	struct uffdio_writeprotect wp = {
		.range = {.start = addr, .len = len},
		.mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};
	int err;

	if (protect)
		dxs_trap_protect_begin();
	do
		err = DXS_FD_USE(&uffd, fd, dxs_sys_ioctl(fd, UFFDIO_WRITEPROTECT, &wp));
	while (err == -EAGAIN); // the address space is just being changed by another thread
	if (protect)
		dxs_trap_protect_end();
	return err;
}

static int uffd_write_protect(struct dxs_map *map, uintptr_t addr, size_t len)
{
	(void)map;
	return write_protect(addr, len, true);
}

static int uffd_make_writable(struct dxs_map *map, uintptr_t addr, size_t len)
{
	(void)map;
	return write_protect(addr, len, false);
}

static bool uffd_extent(struct dxs_map *map, uintptr_t addr, uintptr_t *start, uintptr_t *end)
{
	*start = addr;
	*end = addr + dxs_file_page_size(map->file);
	return true;
}

static int uffd_make_all_writable(struct dxs_map *map)
{
	int err;

	dxs_mutex_lock(&map->mutex);
	map->nr_reopened++;
	dxs_map_set_unscanned(map);
	if (map->armed)
		dxs_bitmap_reset_all(map->armed); // not known clean from now on; then open (model: OPEN_FORGET)
	err = uffd_make_writable(map, map->addr, map->len);
	dxs_mutex_unlock(&map->mutex);
	return err;
}

// Chunks are counted from the 2 MiB boundary at or below the mapping's start.
static uintptr_t chunk_base(const struct dxs_map *map)
{
	return map->addr & ~(CHUNK - 1);
}

static size_t chunk_index(const struct dxs_map *map, uintptr_t addr)
{
	return (addr - chunk_base(map)) / CHUNK;
}

static bool is_armed(const struct dxs_map *map, uintptr_t addr)
{
	return !map->armed || dxs_bitmap_get(map->armed, chunk_index(map, addr));
}

// The first stretch of [*start, end) whose chunks are armed, or are not: sets *start, returns its end (*start: none).
static uintptr_t stretch(const struct dxs_map *map, bool armed, uintptr_t *start, uintptr_t end)
{
	uint64_t first, stop, beyond;

	if (*start >= end || !map->armed) {
		*start = armed ? *start : end;
		return end;
	}
	first = chunk_index(map, *start);
	beyond = chunk_index(map, end - 1) + 1;
	if (armed) {
		stop = dxs_bitmap_run(map->armed, &first, beyond);
	} else {
		first = dxs_bitmap_next_zero(map->armed, first, beyond);
		stop = dxs_bitmap_next_one(map->armed, first, beyond);
	}
	*start = dxs_min64(dxs_max64(*start, chunk_base(map) + first * CHUNK), end);
	return dxs_min64(chunk_base(map) + stop * CHUNK, end);
}

static uintptr_t uffd_known(const struct dxs_map *map, uintptr_t *start, uintptr_t end)
{
	return stretch(map, true, start, end);
}

static bool starts_closed(const struct dxs_map *map)
{
	return map->len <= EAGER_LIMIT || map->file->page_shift != DXS_PAGE_SHIFT || !can_be_lazy;
}

static void unregister(const struct dxs_map *map)
{
	struct uffdio_range range = {.start = map->addr, .len = map->len};

	DXS_FD_USE(&uffd, fd, dxs_sys_ioctl(fd, UFFDIO_UNREGISTER, &range));
}

// All bits zero: all open.
static int armed_alloc(struct dxs_map *map)
{
	map->armed = dxs_bitmap_new(chunk_index(map, dxs_map_end(map) - 1) + 1);
	if (!map->armed)
		return -ENOMEM;
	dxs_map_set_unscanned(map);
	return 0;
}

static int uffd_attach(struct dxs_map *map)
{
	struct uffdio_register reg = {
		.range = {.start = map->addr, .len = map->len},
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int err = DXS_FD_USE(&uffd, fd, dxs_sys_ioctl(fd, UFFDIO_REGISTER, &reg));

	if (err)
		return err;
	if (!(reg.ioctls & 1ULL << _UFFDIO_WRITEPROTECT)) {
		unregister(map);
		return -ENOTSUP;
	}
	err = armed_alloc(map);
	if (err)
		unregister(map);
	return err;
}

static void uffd_detach(struct dxs_map *map, bool gone)
{
	if (!gone)
		unregister(map);
	dxs_bitmap_free(map->armed);
	map->armed = NULL;
	dxs_map_set_scanned(map);
}

// The chunks of [start, end).
static void armed_set(struct dxs_map *map, uintptr_t start, uintptr_t end)
{
	dxs_bitmap_set(map->armed, chunk_index(map, start), chunk_index(map, end - 1) + 1);
}

static int uffd_inherit(struct dxs_map *made, const struct dxs_map *map)
{
	uintptr_t start = made->addr, stop;
	int err = armed_alloc(made);

	for (; !err && (stop = uffd_known(map, &start, dxs_map_end(made))) > start; start = stop)
		armed_set(made, start, stop);
	return err;
}

static int close_part(struct dxs_map *map, uintptr_t start, uintptr_t end)
{
	return uffd_write_protect(map, start, end - start);
}

// E.4 for the part [start, end) of one chunk or more: close all but what is pinned (M9), scan, mark, arm. `touched`:
// something was mapped there before, so that stores may have been made through entries that are not there any more.
static int arm(struct dxs_map *map, uintptr_t start, uintptr_t end, bool touched)
{
	uint64_t reopened = dxs_scan_begin(map);
	int err = dxs_signals_check();

	if (err)
		return err;
	dxs_mutex_lock(&map->file->pin_mutex);
	dxs_mark_pinned(map, start, end);
	err = dxs_each_unpinned(map, start, end, close_part);
	dxs_mutex_unlock(&map->file->pin_mutex);
	if (!err)
		err = touched ? dxs_mark_resident(map, start, end) : dxs_mark_mapped(map, start, end);
	if (err)
		return err;
	dxs_mutex_lock(&map->mutex);
	if (map->nr_reopened == reopened) { // after the marks: E.4
		armed_set(map, start, end);
		if (end - start == map->len)
			dxs_map_set_scanned(map);
		dxs_count(chunks_armed, (end - 1) / CHUNK - start / CHUNK + 1);
	}
	dxs_mutex_unlock(&map->mutex);
	return 0;
}

static int arm_touched(struct dxs_map *map, uintptr_t start, uintptr_t end)
{
	return arm(map, start, end, true);
}

static int arm_all(struct dxs_map *map)
{
	int touched = dxs_is_touched(map);

	return touched < 0 ? touched : arm(map, map->addr, dxs_map_end(map), touched);
}

// Of a mapping that is closed as a whole. One that is a part of a larger one may have been armed in part.
static bool is_all_armed(struct dxs_map *map)
{
	uintptr_t start = map->addr;
	bool all;

	if (!atomic_load(&map->unscanned))
		return true;
	dxs_mutex_lock(&map->mutex);
	stretch(map, false, &start, dxs_map_end(map));
	all = start >= dxs_map_end(map);
	if (all)
		dxs_map_set_scanned(map);
	dxs_mutex_unlock(&map->mutex);
	return all;
}

// How many calls it takes to ask for what was touched in [start, end).
static unsigned gaps(const struct dxs_map *map, uintptr_t start, uintptr_t end)
{
	unsigned nr = 0;
	uintptr_t stop;

	for (; start < end; start = stop) {
		stop = stretch(map, false, &start, end);
		nr += start < stop;
	}
	return nr;
}

// Of whole chunks.
static bool is_short_gap(const struct dxs_map *map, uintptr_t start, uintptr_t end, unsigned nr_gaps)
{
	bool is_whole = start < end && start % CHUNK == 0 && (end % CHUNK == 0 || end == dxs_map_end(map));

	return is_whole && nr_gaps >= MANY_GAPS && (end - start) / CHUNK <= dxs_min64(nr_gaps, SHORT_GAP);
}

static int uffd_discover(struct dxs_map *map, uint64_t first, uint64_t last)
{
	uintptr_t addr, end, stop;
	unsigned nr_gaps;
	int err = 0;

	if (!map->armed)
		return 0;
	addr = dxs_map_addr(map, first);
	end = dxs_map_addr(map, last) + dxs_file_page_size(map->file);
	if (starts_closed(map))
		return is_all_armed(map) ? 0 : arm_all(map);
	for (nr_gaps = gaps(map, addr, end); !err && addr < end; addr = stop) {
		stop = stretch(map, false, &addr, end);
		err = is_short_gap(map, addr, stop, nr_gaps) ? arm_touched(map, addr, stop)
							     : dxs_each_touched(map, addr, stop, arm_touched);
	}
	return err;
}

// An entry without the protect bit, empty ones included: a store there completes without a trap.
static int uffd_writable(struct dxs_map *map, uintptr_t addr, unsigned nr, uint64_t *mask)
{
	size_t size = dxs_file_page_size(map->file);
	uint64_t entry[64];
	unsigned i;
	int err = 0;

	if (size == DXS_PAGE_SIZE)
		err = dxs_pagemap_read(addr, entry, nr);
	for (i = 0; !err && size != DXS_PAGE_SIZE && i < nr; i++)
		err = dxs_pagemap_read(addr + i * size, &entry[i], 1);
	*mask = 0;
	for (i = 0; !err && i < nr; i++)
		if (!(entry[i] & DXS_PM_UFFD_WP) || !is_armed(map, addr + i * size))
			*mask |= 1ULL << i;
	return err;
}

// An ioctl that changes nothing: EINVAL from a userfaultfd (a range of length zero), something else from whatever
// has taken the descriptor's place.
static bool uffd_is_alive(void)
{
	struct uffdio_range none = {0, 0};

	return DXS_FD_USE(&uffd, fd, dxs_sys_ioctl(fd, UFFDIO_WAKE, &none)) == -EINVAL;
}

static bool uffd_is_short(void)
{
	return false;
}

static bool uffd_is_small(const struct dxs_map *map)
{
	(void)map;
	return false; // nobody knows
}

static void uffd_truncated(struct dxs_map *map, uintptr_t addr)
{
	uintptr_t end = dxs_map_end(map), stop;

	for (; addr < end; addr = stop) {
		stop = stretch(map, true, &addr, end);
		if (addr < stop && write_protect(addr, stop - addr, true))
			dxs_file_to_kernel(map->file, "pages beyond a new end of the file cannot be closed");
	}
}

// Nothing to do: protection is in page-table entries, which mprotect does not touch, and a child inherits none.
static void uffd_nothing(struct dxs_map *map)
{
	(void)map;
}

void dxs_uffd_reset(void)
{
	int fd = atomic_exchange(&uffd, -1);

	opening = (struct dxs_mutex){.rank = DXS_RANK_UFFD};

	if (fd >= 0)
		dxs_fd_close(fd);
}

const struct dxs_engine dxs_engine_uffd = {
	.name = "uffd",
	.attach = uffd_attach,
	.detach = uffd_detach,
	.write_protect = uffd_write_protect,
	.make_writable = uffd_make_writable,
	.make_all_writable = uffd_make_all_writable,
	.extent = uffd_extent,
	.discover = uffd_discover,
	.unprotected = uffd_nothing,
	.truncated = uffd_truncated,
	.in_child = uffd_nothing,
	.inherit = uffd_inherit,
	.writable = uffd_writable,
	.known = uffd_known,
	.is_alive = uffd_is_alive,
	.is_short = uffd_is_short,
	.is_small = uffd_is_small,
};
