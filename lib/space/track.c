// SPDX-License-Identifier: BSD-3-Clause
// track.c: mappings coming to be tracked, and going (M1).
#include "space/track.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/uio.h>

#include "base/alloc.h"
#include "base/config.h"
#include "base/fd.h"
#include "base/foreign.h"
#include "base/log.h"
#include "base/near.h"
#include "call/calls.h"
#include "core/engine.h"
#include "core/trap.h"
#include "engine/choice.h"
#include "file/filecache.h"
#include "file/observer.h"
#include "flush/flush.h"
#include "proc/vma.h"
#include "report/diag.h"
#include "report/stats.h"
#include "report/unserved.h"
#include "signal/signals.h"
#include "space/change.h"
#include "space/mode.h"
#include "space/preexisting.h"

#define MAX_IMAGE_SHIFT 21 // what image.c can stage: a leaf of huge pages of 2 MiB

bool (*dxs_stdio_writes)(dev_t dev, ino_t ino);

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
	static atomic_flag said = ATOMIC_FLAG_INIT; // seq_cst, the default: relaxed would do, only the first one tells

	if (!(dxs_observer && dxs_observer->is_told()) && !atomic_flag_test_and_set(&said))
		dxs_error("emulated persistent memory (DAXSYNC_EMULATE=1): nothing is made durable");
}

void dxs_load(void)
{
	int saved = errno;
	dxs_sigset set = dxs_sig_block();
	const char *why;

	dxs_inside++;
	dxs_flush_init(&why);
	if (dxs_config.verify || dxs_config.image_dir[0])
		dxs_diag_load();
	dxs_inside--;
	errno = saved;
	dxs_sig_setmask(set);
}

// A device is flushed in mode kernel too, and what cannot be flushed is not the library's.
static void device_check(struct dxs_candidate *candidate)
{
	const char *why;

	if (candidate->mode == DXS_MODE_PASS || !candidate->is_device || dxs_flush_ready(&why))
		return;
	dxs_warn("%s: %s", candidate->path, why);
	candidate->mode = DXS_MODE_PASS;
	candidate->reason = why;
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
	if (dxs_observer && dxs_observer->begin(file, fd, &why)) {
		dxs_warn("%s: cannot be verified: %s%s%s", file->path, why, dxs_config.image_dir[0] ? ": " : "",
			 dxs_config.image_dir);
		dxs_file_to_kernel(file, why);
	}
}

static struct dxs_file *file_make(const struct dxs_candidate *candidate, int fd)
{
	struct dxs_file *file = dxs_file_new(dxs_identity_dev(&candidate->st), dxs_identity_ino(&candidate->st),
					     candidate->page_shift);
	char path[sizeof(candidate->path)];
	struct dxs_text text;

	if (!file)
		return NULL;
	dxs_fd_path(fd, path, sizeof(path));
	dxs_text_init(&text, file->path, sizeof(file->path));
	dxs_text_add(&text, "%s", path);
	atomic_store(&file->mode, candidate->mode);
	atomic_store(&file->reason, candidate->reason);
	atomic_store(&file->size, (uint64_t)candidate->st.st_size);
	file->is_device = candidate->is_device;
	file->in_memory = candidate->in_memory;
	atomic_store(&file->is_plain_memory, candidate->is_plain_memory);
	return file;
}

// The file of a mapping that is the first one of it, from before if it was cached; then *is_made is false.
static struct dxs_file *file_begin(const struct dxs_candidate *candidate, int fd, bool *is_made)
{
	struct dxs_file_state state = {.dev = dxs_identity_dev(&candidate->st),
				       .ino = dxs_identity_ino(&candidate->st),
				       .born = candidate->born,
				       .born_ns = candidate->born_ns,
				       .size = (uint64_t)candidate->st.st_size,
				       .page_shift = candidate->page_shift,
				       .mode = (int)candidate->mode};
	struct dxs_file *file = dxs_filecache_take(&state);

	*is_made = !file;
	return file ? file : file_make(candidate, fd);
}

void dxs_map_attach(struct dxs_map *map)
{
	struct dxs_file *file = map->file;
	const char *why;

	if (dxs_file_own_mode(file) <= DXS_MODE_KERNEL || dxs_file_own_mode(file) == DXS_MODE_BYTE ||
	    !(map->prot & PROT_WRITE) || map->engine)
		return;
	if (dxs_observed(file, 0, mapped, map)) {
		dxs_warn("%s: cannot be verified: it cannot be read", file->path);
		dxs_file_to_kernel(file, "the verifier cannot read it");
		return;
	}
	if (atomic_load(&dxs_filtered)) {
		dxs_file_to_kernel(file, "the program has set a seccomp filter");
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

int dxs_map_add(struct dxs_map *map)
{
	bool is_first = !map->file->maps;
	int err = dxs_tree_reserve(&map->file->tree, map->first, dxs_map_last(map));

	if (err) {
		dxs_file_to_kernel(map->file, err == -EFBIG ? "beyond 256 TiB of the file" : "no memory to track it");
		return err;
	}
	// What was written to this part of the file before, by whomever and by whatever means, is the kernel's to make
	// durable: the first sync calls it.
	if (dxs_file_own_mode(map->file) >= DXS_MODE_DIRECT ||
	    dxs_observed(map->file, false, shows_more, map->file, map->first, dxs_map_last(map)))
		dxs_file_changed(map->file, DXS_CAUSE_MAPPING);
	if (is_first)
		dxs_foreign_add(map->file->dev, map->file->ino);
	err = dxs_maps_replace(NULL, 0, &map, 1); // M1: before it can be written
	if (is_first)
		dxs_foreign_forget_all(); // N.1: now that it can be found
	if (err) {
		dxs_tree_unreserve(&map->file->tree, map->first, dxs_map_last(map));
		dxs_file_to_kernel(map->file, "no memory to track it");
	}
	return err;
}

struct dxs_map *dxs_map_make(struct dxs_file *file, uintptr_t addr, size_t len, int prot, int flags, off_t off)
{
	struct dxs_map *map = dxs_zalloc(sizeof(*map));
	size_t size = dxs_file_page_size(file);

	if (!map)
		return NULL;
	map->mutex.rank = DXS_RANK_MAP;
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

static void preexisting_add(const struct dxs_vma *vma, void *arg)
{
	struct dxs_file *file = arg;
	struct dxs_map *map;

	if (dxs_maps_first(vma->addr, vma->addr + vma->len))
		return;
	sync_check(file, vma->addr, vma->len);
	atomic_store(&file->is_plain_memory, false); // what was asked for there is not known
	map = dxs_map_make(file, vma->addr, vma->len, vma->prot, MAP_SHARED, vma->off);
	if (!map || dxs_map_add(map)) {
		dxs_free(map);
		dxs_file_to_kernel(file, "a mapping made earlier cannot be tracked");
		return;
	}
	dxs_file_get(file);
	dxs_map_attach(map);
}

void dxs_map_note(const struct dxs_map *map)
{
	struct dxs_file *file = map->file;

	dxs_stats_map_add(file->path, dxs_mode_name(map->prot & PROT_WRITE ? dxs_file_mode(file) : DXS_MODE_PASS),
			  map->engine ? map->engine->name : "none",
			  map->prot & PROT_WRITE ? dxs_file_reason(file) : "not writable", map->len);
}

// Inside a change: takes up a mapping that the kernel has just made. Returns the mode it got.
static enum dxs_mode track(uintptr_t addr, size_t len, int prot, int flags, int fd, off_t off,
			   const struct dxs_candidate *candidate)
{
	struct dxs_file *file = dxs_maps_file(dxs_identity_dev(&candidate->st), dxs_identity_ino(&candidate->st));
	bool is_new = !file,
	     preexisting = is_new && dxs_preexisting_possible(addr); // before the library's own are made
	bool is_made = false;
	struct dxs_map *map;

	if (is_new)
		file = file_begin(candidate, fd, &is_made);
	else
		dxs_file_get(file);
	map = file ? dxs_map_make(file, addr, len, prot, flags, off) : NULL;
	if (!map) {
		if (!is_new && file)
			dxs_file_to_kernel(file, "no memory to track a mapping");
		if (file)
			dxs_file_put(file);
		dxs_preexisting_left();
		return DXS_MODE_KERNEL;
	}
	dxs_change_lock(file);
	if (!candidate->is_plain_memory)
		atomic_store(&file->is_plain_memory, false);
	if (dxs_map_add(map)) {
		dxs_preexisting_left();
		dxs_free(map);
		dxs_file_put(file);
		return DXS_MODE_KERNEL;
	}
	if (is_made) {
		dxs_stats_share();
		dxs_file_join(file, fd);
		if (file->is_device) // what is flushed without an engine may fault (M7), and stores may have to wait (M10)
			dxs_trap_install(DXS_TRAP_SEGV);
	}
	if (is_made && dxs_file_own_mode(file) != DXS_MODE_KERNEL)
		file_prepare(file, fd);
	if (candidate->mode == DXS_MODE_KERNEL) // a second mapping may be one without MAP_SYNC
		dxs_file_to_kernel(file, candidate->reason);
	map->is_fresh = candidate->is_fresh;
	dxs_map_attach(map);
	map->is_fresh = false;
	if (preexisting && dxs_file_own_mode(file) != DXS_MODE_KERNEL &&
	    dxs_preexisting_each(addr, preexisting_add, file)) // M1: mappings that were made before
		dxs_file_to_kernel(file, "other mappings of the file cannot be looked for");
	dxs_map_note(map);
	return dxs_file_mode(file);
}

static bool is_refused(enum dxs_mode mode)
{
	return dxs_config.strict && mode <= DXS_MODE_KERNEL;
}

// A file that is excluded by its name may be mapped by another name as well.
static void note_pass(struct dxs_candidate *candidate, int prot, size_t len, int fd)
{
	bool is_noted = dxs_config.stats[0] || dxs_config.watch;

	if (S_ISREG(candidate->st.st_mode) && !dxs_config_wants(candidate->path))
		dxs_preexisting_left();
	else
		candidate->is_unserved = S_ISREG(candidate->st.st_mode) && prot & PROT_WRITE;
	if (!(prot & PROT_WRITE))
		return;
	if (is_noted || dxs_config.verify || dxs_config.strict)
		dxs_fd_path(fd, candidate->path, sizeof(candidate->path));
	if (is_noted)
		dxs_stats_map_add(candidate->path, "pass", "none", candidate->reason, len);
	if (dxs_config.verify && S_ISREG(candidate->st.st_mode))
		dxs_warn("%s: not verified: %s", candidate->path, candidate->reason);
}

// mmap of a file that is to be tracked, or over something that is.
static void *mmap_tracked(void *addr, size_t len, int prot, int flags, int fd, off_t off,
			  struct dxs_candidate *candidate)
{
	bool is_ours = candidate->mode != DXS_MODE_PASS;
	size_t page = is_ours ? (size_t)1 << candidate->page_shift : DXS_PAGE_SIZE;
	struct dxs_change change;
	enum dxs_mode mode = DXS_MODE_DIRECT;
	void *ret;

	dxs_change_begin(&change, (uintptr_t)addr, flags & MAP_FIXED ? dxs_round_up(len, page) : 0);
	candidate->is_fresh = !(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE));
	ret = dxs_mode_map(candidate, addr, len, prot, flags, fd, off);
	dxs_change_commit(&change, !dxs_is_err(ret));
	if (!dxs_is_err(ret) && is_ours)
		mode = track((uintptr_t)ret, len, prot, flags, fd, off, candidate);
	dxs_change_end(&change);
	if (prot & PROT_WRITE && is_refused(mode)) {
		dxs_munmap(ret, len);
		return (void *)(intptr_t)-EOPNOTSUPP;
	}
	return ret;
}

static bool is_written_by_streams(const struct dxs_candidate *candidate)
{
	return candidate->mode > DXS_MODE_KERNEL && dxs_stdio_writes && !dxs_inside &&
	       dxs_stdio_writes(candidate->st.st_dev, candidate->st.st_ino);
}

// Streams are looked for again: one that was opened meanwhile has not found the mapping.
static void *mmap_asked(void *addr, size_t len, int prot, int flags, int fd, off_t off, struct dxs_candidate *candidate)
{
	void *ret = mmap_tracked(addr, len, prot, flags, fd, off, candidate);

	if (dxs_is_err(ret) || !is_written_by_streams(candidate))
		return ret;
	dxs_leave_to_kernel(fd, DXS_STDIO_REASON);
	if (!(prot & PROT_WRITE) || !is_refused(DXS_MODE_KERNEL))
		return ret;
	dxs_munmap(ret, len);
	return (void *)(intptr_t)-EOPNOTSUPP;
}

void *dxs_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off, dxs_mmap_fn next)
{
	struct dxs_candidate candidate = {.mode = DXS_MODE_PASS, .next = next};

	if (is_of_interest(prot, flags, fd)) {
		dxs_mode_probe(fd, dxs_config.emulate, &candidate);
		if (is_written_by_streams(&candidate)) {
			candidate.mode = DXS_MODE_KERNEL;
			candidate.reason = DXS_STDIO_REASON;
		}
		device_check(&candidate);
		if (candidate.mode != DXS_MODE_PASS)
			return mmap_asked(addr, len, prot, flags, fd, off, &candidate);
		note_pass(&candidate, prot, len, fd);
		if (is_refused(DXS_MODE_PASS) && prot & PROT_WRITE &&
		    (S_ISREG(candidate.st.st_mode) || candidate.is_device)) {
			dxs_warn("%s: %s: mmap refused (DAXSYNC_STRICT=1)", candidate.path, candidate.reason);
			return (void *)(intptr_t)-EOPNOTSUPP;
		}
	}
	if (flags & MAP_FIXED && dxs_is_known((uintptr_t)addr, len))
		return mmap_tracked(addr, len, prot, flags, fd, off, &candidate);
	addr = dxs_mode_map(&candidate, addr, len, prot, flags, fd, off);
	if (candidate.is_unserved && !dxs_is_err(addr))
		dxs_unserved_map((uintptr_t)addr, len, candidate.reason);
	return addr;
}

static int sys_munmap(void *addr, size_t len)
{
	return (int)DXS_BEHIND(munmap, (addr, len), SYS_munmap, (long)addr, (long)len, 0, 0, 0, 0);
}

int dxs_munmap(void *addr, size_t len)
{
	struct dxs_change change;
	int ret;

	// Near ones are looked for with the lock: to ask before would cost two system calls more.
	if ((uintptr_t)addr % DXS_PAGE_SIZE || !dxs_near((uintptr_t)addr, (uintptr_t)addr + len))
		return sys_munmap(addr, len);
	len = (len + DXS_PAGE_SIZE - 1) & ~(DXS_PAGE_SIZE - 1);
	dxs_change_begin(&change, (uintptr_t)addr, len);
	ret = sys_munmap(addr, len);
	dxs_change_commit(&change, !ret);
	dxs_change_end(&change);
	return ret;
}

static void adopt(void *addr, size_t len, int prot, int fd, off_t off, struct dxs_candidate *candidate)
{
	if (dxs_mode_wants_sync(candidate) && !dxs_vma_is_sync((uintptr_t)addr, len)) {
		candidate->mode = DXS_MODE_KERNEL;
		candidate->reason = "a mapping that was made without MAP_SYNC";
	}
	candidate->is_plain_memory = false; // what was asked for there before is not known
	dxs_preexisting_left();             // nor what else was mapped, if it was not by a hook
	track((uintptr_t)addr, len, prot, MAP_SHARED, fd, off, candidate);
}

// What somebody else has mapped: shared, readable and writable, from that file.
static int foreign_check(uintptr_t addr, size_t len, int fd, off_t off, const struct dxs_candidate *candidate,
			 int *prot)
{
	int err = dxs_mapped_from(addr, len, fd, (size_t)1 << candidate->page_shift, off, prot);

	return !err && ~*prot & (PROT_READ | PROT_WRITE) ? -EINVAL : err;
}

int dxs_adopt(void *addr, size_t len, int prot, int fd, off_t off, bool emulate)
{
	struct dxs_candidate candidate = {.mode = DXS_MODE_PASS};
	struct dxs_change change;
	int err = 0;

	if ((uintptr_t)addr % DXS_PAGE_SIZE || !len || off < 0 || off % (off_t)DXS_PAGE_SIZE)
		return -EINVAL;
	dxs_mode_probe(fd, emulate, &candidate);
	if (candidate.mode != DXS_MODE_PASS)
		dxs_load();
	device_check(&candidate);
	if (candidate.mode == DXS_MODE_PASS)
		return -EOPNOTSUPP;
	dxs_change_begin(&change, (uintptr_t)addr, 0);
	if (dxs_maps_first((uintptr_t)addr, (uintptr_t)addr + len))
		err = -EEXIST;
	else if (!prot)
		err = foreign_check((uintptr_t)addr, len, fd, off, &candidate, &prot);
	if (!err)
		adopt(addr, len, prot, fd, off, &candidate);
	dxs_change_end(&change);
	return err;
}

int dxs_release_range(uintptr_t at, uintptr_t end, const char *reason)
{
	struct dxs_change change;
	struct dxs_map *map;
	int err = dxs_change_begin(&change, at, end - at);

	while ((map = dxs_maps_first(at, end))) {
		at = dxs_map_end(map);
		if (reason)
			dxs_file_to_kernel(map->file, reason);
		if (map->engine)
			map->engine->make_all_writable(map);
		dxs_map_restore(map);
		dxs_map_forget(map, false);
	}
	dxs_change_end(&change);
	return err;
}

int dxs_release(void *addr, size_t len)
{
	uintptr_t at = (uintptr_t)addr;

	if (at % DXS_PAGE_SIZE || !dxs_is_known(at, len))
		return -EINVAL;
	return dxs_release_range(at, at + dxs_round_up(len, DXS_PAGE_SIZE), NULL);
}
