// SPDX-License-Identifier: BSD-3-Clause
// calls.c: sync calls, and calls that change files, for known files.
#include "call/calls.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/behind.h"
#include "base/foreign.h"
#include "base/kernel.h"
#include "base/near.h"
#include "base/sys.h"
#include "core/engine.h"
#include "core/handover.h"
#include "core/sync.h"
#include "file/file.h"
#include "file/filecache.h"
#include "file/observer.h"
#include "report/stats.h"
#include "report/unserved.h"

// One mapping's part of an msync range.
struct part {
	struct dxs_file *file; // held
	uint64_t off, end;     // in the file
	uintptr_t addr, next;  // where the part begins, and where to go on
};

// The first known part of [addr, end). False: none.
static bool part_find(uintptr_t addr, uintptr_t end, struct part *part)
{
	unsigned section = dxs_maps_enter();
	struct dxs_map *map = dxs_maps_first(addr, end);

	if (map) {
		uintptr_t from = map->addr > addr ? map->addr : addr;
		uintptr_t to = dxs_map_end(map) < end ? dxs_map_end(map) : end;

		*part = (struct part){.file = map->file, .addr = from, .next = to};
		part->off = (map->first << map->file->page_shift) + (from - map->addr);
		part->end = part->off + (to - from);
		dxs_file_get(map->file);
	}
	dxs_maps_exit(section);
	return map;
}

// What a kernel sync settles: looked at before the call, because what comes later is not covered. `whole`: it is one of
// the whole file.
struct pending {
	uint64_t changes;
	struct dxs_ticket ticket;
};

static struct pending pending_read(struct dxs_file *file, bool whole)
{
	struct pending pending = {.changes = atomic_load(&file->kernel_changes)};

	if (whole && dxs_file_own_mode(file) > DXS_MODE_KERNEL)
		pending.ticket = dxs_writers_sync_begin(&file->writers);
	return pending;
}

// Only now that the kernel's sync has returned is what it covers not pending any more: a concurrent msync must not return
// before.
static void kernel_synced(struct dxs_file *file, int fd, struct pending pending, const struct dxs_asked *asked)
{
	uint64_t synced = atomic_load(&file->kernel_synced), changes = pending.changes;
	bool complete = dxs_observed(file, true, kernel_synced, file, fd, asked,
				     dxs_file_mode(file) == DXS_MODE_KERNEL);

	while (changes > synced && !atomic_compare_exchange_weak(&file->kernel_synced, &synced, changes))
		;
	if (complete && changes == atomic_load(&file->kernel_changes))
		atomic_store(&file->cut, UINT64_MAX);
	dxs_writers_sync_end(&file->writers, pending.ticket);
	dxs_file_tell(file);
}

// Around the call, so that a sync that ends meanwhile has the kernel follow (dxs_file_kernel_sync_pending).
static void kernel_begins(struct dxs_file *file)
{
	atomic_fetch_add(&file->kernel_syncing, 1);
}

static void kernel_ends(struct dxs_file *file)
{
	atomic_fetch_sub(&file->kernel_syncing, 1);
}

// In mode kernel: why.
static enum dxs_counter mode_cause(struct dxs_file *file)
{
	const char *reason = atomic_load(&file->reason);

	if (dxs_file_own_mode(file) > DXS_MODE_KERNEL) // or nobody can say, which was said when it was mapped
		return file->writers.registered ? DXS_kernel_syncs_others : DXS_kernel_syncs_mode;
	dxs_unserved_add(file->path, reason);
	if (reason && (!strcmp(reason, DXS_STDIO_REASON) || !strcmp(reason, DXS_AIO_REASON)))
		return DXS_kernel_syncs_stream;
	return DXS_kernel_syncs_mode;
}

// Counts a sync of the kernel's by each of its causes, which are settled.
static void pending_count(struct dxs_file *file)
{
	static const enum dxs_counter counter[DXS_NR_CAUSES] = {
		[DXS_CAUSE_WRITE] = DXS_kernel_syncs_write,
		[DXS_CAUSE_RESIZE] = DXS_kernel_syncs_resize,
		[DXS_CAUSE_MAPPING] = DXS_kernel_syncs_mapping,
		[DXS_CAUSE_UNSEEN] = DXS_kernel_syncs_unseen,
	};
	uint32_t causes = atomic_exchange_explicit(&file->causes, 0, memory_order_relaxed); // relaxed: a statistic

	dxs_count(kernel_syncs, 1);
	dxs_file_count(file, kernel_syncs, 1);
	if (dxs_file_mode(file) == DXS_MODE_KERNEL)
		dxs_count_add(mode_cause(file), 1);
	else if (!causes)
		dxs_count(kernel_syncs_beside, 1);
	for (unsigned i = 0; i < DXS_NR_CAUSES; i++)
		if (causes & 1U << i)
			dxs_count_add(counter[i], 1);
}

// The pending kernel sync of the file, over all that is mapped of it: an msync can ask for nothing else, so nothing is
// pending for the next one. Its cost follows what the kernel has dirty, if each part of the file is asked for once.
static int pending_sync(struct dxs_file *file)
{
	struct pending pending = pending_read(file, false);
	struct dxs_asked asked = {0};
	struct dxs_map *map;
	uint64_t done = 0;
	int err = 0;

	dxs_shared_lock(&file->maps_lock);
	kernel_begins(file);
	dxs_for_each_map_of (map, file, done, UINT64_MAX) {
		uint64_t from = dxs_max64(map->first, done);
		uintptr_t addr = dxs_map_addr(map, from);

		err = (int)dxs_sys6(SYS_msync, (long)addr, (long)(dxs_map_end(map) - addr), MS_SYNC, 0, 0, 0);
		if (err)
			break;
		done = dxs_map_last(map) + 1;
		dxs_asked_add(&asked, from, dxs_map_last(map));
	}
	kernel_ends(file);
	dxs_shared_unlock(&file->maps_lock);
	pending_count(file);
	if (!err)
		kernel_synced(file, -1, pending, &asked);
	return err;
}

static int sys_msync(uintptr_t start, uintptr_t end, int flags)
{
	uintptr_t page = start & ~(DXS_PAGE_SIZE - 1);

	return (int)DXS_BEHIND(msync, ((void *)page, end - page, flags), SYS_msync, (long)page, (long)(end - page),
			       flags, 0, 0, 0);
}

// Its size now: in mode kernel other processes change it. There is no descriptor to ask: UINT64_MAX where it has moved, or
// has no name.
static uint64_t size_now(const struct dxs_file *file)
{
	struct stat st;

	if (dxs_sys6(SYS_newfstatat, AT_FDCWD, (long)file->path, (long)&st, 0, 0, 0) ||
	    dxs_identity_dev(&st) != file->dev || dxs_identity_ino(&st) != file->ino)
		return UINT64_MAX;
	return (uint64_t)st.st_size;
}

// In mode kernel. An msync of one mapping that covers all of the file is one of the whole file.
static int kernel_msync(const struct part *part, int flags)
{
	struct dxs_file *file = part->file;
	bool whole = !part->off && part->end >= size_now(file);
	struct pending pending = pending_read(file, whole);
	struct dxs_asked asked = {0};
	int ret;

	kernel_begins(file);
	ret = sys_msync(part->addr, part->next, flags);
	kernel_ends(file);
	dxs_count(kernel_syncs, 1);
	dxs_file_count(file, kernel_syncs, 1);
	dxs_count_add(mode_cause(file), 1);
	dxs_asked_add(&asked, part->off >> file->page_shift, (part->end - 1) >> file->page_shift);
	if (!ret && whole)
		kernel_synced(file, -1, pending, &asked);
	else if (!ret)
		(void)dxs_observed(file, true, kernel_synced, file, -1, &asked, true);
	return ret;
}

// Parts of one file, in ascending order, as ranges: those that overlap, or share a page, as one. Returns how many.
static unsigned ranges_of(const struct part *part, unsigned nr, struct dxs_bytes *range)
{
	unsigned nr_ranges = 0;

	for (unsigned i = 0; i < nr; i++) {
		struct dxs_bytes *before = nr_ranges ? &range[nr_ranges - 1] : NULL;

		if (before && part[i].off <= ((before->end - 1) | (DXS_PAGE_SIZE - 1)))
			before->end = dxs_max64(before->end, part[i].end);
		else
			range[nr_ranges++] = (struct dxs_bytes){part[i].off, part[i].end};
	}
	return nr_ranges;
}

// The kernel's own syncs of parts: all of them, and the first error.
static int kernel_msyncs(const struct part *part, unsigned nr, int flags)
{
	int err = 0;

	for (unsigned i = 0; i < nr; i++) {
		int ret = kernel_msync(&part[i], flags);

		err = err ? err : ret;
	}
	return err;
}

// On its own, so that the array is not on the stack of each msync, which may be small.
static __attribute__((noinline)) int several_flush(const struct part *part, unsigned nr)
{
	struct dxs_bytes range[DXS_SYNC_RANGES];

	return dxs_sync_ranges(part->file, range, ranges_of(part, nr, range));
}

// Parts of one file, in ascending order.
static int parts_sync(const struct part *part, unsigned nr, int flags)
{
	struct dxs_file *file = part->file;
	uint64_t kwrites = dxs_observed(file, 0, sync_asked, file);
	int err = nr == 1 ? dxs_sync_range(file, part->off, part->end) : several_flush(part, nr);
	bool kernel = dxs_file_mode(file) == DXS_MODE_KERNEL; // once: it changes when other writers come and go
	int ret = 0;

	dxs_file_tell(file);
	if (kernel && !err && !file->is_device)
		return kernel_msyncs(part, nr, flags);
	if (!kernel && !file->is_device && dxs_file_kernel_sync_pending(file))
		ret = pending_sync(file);
	ret = err ? err : ret;
	if (!ret && !kernel)
		for (unsigned i = 0; i < nr; i++)
			dxs_observe(file, sync_answered, file, kwrites, part[i].off >> file->page_shift,
				    (part[i].end - 1) >> file->page_shift);
	return ret;
}

static int part_sync(const struct part *part, int flags)
{
	int ret = parts_sync(part, 1, flags);

	if (!ret && flags & MS_INVALIDATE) // the kernel knows whether it is locked, and has nothing else to do
		ret = sys_msync(part->addr, part->next, MS_ASYNC | MS_INVALIDATE);
	return ret;
}

// As msync does: piece by piece, up to the first error; a hole is an error at the end.
static int sync_addresses(uintptr_t start, uintptr_t end, int flags)
{
	dxs_sigset set = dxs_sig_block();
	bool any = false, hole = false;
	int ret = 0;

	while (start < end && !(ret && ret != -ENOMEM)) {
		struct part part;
		bool known = part_find(start, end, &part);

		if (!known && !any) {
			ret = DXS_PASS;
			break;
		}
		any = true;
		ret = 0;
		if (!known || part.addr > start) // a hole, or a mapping of something else
			ret = sys_msync(start, known ? part.addr : end, flags);
		hole |= ret == -ENOMEM;
		if (known && (!ret || ret == -ENOMEM))
			ret = part_sync(&part, flags);
		if (known)
			dxs_file_put(part.file);
		start = known ? part.next : end;
	}
	dxs_sig_setmask(set);
	return ret ? ret : hole ? -ENOMEM : 0;
}

static int not_ours(uintptr_t start, uintptr_t end, int flags)
{
	if (flags & MS_SYNC)
		dxs_unserved_synced(start, end);
	return DXS_PASS;
}

int dxs_msync(void *addr, size_t len, int flags)
{
	uintptr_t start = (uintptr_t)addr, end = start + ((len + DXS_PAGE_SIZE - 1) & ~(DXS_PAGE_SIZE - 1));

	// Whatever the kernel answers with an error, or does nothing for, is its to answer (mm/msync.c, Linux 6.12).
	if (start % DXS_PAGE_SIZE || end <= start || !(flags & MS_SYNC) || flags & ~(MS_SYNC | MS_INVALIDATE) ||
	    !dxs_near(start, end))
		return not_ours(start, end, flags);
	return sync_addresses(start, end, flags);
}

int dxs_msync_bytes(uintptr_t start, uintptr_t end)
{
	return dxs_near(start, end) ? sync_addresses(start, end, MS_SYNC) : DXS_PASS;
}

// What of several ranges is known, held until it is synced together; and what came of the others.
struct gathered {
	struct part part[DXS_SYNC_RANGES];
	unsigned nr;
	bool any, hole;
	int err; // the first that is no hole
};

static void result_note(struct gathered *all, int ret)
{
	all->hole |= ret == -ENOMEM;
	if (ret != -ENOMEM)
		all->err = all->err ? all->err : ret;
}

static bool is_behind(const struct part *a, const struct part *b)
{
	return a->file != b->file ? a->file > b->file : a->off > b->off;
}

// By file, and by offset in it. They are few, and most programs give them in order.
static void parts_sort(struct part *part, unsigned nr)
{
	for (unsigned i = 1; i < nr; i++) {
		struct part moving = part[i];
		unsigned at = i;

		for (; at && is_behind(&part[at - 1], &moving); at--)
			part[at] = part[at - 1];
		part[at] = moving;
	}
}

static void gathered_sync(struct gathered *all)
{
	unsigned from, to;

	parts_sort(all->part, all->nr);
	for (from = 0; from < all->nr; from = to) {
		for (to = from + 1; to < all->nr && all->part[to].file == all->part[from].file; to++)
			;
		result_note(all, parts_sync(&all->part[from], to - from, MS_SYNC));
	}
	for (from = 0; from < all->nr; from++)
		dxs_file_put(all->part[from].file);
	all->nr = 0;
}

// What is not known of a range is the kernel's to sync, at once.
static void range_gather(struct gathered *all, uintptr_t start, uintptr_t end)
{
	while (start < end) {
		struct part *part = &all->part[all->nr];
		bool known = part_find(start, end, part);

		if (!known || part->addr > start)
			result_note(all, sys_msync(start, known ? part->addr : end, MS_SYNC));
		all->any |= known;
		start = known ? part->next : end;
		all->nr += known;
		if (all->nr == DXS_SYNC_RANGES)
			gathered_sync(all);
	}
}

int dxs_msync_ranges(const struct iovec *range, size_t nr)
{
	dxs_sigset set = dxs_sig_block();
	struct gathered all;

	all.nr = 0;
	all.any = all.hole = false;
	all.err = 0;
	for (size_t i = 0; i < nr; i++)
		range_gather(&all, (uintptr_t)range[i].iov_base, (uintptr_t)range[i].iov_base + range[i].iov_len);
	gathered_sync(&all);
	dxs_sig_setmask(set);
	if (all.err || all.hole)
		return all.err ? all.err : -ENOMEM;
	return all.any ? 0 : DXS_PASS;
}

// The known file behind a stat, held and with signals blocked, or NULL and nothing changed.
static struct dxs_file *file_take(const struct stat *st, dxs_sigset *set)
{
	dev_t dev = dxs_identity_dev(st);
	ino_t ino = dxs_identity_ino(st);
	struct dxs_file *file;

	if (!dxs_foreign_may_be_tracked(dev, ino))
		return NULL;
	*set = dxs_sig_block();
	file = dxs_file_lookup(dev, ino);
	if (!file)
		dxs_sig_setmask(*set);
	return file;
}

static struct dxs_file *file_of(int fd, dxs_sigset *set)
{
	struct dxs_foreign_question asked;
	struct dxs_file *file;
	struct stat st;

	if (!dxs_maps_any() || dxs_likely(dxs_foreign(fd)))
		return NULL;
	asked = dxs_foreign_begin(fd);
	if (dxs_sys6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0))
		return NULL;
	file = file_take(&st, set);
	if (!file)
		dxs_foreign_learn(fd, asked);
	return file;
}

static void file_give(struct dxs_file *file, dxs_sigset set)
{
	dxs_file_put(file);
	dxs_sig_setmask(set);
}

// Always: size, extents and data written with write(2) are the kernel's.
static int kernel_fsync(struct dxs_file *file, int fd, bool data_only)
{
	struct pending pending = pending_read(file, true);
	int ret;

	kernel_begins(file);
	ret = (int)(data_only ? DXS_BEHIND(fdatasync, (fd), SYS_fdatasync, fd, 0, 0, 0, 0, 0)
			      : DXS_BEHIND(fsync, (fd), SYS_fsync, fd, 0, 0, 0, 0, 0));
	kernel_ends(file);
	dxs_count(kernel_syncs, 1);
	dxs_file_count(file, kernel_syncs, 1);
	dxs_count(kernel_syncs_fsync, 1);
	if (dxs_file_own_mode(file) == DXS_MODE_KERNEL)
		dxs_unserved_add(file->path, atomic_load(&file->reason));
	atomic_store_explicit(&file->causes, 0, memory_order_relaxed); // settled by this; relaxed: a statistic
	if (!ret)
		kernel_synced(file, fd, pending, &DXS_ASKED_ALL);
	return ret;
}

// Device DAX has no kernel sync: the flush is all there is, in mode kernel of all that is mapped.
static int device_fsync(struct dxs_file *file)
{
	struct pending pending = pending_read(file, true);
	int err = dxs_sync_range(file, 0, UINT64_MAX);

	if (!err)
		dxs_writers_sync_end(&file->writers, pending.ticket);
	return err;
}

// Whether the kernel's fsync flushes whatever was stored, so that nothing need be flushed before. It does on DAX (H.1), but:
//   - from Linux 6.15 on it forgets the tags of a whole file at each ftruncate and hole punch;
//   - it may miss something else that we know (kernel_may_miss), and does not notice bad memory (M6);
//   - the verifier judges flushes of ours only.
static bool is_kernels(struct dxs_file *file)
{
	return dxs_file_mode(file) == DXS_MODE_DIRECT && dxs_kernel_tags_are_kept() && dxs_kernel_is_before(6, 15) &&
	       !atomic_load(&file->kernel_may_miss) && !atomic_load(&file->nr_failed) && !file->observed;
}

static int file_fsync(struct dxs_file *file, int fd, bool data_only)
{
	int err = 0, ret;

	if (file->is_device)
		return device_fsync(file);
	if (is_kernels(file)) {
		err = kernel_fsync(file, fd, data_only);
		dxs_sync_after_kernel(file);
		if (is_kernels(file)) // still: or something has come between that the kernel may have missed
			return err;
	}
	ret = dxs_sync_range(file, 0, UINT64_MAX);
	err = err ? err : ret;
	ret = kernel_fsync(file, fd, data_only);
	return err ? err : ret;
}

int dxs_fsync(int fd, bool data_only)
{
	dxs_sigset set;
	struct dxs_file *file = file_of(fd, &set);
	int ret;

	if (!file) {
		if (dxs_unlikely(dxs_observer) && fd >= 0) // -1 would mean everything
			dxs_observer->others_synced(fd, 0, UINT64_MAX);
		return DXS_PASS;
	}
	ret = file_fsync(file, fd, data_only);
	dxs_file_tell(file);
	file_give(file, set);
	return ret;
}

int dxs_flush_fd(int fd, uint64_t off, uint64_t end)
{
	dxs_sigset set;
	struct dxs_file *file = file_of(fd, &set);
	int err;

	if (!file)
		return DXS_PASS;
	err = dxs_sync_range(file, off, end);
	file_give(file, set);
	return err;
}

// What the kernel's sync of a whole file system would do for one file. That call alone does not: it visits inodes that it
// holds dirty, and a page that became writable with MAP_SYNC does not make one so (fs/dax.c dax_insert_pfn_mkwrite, Linux
// 6.12).
static int file_sync(struct dxs_file *file)
{
	int err = dxs_sync_range(file, 0, UINT64_MAX), ret = 0;

	if (!file->is_device && dxs_file_kernel_sync_pending(file))
		ret = pending_sync(file);
	return err ? err : ret;
}

// Instead of `file`, which it lets go of, the next one, held; NULL: the first, or no more.
static struct dxs_file *file_next(struct dxs_file *file)
{
	unsigned section = dxs_maps_enter();
	struct dxs_file *next = dxs_maps_next_file(file);

	if (next)
		dxs_file_get(next);
	dxs_maps_exit(section);
	if (file)
		dxs_file_put(file);
	return next;
}

int dxs_sync_files(int fd)
{
	struct stat st = {0};
	struct dxs_file *file = NULL;
	dxs_sigset set;
	int err = 0;

	if (dxs_unlikely(dxs_observer))
		dxs_observer->others_synced(-1, 0, UINT64_MAX);
	if (!dxs_maps_any() || (fd >= 0 && dxs_sys6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0)))
		return 0;
	set = dxs_sig_block();
	while ((file = file_next(file))) {
		bool is_meant = fd < 0 || file->dev == st.st_dev || file->dev == dxs_identity_dev(&st);
		int ret = is_meant ? file_sync(file) : 0;

		err = err ? err : ret;
	}
	dxs_sig_setmask(set);
	return err;
}

void dxs_written(int fd, off_t off, ssize_t len)
{
	long flags = dxs_sys6(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
	struct dxs_asked asked = {0};
	struct dxs_file *file;
	dxs_sigset set;

	if (len <= 0 || flags < 0 || !(flags & O_DSYNC)) // O_SYNC has this bit too
		return;
	if (off < 0)
		off = dxs_position(fd) - len;
	file = file_of(fd, &set);
	if (!file) {
		dxs_observer->others_synced(fd, (uint64_t)off, (uint64_t)(off + len));
		return;
	}
	dxs_asked_add(&asked, (uint64_t)off >> file->page_shift, (uint64_t)(off + len - 1) >> file->page_shift);
	(void)dxs_observed(file, true, kernel_synced, file, fd, &asked, false);
	file_give(file, set);
}

void dxs_leave_to_kernel(int fd, const char *reason)
{
	dxs_sigset set;
	struct dxs_file *file = file_of(fd, &set);

	if (!file)
		return;
	dxs_file_to_kernel(file, reason);
	file_give(file, set);
}

off_t dxs_position(int fd)
{
	return (off_t)dxs_sys6(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0);
}

off_t dxs_write_position(int fd)
{
	long flags = dxs_sys6(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);

	return flags > 0 && flags & O_APPEND ? dxs_end_of(fd) : dxs_position(fd);
}

off_t dxs_end_of(int fd)
{
	struct stat st;

	return dxs_sys6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) ? -1 : st.st_size;
}

bool dxs_known_any(void)
{
	return dxs_maps_any();
}

struct dxs_kwrite dxs_kwrite_begin(int fd)
{
	struct dxs_kwrite kwrite = {.generation = dxs_foreign_generation()}; // before the look
	dxs_sigset set;

	kwrite.file = file_of(fd, &set);
	if (!kwrite.file)
		return kwrite;
	dxs_file_changed(kwrite.file, DXS_CAUSE_WRITE); // before: a sync that comes while the call runs is told already
	atomic_fetch_add(&kwrite.file->kwriters, 1);
	dxs_sig_setmask(set);
	return kwrite;
}

bool dxs_kwrite_is_known(struct dxs_kwrite *kwrite, int fd)
{
	if (kwrite->file)
		return true;
	if (dxs_likely(!kwrite->generation || kwrite->generation == dxs_foreign_generation()))
		return false;
	*kwrite = dxs_kwrite_begin(fd);
	return kwrite->file;
}

// The file is longer now. What was stored behind its old end, in its last page, is a part of it from now on, or the
// kernel has zeroed it: in either case it is the kernel's to make durable.
static void size_reaches(struct dxs_file *file, uint64_t end)
{
	uint64_t size = atomic_load(&file->size);

	if (end > size && size % dxs_file_page_size(file))
		dxs_observe(file, kernel_wrote, file, size >> file->page_shift, size >> file->page_shift);
	while (end > size && !atomic_compare_exchange_weak(&file->size, &size, end))
		;
}

void dxs_kwrite_end(struct dxs_file *file, off_t off, ssize_t len)
{
	dxs_sigset set;

	if (!file)
		return;
	set = dxs_sig_block();
	if (len > 0 && off >= 0)
		size_reaches(file, (uint64_t)(off + len));
	if (len > 0 && off >= 0)
		dxs_observe(file, kernel_wrote, file, (uint64_t)off >> file->page_shift,
			    (uint64_t)(off + len - 1) >> file->page_shift);
	// And again: a sync in between may have cleared it. After the marks, which a sync of this change publishes.
	dxs_file_changed(file, DXS_CAUSE_WRITE);
	atomic_fetch_sub(&file->kwriters, 1);
	dxs_file_put(file);
	dxs_sig_setmask(set);
}

static void resize_begin(struct dxs_file *file)
{
	dxs_handover_bar(file); // so that what is stored from now on is in our marks: the kernel may forget its own
	atomic_store(&file->kernel_may_miss, true); // before 6.15 too, of an entry of 2 MiB that the cut goes through
	dxs_sync_range(file, 0, UINT64_MAX);
	if (dxs_tree_next(&file->tree, 0, UINT64_MAX, 1U << DXS_DIRTY)) // pages that were left open
		atomic_store(&file->may_have_holes, true);
	if (dxs_file_own_mode(file) >= DXS_MODE_DIRECT && !file->is_device && dxs_file_kernel_sync_pending(file))
		pending_sync(file); // the kernel's part too, and other writers': it may forget it
	dxs_file_changed(file, DXS_CAUSE_RESIZE);
	atomic_fetch_add(&file->kwriters, 1);
}

static void resize_end(struct dxs_file *file)
{
	dxs_file_changed(file, DXS_CAUSE_RESIZE); // as in dxs_kwrite_end()
	atomic_fetch_sub(&file->kwriters, 1);
	dxs_handover_unbar(file);
	dxs_file_put(file);
}

struct dxs_file *dxs_resize_begin(int fd)
{
	dxs_sigset set;
	struct dxs_file *file = file_of(fd, &set);

	if (!file)
		return NULL;
	resize_begin(file);
	dxs_sig_setmask(set);
	return file;
}

struct dxs_file *dxs_resize_begin_path(int dir, const char *path, bool follow)
{
	struct dxs_file *file;
	dxs_sigset set;
	struct stat st;

	if (!dxs_maps_any() ||
	    dxs_sys6(SYS_newfstatat, dir, (long)path, (long)&st, follow ? 0 : AT_SYMLINK_NOFOLLOW, 0, 0))
		return NULL;
	file = file_take(&st, &set);
	if (!file)
		return NULL;
	resize_begin(file);
	dxs_sig_setmask(set);
	return file;
}

// order: after the kernel has cut; partner: the emulator's walks (image.c).
static void cut_at(struct dxs_file *file, uint64_t size)
{
	uint64_t cut = atomic_load(&file->cut);

	while (size < cut && !atomic_compare_exchange_weak(&file->cut, &cut, size))
		;
}

// What is beyond the end of the file now has lost its protection on hugetlbfs (measured on 6.18; shmem keeps it): it is
// closed again, before anybody can make the file grow and store there.
static void truncated(struct dxs_file *file, uint64_t size)
{
	uint64_t first = (size + dxs_file_page_size(file) - 1) >> file->page_shift;
	struct dxs_map *map;

	dxs_shared_lock(&file->maps_lock);
	dxs_for_each_map_of (map, file, first, UINT64_MAX) {
		uint64_t from = first, last = UINT64_MAX;

		if (map->engine && dxs_map_clip(map, &from, &last))
			map->engine->truncated(map, dxs_map_addr(map, from));
	}
	dxs_shared_unlock(&file->maps_lock);
}

void dxs_resize_end(struct dxs_file *file, bool done, off_t size)
{
	dxs_sigset set;

	if (!file)
		return;
	set = dxs_sig_block();
	if (done) {
		cut_at(file, (uint64_t)size);
		size_reaches(file, (uint64_t)size);
		atomic_store(&file->size, (uint64_t)size);
		truncated(file, (uint64_t)size);
	}
	resize_end(file);
	dxs_sig_setmask(set);
}

void dxs_holes_end(struct dxs_file *file, off_t off, off_t len, off_t size)
{
	uint64_t reach, end; // nothing to write beyond what the file had or has
	dxs_sigset set;

	if (!file)
		return;
	set = dxs_sig_block();
	reach = dxs_max64(atomic_load(&file->size), size < 0 ? 0 : (uint64_t)size);
	end = dxs_min64((uint64_t)off + (uint64_t)len, reach);
	if (size >= 0)
		size_reaches(file, (uint64_t)size);
	if (end > (uint64_t)off)
		dxs_observe(file, kernel_wrote, file, (uint64_t)off >> file->page_shift, (end - 1) >> file->page_shift);
	resize_end(file);
	dxs_sig_setmask(set);
}

bool dxs_hole_begin(uintptr_t *addr, uintptr_t end, struct dxs_hole *hole)
{
	struct part part;

	if (*addr >= end || !part_find(*addr, end, &part))
		return false;
	resize_begin(part.file);
	*hole = (struct dxs_hole){part.file, (off_t)part.off, (off_t)(part.end - part.off)};
	*addr = part.next;
	return true;
}

void dxs_sync_all(void)
{
	dxs_sigset set = dxs_sig_block();
	struct dxs_file *file = NULL;

	dxs_filecache_drop();
	while ((file = file_next(file)))
		if (dxs_file_own_mode(file) > DXS_MODE_KERNEL)
			dxs_sync_range(file, 0, UINT64_MAX);
	dxs_sig_setmask(set);
}

void dxs_leave_all(void)
{
	dxs_sigset set = dxs_sig_block();
	struct dxs_file *file = NULL;

	while ((file = file_next(file)))
		dxs_file_leave(file);
	dxs_sig_setmask(set);
}
