// SPDX-License-Identifier: BSD-3-Clause
// fsync.c: fsync, and syncs of all files.
#include "call/calls.h"

#include <sys/stat.h>

#include "base/behind.h"
#include "base/kernel.h"
#include "base/sys.h"
#include "call/known.h"
#include "call/pending.h"
#include "core/sync.h"
#include "file/file.h"
#include "file/filecache.h"
#include "report/stats.h"
#include "report/unserved.h"

// Always: size, extents and data written with write(2) are the kernel's.
static int kernel_fsync(struct dxs_file *file, int fd, bool data_only)
{
	struct dxs_pending pending = dxs_pending_read(file, true);
	int ret;

	dxs_pending_begin(file);
	ret = (int)(data_only ? DXS_BEHIND(fdatasync, (fd), SYS_fdatasync, fd, 0, 0, 0, 0, 0)
			      : DXS_BEHIND(fsync, (fd), SYS_fsync, fd, 0, 0, 0, 0, 0));
	dxs_pending_end(file);
	dxs_count(kernel_syncs, 1);
	dxs_file_count(file, kernel_syncs, 1);
	dxs_count(kernel_syncs_fsync, 1);
	if (dxs_file_own_mode(file) == DXS_MODE_KERNEL)
		dxs_unserved_add(file->path, atomic_load(&file->reason));
	atomic_store_explicit(&file->causes, 0, memory_order_relaxed); // settled by this; relaxed: a statistic
	if (!ret)
		dxs_pending_settle(file, fd, pending, &DXS_ASKED_ALL);
	return ret;
}

// Device DAX has no kernel sync: the flush is all there is, in mode kernel of all that is mapped.
static int device_fsync(struct dxs_file *file)
{
	struct dxs_pending pending = dxs_pending_read(file, true);
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
	struct dxs_file *file = dxs_known_file(fd, &set);
	int ret;

	if (!file) {
		if (dxs_unlikely(dxs_observer) && fd >= 0) // -1 would mean everything
			dxs_observer->others_synced(fd, 0, UINT64_MAX);
		return DXS_PASS;
	}
	ret = file_fsync(file, fd, data_only);
	dxs_file_tell(file);
	dxs_known_give(file, set);
	return ret;
}

int dxs_flush_fd(int fd, uint64_t off, uint64_t end)
{
	dxs_sigset set;
	struct dxs_file *file = dxs_known_file(fd, &set);
	int err;

	if (!file)
		return DXS_PASS;
	err = dxs_sync_range(file, off, end);
	dxs_known_give(file, set);
	return err;
}

// What the kernel's sync of a whole file system would do for one file. That call alone does not: it visits inodes that it
// holds dirty, and a page that became writable with MAP_SYNC does not make one so (fs/dax.c dax_insert_pfn_mkwrite, Linux
// 6.12).
static int file_sync(struct dxs_file *file)
{
	int err = dxs_sync_range(file, 0, UINT64_MAX), ret = 0;

	if (!file->is_device && dxs_file_kernel_sync_pending(file))
		ret = dxs_pending_sync(file);
	return err ? err : ret;
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
	while ((file = dxs_known_next(file))) {
		bool is_meant = fd < 0 || file->dev == st.st_dev || file->dev == dxs_identity_dev(&st);
		int ret = is_meant ? file_sync(file) : 0;

		err = err ? err : ret;
	}
	dxs_sig_setmask(set);
	return err;
}

void dxs_sync_all(void)
{
	dxs_sigset set = dxs_sig_block();
	struct dxs_file *file = NULL;

	dxs_filecache_drop();
	while ((file = dxs_known_next(file)))
		if (dxs_file_own_mode(file) > DXS_MODE_KERNEL)
			dxs_sync_range(file, 0, UINT64_MAX);
	dxs_sig_setmask(set);
}

void dxs_leave_all(void)
{
	dxs_sigset set = dxs_sig_block();
	struct dxs_file *file = NULL;

	while ((file = dxs_known_next(file)))
		dxs_file_leave(file);
	dxs_sig_setmask(set);
}
