// SPDX-License-Identifier: BSD-3-Clause
// msync.c: msync of known mappings.
#include "call/calls.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/behind.h"
#include "base/near.h"
#include "base/sys.h"
#include "call/known.h"
#include "call/pending.h"
#include "core/sync.h"
#include "file/file.h"
#include "report/stats.h"
#include "report/unserved.h"

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
static int kernel_msync(const struct dxs_part *part, int flags)
{
	struct dxs_file *file = part->file;
	bool whole = !part->off && part->end >= size_now(file);
	struct dxs_pending pending = dxs_pending_read(file, whole);
	struct dxs_asked asked = {0};
	int ret;

	dxs_pending_begin(file);
	ret = sys_msync(part->addr, part->next, flags);
	dxs_pending_end(file);
	dxs_count(kernel_syncs, 1);
	dxs_file_count(file, kernel_syncs, 1);
	dxs_count_add(dxs_pending_mode_cause(file), 1);
	dxs_asked_add(&asked, part->off >> file->page_shift, (part->end - 1) >> file->page_shift);
	if (!ret && whole)
		dxs_pending_settle(file, -1, pending, &asked);
	else if (!ret)
		(void)dxs_observed(file, true, kernel_synced, file, -1, &asked, true);
	return ret;
}

// Parts of one file, in ascending order, as ranges: those that overlap, or share a page, as one. Returns how many.
static unsigned ranges_of(const struct dxs_part *part, unsigned nr, struct dxs_bytes *range)
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
static int kernel_msyncs(const struct dxs_part *part, unsigned nr, int flags)
{
	int err = 0;

	for (unsigned i = 0; i < nr; i++) {
		int ret = kernel_msync(&part[i], flags);

		err = err ? err : ret;
	}
	return err;
}

// On its own, so that the array is not on the stack of each msync, which may be small.
static __attribute__((noinline)) int several_flush(const struct dxs_part *part, unsigned nr)
{
	struct dxs_bytes range[DXS_SYNC_RANGES];

	return dxs_sync_ranges(part->file, range, ranges_of(part, nr, range));
}

// Parts of one file, in ascending order.
static int parts_sync(const struct dxs_part *part, unsigned nr, int flags)
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
		ret = dxs_pending_sync(file);
	ret = err ? err : ret;
	if (!ret && !kernel)
		for (unsigned i = 0; i < nr; i++)
			dxs_observe(file, sync_answered, file, kwrites, part[i].off >> file->page_shift,
				    (part[i].end - 1) >> file->page_shift);
	return ret;
}

static int part_sync(const struct dxs_part *part, int flags)
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
		struct dxs_part part;
		bool known = dxs_part_find(start, end, &part);

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
	struct dxs_part part[DXS_SYNC_RANGES];
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

static bool is_behind(const struct dxs_part *a, const struct dxs_part *b)
{
	return a->file != b->file ? a->file > b->file : a->off > b->off;
}

// By file, and by offset in it. They are few, and most programs give them in order.
static void parts_sort(struct dxs_part *part, unsigned nr)
{
	for (unsigned i = 1; i < nr; i++) {
		struct dxs_part moving = part[i];
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
		struct dxs_part *part = &all->part[all->nr];
		bool known = dxs_part_find(start, end, part);

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
