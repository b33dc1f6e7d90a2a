// SPDX-License-Identifier: BSD-3-Clause
// writers.c: the registry of an inode's writers.
//
// A flush in user space covers what this process has stored. What others have stored only the kernel knows; so the sync
// of a process may leave the kernel out only while it is the file's only writer.
//
// STRUCTURE
//   One file of one page for each inode that is mapped. A writer maps the page through an open file
//   description of its own, on which it holds a shared lock (F_OFD_SETLK), and closes the descriptor. A mapping keeps the
//   description, and the description the lock: so the lock lasts exactly as long as the mapping. It goes with munmap,
//   exec and the end of the process, however that comes, and a program that closes all descriptors does not lose it.
//   A child has a copy of the mapping, and so of the hold, until its own exec or exit.
//
// PROTOCOL
//   W.1 join: lock, then announce (count up `announced`), then store for the first time.
//   W.2 sync: load `announced`. It differs from what it was when this process was found to be exclusive: the kernel has
//       to follow. A writer's stores come after its announcement. So if one of them happened before this sync began, the
//       sync sees the announcement; otherwise nothing of it has to be synced. That is one load of shared memory and no call.
//   W.3 becoming exclusive: read `announced`, take a new hold and let go of the old one, look for locks of others, sync
//       the kernel's part of the whole file, compare `announced`. Whoever announced itself before the first read had its
//       lock before, so either it is found, or it is gone and all its stores are before the kernel's sync. Whoever comes
//       later is seen by the comparison, or by W.2.
//   W.4 Of two that join at once, an exclusive lock during the first steps lets one be first. The other comes later and
//       announces itself, which the first one sees.
//   W.5 fork: the parent announces one more before the fork. The child's hold is its copy of the parent's, and as the
//       parent takes a new one whenever it looks (W.3), it finds the child's. A child made without fork handlers
//       announces itself at its first hook or trap.
//   W.6 leave: count down the second half of `announced`, drop the lock. A process that dies leaves its one behind; then
//       the next who finds nobody's lock is not exclusive before a kernel sync (W.3), which resets the half to 1.
//   W.7 The page's file is removed by a writer that leaves, with an exclusive lock, when nobody else holds one. Who
//       opened it just before finds it without a name and begins again. It stays if anybody has died, unless the written
//       file has no name any more.
//   W.8 From the announcement of a child to the end of the fork nobody is found to be exclusive: the child cannot be seen
//       yet. Who asks before that sees the announcement when it compares. A file that is joined in between may be mapped
//       in the child, without a hold: its other writers cannot be found.
//   W.9 rest: leave (W.6), but for the mapping and a descriptor of its description, which has no lock then. return: join
//       (W.1, W.4) with these, if the file still has its name, and no fork is under way.
//   Without a registry (no room, no directory, a file that is not ours) a process is never exclusive, and asks again in W.3.
#include "writers/writers.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include "base/config.h"
#include "base/fd.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/space.h"
#include "base/sys.h"
#include "report/stats.h"
#include "writers/directory.h"

#define MAGIC 0x31737274776e7364ULL // "dsnwtrs1"
#define ANNOUNCED (1ULL << 32)
#define PRESENT 1ULL
#define PRESENT_MASK (ANNOUNCED - 1)
#define NAME_BEGIN "daxsync-writers."
#define NAME NAME_BEGIN "%lx-%lx" // device, inode
#define NAME_SIZE 64
#define FDS_MAX 16         // of the program's descriptors
#define TRIES 1000         // with a pause of 1 ms: somebody is stopped between two system calls
#define SEARCH_NS 10000000 // 10 ms

static struct dxs_registry nobody; // nothing is ever announced here
static const char others[] = "another process writes it as well";
static unsigned nr_fds;                                     // of places that rest or have rested
static struct dxs_mutex mutex = {.rank = DXS_RANK_WRITERS}; // one thread at a time opens, renews or leaves
// seq_cst: up before the child is announced (W.8); partners: announce_fork, dxs_writers_sync_begin.
static _Atomic uint32_t forks; // under way

struct name {
	int dir;
	char text[NAME_SIZE];
};

static int lock_set(int fd, short type)
{
	struct flock lock = {.l_type = type, .l_len = 1};

	return (int)dxs_sys6(SYS_fcntl, fd, F_OFD_SETLK, (long)&lock, 0, 0, 0);
}

// Whether another description holds a lock. An answer that cannot be had is yes.
static bool lock_of_others(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_len = 1};

	return dxs_sys6(SYS_fcntl, fd, F_OFD_GETLK, (long)&lock, 0, 0, 0) || lock.l_type != F_UNLCK;
}

static void pause_ms(void)
{
	struct timespec ms = {.tv_nsec = 1000000};

	dxs_sys6(SYS_nanosleep, (long)&ms, 0, 0, 0, 0, 0);
}

static int fail(struct dxs_writers *writers, const char *reason, int err)
{
	atomic_store(&writers->reason, reason);
	return err;
}

static int name_make(const struct dxs_writers *writers, struct name *name)
{
	struct dxs_text text;

	dxs_text_init(&text, name->text, sizeof(name->text));
	dxs_text_add(&text, NAME, writers->dev, writers->ino);
	name->dir = dxs_registry_dir_open(dxs_config.registry);
	return name->dir < 0 ? name->dir : 0;
}

static void name_remove(const struct name *name)
{
	dxs_sys6(SYS_unlinkat, name->dir, (long)name->text, 0, 0, 0, 0);
}

// The registry's file, made if there is none.
static int file_open(const struct name *name)
{
	int fd = dxs_sys_openat(name->dir, name->text, DXS_REGISTRY_OPEN_FLAGS, 0);

	if (fd != -ENOENT)
		return fd;
	fd = dxs_sys_openat(name->dir, name->text, DXS_REGISTRY_OPEN_FLAGS | O_CREAT | O_EXCL, 0600);
	if (fd >= 0)
		dxs_sys6(SYS_fchmod, fd, 0600, 0, 0, 0, 0); // whatever the umask is
	return fd == -EEXIST ? -ESTALE : fd;
}

// 0; -ESTALE: it has been removed, look again; or an error: it is not to be trusted.
static int file_check(int fd, struct stat *st)
{
	if (dxs_sys6(SYS_fstat, fd, (long)st, 0, 0, 0, 0))
		return -EIO;
	if (!st->st_nlink)
		return -ESTALE;
	if (!S_ISREG(st->st_mode) || st->st_nlink != 1 || st->st_uid != geteuid() || st->st_mode & (S_IRWXG | S_IRWXO))
		return -EPERM;
	return 0;
}

// W.4: exclusive if nobody else is there (*first), else shared.
static int lock_take(int fd, bool *first)
{
	int tries, err = -EAGAIN;

	for (tries = 0; err == -EAGAIN && tries < TRIES; tries++) {
		if (tries)
			pause_ms();
		*first = !lock_set(fd, F_WRLCK);
		err = *first ? 0 : lock_set(fd, F_RDLCK);
	}
	return err;
}

static int file_take(const struct name *name, struct stat *st, bool *first)
{
	int tries, err = -ESTALE;

	for (tries = 0; err == -ESTALE && tries < TRIES; tries++) {
		int fd = file_open(name);

		err = fd < 0 ? fd : file_check(fd, st);
		if (!err)
			err = lock_take(fd, first);
		if (!err)
			err = file_check(fd, st); // W.7
		if (!err)
			return fd;
		if (fd >= 0)
			dxs_sys_close(fd);
	}
	return err;
}

// Makes the file one page long, with memory behind it, so that a store finds room. Caller holds the exclusive lock.
static int file_fill(int fd, struct stat *st)
{
	long err = dxs_sys_grow(SYS_fallocate, fd, 0, 0, DXS_PAGE_SIZE);

	if (!err && st->st_size > (off_t)DXS_PAGE_SIZE)
		err = dxs_sys6(SYS_ftruncate, fd, DXS_PAGE_SIZE, 0, 0, 0, 0);
	return (int)err;
}

static struct dxs_registry *page_map(int fd, void *at)
{
	if (!at)
		return dxs_space_map(DXS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	return dxs_sys_mmap(at, DXS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
}

static bool is_of(const struct dxs_registry *page, const struct dxs_writers *writers)
{
	return page->magic == MAGIC && page->dev == writers->dev && page->ino == writers->ino &&
	       page->born == writers->born && page->born_ns == writers->born_ns;
}

// Takes over a page that nobody uses; its file was `size` bytes long. A new one, or one of an inode that had this number
// before, is begun; what is neither has been spoilt, and then somebody may have died here.
static void page_begin(struct dxs_registry *page, const struct dxs_writers *writers, off_t size)
{
	bool is_whole = size == (off_t)DXS_PAGE_SIZE; // else zeros may be in the place of `announced`
	bool is_other = is_whole && page->magic == MAGIC && page->dev == writers->dev && page->ino == writers->ino;
	uint64_t left = size && !is_other ? PRESENT : 0;

	if (is_whole && is_of(page, writers))
		return;
	// The file is locked exclusively: no other process looks at the page.
	atomic_store(&page->announced, (atomic_load(&page->announced) & ~PRESENT_MASK) | left);
	page->dev = writers->dev;
	page->ino = writers->ino;
	page->born = writers->born;
	page->born_ns = writers->born_ns;
	page->magic = MAGIC;
}

static bool is_page(const struct dxs_writers *writers, int fd, struct stat *st)
{
	return !dxs_sys6(SYS_fstat, fd, (long)st, 0, 0, 0, 0) && st->st_dev == writers->page_dev &&
	       st->st_ino == writers->page_ino;
}

static void fd_drop(struct dxs_writers *writers)
{
	int fd = atomic_load(&writers->fd);
	struct stat st;

	if (fd == -1)
		return;
	dxs_fd_drop(&writers->fd, fd >= 0 && !is_page(writers, fd, &st));
	nr_fds--;
}

static void page_drop(struct dxs_writers *writers)
{
	// Another thread may be looking: the address stays readable, and no number there is exclusive_at.
	atomic_store(&writers->exclusive_at, DXS_NEVER);
	writers->registered = writers->rests = false;
	writers->nr_drops++;
	fd_drop(writers);
	dxs_sys_mmap(atomic_load(&writers->page), DXS_PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static int page_take(struct dxs_writers *writers, int fd)
{
	struct dxs_registry *page = atomic_load(&writers->page);

	page = page_map(fd, page == &nobody ? NULL : page);
	if (dxs_is_err(page))
		return -ENOMEM;
	atomic_store(&writers->page, page); // while exclusive_at holds no number that can be there
	return 0;
}

// W.1, with a lock. Returns with how many announced this process is the only writer, if it has the lock for itself and
// nobody has left anything behind.
static uint64_t announce(struct dxs_writers *writers, bool first)
{
	// After the lock, before the first store; partner: dxs_writers_exclusive in the others.
	uint64_t before = atomic_fetch_add(&atomic_load(&writers->page)->announced, ANNOUNCED + PRESENT);
	bool clean = first && !(before & PRESENT_MASK);

	writers->registered = true;
	fail(writers, first && !clean ? "a process that wrote it has died" : others, 0);
	return clean ? (before >> 32) + 1 : DXS_NEVER;
}

// W.1, from the lock on. `first`: the lock is exclusive.
static int place_take(struct dxs_writers *writers, int fd, struct stat *st, bool first, uint64_t *exclusive_at)
{
	struct dxs_registry *page;

	if (first && file_fill(fd, st))
		return fail(writers, "no room for the registry of writers", -ENOSPC);
	if (!first && st->st_size != (off_t)DXS_PAGE_SIZE)
		return fail(writers, "the registry of writers is not of this version", -EINVAL);
	if (page_take(writers, fd))
		return fail(writers, "no memory for the registry of writers", -ENOMEM);
	page = atomic_load(&writers->page);
	if (first)
		page_begin(page, writers, st->st_size);
	if (!is_of(page, writers)) {
		page_drop(writers);
		return fail(writers, "the registry of writers is not of this version", -EINVAL);
	}
	writers->page_dev = st->st_dev;
	writers->page_ino = st->st_ino;
	*exclusive_at = announce(writers, first);
	return 0;
}

// Nobody can have left stores there that would have to be remembered. The file is locked exclusively.
static bool is_clean(int fd)
{
	struct dxs_registry seen = {0};
	long len = dxs_sys_pread(fd, &seen, sizeof(seen), 0);

	return !len || (len == sizeof(seen) && seen.magic == MAGIC && !(seen.announced & PRESENT_MASK));
}

// A file that nobody uses and that reminds of nothing: its process was killed before it had stored, or after it had left.
static void sweep_one(struct name *name, const char *entry)
{
	struct stat st;
	int fd;

	if (strncmp(entry, NAME_BEGIN, sizeof(NAME_BEGIN) - 1) || strlen(entry) >= sizeof(name->text))
		return;
	fd = dxs_sys_openat(name->dir, entry, DXS_REGISTRY_OPEN_FLAGS, 0);
	if (fd < 0)
		return;
	memcpy(name->text, entry, strlen(entry) + 1);
	if (!file_check(fd, &st) && !lock_set(fd, F_WRLCK) && !file_check(fd, &st) && is_clean(fd)) // W.7
		name_remove(name);
	dxs_sys_close(fd);
}

#define LINUX_DIRENT_NAME 19   // struct linux_dirent64: d_name
#define LINUX_DIRENT_RECLEN 16 // d_reclen

// Once for each process, what one look at the directory gives.
static void sweep(int dir)
{
	static char entries[2048]; // under the mutex: stacks of signal handlers are small
	static bool done;
	struct name name = {.dir = dir};
	int fd;
	uint16_t reclen;
	long len, at;

	if (done)
		return;
	done = true;
	fd = dxs_sys_openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	len = dxs_sys6(SYS_getdents64, fd, (long)entries, sizeof(entries), 0, 0, 0);
	for (at = 0; at < len; at += reclen) {
		memcpy(&reclen, entries + at + LINUX_DIRENT_RECLEN, sizeof(reclen));
		sweep_one(&name, entries + at + LINUX_DIRENT_NAME);
	}
	dxs_sys_close(fd);
}

// Caller holds the mutex.
static int register_locked(struct dxs_writers *writers, uint64_t *exclusive_at)
{
	struct name name;
	struct stat st;
	bool first = false;
	int fd, ret = name_make(writers, &name);

	if (ret)
		return fail(writers, dxs_registry_dir_reason(dxs_config.registry, ret), ret);
	sweep(name.dir);
	fd = file_take(&name, &st, &first);
	if (fd >= 0) {
		ret = place_take(writers, fd, &st, first, exclusive_at);
		if (first && ret == -ENOSPC)
			name_remove(&name);
		if (first)
			lock_set(fd, F_RDLCK); // only now may others come (W.4)
		dxs_sys_close(fd);
	} else {
		ret = fail(writers, DXS_REGISTRY_UNUSABLE, fd);
	}
	dxs_sys_close(name.dir);
	return ret;
}

void dxs_writers_init(struct dxs_writers *writers)
{
	writers->page = &nobody;
	atomic_store(&writers->fd, -1);
	atomic_store(&writers->exclusive_at, 0);
}

struct statx_times { // struct statx, which <sys/stat.h> and <linux/stat.h> cannot both give
	uint32_t mask, rest[19];
	int64_t born;
	uint32_t born_ns, more[41];
};

static void identity_take(struct dxs_writers *writers, int fd, uint64_t dev, uint64_t ino)
{
	struct statx_times stx = {0};

	writers->dev = dev;
	writers->ino = ino;
	// A device (its number is 0) may have several inodes.
	if (ino && !dxs_sys6(SYS_statx, fd, (long)"", AT_EMPTY_PATH, STATX_BTIME, (long)&stx, 0) &&
	    stx.mask & STATX_BTIME) {
		writers->born = (uint64_t)stx.born;
		writers->born_ns = stx.born_ns;
	}
}

// W.8: the child of a fork that is under way may have the mapping, and no hold.
static void announce_fork(struct dxs_writers *writers)
{
	if (!atomic_load(&forks))
		return;
	writers->doubt = true;
	dxs_writers_announce(writers);
}

int dxs_writers_join(struct dxs_writers *writers, int fd, uint64_t dev, uint64_t ino)
{
	uint64_t exclusive_at = DXS_NEVER;
	int err;

	identity_take(writers, fd, dev, ino);
	atomic_store(&writers->exclusive_at, DXS_NEVER);
	dxs_mutex_lock(&mutex);
	err = register_locked(writers, &exclusive_at);
	atomic_store(&writers->exclusive_at, exclusive_at);
	announce_fork(writers);
	dxs_mutex_unlock(&mutex);
	return err;
}

bool dxs_writers_announce(struct dxs_writers *writers)
{
	if (writers->registered) // W.5, W.8: before the fork, after `forks`; partner: dxs_writers_exclusive
		atomic_fetch_add(&atomic_load(&writers->page)->announced, ANNOUNCED + PRESENT);
	return writers->registered;
}

// The registry's file, if it is still the one that is mapped. Caller closes it.
static int same_open(const struct dxs_writers *writers)
{
	struct name name;
	struct stat st;
	int fd, err = name_make(writers, &name);

	if (err)
		return err;
	fd = dxs_sys_openat(name.dir, name.text, DXS_REGISTRY_OPEN_FLAGS, 0);
	dxs_sys_close(name.dir);
	err = fd < 0 ? fd : file_check(fd, &st);
	if (!err && (st.st_dev != writers->page_dev || st.st_ino != writers->page_ino))
		err = -ESTALE;
	if (!err)
		return fd;
	if (fd >= 0)
		dxs_sys_close(fd);
	return err;
}

// Somebody has removed the file: newcomers would not find us. All who still use it are told, and follow here; but whether
// they live cannot be seen any more. Caller holds the mutex.
static void page_leave(struct dxs_writers *writers)
{
	writers->doubt |= (atomic_load(&atomic_load(&writers->page)->announced) & PRESENT_MASK) > 1;
	dxs_writers_announce(writers);
	page_drop(writers);
}

// Whether newcomers find the page that this process looks at. By its path: what has its identity is it.
static bool is_found(const struct dxs_writers *writers)
{
	static char path[PATH_MAX + NAME_SIZE]; // under the mutex: stacks of signal handlers are small
	struct dxs_text text;
	struct stat st;

	dxs_registry_dir_place(path, sizeof(path));
	dxs_text_init(&text, path + strlen(path), sizeof(path) - strlen(path));
	dxs_text_add(&text, "/" NAME, writers->dev, writers->ino);
	return !dxs_sys6(SYS_newfstatat, AT_FDCWD, (long)path, (long)&st, AT_SYMLINK_NOFOLLOW, 0, 0) &&
	       st.st_dev == writers->page_dev && st.st_ino == writers->page_ino;
}

// The same, but no more often than every SEARCH_NS: searching costs half as much as an fsync that finds nothing to do.
// Caller holds the mutex.
static bool is_found_still(struct dxs_writers *writers)
{
	uint64_t now = dxs_now_ns();

	if (now - writers->found_at < SEARCH_NS)
		return true;
	writers->found_at = now;
	return is_found(writers);
}

// W.3: a new hold in the place of the old one; then whether others have one. Children that have a copy of the old one do.
// Caller holds the mutex.
static bool hold_renew(struct dxs_writers *writers)
{
	int fd = same_open(writers);
	bool exclusive;

	if (fd < 0)
		return false;
	exclusive = !lock_set(fd, F_RDLCK) && !page_take(writers, fd);
	fd_drop(writers); // of the old hold
	exclusive = exclusive && !lock_of_others(fd);
	dxs_sys_close(fd);
	return exclusive;
}

struct dxs_ticket dxs_writers_sync_begin(struct dxs_writers *writers)
{
	struct dxs_ticket ticket = {0};
	uint64_t ignored;

	dxs_mutex_lock(&mutex);
	if (writers->registered && !is_found_still(writers))
		page_leave(writers);
	if (!writers->registered && !writers->gone)
		register_locked(writers, &ignored);
	ticket.announced = atomic_load(&atomic_load(&writers->page)->announced) >> 32;
	ticket.nr_drops = writers->nr_drops;
	ticket.exclusive = writers->registered && !writers->doubt && !atomic_load(&forks) &&
			   !dxs_writers_exclusive(writers) && hold_renew(writers);
	dxs_mutex_unlock(&mutex);
	return ticket;
}

// The page is still the ticket's. Caller holds the mutex.
static void settled(struct dxs_writers *writers, const struct dxs_ticket *ticket)
{
	struct dxs_registry *page = atomic_load(&writers->page);
	uint64_t now = atomic_load(&page->announced);

	while (now >> 32 == ticket->announced)
		// W.3: in one step with the comparison, after the kernel's sync; partner: whoever announces himself
		if (atomic_compare_exchange_weak(&page->announced, &now, (now & ~PRESENT_MASK) | PRESENT)) {
			atomic_store(&writers->reason, others);
			atomic_store(&writers->exclusive_at, ticket->announced);
			return;
		}
}

void dxs_writers_sync_end(struct dxs_writers *writers, struct dxs_ticket ticket)
{
	if (!ticket.exclusive)
		return;
	dxs_mutex_lock(&mutex);
	if (writers->nr_drops == ticket.nr_drops)
		settled(writers, &ticket);
	dxs_mutex_unlock(&mutex);
}

// W.7. This process holds no lock any more.
static void file_remove(const struct dxs_writers *writers, enum dxs_leaving leaving)
{
	struct name name;
	struct stat st;
	int fd = same_open(writers);

	if (fd < 0)
		return;
	if (!lock_set(fd, F_WRLCK) && !file_check(fd, &st) && (leaving == DXS_LEAVES_NO_NAME || is_clean(fd)) &&
	    !name_make(writers, &name)) {
		name_remove(&name);
		dxs_sys_close(name.dir);
	}
	lock_set(fd, F_UNLCK); // a child that was forked meanwhile has the descriptor too
	dxs_sys_close(fd);
}

// The descriptor of a place that has rested: still that of its page, which the program may have closed or replaced; and the
// page has a name, by which others find it (W.7).
static bool fd_is_page(const struct dxs_writers *writers, int fd)
{
	struct stat st;

	return is_page(writers, fd, &st) && st.st_nlink == 1 && st.st_size == (off_t)DXS_PAGE_SIZE;
}

static bool has_children(void)
{
	return dxs_sys6(SYS_waitid, P_ALL, 0, 0, WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT | __WALL, 0, 0) !=
	       -ECHILD;
}

// A description without a lock: the one with it is unlocked, unless a child that has announced itself to nobody may have a
// copy (W.5). Then it is replaced.
static bool fd_unlock(struct dxs_writers *writers, int old)
{
	char path[32];
	struct dxs_text text;
	bool done;
	int fd;

	if (!fd_is_page(writers, old))
		return false;
	if (!has_children())
		return !lock_set(old, F_UNLCK);
	dxs_text_init(&text, path, sizeof(path));
	dxs_text_add(&text, "/proc/self/fd/%d", old);
	fd = dxs_sys_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	done = !page_take(writers, fd) && dxs_sys6(SYS_dup3, fd, old, O_CLOEXEC, 0, 0, 0) == old &&
	       atomic_load(&writers->fd) == old; // it may just be getting another number
	dxs_sys_close(fd);
	return done;
}

// The first time.
static bool fd_make(struct dxs_writers *writers)
{
	int fd = nr_fds < FDS_MAX ? same_open(writers) : -EMFILE;

	if (fd < 0)
		return false;
	if (page_take(writers, fd)) {
		dxs_sys_close(fd);
		return false;
	}
	fd = dxs_fd_hide(fd);
	atomic_store(&writers->fd, fd);
	dxs_fd_register(fd, &writers->fd);
	nr_fds++;
	return true;
}

bool dxs_writers_rest(struct dxs_writers *writers)
{
	dxs_mutex_lock(&mutex);
	if (writers->registered && !writers->gone && !writers->doubt) {
		atomic_store(&writers->exclusive_at, DXS_NEVER);
		writers->rests = atomic_load(&writers->fd) == -1 ? fd_make(writers)
								 : DXS_FD_USE(&writers->fd, fd, fd_unlock(writers, fd));
		if (writers->rests) { // W.6: after exclusive_at; partner: `clean` in announce, in who comes next
			atomic_fetch_sub(&atomic_load(&writers->page)->announced, PRESENT);
			writers->registered = false;
		}
	}
	dxs_mutex_unlock(&mutex);
	return writers->rests;
}

static void return_locked(struct dxs_writers *writers, int fd)
{
	bool first = false;

	if (!fd_is_page(writers, fd) || lock_take(fd, &first))
		return;
	if (fd_is_page(writers, fd) && is_of(atomic_load(&writers->page), writers)) { // again: W.7
		atomic_store(&writers->exclusive_at, announce(writers, first));
		announce_fork(writers);
		writers->rests = false;
	}
	if (first)
		lock_set(fd, F_RDLCK);
}

bool dxs_writers_return(struct dxs_writers *writers)
{
	dxs_mutex_lock(&mutex);
	DXS_FD_USE(&writers->fd, fd, (return_locked(writers, fd), true));
	dxs_mutex_unlock(&mutex);
	return writers->registered;
}

void dxs_writers_forsake(struct dxs_writers *writers)
{
	fd_drop(writers);
	if (atomic_load(&writers->page) != &nobody)
		dxs_sys_munmap(atomic_load(&writers->page), DXS_PAGE_SIZE);
	dxs_writers_init(writers);
}

void dxs_writers_leave(struct dxs_writers *writers, enum dxs_leaving leaving)
{
	dxs_mutex_lock(&mutex);
	writers->gone = true;
	if (writers->rests)
		leaving = DXS_LEAVES_NOTHING;
	if (writers->registered || writers->rests) {
		// W.6: before the lock goes; partner: `clean` in announce, in who comes next.
		if (writers->registered && leaving == DXS_LEAVES_NOTHING)
			atomic_fetch_sub(&atomic_load(&writers->page)->announced, PRESENT);
		page_drop(writers);
		fail(writers, "the process has left", 0);
		if (leaving != DXS_LEAVES_STORES)
			file_remove(writers, leaving);
	}
	dxs_mutex_unlock(&mutex);
}

void dxs_writers_destroy(struct dxs_writers *writers, enum dxs_leaving leaving)
{
	dxs_writers_leave(writers, leaving);
	if (atomic_load(&writers->page) != &nobody)
		dxs_sys_munmap(atomic_load(&writers->page), DXS_PAGE_SIZE);
}

void dxs_writers_in_child(struct dxs_writers *writers)
{
	fd_drop(writers);
	atomic_store(&writers->exclusive_at, DXS_NEVER);
}

void dxs_writers_fork_begin(void)
{
	atomic_fetch_add(&forks, 1); // W.8: before the announcements; partner: who has the mutex after them
}

void dxs_writers_fork_end(void)
{
	atomic_fetch_sub(&forks, 1);
}

void dxs_writers_lock(void)
{
	dxs_mutex_lock(&mutex);
}

void dxs_writers_unlock(void)
{
	dxs_mutex_unlock(&mutex);
}

void dxs_writers_reset_lock(void)
{
	atomic_store(&mutex.word, 0); // by the child's only thread
	atomic_store(&forks, 0);
}
