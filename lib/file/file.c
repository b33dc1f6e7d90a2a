// SPDX-License-Identifier: BSD-3-Clause
// file.c: the life of a tracked inode.
#include "file/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/log.h"
#include "file/filecache.h"
#include "file/observer.h"
#include "report/stats.h"
#include "writers/directory.h"

const char *dxs_mode_name(enum dxs_mode mode)
{
	static const char *const name[] = {
		[DXS_MODE_PASS] = "pass",     [DXS_MODE_KERNEL] = "kernel", [DXS_MODE_EMULATED] = "emulated",
		[DXS_MODE_DIRECT] = "direct", [DXS_MODE_BYTE] = "byte",
	};

	return name[mode];
}

_Atomic uint64_t dxs_files_left_open; // relaxed: a limit, not exact

void dxs_file_locks_begin(struct dxs_file *file)
{
	file->maps_lock = (struct dxs_shared){.rank = DXS_RANK_MAPS};
	file->sync_lock = (struct dxs_shared){.rank = DXS_RANK_SYNC_LOCK};
	file->exclusive_mutex = (struct dxs_mutex){.rank = DXS_RANK_EXCLUSIVE_MUTEX};
	file->group = (struct dxs_group){.mutex.rank = DXS_RANK_GROUP};
	file->kwrite_mutex = (struct dxs_mutex){.rank = DXS_RANK_KWRITE};
	file->pin_mutex = (struct dxs_mutex){.rank = DXS_RANK_PIN};
}

struct dxs_file *dxs_file_new(dev_t dev, ino_t ino, unsigned page_shift)
{
	struct dxs_file *file = dxs_zalloc(sizeof(*file));

	if (!file)
		return NULL;
	file->dev = dev;
	file->ino = ino;
	file->page_shift = page_shift;
	dxs_tree_init(&file->tree);
	dxs_file_locks_begin(file);
	dxs_writers_init(&file->writers);
	atomic_store(&file->cut, UINT64_MAX);
	atomic_store(&file->refs, 1);
	return file;
}

void dxs_file_account(struct dxs_file *file)
{
	uint64_t bytes = dxs_tree_bytes(&file->tree);

	if (bytes == atomic_load_explicit(&file->tree_counted, memory_order_relaxed)) // relaxed: a statistic
		return;
	dxs_count(tree_bytes, bytes - atomic_exchange(&file->tree_counted, bytes)); // modulo 2^64: may go down
}

static bool stat_by_name(const struct dxs_file *file, struct stat *st)
{
	return !dxs_sys6(SYS_newfstatat, AT_FDCWD, (long)file->path, (long)st, 0, 0, 0) && st->st_dev == file->dev &&
	       st->st_ino == file->ino;
}

static bool has_name(const struct dxs_file *file)
{
	struct stat st;

	return !file->ino || stat_by_name(file, &st);
}

int dxs_file_is_beyond(struct dxs_file *file, uint64_t off)
{
	struct stat st;

	if (stat_by_name(file, &st))
		return off >= (uint64_t)st.st_size;
	return dxs_writers_exclusive(&file->writers) ? off >= atomic_load(&file->size)
						     : -EFAULT; // as the hooks saw it last
}

// All that this process has stored, and then unmapped or synced, is durable without the kernel if it was tracked.
static enum dxs_leaving leaving(struct dxs_file *file)
{
	if (!has_name(file))
		return DXS_LEAVES_NO_NAME;
	return dxs_file_own_mode(file) > DXS_MODE_KERNEL && !atomic_load(&file->nr_failed) ? DXS_LEAVES_NOTHING
											   : DXS_LEAVES_STORES;
}

void dxs_file_destroy(struct dxs_file *file)
{
	dxs_writers_destroy(&file->writers, leaving(file));
	dxs_observe(file, end, file);
	// relaxed, both: a limit, not exact
	atomic_fetch_sub_explicit(&dxs_files_left_open, atomic_load_explicit(&file->nr_left_open, memory_order_relaxed),
				  memory_order_relaxed);
	dxs_tree_destroy(&file->tree);
	dxs_file_account(file);
	dxs_free(file);
}

void dxs_file_put(struct dxs_file *file)
{
	if (atomic_fetch_sub(&file->refs, 1) == 1 && !dxs_filecache_add(file))
		dxs_file_destroy(file);
}

struct dxs_file *dxs_file_lookup(dev_t dev, ino_t ino)
{
	unsigned section = dxs_maps_enter();
	struct dxs_file *file = dxs_maps_file(dev, ino);

	if (file)
		dxs_file_get(file); // the table's mappings hold it, and the table cannot go inside the section
	dxs_maps_exit(section);
	return file;
}

void dxs_file_to_kernel(struct dxs_file *file, const char *reason)
{
	if (atomic_exchange(&file->mode, DXS_MODE_KERNEL) == DXS_MODE_KERNEL)
		return;
	atomic_store(&file->reason, reason);
	dxs_file_tell(file);
}

const char *dxs_file_reason(struct dxs_file *file)
{
	bool others = dxs_file_own_mode(file) > DXS_MODE_KERNEL && !dxs_writers_exclusive(&file->writers);

	return others ? atomic_load(&file->writers.reason) : atomic_load(&file->reason);
}

void dxs_file_tell(struct dxs_file *file)
{
	enum dxs_mode mode = dxs_file_mode(file);
	int old = atomic_load(&file->told);

	if (dxs_likely(old == (int)mode) || !atomic_compare_exchange_strong(&file->told, &old, mode))
		return;
	if (mode == DXS_MODE_KERNEL) {
		dxs_count(to_kernel, 1);
		dxs_stats_map_add(file->path, "kernel", "any", dxs_file_reason(file), 0);
	} else if (old == DXS_MODE_KERNEL) {
		dxs_count(from_kernel, 1);
	}
	dxs_info("%s: mode %s: %s", file->path, dxs_mode_name(mode), dxs_file_reason(file));
}

void dxs_file_tell_unwritable(struct dxs_file *file, int err)
{
	const char *what = strerrordesc_np(-err); // static, untranslated

	if (!atomic_exchange(&file->told_unwritable, true))
		dxs_error("%s: a page cannot be made writable again: %s%s", file->path, what ? what : "unknown error",
			  err == -ENOMEM  ? " (or vm.max_map_count mappings)"
			  : err == -EPERM ? " (by mseal, or a seccomp filter)"
					  : "");
}

void dxs_file_join(struct dxs_file *file, int fd)
{
	int err = dxs_writers_join(&file->writers, fd, file->dev, file->ino);
	char place[256];

	if (err) {
		dxs_registry_dir_place(place, sizeof(place));
		dxs_warn("%s: the kernel keeps it: %s (DAXSYNC_REGISTRY=%s, error %d)", file->path,
			 atomic_load(&file->writers.reason), place, -err);
	}
	dxs_file_tell(file);
}

void dxs_file_leave(struct dxs_file *file)
{
	dxs_writers_leave(&file->writers, leaving(file));
}
