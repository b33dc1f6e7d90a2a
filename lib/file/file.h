// SPDX-License-Identifier: BSD-3-Clause
// file.h: one tracked inode: its dirty tree, its mappings, the state of its syncs.
#ifndef DXS_FILE_H
#define DXS_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/lock.h"
#include "file/group.h"
#include "file/mapping.h"
#include "tree/tree.h"
#include "writers/writers.h"

struct dxs_index_node;

// What msync(MS_SYNC) does for the mappings of an inode (doc/design.md, "Modes").
enum dxs_mode { DXS_MODE_PASS, DXS_MODE_KERNEL, DXS_MODE_EMULATED, DXS_MODE_DIRECT, DXS_MODE_BYTE };

const char *dxs_mode_name(enum dxs_mode mode);

// What daxsync_map_stats_get() tells of a file, next to each other: a sync adds to most of them at once.
struct dxs_file_counts {
	// relaxed, all: statistics (dxs_file_count); seq_cst, the default, where they are read.
	_Atomic uint64_t syncs, pages_flushed, bytes_flushed, traps, kernel_syncs;
};

// Whether the file is handed over to the kernel (core/handover.h). All zero: tracked, and nothing is known.
struct dxs_handover {
	// seq_cst, the default: relaxed would do. A sync holds sync_lock shared; who asks without it only guesses.
	_Atomic bool is_over; // a sync calls the kernel, and does nothing else; changes with sync_lock held exclusively
	// seq_cst: up before dxs_handover_bar takes sync_lock; partner: may_be_over, in who decides with it held.
	_Atomic uint32_t nr_barred; // calls under way that the kernel's marks do not outlive: it is not handed over
	// relaxed, both: guesses.
	_Atomic uint64_t next;   // when to decide again, by the file's clock and `fsyncs`
	_Atomic uint64_t fsyncs; // that the kernel alone has served, and that flush and age nothing: not in the clock
	// relaxed, all: statistics. In flushes, since the last decision: what traps cost, what the same stores would in
	// the kernel, flushes of open pages.
	_Atomic uint64_t traps, traps_there, flushes;
	_Atomic uint64_t nr_traps;      // for one page, or few
	_Atomic uint64_t aged, in_time; // flushes of pages whose stay was over; of those stored to before the next sync
	unsigned nr_vain;               // times in a row that it was handed over; with sync_lock held exclusively
	unsigned nr_windows; // decisions since it is tracked, up to 2: the first one begins a window; likewise
};

struct dxs_file {
	dev_t dev;
	ino_t ino;
	unsigned page_shift; // an entry of the tree stands for 1 << page_shift bytes
	// seq_cst, the default: acquire and release would do, in dxs_file_put. Its last owner sees what the others did.
	_Atomic uint32_t refs;
	struct dxs_tree tree;
	_Atomic uint64_t tree_counted; // bytes of it in the statistics; relaxed would do: it is one
	struct dxs_shared maps_lock;   // shared: syncs, for as long as they use addresses; exclusive: changes of `maps`
	// seq_cst, the default: up before anything is opened, down after it is marked; partner: `discover` in sync.c.
	_Atomic uint32_t nr_unscanned; // mappings of which some part may be open and not marked: a sync has to scan
	// seq_cst, the default: relaxed would do. It changes with maps_lock held exclusively, a sync holds that shared.
	const struct dxs_engine *_Atomic engine; // of all its mappings that have one; NULL: not known, or several
	bool is_mixed;                           // there were several
	const struct dxs_index_node *maps;       // a tree by offset (mapping.c)
	uint64_t nr_mapped;                      // entries of these, each mapping counted; changes with it
	// relaxed, both: the policy's guesses.
	_Atomic uint64_t clock;        // of the policy: how often a sync has covered an entry (policy.c)
	_Atomic uint64_t nr_left_open; // entries that the policy leaves open; in dxs_files_left_open too
	struct dxs_group group;
	// release (part of seq_cst): up after the mark is back, before FLUSHING goes; partners: sync_run, dxs_dirty.
	_Atomic uint64_t nr_failed;  // leaves of which a flush failed
	struct dxs_shared sync_lock; // shared: syncs; exclusive: one that the others have kept from its end (sync.c)
	struct dxs_mutex exclusive_mutex;
	struct dxs_handover handover;
	// seq_cst, the default: KERNEL before a store completes that only the kernel knows; partner: the look of a sync
	// after its flush (dxs_file_kernel_sync_pending).
	_Atomic int mode; // enum dxs_mode, while nobody else writes; moves to KERNEL when something becomes uncertain
	// seq_cst, the default: relaxed would do. Text for people; for a moment it may be that of the mode before.
	_Atomic(const char *) reason;
	struct dxs_writers writers;
	// seq_cst, the default: relaxed would do. One exchange decides who tells.
	_Atomic int told; // enum dxs_mode, the last that was logged
	// What only a kernel sync makes durable (size, write(2) data, pages that cannot be read): counted when it
	// changes, and up to where a kernel sync that has RETURNED covers it. Unequal: a kernel sync is pending.
	// seq_cst: changes are counted before and after what the kernel does, read before a kernel sync (dxs_pending_read)
	// and settled when it has returned (dxs_pending_settle); kernel_syncing is up around its call. Partner:
	// dxs_file_kernel_sync_pending.
	_Atomic uint64_t kernel_changes, kernel_synced;
	_Atomic uint32_t kernel_syncing; // kernel syncs of this process's that are under way
	// Of the changes since the last such sync, for the statistics: 1 << enum dxs_cause. relaxed: a statistic.
	_Atomic uint32_t causes;
	_Atomic uint64_t size; // bytes, as last seen by a hook; seq_cst, the default: relaxed would do, it is a hint
	// The smallest size since the last kernel sync; UINT64_MAX: not cut. seq_cst, the default: down when the kernel
	// has cut, back when a sync of it has returned (dxs_pending_settle); partners: image.c, verify.c.
	_Atomic uint64_t cut;
	struct dxs_mutex pin_mutex; // pages being pinned, or a part being closed for the first time
	// There may be stores that only our marks know of, and not the kernel's: pages were pinned, or the file was cut.
	// seq_cst, the default: set before the kernel's write or cut, for good; partner: is_kernels in fsync.c.
	_Atomic bool kernel_may_miss;
	unsigned nr_pins; // kernel writes into mappings that are under way (M9); under pin_mutex
	// seq_cst, the default: up before the kernel's call, down after its marks are set; partner: verify.c.
	_Atomic uint32_t kwriters;     // kernel writes into the file that are under way
	struct dxs_mutex kwrite_mutex; // KWRITE marks being set, or taken away together (emulate/image.c)
	uint64_t nr_kwrites;           // how often they were set; under kwrite_mutex
	// Some marked pages may be holes: a trap has opened pages that were not stored to, or a hole came under open ones.
	// seq_cst, the default: release would do. Set before these marks, for good; partner: dxs_may_be_holes.
	_Atomic bool may_have_holes;
	// In memory and nowhere else, in small pages that the kernel does not make huge ones of; until the program asks
	// for them. seq_cst, the default: relaxed would do. It changes with maps_lock held exclusively, or before
	// anybody has the file; a scan reads it with that held.
	_Atomic bool is_plain_memory;
	bool in_memory; // tmpfs, hugetlbfs: a page that is not in memory is a hole; constant
	bool is_device; // device DAX: the kernel syncs nothing; constant
	// seq_cst, the default: relaxed would do. One exchange decides who tells.
	_Atomic bool told_unwritable; // dxs_file_tell_unwritable
	bool changing;                // maps_lock is held exclusively by the registry's owner (change.c)
	struct dxs_file *changing_next;
	void *observed; // what the observer keeps of it; NULL: nobody looks (observer.h)
	char path[256]; // where it was when first mapped, for people; cut if longer
	struct dxs_file_counts counts;
};

extern _Atomic uint64_t dxs_files_left_open; // of all files

// Inside a reader's section or with the registry's lock: keeps the file until dxs_file_put.
static inline void dxs_file_get(struct dxs_file *file)
{
	atomic_fetch_add(&file->refs, 1);
}

void dxs_file_put(struct dxs_file *file);

// Of one that nobody refers to.
void dxs_file_destroy(struct dxs_file *file);

// Brings the statistics up to date with the memory of the file's tree.
void dxs_file_account(struct dxs_file *file);

// The file with this identity, held, or NULL. Context: any with signals blocked.
struct dxs_file *dxs_file_lookup(dev_t dev, ino_t ino);

// A new file with one reference. NULL: no memory.
// All of the file's locks are free; in a new file, and in a forked child, whose only thread holds none.
void dxs_file_locks_begin(struct dxs_file *file);
struct dxs_file *dxs_file_new(dev_t dev, ino_t ino, unsigned page_shift);

// From now on, for good, the kernel's own sync has to follow every flush. `reason` is static text.
void dxs_file_to_kernel(struct dxs_file *file, const char *reason);

// Takes a place in the registry of the file's writers, before it can be written. fd: a descriptor of it.
void dxs_file_join(struct dxs_file *file, int fd);

// Whether byte `off` lies beyond the end of the file now: 1, 0, or -EFAULT where that is not known.
int dxs_file_is_beyond(struct dxs_file *file, uint64_t off);

// Leaves it, when the process ends.
void dxs_file_leave(struct dxs_file *file);

// Says, once for a file, that a page cannot be opened (-errno): the program's store will be a fault. Context: any.
void dxs_file_tell_unwritable(struct dxs_file *file, int err);

// Logs and counts a change of the mode. Context: any with signals blocked.
void dxs_file_tell(struct dxs_file *file);

// relaxed: a counter orders nothing.
#define dxs_file_count(file, name, nr)                                                                                 \
	atomic_fetch_add_explicit(&(file)->counts.name, (uint64_t)(nr), memory_order_relaxed)

enum dxs_cause { DXS_CAUSE_WRITE, DXS_CAUSE_RESIZE, DXS_CAUSE_MAPPING, DXS_CAUSE_UNSEEN, DXS_NR_CAUSES };

static inline void dxs_file_changed(struct dxs_file *file, enum dxs_cause cause)
{
	if (!(atomic_load_explicit(&file->causes, memory_order_relaxed) & 1U << cause)) // relaxed, both: a statistic
		atomic_fetch_or_explicit(&file->causes, 1U << cause, memory_order_relaxed);
	atomic_fetch_add(&file->kernel_changes, 1);
}

// The mode while nobody else writes the file: whether it is tracked. That goes on while others write it.
static inline enum dxs_mode dxs_file_own_mode(struct dxs_file *file)
{
	return (enum dxs_mode)atomic_load(&file->mode);
}

// The mode at this moment. There is no step by which it changes: another writer's announcement is the change.
static inline enum dxs_mode dxs_file_mode(struct dxs_file *file)
{
	enum dxs_mode mode = dxs_file_own_mode(file);

	return mode > DXS_MODE_KERNEL && !dxs_writers_exclusive(&file->writers) ? DXS_MODE_KERNEL : mode;
}

// Why it is in that mode: static text.
const char *dxs_file_reason(struct dxs_file *file);

// Whether a flush alone does not make the file's mapped data durable: mode `kernel`, or something that only the
// kernel can make durable was changed since the last kernel sync. Or a kernel sync is under way: lines that it has flushed
// and not fenced yet looked clean to this flush. The kernel's sync that follows waits for them, as the kernel has a lock for
// each page (model: BESIDE). Ask after the flush.
static inline bool dxs_file_kernel_sync_pending(struct dxs_file *file)
{
	return dxs_file_mode(file) == DXS_MODE_KERNEL ||
	       atomic_load(&file->kernel_changes) != atomic_load(&file->kernel_synced) ||
	       atomic_load(&file->kernel_syncing);
}

static inline size_t dxs_file_page_size(const struct dxs_file *file)
{
	return (size_t)1 << file->page_shift;
}

// The entries of a mapping: first to last.
static inline uint64_t dxs_map_last(const struct dxs_map *map)
{
	return map->first + (map->len >> map->file->page_shift) - 1;
}

static inline uint64_t dxs_map_pgoff(const struct dxs_map *map, uintptr_t addr)
{
	return map->first + ((addr - map->addr) >> map->file->page_shift);
}

static inline uintptr_t dxs_map_addr(const struct dxs_map *map, uint64_t pgoff)
{
	return map->addr + (size_t)((pgoff - map->first) << map->file->page_shift);
}

// A mapping whose engine may have opened, or never closed, a part of it without marking it; and one that is all known, or
// has no engine any more. Caller holds the map's mutex, or nobody else knows the map. A store to what was opened comes after
// it was said to be unscanned, and so does a sync that has to see the store: such a sync finds nr_unscanned not 0.
static inline void dxs_map_set_unscanned(struct dxs_map *map)
{
	if (!atomic_exchange(&map->unscanned, true))
		atomic_fetch_add(&map->file->nr_unscanned, 1);
}

static inline void dxs_map_set_scanned(struct dxs_map *map)
{
	if (atomic_exchange(&map->unscanned, false))
		atomic_fetch_sub(&map->file->nr_unscanned, 1);
}

// The part of [first, last] that a mapping covers. False: none.
static inline bool dxs_map_clip(const struct dxs_map *map, uint64_t *first, uint64_t *last)
{
	*first = dxs_max64(*first, map->first);
	*last = dxs_min64(*last, dxs_map_last(map));
	return *first <= *last;
}

#pragma GCC visibility push(default) // the emulator uses it
// The first mapping of the file behind another one (NULL: of all), by offset, that has any entry of [first, last]; NULL:
// none. Caller holds maps_lock, or the registry's lock.
struct dxs_map *dxs_file_map_next(const struct dxs_file *file, const struct dxs_map *map, uint64_t first,
				  uint64_t last);
#pragma GCC visibility pop

#define dxs_for_each_map_of(map, file, first, last)                                                                    \
	for ((map) = dxs_file_map_next(file, NULL, first, last); (map);                                                \
	     (map) = dxs_file_map_next(file, map, first, last))

// What a file is known by: a device of device DAX has no inode.
static inline dev_t dxs_identity_dev(const struct stat *st)
{
	return S_ISCHR(st->st_mode) ? st->st_rdev : st->st_dev;
}

static inline ino_t dxs_identity_ino(const struct stat *st)
{
	return S_ISCHR(st->st_mode) ? 0 : st->st_ino;
}

#endif
