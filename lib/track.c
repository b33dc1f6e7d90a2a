// SPDX-License-Identifier: BSD-3-Clause
// track.c: mappings coming and going (M1, M10).
//
// CONCURRENCY
//   One change at a time (the registry's lock). A change takes the maps_lock of each file it touches exclusively, so
//   no sync uses an address that is about to go, and gives it back when the kernel call is over. It waits for traps
//   in flight with dxs_maps_synchronize(). A trap that comes later finds the mapping `going` and waits until it is
//   not: then the store finds what the kernel has put there.
#include "track.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/uio.h>

#include "alloc.h"
#include "budget.h"
#include "calls.h"
#include "config.h"
#include "diag.h"
#include "engine.h"
#include "fault.h"
#include "flush.h"
#include "fork.h"
#include "image.h"
#include "log.h"
#include "mode.h"
#include "run.h"
#include "sigmask.h"
#include "signals.h"
#include "stats.h"
#include "strangers.h"
#include "sync.h"
#include "trap.h"
#include "vma.h"

// Advice that libc's headers may not know yet.
#define POPULATE_READ 22  // Linux 5.14
#define POPULATE_WRITE 23 // 5.14
#define COLLAPSE 25       // 6.1
#define GUARD_INSTALL 102 // 6.13; for files 6.15
#define GUARD_REMOVE 103  // 6.13

#define MAX_IMAGE_SHIFT 21 // what image.c can stage: a leaf of huge pages of 2 MiB

// A change of the address space, from before the kernel call to after it. Signals are blocked and the registry is
// locked in between.
struct change {
	dxs_sigset set;
	int saved_errno; // libraries and threads that are started in between change it
	uintptr_t addr, end;
};

DXS_THREAD int dxs_inside;

bool (*dxs_stdio_writes)(dev_t dev, ino_t ino);

void dxs_init(void)
{
	static _Atomic bool done;
	char why[128];

	if (atomic_exchange(&done, true))
		return;
	dxs_log_init();
	dxs_config_load();
	if (dxs_fault_parse(dxs_config.fault, why, sizeof(why)))
		dxs_error("DAXSYNC_FAULT=%s: %s; nothing is planted", dxs_config.fault, why);
	else if (dxs_config.fault[0] && !dxs_config.emulate)
		dxs_error("DAXSYNC_FAULT=%s: data will be lost, as was asked for", dxs_config.fault);
	dxs_fork_init();
}

static size_t round_up(size_t len, size_t page)
{
	return (len + page - 1) & ~(page - 1);
}

static void file_lock(struct dxs_file *file)
{
	if (!file->changing)
		dxs_exclusive_lock(&file->maps_lock);
	file->changing = true;
}

static void file_unlock(struct dxs_file *file)
{
	if (file->changing) {
		file->changing = false;
		dxs_exclusive_unlock(&file->maps_lock);
	}
}

// A map of the part [addr, end) of another, or NULL.
static struct dxs_map *map_part(const struct dxs_map *map, uintptr_t addr, uintptr_t end)
{
	struct dxs_map *part = dxs_zalloc(sizeof(*part));

	if (!part)
		return NULL;
	part->addr = addr;
	part->len = end - addr;
	part->first = dxs_map_pgoff(map, addr);
	part->prot = map->prot;
	part->flags = map->flags;
	part->file = map->file;
	part->engine = map->engine;
	return part;
}

static void map_release(struct dxs_map *map, bool gone)
{
	struct dxs_file *file = map->file;

	if (map->engine)
		map->engine->detach(map, gone);
	dxs_tree_unreserve(&file->tree, map->first, dxs_map_last(map));
	dxs_free(map);
	dxs_file_put(file);
}

static uint64_t map_off(const struct dxs_map *map)
{
	return map->first << map->file->page_shift;
}

static void map_forget(struct dxs_map *map, bool gone)
{
	dxs_file_map_remove(map->file, map);
	dxs_maps_replace(&map, 1, NULL, 0);
	if (!dxs_maps_file(map->file->dev, map->file->ino))
		file_unlock(map->file);
	map_release(map, gone);
}

// A part takes over from the map it is a part of.
static bool part_settle(struct dxs_map *part, const struct dxs_map *map)
{
	struct dxs_tree *tree = &part->file->tree;

	if (dxs_tree_reserve(tree, part->first, dxs_map_last(part)))
		return false;
	if (part->engine && part->engine->inherit(part, map)) {
		dxs_tree_unreserve(tree, part->first, dxs_map_last(part));
		return false;
	}
	dxs_file_get(part->file);
	return true;
}

// The opposite of part_settle, for a part that nobody has seen.
static void part_leave(struct dxs_map *part)
{
	if (part->engine)
		part->engine->detach(part, true);
	dxs_tree_unreserve(&part->file->tree, part->first, dxs_map_last(part));
	dxs_file_put(part->file);
}

static bool parts_settle(struct dxs_map *const *part, struct dxs_map *map)
{
	if (!part[0] || !part[1] || !part_settle(part[0], map))
		return false;
	if (part_settle(part[1], map)) {
		if (!dxs_maps_replace(&map, 1, part, 2))
			return true;
		part_leave(part[1]);
	}
	part_leave(part[0]);
	return false;
}

// Splits a map at an address inside it, in the table and in the file's list. The file is locked. False: no memory,
// and nothing has changed but that traps wait.
static bool map_split(struct dxs_map *map, uintptr_t at)
{
	struct dxs_map *part[2] = {map_part(map, map->addr, at), map_part(map, at, dxs_map_end(map))};

	atomic_store(&map->going, true);
	dxs_maps_synchronize(); // no trap changes what the parts take over
	if (!parts_settle(part, map)) {
		dxs_free(part[0]);
		dxs_free(part[1]);
		return false;
	}
	dxs_file_map_remove(map->file, map);
	dxs_file_map_add(map->file, part[0]);
	dxs_file_map_add(map->file, part[1]);
	map_release(map, true);
	return true;
}

// Makes an address a boundary of maps. A map that cannot be split for want of memory is let go: nobody must take for a
// part of it what comes to lie in its gaps.
static void split_at(uintptr_t addr)
{
	struct dxs_map *map = dxs_maps_find(addr);

	if (!map || map->addr == addr)
		return;
	if ((addr - map->addr) % dxs_file_page_size(map->file))
		return; // below a huge page: the kernel will refuse it
	file_lock(map->file);
	if (map_split(map, addr))
		return;
	dxs_file_to_kernel(map->file, "no memory to split a mapping");
	dxs_sync_range_locked(map->file, map_off(map), map_off(map) + map->len);
	map_forget(map, false);
}

#define for_each_map(map, from, to)                                                                                    \
	for ((map) = dxs_maps_first(from, to); (map); (map) = dxs_maps_first(dxs_map_end(map), to))

// Without an engine there is nothing that a store could be missed by, the kernel knows it (mode kernel) or it is durable
// (mode byte), and nobody may be there to take the SIGSEGV of a store that would have to wait. A device in mode kernel
// has no kernel that would know.
static bool can_be_shut(const struct dxs_map *map)
{
	return map->engine || (map->file->is_device && dxs_signals_own(SIGSEGV));
}

// M10: no store to the map completes any more. The page tables of parts that were never closed are not looked at:
// the whole mapping loses its write permission in one call.
static void map_shut(struct dxs_map *map)
{
	if (map->prot & PROT_WRITE && can_be_shut(map))
		dxs_sys_mprotect((void *)map->addr, map->len, PROT_READ);
}

static int range_shut(uintptr_t addr, uintptr_t end)
{
	struct dxs_map *map;
	int err = 0;

	if (!dxs_maps_first(addr, end))
		return 0;
	split_at(addr);
	split_at(end);
	for_each_map (map, addr, end) {
		file_lock(map->file);
		atomic_store(&map->going, true); // partner: dxs_trap_store
	}
	dxs_maps_synchronize(); // traps that did not see `going` are over
	for_each_map (map, addr, end) {
		int ret;

		map_shut(map);
		ret = dxs_sync_range_locked(map->file, map_off(map), map_off(map) + map->len);
		err = err ? err : ret;
	}
	return err;
}

// Prepares [addr, addr + len) for a kernel call that takes it away or moves it (M10): traps there wait from now on,
// no store completes any more, and what was stored is flushed. len 0: only the lock. Returns 0, or what the flush
// returned: the caller goes on, the kernel's own marks still cover the pages.
static int change_begin(struct change *change, uintptr_t addr, size_t len)
{
	change->saved_errno = errno;
	change->set = dxs_sig_block();
	change->addr = addr;
	change->end = addr + len;
	dxs_inside++;
	dxs_registry_lock();
	dxs_trap_change();
	return len ? range_shut(addr, change->end) : 0;
}

// Whether a call that has failed has taken a mapping away all the same: an mmap with MAP_FIXED does, when the file system
// refuses (mm/mmap.c mmap_region, Linux 6.12). MS_ASYNC only looks (mm/msync.c).
static bool is_unmapped(const struct dxs_map *map)
{
	return dxs_sys6(SYS_msync, (long)map->addr, (long)map->len, MS_ASYNC, 0, 0, 0) == -ENOMEM;
}

// The protection that the application has set, after map_shut.
static void map_restore(struct dxs_map *map)
{
	if (!(map->prot & PROT_WRITE))
		return;
	if (map->engine)
		map->engine->unprotected(map);
	if (!dxs_sys_mprotect((void *)map->addr, map->len, map->prot))
		return;
	dxs_budget_release(); // a neighbour of the same file that merged with it has to be split from it again
	if (dxs_sys_mprotect((void *)map->addr, map->len, map->prot) && !is_unmapped(map))
		dxs_error("%s: its pages cannot be opened (vm.max_map_count)", map->file->path);
}

// After the kernel call: forgets the mappings if they are `gone`, else puts them back as they were.
static void change_commit(struct change *change, bool gone)
{
	struct dxs_map *map;
	uintptr_t at = change->addr;

	while ((map = dxs_maps_first(at, change->end))) {
		at = dxs_map_end(map);
		if (map->addr >= change->addr && at <= change->end && (gone || is_unmapped(map))) {
			map_forget(map, true);
			continue;
		}
		map_restore(map);
		atomic_store(&map->going, false);
		if (map->engine)
			map->engine->wake(map->addr, map->len);
	}
}

static void change_end(struct change *change)
{
	struct dxs_map *map;
	size_t i;

	for (i = 0; (map = dxs_maps_nth(i)); i++)
		file_unlock(map->file);
	dxs_trap_change();
	dxs_registry_unlock();
	errno = change->saved_errno;
	dxs_inside--;
	// A thread that has blocked them could not survive a trap.
	dxs_sig_setmask(dxs_signals_own(SIGBUS) ? dxs_sigmask_adopt(change->set) : change->set);
}

// Whether a mapping is one of interest: shared, of a file, writable now or later.
static bool is_of_interest(int prot, int flags, int fd)
{
	int type = flags & MAP_TYPE;
	long mode;

	if ((type != MAP_SHARED && type != MAP_SHARED_VALIDATE) || flags & MAP_ANONYMOUS || fd < 0)
		return false;
	if (prot & PROT_WRITE)
		return true;
	mode = dxs_sys6(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0); // mprotect can make it writable only then
	return mode >= 0 && (mode & O_ACCMODE) == O_RDWR;
}

static void say_emulated(void)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&said))
		dxs_error("emulated persistent memory (DAXSYNC_EMULATE=1): nothing is made durable");
}

// Before the registry is locked: loading a library takes the loader's lock, under which another thread may be running
// a constructor that maps files; and starting a thread allocates, by the program's allocator, which has locks that a fork
// takes before the registry's. A device is flushed in mode kernel too, and what cannot be flushed is not the library's.
static void prepare(struct dxs_candidate *candidate)
{
	int err, saved = errno;
	dxs_sigset set;
	const char *why;

	if (candidate->mode < DXS_MODE_KERNEL || (candidate->mode == DXS_MODE_KERNEL && !candidate->is_device))
		return;
	set = dxs_sig_block();
	dxs_inside++;
	err = dxs_flush_init(&why);
	if (dxs_config.verify)
		dxs_diag_load();
	if (candidate->mode != DXS_MODE_BYTE)
		dxs_engine_prepare(candidate->mode == DXS_MODE_EMULATED);
	errno = saved;
	dxs_inside--;
	dxs_sig_setmask(set);
	if (!err || !candidate->is_device)
		return;
	dxs_warn("%s: %s", candidate->path, why);
	candidate->mode = DXS_MODE_PASS;
	candidate->reason = why;
}

static bool needs_image(struct dxs_file *file)
{
	switch (dxs_file_own_mode(file)) {
	case DXS_MODE_EMULATED:
		return dxs_config.verify || dxs_config.powercut_at || dxs_config.image_dir[0];
	case DXS_MODE_DIRECT:
		return dxs_config.verify;
	default:
		return false;
	}
}

// What a file needs before the first of its mappings can be tracked.
static void file_prepare(struct dxs_file *file, int fd)
{
	const char *why = NULL;

	if (!dxs_flush_ready(&why)) {
		dxs_warn("%s: %s", file->path, why);
		dxs_file_to_kernel(file, why);
		return;
	}
	if (needs_image(file) && (dxs_run_join(&why) || dxs_image_open(file, fd, &why))) {
		dxs_warn("%s: cannot be verified: %s%s%s", file->path, why, dxs_config.image_dir[0] ? ": " : "",
			 dxs_config.image_dir);
		dxs_file_to_kernel(file, why);
	}
}

static struct dxs_file *file_make(const struct dxs_candidate *candidate)
{
	struct dxs_file *file = dxs_file_new(dxs_identity_dev(&candidate->st), dxs_identity_ino(&candidate->st),
					     candidate->page_shift);
	struct dxs_text text;

	if (!file)
		return NULL;
	dxs_text_init(&text, file->path, sizeof(file->path));
	dxs_text_add(&text, "%s", candidate->path);
	atomic_store(&file->mode, candidate->mode);
	atomic_store(&file->reason, candidate->reason);
	atomic_store(&file->size, (uint64_t)candidate->st.st_size);
	file->is_device = candidate->is_device;
	file->in_memory = candidate->in_memory;
	atomic_store(&file->is_plain_memory, candidate->is_plain_memory);
	return file;
}

// Lets an engine at a map that is in the file's list. The kernel keeps the file if none can.
static void map_attach(struct dxs_map *map)
{
	struct dxs_file *file = map->file;
	const char *why;

	if (dxs_file_own_mode(file) <= DXS_MODE_KERNEL || dxs_file_own_mode(file) == DXS_MODE_BYTE ||
	    !(map->prot & PROT_WRITE) || map->engine)
		return;
	if (file->image && file->is_device && dxs_image_cover(map)) {
		dxs_warn("%s: cannot be verified: it cannot be read", file->path);
		dxs_file_to_kernel(file, "no durable image can be made for the verifier");
		return;
	}
	map->engine = dxs_engine_attach(map, &why);
	if (!map->engine) {
		dxs_warn("%s: the kernel keeps it: %s", file->path, why);
		dxs_file_to_kernel(file, why);
		return;
	}
	// Small mappings are closed at once: nobody knows the address yet, and pages that are there are marked.
	if (map->engine->discover(map, map->first, dxs_map_last(map)))
		dxs_file_to_kernel(file, "open pages cannot be found");
	if (dxs_file_own_mode(file) == DXS_MODE_EMULATED)
		say_emulated();
}

// Adds a map to its file and to the table. The file is locked. 0 or -errno: then the caller frees it.
static int map_add(struct dxs_map *map)
{
	int err = dxs_tree_reserve(&map->file->tree, map->first, dxs_map_last(map));

	if (err) {
		dxs_file_to_kernel(map->file, err == -EFBIG ? "beyond 256 TiB of the file" : "no memory to track it");
		return err;
	}
	// What was written to this part of the file before, by whomever and by whatever means, is the kernel's to make
	// durable: the first sync calls it.
	if (dxs_file_own_mode(map->file) >= DXS_MODE_DIRECT)
		dxs_file_changed(map->file);
	dxs_file_map_add(map->file, map); // M1: before it can be written
	err = dxs_maps_replace(NULL, 0, &map, 1);
	if (err) {
		dxs_file_map_remove(map->file, map);
		dxs_tree_unreserve(&map->file->tree, map->first, dxs_map_last(map));
		dxs_file_to_kernel(map->file, "no memory to track it");
	}
	return err;
}

static struct dxs_map *map_make(struct dxs_file *file, uintptr_t addr, size_t len, int prot, int flags, off_t off)
{
	struct dxs_map *map = dxs_zalloc(sizeof(*map));
	size_t size = dxs_file_page_size(file);

	if (!map)
		return NULL;
	map->addr = addr;
	map->len = (len + size - 1) & ~(size - 1);
	map->first = (uint64_t)off >> file->page_shift;
	map->prot = prot;
	map->flags = flags;
	map->file = file;
	return map;
}

// A mapping that others have made may be one without MAP_SYNC.
static void sync_check(struct dxs_file *file, uintptr_t addr, size_t len)
{
	if (dxs_file_own_mode(file) >= DXS_MODE_DIRECT && !file->is_device && !dxs_vma_is_sync(addr, len))
		dxs_file_to_kernel(file, "a mapping that was made without MAP_SYNC");
}

static void stranger_add(const struct dxs_vma *stranger, void *arg)
{
	struct dxs_file *file = arg;
	struct dxs_map *map;

	if (dxs_maps_first(stranger->addr, stranger->addr + stranger->len))
		return;
	sync_check(file, stranger->addr, stranger->len);
	atomic_store(&file->is_plain_memory, false); // what was asked for there is not known
	map = map_make(file, stranger->addr, stranger->len, stranger->prot, MAP_SHARED, stranger->off);
	if (!map || map_add(map)) {
		dxs_free(map);
		dxs_file_to_kernel(file, "a mapping made earlier cannot be tracked");
		return;
	}
	dxs_file_get(file);
	map_attach(map);
}

static void map_note(const struct dxs_map *map)
{
	struct dxs_file *file = map->file;

	dxs_stats_map_add(file->path, dxs_mode_name(map->prot & PROT_WRITE ? dxs_file_mode(file) : DXS_MODE_PASS),
			  map->engine ? map->engine->name() : "none",
			  map->prot & PROT_WRITE ? dxs_file_reason(file) : "not writable", map->len);
}

// Inside a change: takes up a mapping that the kernel has just made. Returns the mode it got.
static enum dxs_mode track(uintptr_t addr, size_t len, int prot, int flags, int fd, off_t off,
			   const struct dxs_candidate *candidate)
{
	struct dxs_file *file = dxs_maps_file(dxs_identity_dev(&candidate->st), dxs_identity_ino(&candidate->st));
	bool is_new = !file;
	struct dxs_map *map;

	if (is_new)
		file = file_make(candidate);
	else
		dxs_file_get(file);
	map = file ? map_make(file, addr, len, prot, flags, off) : NULL;
	if (!map) {
		if (!is_new && file)
			dxs_file_to_kernel(file, "no memory to track a mapping");
		if (file)
			dxs_file_put(file);
		return DXS_MODE_KERNEL;
	}
	file_lock(file);
	if (!candidate->is_plain_memory)
		atomic_store(&file->is_plain_memory, false);
	if (map_add(map)) {
		file_unlock(file);
		dxs_free(map);
		dxs_file_put(file);
		return DXS_MODE_KERNEL;
	}
	if (is_new) {
		dxs_stats_share();
		dxs_file_join(file, fd);
		if (file->is_device) // what is flushed without an engine may fault (M7), and stores may have to wait (M10)
			dxs_signals_install(DXS_TRAP_SEGV);
	}
	if (is_new && dxs_file_own_mode(file) != DXS_MODE_KERNEL)
		file_prepare(file, fd);
	if (candidate->mode == DXS_MODE_KERNEL) // a second mapping may be one without MAP_SYNC
		dxs_file_to_kernel(file, candidate->reason);
	map_attach(map);
	if (is_new && dxs_file_own_mode(file) != DXS_MODE_KERNEL &&
	    dxs_strangers(addr, stranger_add, file)) // M1: mappings that were made before we looked
		dxs_file_to_kernel(file, "other mappings of the file cannot be looked for");
	map_note(map);
	return dxs_file_mode(file);
}

static bool is_refused(enum dxs_mode mode)
{
	return dxs_config.strict && mode <= DXS_MODE_KERNEL;
}

static void note_pass(const struct dxs_candidate *candidate, int prot, size_t len)
{
	if (!(prot & PROT_WRITE))
		return;
	if (dxs_config.stats[0])
		dxs_stats_map_add(candidate->path, "pass", "none", candidate->reason, len);
	if (dxs_config.verify && S_ISREG(candidate->st.st_mode))
		dxs_warn("%s: not verified: %s", candidate->path, candidate->reason);
}

// mmap of a file that is to be tracked, or over something that is.
static void *mmap_tracked(void *addr, size_t len, int prot, int flags, int fd, off_t off,
			  struct dxs_candidate *candidate)
{
	size_t page = candidate ? (size_t)1 << candidate->page_shift : DXS_PAGE_SIZE;
	struct change change;
	enum dxs_mode mode = DXS_MODE_DIRECT;
	void *ret;

	change_begin(&change, (uintptr_t)addr, flags & MAP_FIXED ? round_up(len, page) : 0);
	ret = candidate ? dxs_mode_map(candidate, addr, len, prot, flags, fd, off)
			: dxs_sys_mmap(addr, len, prot, flags, fd, off);
	change_commit(&change, !dxs_is_err(ret));
	if (!dxs_is_err(ret) && candidate)
		mode = track((uintptr_t)ret, len, prot, flags, fd, off, candidate);
	change_end(&change);
	if (prot & PROT_WRITE && is_refused(mode)) {
		dxs_munmap(ret, len);
		return (void *)(intptr_t)-EOPNOTSUPP;
	}
	return ret;
}

// Whether a range has to do with anything tracked. A range that comes to be tracked meanwhile is not the caller's.
static bool is_known(uintptr_t addr, size_t len)
{
	dxs_sigset set;
	unsigned section;
	bool known;

	if (!dxs_maps_any())
		return false;
	set = dxs_sig_block();
	section = dxs_maps_enter();
	known = dxs_maps_first(addr, addr + len);
	dxs_maps_exit(section);
	dxs_sig_setmask(set);
	return known;
}

void *dxs_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	struct dxs_candidate candidate = {.mode = DXS_MODE_PASS};

	if (is_of_interest(prot, flags, fd)) {
		dxs_mode_look(fd, dxs_config.emulate, &candidate);
		if (candidate.mode > DXS_MODE_KERNEL && dxs_stdio_writes && !dxs_inside &&
		    dxs_stdio_writes(candidate.st.st_dev, candidate.st.st_ino)) {
			candidate.mode = DXS_MODE_KERNEL;
			candidate.reason = DXS_STDIO_REASON;
		}
		prepare(&candidate);
		if (candidate.mode != DXS_MODE_PASS)
			return mmap_tracked(addr, len, prot, flags, fd, off, &candidate);
		note_pass(&candidate, prot, len);
		if (is_refused(DXS_MODE_PASS) && prot & PROT_WRITE &&
		    (S_ISREG(candidate.st.st_mode) || candidate.is_device)) {
			dxs_warn("%s: %s: mmap refused (DAXSYNC_STRICT=1)", candidate.path, candidate.reason);
			return (void *)(intptr_t)-EOPNOTSUPP;
		}
	}
	if (flags & MAP_FIXED && is_known((uintptr_t)addr, len))
		return mmap_tracked(addr, len, prot, flags, fd, off, NULL);
	return dxs_sys_mmap(addr, len, prot, flags, fd, off);
}

int dxs_munmap(void *addr, size_t len)
{
	struct change change;
	int ret;

	if ((uintptr_t)addr % DXS_PAGE_SIZE || !is_known((uintptr_t)addr, len))
		return dxs_sys_munmap(addr, len);
	len = (len + DXS_PAGE_SIZE - 1) & ~(DXS_PAGE_SIZE - 1);
	change_begin(&change, (uintptr_t)addr, len);
	ret = dxs_sys_munmap(addr, len);
	change_commit(&change, !ret);
	change_end(&change);
	return ret;
}

static void *sys_mremap(void *addr, size_t old_len, size_t new_len, int flags, void *new_addr)
{
	return (void *)dxs_sys6(SYS_mremap, (long)addr, (long)old_len, (long)new_len, flags, (long)new_addr, 0);
}

// What mremap needs to know of the mapping that it moves, or grows, or doubles.
struct moved {
	struct dxs_file *file;
	uint64_t first;
	int prot, flags;
};

// A map of the mapping's new place. The engine is attached anew: userfaultfd loses a registration that moves.
static void moved_track(const struct moved *moved, uintptr_t addr, size_t len)
{
	struct dxs_map *map = map_make(moved->file, addr, len, moved->prot, moved->flags,
				       (off_t)(moved->first << moved->file->page_shift));

	file_lock(moved->file);
	if (!map || map_add(map)) {
		dxs_free(map);
		dxs_file_to_kernel(moved->file, "no memory to track a moved mapping");
		if (!dxs_maps_file(moved->file->dev, moved->file->ino)) // then nobody would find it at the end
			file_unlock(moved->file);
		return;
	}
	dxs_file_get(moved->file);
	map_attach(map);
	map_note(map);
}

// Whether the mappings in a range fill it and follow each other in one file with one protection: then the kernel has one
// VMA there.
static bool is_one(uintptr_t addr, uintptr_t end)
{
	struct dxs_map *map, *before = NULL;

	for_each_map (map, addr, end) {
		if (before ? before->file != map->file || before->prot != map->prot ||
				     dxs_map_end(before) != map->addr || dxs_map_last(before) + 1 != map->first
			   : map->addr > addr)
			return false;
		before = map;
	}
	return before && dxs_map_end(before) >= end;
}

// Before the kernel moves mappings: it moves one VMA, without an engine's traces in it (what stays where it is would
// keep them, and nobody would answer), and with the protection that the application has given it.
static void engines_leave(uintptr_t addr, uintptr_t end)
{
	struct dxs_map *map;

	for_each_map (map, addr, end) {
		if (map->engine)
			map->engine->detach(map, false);
		map->engine = NULL;
		map_restore(map);
	}
}

static void engines_return(uintptr_t addr, uintptr_t end)
{
	struct dxs_map *map;

	for_each_map (map, addr, end)
		map_attach(map);
}

static void files_leave(uintptr_t addr, uintptr_t end)
{
	struct dxs_map *map;

	for_each_map (map, addr, end)
		dxs_file_to_kernel(map->file, "several mappings were moved in one call");
}

static void *mremap_known(uintptr_t addr, size_t old_len, size_t new_len, int flags, void *new_addr)
{
	struct change change, target;
	struct dxs_map *map;
	struct moved moved = {0};
	bool one, fixed = flags & MREMAP_FIXED;
	size_t span = old_len ? old_len : DXS_PAGE_SIZE; // old length 0 makes a second mapping of the pages
	void *ret;

	change_begin(&change, addr, span);
	map = dxs_maps_find(addr);
	if (map) {
		moved = (struct moved){map->file, dxs_map_pgoff(map, addr), map->prot, map->flags};
		dxs_file_get(moved.file);
	}
	if (fixed) {
		target = (struct change){.addr = (uintptr_t)new_addr,
					 .end = (uintptr_t)new_addr + round_up(new_len, DXS_PAGE_SIZE)};
		range_shut(target.addr, target.end);
	}
	one = is_one(addr, addr + span);
	engines_leave(addr, addr + span);
	ret = sys_mremap((void *)addr, old_len, new_len, flags, new_addr);
	if (!one && !dxs_is_err(ret)) // Linux 6.17; what is where now, the kernel knows
		files_leave(addr, addr + span);
	if (fixed)
		change_commit(&target, !dxs_is_err(ret));
	change_commit(&change, !dxs_is_err(ret) && old_len);
	engines_return(addr, addr + span);
	if (map && one && !dxs_is_err(ret))
		moved_track(&moved, (uintptr_t)ret, new_len);
	if (map && one && !dxs_is_err(ret) &&
	    flags & MREMAP_DONTUNMAP) // still mapped, but its page tables are empty now
		moved_track(&moved, addr, old_len);
	change_end(&change);
	if (map)
		dxs_file_put(moved.file);
	return ret;
}

// The kernel unmaps the tail, of however many mappings, and leaves the rest alone.
static void *mremap_shrink(uintptr_t addr, size_t old_len, size_t new_len, int flags)
{
	struct change change;
	struct dxs_map *map;
	size_t page;
	void *ret;

	change_begin(&change, addr, 0);
	map = dxs_maps_find(addr);
	page = map ? dxs_file_page_size(map->file) : DXS_PAGE_SIZE;
	change.addr = addr + round_up(new_len, page);
	change.end = addr + round_up(old_len, page);
	if (change.addr < change.end)
		range_shut(change.addr, change.end);
	ret = sys_mremap((void *)addr, old_len, new_len, flags, NULL);
	change_commit(&change, !dxs_is_err(ret));
	change_end(&change);
	return ret;
}

void *dxs_mremap(void *addr, size_t old_len, size_t new_len, int flags, void *new_addr)
{
	bool fixed = flags & MREMAP_FIXED;

	if ((uintptr_t)addr % DXS_PAGE_SIZE ||
	    (!is_known((uintptr_t)addr, old_len ? old_len : 1) && !(fixed && is_known((uintptr_t)new_addr, new_len))))
		return sys_mremap(addr, old_len, new_len, flags, new_addr);
	old_len = (old_len + DXS_PAGE_SIZE - 1) & ~(DXS_PAGE_SIZE - 1);
	if (new_len && new_len <= old_len && !(flags & ~MREMAP_MAYMOVE))
		return mremap_shrink((uintptr_t)addr, old_len, new_len, flags);
	return mremap_known((uintptr_t)addr, old_len, new_len, flags, new_addr);
}

static int sys_protect(uintptr_t addr, uintptr_t end, int prot, int pkey)
{
	return (int)(pkey < 0 ? dxs_sys6(SYS_mprotect, (long)addr, (long)(end - addr), prot, 0, 0, 0)
			      : dxs_sys6(SYS_pkey_mprotect, (long)addr, (long)(end - addr), prot, pkey, 0, 0));
}

// After a call that failed: up to which address the kernel came, which changes one VMA after the other (mm/mprotect.c,
// Linux 6.18). The same call, piece by piece, fails at the same place.
static uintptr_t protected_until(uintptr_t addr, uintptr_t end, int prot, int pkey)
{
	struct dxs_map *map;

	for_each_map (map, addr, end) {
		if (addr < map->addr && sys_protect(addr, map->addr, prot, pkey))
			return addr;
		if (sys_protect(map->addr, dxs_map_end(map), prot, pkey))
			return map->addr;
		addr = dxs_map_end(map);
	}
	return addr;
}

// Before the kernel's call. Pages that cannot be read cannot be flushed: so that is done first, when no store completes
// any more. M1: what becomes writable is tracked before; an engine takes a mapping that is not writable yet as well.
static void map_protect_begin(struct dxs_map *map, int prot)
{
	int before = map->prot;

	if (!(prot & PROT_READ)) {
		map_shut(map);
		dxs_sync_range_locked(map->file, map_off(map), map_off(map) + map->len);
	}
	map->prot |= prot & PROT_WRITE;
	map_attach(map);
	map->prot = before;
	if (map->engine && prot & PROT_WRITE)
		map->engine->unprotected(map);
}

static void map_protect_end(struct dxs_map *map, int prot, bool done)
{
	if (done)
		map->prot = prot;
	else if (map->prot & PROT_WRITE)
		map_restore(map);
	else // an engine that was let in may have made it readable
		dxs_sys_mprotect((void *)map->addr, map->len, map->prot);
	atomic_store(&map->going, false);
	if (map->engine)
		map->engine->wake(map->addr, map->len);
	if (!done || !(prot & PROT_WRITE))
		return;
	// Not left open until the next sync where the kernel may take a page that was stored to out of memory, and with it
	// what a look could find. On DAX it does not, and has marks of its own.
	if (map->engine && dxs_file_own_mode(map->file) == DXS_MODE_EMULATED && !map->file->in_memory &&
	    map->engine->discover(map, map->first, dxs_map_last(map)))
		dxs_file_to_kernel(map->file, "open pages cannot be found");
	map_note(map);
}

// The protection that the application has set from now on.
static int mprotect_known(uintptr_t addr, size_t len, int prot, int pkey)
{
	uintptr_t end = addr + len, done;
	struct change change;
	struct dxs_map *map;
	int ret;

	change_begin(&change, addr, 0);
	split_at(addr);
	split_at(end);
	for_each_map (map, addr, end) {
		file_lock(map->file);
		atomic_store(&map->going, true);
	}
	dxs_maps_synchronize(); // no trap in flight may open what the application is about to protect
	for_each_map (map, addr, end)
		map_protect_begin(map, prot);
	ret = sys_protect(addr, end, prot, pkey);
	done = ret ? protected_until(addr, end, prot, pkey) : end;
	for_each_map (map, addr, end)
		map_protect_end(map, prot, map->addr < done);
	change_end(&change);
	return ret;
}

int dxs_mprotect(void *addr, size_t len, int prot, int pkey)
{
	size_t whole = round_up(len, DXS_PAGE_SIZE); // 0 where that is more than there is: the kernel's to refuse

	if ((uintptr_t)addr % DXS_PAGE_SIZE == 0 && is_known((uintptr_t)addr, whole))
		return mprotect_known((uintptr_t)addr, whole, prot, pkey);
	return sys_protect((uintptr_t)addr, (uintptr_t)addr + len, prot, pkey);
}

static int sys_madvise(int pidfd, uintptr_t addr, uintptr_t end, int advice, unsigned flags)
{
	struct iovec range = {(void *)addr, end - addr};

	long ret = pidfd < 0 ? dxs_sys6(SYS_madvise, (long)addr, (long)range.iov_len, advice, 0, 0, 0)
			     : dxs_sys6(SYS_process_madvise, pidfd, (long)&range, 1, advice, flags, 0);

	return ret < 0 ? (int)ret : 0;
}

// The file behind a mapping changes as by fallocate. As the kernel does it: piece by piece, up to the first error; what is
// not mapped is an error at the end.
static int remove_known(int pidfd, uintptr_t addr, uintptr_t end, unsigned flags)
{
	int hole = 0, ret = 0;

	while (addr < end && !ret) {
		struct dxs_hole known;
		uintptr_t from = addr;
		bool is_known = dxs_hole_begin(&addr, end, &known);

		if (!is_known)
			addr = end;
		ret = sys_madvise(pidfd, from, addr, MADV_REMOVE, flags);
		if (is_known)
			dxs_holes_end(known.file, known.off, ret && ret != -ENOMEM ? 0 : known.len, -1);
		if (ret == -ENOMEM) { // what is mapped is done
			hole = ret;
			ret = 0;
		}
	}
	return ret ? ret : hole;
}

static bool leaves_page_tables(int advice)
{
	return (advice >= 0 && advice <= MADV_WILLNEED) || (advice >= MADV_DONTFORK && advice <= MADV_DODUMP) ||
	       advice == MADV_COLD || advice == POPULATE_READ || advice == POPULATE_WRITE || advice == GUARD_REMOVE;
}

// From now on page tables may be emptied at any time. No sync is looking at them meanwhile.
static void traces_may_go(uintptr_t addr, uintptr_t end)
{
	struct change change;
	struct dxs_map *map;

	change_begin(&change, addr, 0);
	for_each_map (map, addr, end) {
		file_lock(map->file);
		atomic_store(&map->file->is_plain_memory, false);
	}
	change_end(&change);
}

static bool is_about_huge_pages(int advice)
{
	return advice == MADV_HUGEPAGE || advice == COLLAPSE;
}

int dxs_madvise(int pidfd, void *addr, size_t len, int advice, unsigned flags)
{
	uintptr_t at = (uintptr_t)addr, end = at + len;
	struct dxs_pin pin = {.nr = 0};
	dxs_sigset set;
	int ret;

	if (advice == MADV_REMOVE && at % DXS_PAGE_SIZE == 0 && is_known(at, len)) {
		set = dxs_sig_block();
		ret = remove_known(pidfd, at, end, flags);
		dxs_sig_setmask(set);
		return ret;
	}
	// What may empty page tables, in which the first sync of a mapping looks for what was stored to: synced before.
	if (!leaves_page_tables(advice))
		dxs_msync_bytes(at, end);
	if (is_about_huge_pages(advice) && is_known(at, len))
		traces_may_go(at, end);
	// MADV_POPULATE_WRITE makes pages writable as far as the mapping is. MADV_GUARD_INSTALL takes pages out until none is
	// left, and a write-protected one leaves a userfaultfd marker: it would go on for ever (mm/madvise.c, Linux 6.18).
	if (advice == POPULATE_WRITE || advice == GUARD_INSTALL)
		dxs_pin(&pin, addr, len);
	ret = sys_madvise(pidfd, at, end, advice, flags);
	dxs_unpin(&pin);
	return ret;
}

static void adopt(void *addr, size_t len, int prot, int fd, off_t off, struct dxs_candidate *candidate)
{
	if (dxs_mode_wants_sync(candidate) && !dxs_vma_is_sync((uintptr_t)addr, len)) {
		candidate->mode = DXS_MODE_KERNEL;
		candidate->reason = "a mapping that was made without MAP_SYNC";
	}
	candidate->is_plain_memory = false; // what was asked for there before is not known
	track((uintptr_t)addr, len, prot, MAP_SHARED, fd, off, candidate);
}

// What somebody else has mapped: shared, readable and writable, from that file.
static int look_at_foreign(uintptr_t addr, size_t len, int fd, off_t off, const struct dxs_candidate *candidate,
			   int *prot)
{
	int err = dxs_mapped_from(addr, len, fd, (size_t)1 << candidate->page_shift, off, prot);

	return !err && ~*prot & (PROT_READ | PROT_WRITE) ? -EINVAL : err;
}

int dxs_adopt(void *addr, size_t len, int prot, int fd, off_t off, bool emulate)
{
	struct dxs_candidate candidate = {.mode = DXS_MODE_PASS};
	struct change change;
	int err = 0;

	if ((uintptr_t)addr % DXS_PAGE_SIZE || !len || off < 0 || off % (off_t)DXS_PAGE_SIZE)
		return -EINVAL;
	dxs_mode_look(fd, emulate, &candidate);
	prepare(&candidate);
	if (candidate.mode == DXS_MODE_PASS)
		return -EOPNOTSUPP;
	change_begin(&change, (uintptr_t)addr, 0);
	if (dxs_maps_first((uintptr_t)addr, (uintptr_t)addr + len))
		err = -EEXIST;
	else if (!prot)
		err = look_at_foreign((uintptr_t)addr, len, fd, off, &candidate, &prot);
	if (!err)
		adopt(addr, len, prot, fd, off, &candidate);
	change_end(&change);
	return err;
}

// Stops tracking [at, end): flushes what is dirty, opens all. With a reason, the files are the kernel's from then on.
static int release(uintptr_t at, uintptr_t end, const char *reason)
{
	struct change change;
	struct dxs_map *map;
	int err = change_begin(&change, at, end - at);

	while ((map = dxs_maps_first(at, end))) {
		at = dxs_map_end(map);
		if (reason)
			dxs_file_to_kernel(map->file, reason);
		if (map->engine)
			map->engine->open_all(map);
		map_restore(map);
		map_forget(map, false);
	}
	change_end(&change);
	return err;
}

int dxs_release(void *addr, size_t len)
{
	uintptr_t at = (uintptr_t)addr;

	if (at % DXS_PAGE_SIZE || !is_known(at, len))
		return -EINVAL;
	return release(at, at + round_up(len, DXS_PAGE_SIZE), NULL);
}

// Pages of the file in another order than they are in the file: nobody tracks that.
int dxs_remap_file_pages(void *addr, size_t len, int prot, size_t pgoff, int flags)
{
	uintptr_t at = (uintptr_t)addr & ~(DXS_PAGE_SIZE - 1); // the kernel rounds (mm/mmap.c, Linux 6.12)

	len &= ~(DXS_PAGE_SIZE - 1);
	if (is_known(at, len))
		release(at, at + len, "its pages were mapped in another order (remap_file_pages)");
	return (int)dxs_sys6(SYS_remap_file_pages, (long)addr, (long)len, prot, (long)pgoff, flags, 0);
}

// shmat that takes the place of what is mapped there.
void *dxs_shmat(int id, const void *addr, int flags)
{
	uintptr_t at = (uintptr_t)addr & ~(flags & SHM_RND ? (uintptr_t)SHMLBA - 1 : 0);
	struct change change;
	struct shmid_ds segment;
	void *ret;

	if (!(flags & SHM_REMAP) || dxs_sys6(SYS_shmctl, id, IPC_STAT, (long)&segment, 0, 0, 0) ||
	    !is_known(at, segment.shm_segsz))
		return (void *)dxs_sys6(SYS_shmat, id, (long)addr, flags, 0, 0, 0);
	change_begin(&change, at, round_up(segment.shm_segsz, DXS_PAGE_SIZE));
	ret = (void *)dxs_sys6(SYS_shmat, id, (long)addr, flags, 0, 0, 0);
	change_commit(&change, !dxs_is_err(ret));
	change_end(&change);
	return ret;
}
