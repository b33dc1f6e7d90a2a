// SPDX-License-Identifier: BSD-3-Clause
// content.c: calls that change the content of known files, or their size.
#include "call/calls.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/foreign.h"
#include "base/sys.h"
#include "call/known.h"
#include "call/pending.h"
#include "core/engine.h"
#include "core/handover.h"
#include "core/sync.h"
#include "file/file.h"

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
	file = dxs_known_file(fd, &set);
	if (!file) {
		dxs_observer->others_synced(fd, (uint64_t)off, (uint64_t)(off + len));
		return;
	}
	dxs_asked_add(&asked, (uint64_t)off >> file->page_shift, (uint64_t)(off + len - 1) >> file->page_shift);
	(void)dxs_observed(file, true, kernel_synced, file, fd, &asked, false);
	dxs_known_give(file, set);
}

void dxs_leave_to_kernel(int fd, const char *reason)
{
	dxs_sigset set;
	struct dxs_file *file = dxs_known_file(fd, &set);

	if (!file)
		return;
	dxs_file_to_kernel(file, reason);
	dxs_known_give(file, set);
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

	kwrite.file = dxs_known_file(fd, &set);
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
		dxs_pending_sync(file); // the kernel's part too, and other writers': it may forget it
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
	struct dxs_file *file = dxs_known_file(fd, &set);

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
	file = dxs_known_take(&st, &set);
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

// What is beyond the end of the file now has lost its protection on hugetlbfs (measured on 6.18). On shmem a page loses it that
// was mapped by a fault between the two steps of the kernel's cut. All of it is closed again, before anybody can make the
// file grow and store there.
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
	struct dxs_part part;

	if (*addr >= end || !dxs_part_find(*addr, end, &part))
		return false;
	resize_begin(part.file);
	*hole = (struct dxs_hole){part.file, (off_t)part.off, (off_t)(part.end - part.off)};
	*addr = part.next;
	return true;
}
