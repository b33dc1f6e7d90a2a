// SPDX-License-Identifier: BSD-3-Clause
// pending.c: the kernel syncs of a file.
#include "call/pending.h"

#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "call/calls.h"
#include "core/sync.h"
#include "file/file.h"
#include "report/unserved.h"

struct dxs_pending dxs_pending_read(struct dxs_file *file, bool whole)
{
	struct dxs_pending pending = {.changes = atomic_load(&file->kernel_changes)};

	if (whole && dxs_file_own_mode(file) > DXS_MODE_KERNEL)
		pending.ticket = dxs_writers_sync_begin(&file->writers);
	return pending;
}

void dxs_pending_settle(struct dxs_file *file, int fd, struct dxs_pending pending, const struct dxs_asked *asked)
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

void dxs_pending_begin(struct dxs_file *file)
{
	atomic_fetch_add(&file->kernel_syncing, 1);
}

void dxs_pending_end(struct dxs_file *file)
{
	atomic_fetch_sub(&file->kernel_syncing, 1);
}

enum dxs_counter dxs_pending_mode_cause(struct dxs_file *file)
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
		dxs_count_add(dxs_pending_mode_cause(file), 1);
	else if (!causes)
		dxs_count(kernel_syncs_beside, 1);
	for (unsigned i = 0; i < DXS_NR_CAUSES; i++)
		if (causes & 1U << i)
			dxs_count_add(counter[i], 1);
}

int dxs_pending_sync(struct dxs_file *file)
{
	struct dxs_pending pending = dxs_pending_read(file, false);
	struct dxs_asked asked = {0};
	struct dxs_map *map;
	uint64_t done = 0;
	int err = 0;

	dxs_shared_lock(&file->maps_lock);
	dxs_pending_begin(file);
	dxs_for_each_map_of (map, file, done, UINT64_MAX) {
		uint64_t from = dxs_max64(map->first, done);
		uintptr_t addr = dxs_map_addr(map, from);

		err = (int)dxs_sys6(SYS_msync, (long)addr, (long)(dxs_map_end(map) - addr), MS_SYNC, 0, 0, 0);
		if (err)
			break;
		done = dxs_map_last(map) + 1;
		dxs_asked_add(&asked, from, dxs_map_last(map));
	}
	dxs_pending_end(file);
	dxs_shared_unlock(&file->maps_lock);
	pending_count(file);
	if (!err)
		dxs_pending_settle(file, -1, pending, &asked);
	return err;
}
