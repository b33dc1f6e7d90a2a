// SPDX-License-Identifier: BSD-3-Clause
// image.c: durable images.
//
// CONCURRENCY
//   Pages that are flushed are FLUSHING, so within a process no two threads publish the same page at once. The model of this
//   file is tests/model/observer.pml; doc/model.md maps its names to these.
//   I.1 After power is cut (run->frozen) no fence returns: a thread looks at `frozen` after it has published, so
//       either its lines were in the image before the cut, or its sync is never acknowledged.
//   I.2 An emulated kernel sync holds the page lock of what it copies, so that what a fence has published meanwhile does
//       not give way to what the file was before.
//   I.3 FLUSHING says nothing to other processes: what one process had flushed could be published over what another has
//       stored, flushed and fenced since. So whoever was not exclusive from its flushes to its fence publishes what is
//       there at the fence. That is as new as anything published before, as each look and its write are one step in the
//       whole run (dxs_run_publish_begin). It may hold stores that were not flushed, as caches write back what they like.
//       Nothing is verified while others write the file, and the kernel's sync follows.
#define DXS_SYS_SPARED // these calls emulate
#include "emulate/image.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/alloc.h"
#include "base/config.h"
#include "base/detached.h"
#include "base/due.h"
#include "base/fd.h"
#include "base/filter.h"
#include "base/log.h"
#include "base/space.h"
#include "base/sys.h"
#include "emulate/history.h"
#include "emulate/image_walk.h"
#include "emulate/powercut.h"
#include "emulate/record.h"
#include "emulate/run.h"
#include "file/file.h"
#include "flush/flush.h"

#define LINE 64
#define PUBLISHED_AT_ONCE 32
#define STAGED_PAGES 32768 // of 4 KiB: what a sync has FLUSHING at most (sync.c); address space until used

struct dxs_image {
	struct dxs_file *file;
	int fd;
	bool unmarked; // the kernel has written where there was no memory for a mark
	char path[512];
};

struct staged {
	struct dxs_image *image;
	uintptr_t addr;
	uint64_t off;
	size_t len;
	unsigned char data[DXS_PAGE_SIZE];
};

struct stage {
	struct stage *next; // of the unused ones
	unsigned nr;
	uint64_t writers; // of the file, when the first was staged (I.3)
	struct dxs_due due;
	struct staged staged[STAGED_PAGES];
};

static struct stage *unused_stages;
static struct dxs_mutex stages_mutex = {.rank = DXS_RANK_STAGES};
static DXS_THREAD struct stage *stage;

struct dxs_due *dxs_image_stage(void)
{
	dxs_mutex_lock(&stages_mutex);
	stage = unused_stages;
	if (stage)
		unused_stages = stage->next;
	dxs_mutex_unlock(&stages_mutex);
	if (!stage)
		stage = dxs_space_map(sizeof(*stage), PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	if (dxs_is_err(stage)) {
		dxs_error("no memory for the emulated flush: this sync makes nothing durable");
		stage = NULL;
		return NULL;
	}
	stage->nr = 0;
	return &stage->due;
}

void dxs_image_unstage(void)
{
	if (!stage)
		return;
	dxs_mutex_lock(&stages_mutex);
	stage->next = unused_stages;
	unused_stages = stage;
	dxs_mutex_unlock(&stages_mutex);
	stage = NULL;
}

void dxs_image_reset_locks(void)
{
	atomic_store(&stages_mutex.word, 0);
	stage = NULL;
}

void dxs_image_forget(void)
{
	if (stage)
		stage->nr = 0;
}

// A line as a cache write-back would take it: all of one moment. Stores may be under way, so it is read until two
// reads agree; a line that is stored to without pause is taken as it comes, since its stores race with the sync.
static void line_read(unsigned char *to, const unsigned char *from)
{
	unsigned char again[LINE];
	int tries;

	for (tries = 0; tries < 1000; tries++) {
		memcpy(to, from, LINE);
		atomic_signal_fence(memory_order_seq_cst);
		memcpy(again, from, LINE);
		if (!memcmp(to, again, LINE))
			return;
	}
}

struct lines {
	unsigned char *to;
	uintptr_t from;
	size_t len;
};

static void lines_read(void *arg)
{
	const struct lines *lines = arg;
	size_t at;

	memcpy(lines->to, (const void *)lines->from, lines->len);
	atomic_signal_fence(memory_order_seq_cst);
	if (!memcmp(lines->to, (const void *)lines->from, lines->len))
		return; // two reads of each line agree
	for (at = 0; at < lines->len; at += LINE)
		line_read(lines->to + at, (const unsigned char *)lines->from + at);
}

// How many writers of the file were ever announced, if this process is the exclusive one; or DXS_NEVER.
static uint64_t writers_of(struct dxs_file *file)
{
	uint64_t announced = atomic_load(&atomic_load(&file->writers.page)->announced) >> 32; // before the mode

	return dxs_file_mode(file) == DXS_MODE_KERNEL ? DXS_NEVER : announced;
}

// The next place to stage something; before it is read.
static struct staged *staged_next(struct dxs_image *image, uintptr_t addr, uint64_t off, size_t len)
{
	struct staged *staged = &stage->staged[stage->nr];

	if (!stage->nr)
		stage->writers = writers_of(image->file);
	staged->image = image;
	staged->addr = addr;
	staged->off = off;
	staged->len = len;
	return staged;
}

// I.3
static void staged_renew(void)
{
	struct dxs_fault_at fault;
	unsigned i;

	if (stage->writers != DXS_NEVER && writers_of(stage->staged[0].image->file) == stage->writers)
		return;
	for (i = 0; i < stage->nr; i++) {
		struct staged *staged = &stage->staged[i];
		struct lines lines = {staged->data, staged->addr, staged->len};

		if (staged->len)
			(void)dxs_flush_guard(lines_read, &lines, &fault); // gone: what was read before stays
	}
}

// Lines of one page. A page that is gone by now (the file was cut) keeps nothing.
static void page_snapshot(struct dxs_image *image, uintptr_t addr, uint64_t off, size_t len)
{
	struct staged *staged = staged_next(image, addr, off, len);
	struct lines lines = {staged->data, addr, len};
	struct dxs_fault_at fault;

	if (!dxs_flush_guard(lines_read, &lines, &fault))
		stage->nr++;
}

void dxs_image_snapshot(struct dxs_image *image, uintptr_t addr, uint64_t off, size_t len)
{
	uintptr_t end = (addr + len + LINE - 1) & ~(uintptr_t)(LINE - 1);

	off -= addr % LINE;
	addr -= addr % LINE;
	while (stage && addr < end) {
		size_t part = dxs_min64(end - addr, DXS_PAGE_SIZE - addr % DXS_PAGE_SIZE);

		if (stage->nr < STAGED_PAGES)
			page_snapshot(image, addr, off, part);
		addr += part;
		off += part;
	}
}

void dxs_image_note_hole(struct dxs_image *image, uint64_t off, size_t len)
{
	for (; stage && len && stage->nr < STAGED_PAGES; off += DXS_PAGE_SIZE, len -= dxs_min64(len, DXS_PAGE_SIZE)) {
		(void)staged_next(image, 0, off, 0);
		stage->nr++;
	}
}

uint64_t dxs_image_staged(const struct dxs_image *image, uint64_t first)
{
	uint64_t mask = 0;
	unsigned i;

	for (i = 0; stage && i < stage->nr; i++) {
		uint64_t at = (stage->staged[i].off >> image->file->page_shift) - first;

		if (stage->staged[i].image == image && at < DXS_LEAF_PAGES)
			mask |= 1ULL << at;
	}
	return mask;
}

// The file's size now. It is asked by path because there is no descriptor to ask; a file that was renamed or has no
// name is taken to have the size a hook saw last.
uint64_t dxs_image_file_size(struct dxs_image *image)
{
	struct stat st;

	if (!dxs_sys6(SYS_newfstatat, AT_FDCWD, (long)image->path, (long)&st, 0, 0, 0) &&
	    st.st_dev == image->file->dev && st.st_ino == image->file->ino)
		atomic_store(&image->file->size, (uint64_t)st.st_size);
	return atomic_load(&image->file->size);
}

static uint64_t image_size(const struct dxs_image *image)
{
	struct stat st;

	return dxs_sys6(SYS_fstat, image->fd, (long)&st, 0, 0, 0, 0) ? 0 : (uint64_t)st.st_size;
}

// Writes a part of what was staged. MAP_SYNC promises that a page which is mapped writable is found at its offset after
// a crash: so the durable size reaches as far as the page, though never further than the file.
static void staged_write(const struct staged *staged, size_t from, size_t len)
{
	uint64_t off = staged->off + from, end = off + len;

	if (end > image_size(staged->image)) {
		uint64_t size = dxs_max64(dxs_image_file_size(staged->image), image_size(staged->image));

		if (end > size)
			len = size > off ? (size_t)(size - off) : 0;
	}
	if (len)
		dxs_sys6(SYS_pwrite64, staged->image->fd, (long)(staged->data + from), (long)len, (long)off, 0, 0);
}

// How many entries from `first` on are whole pages of one image, one behind the other and all within its size, so that
// they can be written in one call.
static unsigned staged_run(unsigned first, struct iovec *iov)
{
	const struct staged *staged = &stage->staged[first];
	uint64_t size = image_size(staged->image);
	unsigned nr = 0;

	while (nr < PUBLISHED_AT_ONCE && first + nr < stage->nr && staged[nr].image == staged->image &&
	       staged[nr].len == DXS_PAGE_SIZE && staged[nr].off == staged->off + nr * DXS_PAGE_SIZE &&
	       staged[nr].off + DXS_PAGE_SIZE <= size) {
		iov[nr] = (struct iovec){(void *)staged[nr].data, DXS_PAGE_SIZE};
		nr++;
	}
	return nr;
}

// Publishes staged entries from `first` on; how many.
static unsigned staged_publish(unsigned first)
{
	const struct staged *staged = &stage->staged[first];
	struct iovec iov[PUBLISHED_AT_ONCE];
	unsigned i, nr = staged_run(first, iov);

	if (nr < 2 || dxs_sys6(SYS_pwritev, staged->image->fd, (long)iov, nr, (long)staged->off, 0, 0) !=
			      (long)(nr * DXS_PAGE_SIZE)) {
		staged_write(staged, 0, staged->len);
		nr = 1;
	}
	for (i = 0; i < nr; i++)
		dxs_history_add(staged->image->file, DXS_EVENT_PUBLISH,
				staged[i].off >> staged->image->file->page_shift, 1);
	return nr;
}

// Lines that were flushed but not fenced when power fails: each may have arrived or not.
static void keep_or_drop_staged(void)
{
	unsigned i;
	size_t at;

	for (i = 0; i < stage->nr; i++) {
		const struct staged *staged = &stage->staged[i];

		for (at = 0; at < staged->len; at += LINE)
			if (dxs_powercut_coin(DXS_COIN_FLUSHED, (staged->off + at) / LINE))
				staged_write(staged, at, LINE);
	}
}

// What this fence is about to publish; holes publish nothing.
static void tell_recorder(uint64_t fence)
{
	const struct staged *staged;

	for (staged = stage ? stage->staged : NULL; stage && staged < stage->staged + stage->nr; staged++)
		if (staged->len)
			dxs_record_staged(staged->image->file, staged->off, staged->data, staged->len);
	dxs_record_fence(fence);
}

void dxs_image_publish(void)
{
	struct dxs_run *run = dxs_run();
	bool recorded = dxs_record_begin();
	uint64_t fence = atomic_fetch_add(&run->fences, 1) + 1;
	bool publishes = stage && stage->nr;
	unsigned i;

	if (dxs_config.powercut_at && fence > dxs_config.powercut_at)
		dxs_run_halt();
	if (publishes) {
		dxs_run_publish_begin();
		staged_renew();
	}
	if (fence == dxs_config.powercut_at) {
		if (publishes)
			keep_or_drop_staged();
		dxs_powercut();
	}
	if (recorded)
		tell_recorder(fence);
	for (i = 0; publishes && i < stage->nr;)
		i += staged_publish(i);
	if (publishes) {
		dxs_run_publish_end();
		stage->nr = 0;
	}
	if (recorded)
		dxs_record_end();
	if (atomic_load(&run->frozen)) // I.1
		dxs_run_halt();
}

int dxs_image_read(struct dxs_image *image, uint64_t off, void *buf, size_t len)
{
	long ret = dxs_sys_pread(image->fd, buf, len, (off_t)off);

	if (ret < 0)
		return (int)ret;
	memset((char *)buf + ret, 0, len - (size_t)ret);
	return 0;
}

const void *dxs_image_map(const struct dxs_image *image, uint64_t off, size_t len)
{
	void *addr = dxs_sys_mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_POPULATE, image->fd, (off_t)off);

	return dxs_is_err(addr) ? NULL : addr;
}

static void name_make(struct dxs_image *image, char *name, size_t size)
{
	const char *base = strrchr(image->path, '/');
	struct dxs_text text;

	dxs_text_init(&text, name, size);
	dxs_text_add(&text, "%s.%lx-%lx", base && base[1] ? base + 1 : "file", (unsigned long)image->file->dev,
		     (unsigned long)image->file->ino);
}

static void run_note(const struct dxs_image *image, const char *name)
{
	static atomic_flag said = ATOMIC_FLAG_INIT; // seq_cst, the default: relaxed would do, only the first one tells
	struct dxs_run *run = dxs_run();
	uint32_t nr = atomic_load(&run->nr_images);
	struct dxs_run_image *note = &run->image[nr];

	if (nr == DXS_RUN_IMAGES) {
		if (!atomic_flag_test_and_set(&said))
			dxs_warn("more than %d files in one run: a power cut leaves the rest at their last sync",
				 DXS_RUN_IMAGES);
		return;
	}
	note->dev = image->file->dev;
	note->ino = image->file->ino;
	memcpy(note->name, name, sizeof(note->name));
	memcpy(note->path, image->path, sizeof(note->path));
	atomic_store(&run->nr_images, nr + 1); // after the note; the run's lock keeps others from this place
}

// 1: made now, 0: was there, or -errno.
static int image_file_open(struct dxs_image *image)
{
	char name[sizeof(((struct dxs_run_image *)0)->name)];
	int fd, made = 1;

	if (dxs_run_dir() < 0) {
		fd = (int)dxs_sys6(SYS_memfd_create, (long)"daxsync image", 1 /* MFD_CLOEXEC */, 0, 0, 0, 0);
	} else {
		name_make(image, name, sizeof(name));
		fd = dxs_sys_openat(dxs_run_dir(), name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd == -EEXIST) {
			made = 0;
			fd = dxs_sys_openat(dxs_run_dir(), name, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
		} else if (fd >= 0) {
			run_note(image, name);
		}
	}
	if (fd < 0)
		return fd;
	image->fd = dxs_fd_hide(fd);
	return made;
}

static uint64_t page_bit(const struct dxs_file *file, uint64_t off)
{
	return 1ULL << ((off >> file->page_shift) % DXS_LEAF_PAGES);
}

// Keeps a page for an emulated kernel sync, from the look at the file to the write into its image: or what a fence
// publishes in between would give way to what was there before. Flushes of this process's that have begun are waited for
// (FLUSHING), and none begins, as it is FLUSHING now; the page lock keeps out who compares it; other processes wait (I.3).
// NULL: the page was never in a mapping. Caller has nothing FLUSHING.
static struct dxs_leaf *page_hold(struct dxs_file *file, uint64_t off)
{
	struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, off >> file->page_shift, false);
	uint64_t page = page_bit(file, off);

	if (leaf) {
		while (!dxs_leaf_claim(leaf, page))
			dxs_leaf_wait_flushed(leaf, page);
		dxs_leaf_lock(leaf, page);
	}
	dxs_run_publish_begin();
	return leaf;
}

static void page_release(struct dxs_file *file, uint64_t off, struct dxs_leaf *held)
{
	dxs_run_publish_end();
	if (!held)
		return;
	dxs_leaf_unlock(held, page_bit(file, off));
	dxs_leaf_release(held, page_bit(file, off));
}

static bool is_asked(const struct dxs_asked *asked, uint64_t pgoff)
{
	unsigned i;

	for (i = 0; i < asked->nr; i++)
		if (pgoff >= asked->stretch[i].first && pgoff <= asked->stretch[i].last)
			return true;
	return false;
}

// What a walk is about.
struct walked {
	struct dxs_file *file;
	const struct dxs_asked *asked;
};

static struct dxs_leaf *walk_hold(const struct dxs_walk *walk, uint64_t off)
{
	const struct walked *walked = walk->arg;

	return page_hold(walked->file, off);
}

static void walk_release(const struct dxs_walk *walk, uint64_t off, struct dxs_leaf *held)
{
	const struct walked *walked = walk->arg;

	page_release(walked->file, off, held);
}

static void page_copy(const struct dxs_walk *walk, uint64_t off, const unsigned char *now, const unsigned char *durable)
{
	(void)durable;
	dxs_sys6(SYS_pwrite64, walk->image_fd, (long)now, DXS_PAGE_SIZE, (long)off, 0, 0);
}

static void entry_mark_dirty(struct dxs_file *file, uint64_t off)
{
	uint64_t pgoff = off >> file->page_shift;
	struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, pgoff, true);

	if (leaf)
		dxs_tree_mark(&file->tree, leaf, DXS_DIRTY, 1ULL << (pgoff % DXS_LEAF_PAGES));
}

static void page_mark_dirty(const struct dxs_walk *walk, uint64_t off, const unsigned char *now,
			    const unsigned char *durable)
{
	const struct walked *walked = walk->arg;

	(void)now;
	(void)durable;
	entry_mark_dirty(walked->file, off);
}

// What the kernel was asked for.
static void page_copy_asked(const struct dxs_walk *walk, uint64_t off, const unsigned char *now,
			    const unsigned char *durable)
{
	const struct walked *walked = walk->arg;

	if (is_asked(walked->asked, off >> walked->file->page_shift))
		page_copy(walk, off, now, durable);
}

// What write(2) changed, and nothing else: a page that the tracker is responsible for is left to it, or the kernel
// sync would hide its misses.
static void page_copy_kwrite(const struct dxs_walk *walk, uint64_t off, const unsigned char *now,
			     const unsigned char *durable)
{
	const struct walked *walked = walk->arg;
	struct dxs_file *file = walked->file;
	uint64_t pgoff = off >> file->page_shift, cut = atomic_load(&file->cut);
	struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, pgoff, false);

	// No leaf: it never was in a mapping, or nothing ever happened to it there.
	if (!leaf || off >= cut || dxs_leaf_get(leaf, DXS_KWRITE) & 1ULL << (pgoff % DXS_LEAF_PAGES))
		page_copy_asked(walk, off, now, durable);
	else if (cut - off < DXS_PAGE_SIZE) // the kernel has zeroed what lay behind
		dxs_sys6(SYS_pwrite64, walk->image_fd, (long)(now + (cut - off)), (long)(DXS_PAGE_SIZE - (cut - off)),
			 (long)cut, 0, 0);
}

static void proc_path(int fd, char *path, size_t size)
{
	struct dxs_text text;

	dxs_text_init(&text, path, size);
	dxs_text_add(&text, "/proc/self/fd/%d", fd);
}

// Walks the pages in which the file and its image differ.
static int image_walk(struct dxs_image *image, int fd, dxs_walk_fn fn, const struct dxs_asked *asked)
{
	struct walked walked = {image->file, asked};
	char path[32];
	struct dxs_walk walk = {
		.path = image->path,
		.dev = image->file->dev,
		.ino = image->file->ino,
		.image_fd = image->fd,
		.fn = fn,
		.hold = walk_hold,
		.release = walk_release,
		.arg = &walked,
	};

	if (fd >= 0) {
		proc_path(fd, path, sizeof(path));
		walk.path = path;
	}
	return dxs_detached(dxs_image_walk, &walk);
}

static void size_set(struct dxs_image *image, uint64_t size)
{
	dxs_sys_grow(SYS_ftruncate, image->fd, (long)size, 0, 0);
}

// An image is written at any time, so it must not meet RLIMIT_FSIZE then. A file that the program makes does not.
static bool is_beyond_limit(struct dxs_image *image)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	dxs_sys6(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit, 0, 0);
	return dxs_image_file_size(image) > limit.rlim_cur;
}

int dxs_image_open(struct dxs_file *file, int fd, const char **why)
{
	struct dxs_image *image = dxs_zalloc(sizeof(*image));
	int ret;

	*why = "no durable image can be made for the verifier";
	if (!image || !dxs_image_stage()) { // also what the first sync will need
		dxs_free(image);
		return -ENOMEM;
	}
	dxs_image_unstage();
	image->fd = -1;
	image->file = file;
	dxs_fd_path(fd, image->path, sizeof(image->path));
	dxs_run_lock();
	ret = is_beyond_limit(image) ? -EFBIG : image_file_open(image);
	if (ret >= 0 && file->is_device) {
		size_set(image, atomic_load(&file->size));
	} else if (ret >= 0) {
		int walked = image_walk(image, fd, ret ? page_copy : page_mark_dirty, NULL);

		if (ret && !walked)
			size_set(image, dxs_image_file_size(image));
		if (walked)
			ret = -EIO;
	}
	dxs_run_unlock();
	if (ret < 0) {
		if (image->fd >= 0)
			dxs_fd_close(image->fd);
		dxs_free(image);
		return ret;
	}
	file->observed = image;
	return 0;
}

static void page_copy_guarded(void *arg)
{
	const struct lines *lines = arg;

	memcpy(lines->to, (const void *)lines->from, lines->len);
}

// One page that a mapping shows. Covered: by an earlier mapping, perhaps of another process that has not made it durable.
static int page_cover(const struct dxs_map *map, uint64_t off, bool covered)
{
	struct dxs_image *image = dxs_image_of(map->file);
	unsigned char page[DXS_PAGE_SIZE], durable[DXS_PAGE_SIZE];
	uintptr_t addr = map->addr + (off - (map->first << map->file->page_shift));
	struct lines lines = {page, addr, DXS_PAGE_SIZE};
	struct dxs_fault_at fault;
	int err;

	if (dxs_flush_guard(page_copy_guarded, &lines, &fault))
		return -EIO;
	if (!covered)
		return dxs_sys6(SYS_pwrite64, image->fd, (long)page, DXS_PAGE_SIZE, (long)off, 0, 0) < 0 ? -EIO : 0;
	err = dxs_image_read(image, off, durable, DXS_PAGE_SIZE);
	if (!err && memcmp(page, durable, DXS_PAGE_SIZE))
		entry_mark_dirty(map->file, off);
	return err;
}

int dxs_image_cover(const struct dxs_map *map)
{
	struct dxs_image *image = dxs_image_of(map->file);
	uint64_t off = map->first << map->file->page_shift, end = off + map->len;
	int err = 0;

	dxs_run_lock();
	while (off < end && !err) {
		long data = dxs_sys6(SYS_lseek, image->fd, (long)off, SEEK_DATA, 0, 0, 0);
		long hole = data < 0 ? 0 : dxs_sys6(SYS_lseek, image->fd, data, SEEK_HOLE, 0, 0, 0);

		for (; off < end && !err && (data < 0 || off < (uint64_t)data); off += DXS_PAGE_SIZE)
			err = page_cover(map, off, false);
		for (; off < end && !err && off < (uint64_t)hole; off += DXS_PAGE_SIZE)
			err = page_cover(map, off, true);
	}
	dxs_run_unlock();
	return err;
}

void dxs_image_close(struct dxs_image *image)
{
	dxs_fd_close(image->fd);
	dxs_free(image);
}

// One page as a mapping shows it. A hole is not read, which would fill it: it is zeros. A page beyond the end of the
// file has nothing to publish.
static void mapped_page_publish(struct dxs_image *image, uintptr_t addr, uint64_t off)
{
	unsigned char page[DXS_PAGE_SIZE] = {0}, resident = 1;
	struct lines lines = {page, addr, DXS_PAGE_SIZE};
	struct dxs_fault_at fault;

	dxs_in_core(addr, 1, &resident); // where it cannot be asked, a hole is filled
	if (!(resident & 1) || !dxs_flush_guard(page_copy_guarded, &lines, &fault))
		dxs_sys6(SYS_pwrite64, image->fd, (long)page, DXS_PAGE_SIZE, (long)off, 0, 0);
}

static const struct dxs_map *map_of(const struct dxs_file *file, uint64_t pgoff)
{
	const struct dxs_map *map;

	dxs_for_each_map_of (map, file, pgoff, pgoff)
		if (map->prot)
			return map;
	return NULL;
}

// One entry that the kernel wrote. Held, so that nobody compares it between the mark and the image. One that is in no
// mapping is for a sync that can open the file.
static void entry_publish(struct dxs_file *file, struct dxs_leaf *leaf, uint64_t pgoff)
{
	const struct dxs_map *map = map_of(file, pgoff);
	uint64_t off = pgoff << file->page_shift, at;
	struct dxs_leaf *held;

	if (!map)
		return;
	held = page_hold(file, off);
	dxs_tree_unmark(&file->tree, leaf, DXS_KWRITE, 1ULL << (pgoff - leaf->first)); // before the look
	for (at = 0; at < dxs_file_page_size(file); at += DXS_PAGE_SIZE)
		mapped_page_publish(dxs_image_of(file), dxs_map_addr(map, pgoff) + at, off + at);
	page_release(file, off, held);
}

// For a file that cannot be opened again because it has no name (memfd, or unlinked): what the mappings show of the
// entries that the kernel wrote.
static void mapped_publish(struct dxs_file *file, const struct dxs_stretch *stretch)
{
	uint64_t at = stretch->first;
	struct dxs_leaf *leaf;

	while (at <= stretch->last && (leaf = dxs_tree_next(&file->tree, at, stretch->last, 1U << DXS_KWRITE))) {
		uint64_t todo = dxs_leaf_get(leaf, DXS_KWRITE) & dxs_leaf_mask(leaf, at, stretch->last);

		for (; todo; todo &= todo - 1)
			entry_publish(file, leaf, leaf->first + (uint64_t)__builtin_ctzll(todo));
		at = leaf->first + DXS_LEAF_PAGES;
	}
}

// Of such a file, what is in memory and mapped: what was cut off, and if `all` what the kernel was asked for.
static void resident_publish(struct dxs_file *file, const struct dxs_asked *asked, bool all, uint64_t cut)
{
	unsigned char vec[512];
	const struct dxs_map *map;
	uintptr_t addr, end;
	struct dxs_leaf *held;
	size_t i, len;
	int err;

	dxs_for_each_map_of (map, file, 0, UINT64_MAX) {
		end = map->prot ? dxs_map_end(map) : 0;
		for (addr = map->addr; addr < end; addr += len) {
			len = dxs_min64(end - addr, sizeof(vec) * DXS_PAGE_SIZE);
			err = dxs_in_core(addr, len / DXS_PAGE_SIZE, vec);
			if (err == -EPERM) // not to be asked: holes are filled
				memset(vec, 1, sizeof(vec));
			else if (err)
				return;
			for (i = 0; i < len; i += DXS_PAGE_SIZE) {
				uint64_t off = (map->first << file->page_shift) + (addr + i - map->addr);

				if (!(vec[i / DXS_PAGE_SIZE] & 1) ||
				    (off + DXS_PAGE_SIZE <= cut && !(all && is_asked(asked, off >> file->page_shift))))
					continue;
				held = page_hold(file, off);
				mapped_page_publish(dxs_image_of(file), addr + i, off);
				page_release(file, off, held);
			}
		}
	}
}

void dxs_image_written(struct dxs_file *file, uint64_t first, uint64_t last)
{
	dxs_mutex_lock(&file->kwrite_mutex);
	file->nr_kwrites++;
	while (first <= last) {
		struct dxs_leaf *leaf = dxs_tree_leaf(&file->tree, first, true);

		if (!leaf) { // not mapped, so nothing of it is the tracker's yet
			dxs_image_of(file)->unmarked = true;
		} else {
			dxs_tree_mark(&file->tree, leaf, DXS_KWRITE, dxs_leaf_mask(leaf, first, last));
			dxs_history_add(file, DXS_EVENT_KERNEL, leaf->first, dxs_leaf_mask(leaf, first, last));
		}
		first = (first | (DXS_LEAF_PAGES - 1)) + 1;
	}
	dxs_mutex_unlock(&file->kwrite_mutex);
}

bool dxs_image_shows_more(struct dxs_file *file, uint64_t first, uint64_t last)
{
	bool more;

	dxs_mutex_lock(&file->kwrite_mutex);
	more = dxs_image_of(file)->unmarked || dxs_tree_next(&file->tree, first, last, 1U << DXS_KWRITE);
	dxs_mutex_unlock(&file->kwrite_mutex);
	return more;
}

uint64_t dxs_image_kwrites(struct dxs_file *file)
{
	uint64_t nr;

	dxs_mutex_lock(&file->kwrite_mutex);
	nr = file->nr_kwrites;
	dxs_mutex_unlock(&file->kwrite_mutex);
	return nr;
}

// What was marked before the walk is published. If more was written meanwhile nobody knows which marks are whose: then all
// of them stay for the next kernel sync.
static void kwrite_clear(struct dxs_file *file, uint64_t before, const struct dxs_stretch *stretch)
{
	uint64_t at = stretch->first;
	struct dxs_leaf *leaf;

	dxs_mutex_lock(&file->kwrite_mutex);
	while (file->nr_kwrites == before && at <= stretch->last &&
	       (leaf = dxs_tree_next(&file->tree, at, stretch->last, 1U << DXS_KWRITE))) {
		dxs_tree_unmark(&file->tree, leaf, DXS_KWRITE, dxs_leaf_mask(leaf, at, stretch->last));
		at = leaf->first + DXS_LEAF_PAGES;
	}
	dxs_mutex_unlock(&file->kwrite_mutex);
}

// Where the file cannot be opened: what its mappings show.
static void mapped_publish_all(struct dxs_file *file, const struct dxs_asked *asked, bool all, uint64_t cut)
{
	unsigned i;

	if (cut < image_size(dxs_image_of(file)))
		size_set(dxs_image_of(file), cut);
	for (i = 0; i < asked->nr; i++)
		mapped_publish(file, &asked->stretch[i]);
	if (all || cut != UINT64_MAX) // where no engine tracks stores, none is marked; behind the cut nothing is known
		resident_publish(file, asked, all, cut);
}

bool dxs_image_kernel_synced_locked(struct dxs_file *file, int fd, const struct dxs_asked *asked, bool all)
{
	struct dxs_image *image = dxs_image_of(file);
	uint64_t before = dxs_image_kwrites(file), cut = atomic_load(&file->cut);
	struct dxs_asked what = *asked;
	bool walked;
	unsigned i;

	if (cut != UINT64_MAX) // what was cut off goes with the size, which every sync takes along
		dxs_asked_add(&what, (cut + dxs_file_page_size(file) - 1) >> file->page_shift, DXS_TREE_PAGES - 1);
	walked = !image_walk(image, fd, all ? page_copy_asked : page_copy_kwrite, &what);
	if (!walked)
		mapped_publish_all(file, &what, all, cut);
	size_set(image, dxs_image_file_size(image));
	for (i = 0; walked && i < what.nr; i++)
		kwrite_clear(file, before, &what.stretch[i]);
	if (atomic_load(&dxs_run()->frozen)) // I.1
		dxs_run_halt();
	return walked;
}

bool dxs_image_kernel_synced(struct dxs_file *file, int fd, const struct dxs_asked *asked, bool all)
{
	bool walked;

	dxs_shared_lock(&file->maps_lock);
	walked = dxs_image_kernel_synced_locked(file, fd, asked, all);
	dxs_shared_unlock(&file->maps_lock);
	return walked;
}
