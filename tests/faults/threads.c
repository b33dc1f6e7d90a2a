// SPDX-License-Identifier: BSD-3-Clause
// threads.c: threads that store, sync, change mappings, write and fork, all on the same files, while the library is made to
// fail.
//
//   threads [-f FAULT] [-b] [-l] [-k] [-r ROUNDS] [-s SEED] DIRECTORY
//
// Runs under the shim with the verifier on, its images in DAXSYNC_IMAGE_DIR, and libdaxsync-faults.so preloaded without
// DAXSYNC_FAULT: FAULT, in the same words, is injected when all is set up and taken away when the threads have ended, so
// every occasion is one among threads. Then everything must work again. -b: it is injected before the files are mapped.
// -k: nobody forks, as a fork leaves the files to the kernel.
//
// Each thread has a line of its own in every page, into which it stores growing numbers, and says so. A sync that
// returns 0 must have made durable, in the image, all that had been said about its range before it began. A call may fail
// only with the error that FAULT brings about in it, and no more calls than were made to fail.
// -l: what is injected loses data. That is counted then, and the verifier, not this program, has to complain: at the latest
// when the threads have ended.
// Prints what came of it. Exit status: 0, 1, 2 (usage), 3 (it hangs).
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <daxsync/daxsync.h>

#include "../mix.h"

#define PAGE ((size_t)4096)
#define LINE ((size_t)64)
#define PATIENCE 300   // seconds: a guard
#define TRIES 4        // of a call that has failed on purpose
#define MOST_PAGES 280 // more than are synced without being grouped
#define CHILD_PAGES 4  // the last ones of each file: only forked children store there

enum { STORER, STORER_2, SYNCER, SYNCER_2, MAPPER, WRITER, FORKER, NR_THREADS, MAIN = NR_THREADS, NR_OWNERS };
enum { SMALL, LARGE, PASSING, NR_FILES };

struct file {
	size_t first, nr_pages; // among all pages
	int fd, image;          // -1: nothing keeps one
	char *base;
};

struct owner {
	unsigned id;
	uint64_t state;          // of the random numbers
	const char *volatile at; // what it does
	struct file passing;     // the writer's
};

// What children share.
struct shared {
	_Atomic uint64_t value[NR_OWNERS];
	_Atomic uint64_t said[NR_OWNERS][NR_FILES * MOST_PAGES];
	_Atomic uint64_t injected; // in children
	_Atomic uint64_t nr_errors, nr_judged, nr_lost;
};

// In which call a failure may be seen, and as what. Of all others nothing is seen.
static const struct visible {
	const char *fault, *calls; // "": any
	int err;
} visible[] = {
	{"flush-error", "", EIO},
	{"sys-fsync", "fsync", EIO},
	{"sys-msync", "msync", EIO},
	{"sys-mmap", "mmap msync fsync", ENOMEM}, // the emulator stages what a sync flushes
	{"sys-munmap", "munmap", ENOMEM},
	{"sys-mremap", "mremap", ENOMEM},
	{"sys-mprotect", "mprotect", ENOMEM},
};

static struct file file[2] = {[SMALL] = {0, 24, -1, -1, NULL}, [LARGE] = {MOST_PAGES, MOST_PAGES, -1, -1, NULL}};
static struct owner owner[NR_OWNERS];
static struct shared *shared;
static const struct visible *expected;
static bool lossy, early, forks = true;
static const char *directory;
static unsigned rounds = 10;
static pthread_barrier_t together;
static int (*mode_of)(const void *addr);
static int (*stats_get)(struct daxsync_stats *stats);
static int (*inject)(const char *spec, char *why, size_t size);
static uint64_t (*nr_injected)(void);

// At once: before an _exit the library would sync what it has, which may be what hangs.
static void __attribute__((noreturn)) leave(int status)
{
	for (;;)
		syscall(SYS_exit_group, status);
}

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vdprintf(2, format, args);
	va_end(args);
	dprintf(2, "\n");
	leave(1);
}

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			fail("threads.c:%d: not so: %s (errno %d)", __LINE__, #condition, errno);                      \
	} while (0)

static uint64_t next_random(struct owner *me)
{
	return mix(me->state += DXS_MIX_STEP);
}

static size_t random_below(struct owner *me, size_t end)
{
	return (size_t)(next_random(me) % end);
}

// By raw calls: what fails on purpose fails for the test's subject.
static void *own_memory(size_t len, int prot, int flags)
{
	void *addr = (void *)syscall(SYS_mmap, NULL, len, prot, flags | MAP_ANONYMOUS, -1, 0); // NOLINT

	CHECK(addr != MAP_FAILED);
	return addr;
}

// Whether a call has worked. If not, its error must be the one that was asked for.
static bool worked(const struct owner *me, bool done, const char *call)
{
	int err = errno;

	if (done)
		return true;
	if (!expected || err != expected->err || (expected->calls[0] && !strstr(expected->calls, call)))
		fail("owner %u: %s failed: %s", me->id, call, strerror(err));
	atomic_fetch_add(&shared->nr_errors, 1);
	return false;
}

// A call, again and again if it fails on purpose. Whether it has worked in the end.
#define TRY(me, call, ...)                                                                                             \
	({                                                                                                             \
		int tries_ = 0;                                                                                        \
		bool worked_;                                                                                          \
		(me)->at = (call);                                                                                     \
		do                                                                                                     \
			worked_ = worked((me), (__VA_ARGS__), (call));                                                 \
		while (!worked_ && ++tries_ < TRIES);                                                                  \
		(me)->at = "nothing";                                                                                  \
		worked_;                                                                                               \
	})

// Stores, and what is promised of them.

static size_t offset_in_page(unsigned id)
{
	return id * LINE + 8;
}

static uint64_t next_value(unsigned id)
{
	return atomic_fetch_add(&shared->value[id], 1) + 1;
}

static void say(unsigned id, const struct file *of, size_t page, uint64_t value)
{
	atomic_store(&shared->said[id][of->first + page], value);
}

static void store(struct owner *me, const struct file *to, size_t page, char *addr)
{
	uint64_t value = next_value(me->id);

	me->at = "a store";
	*(volatile uint64_t *)(addr + offset_in_page(me->id)) = value;
	me->at = "nothing";
	say(me->id, to, page, value);
}

static void store_all(struct owner *me, const struct file *to, size_t first, size_t nr, char *addr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		store(me, to, first + i, addr + i * PAGE);
}

struct promise {
	const struct file *file;
	size_t first, nr;
	const char *addr; // of what is synced; NULL: of the file as such
	uint64_t value[NR_OWNERS][MOST_PAGES];
};

static struct promise *promise_take(const struct file *of, size_t first, size_t nr, const char *addr)
{
	static __thread struct promise promise;
	unsigned id;
	size_t i;

	promise.file = of;
	promise.first = first;
	promise.nr = nr;
	promise.addr = addr;
	for (id = 0; id < NR_OWNERS; id++)
		for (i = 0; i < nr; i++)
			promise.value[id][i] = atomic_load(&shared->said[id][of->first + first + i]);
	return &promise;
}

// For want of memory a part of a mapping may have been let go. The kernel syncs it, and nobody tells the image.
static bool is_left(const struct promise *promise, size_t i)
{
	return promise->addr && mode_of(promise->addr + i * PAGE) == DAXSYNC_MODE_PASS;
}

static void page_judge(const struct owner *me, const struct promise *promise, size_t i, const char *after)
{
	char now[PAGE] = {0};
	unsigned id;

	if (syscall(SYS_pread64, promise->file->image, now, PAGE, (promise->first + i) * PAGE) < 0)
		fail("an image cannot be read (errno %d)", errno);
	for (id = 0; id < NR_OWNERS; id++) {
		uint64_t durable = *(const uint64_t *)(const void *)(now + offset_in_page(id));

		if (durable >= promise->value[id][i] || is_left(promise, i))
			continue;
		atomic_fetch_add(&shared->nr_lost, 1);
		if (!lossy)
			fail("owner %u: %s returned 0, but in page %zu of file %zu what owner %u had stored is not "
			     "durable (%lu, and %lu is)",
			     me->id, after, promise->first + i, promise->file->first / MOST_PAGES, id,
			     (unsigned long)promise->value[id][i], (unsigned long)durable);
	}
}

static void judge(const struct owner *me, const struct promise *promise, const char *after)
{
	size_t i;

	for (i = 0; i < promise->nr; i++)
		page_judge(me, promise, i, after);
	atomic_fetch_add(&shared->nr_judged, 1);
}

// Of what the library has let go of, nobody keeps an image. It knows a file at least as long as it has its first mapping.
static bool is_kept(const struct file *of, const void *addr)
{
	return of->image >= 0 && mode_of(of->base) != DAXSYNC_MODE_PASS && mode_of(addr) != DAXSYNC_MODE_PASS;
}

static bool sync_pages(struct owner *me, const struct file *of, size_t first, size_t nr, char *addr)
{
	const struct promise *promise = promise_take(of, first, nr, addr);
	bool kept = is_kept(of, addr);

	if (!TRY(me, "msync", !msync(addr, nr * PAGE, MS_SYNC)))
		return false;
	if (kept && is_kept(of, addr))
		judge(me, promise, "msync");
	return true;
}

static bool sync_file(struct owner *me, const struct file *of)
{
	const struct promise *promise = promise_take(of, 0, of->nr_pages, NULL);
	bool kept = is_kept(of, of->base), data_only = random_below(me, 2);

	if (!TRY(me, "fsync", !(data_only ? fdatasync(of->fd) : fsync(of->fd))))
		return false;
	if (kept && is_kept(of, of->base))
		judge(me, promise, data_only ? "fdatasync" : "fsync");
	return true;
}

// The files.

static int image_open(int fd, const char *name)
{
	char path[4096];
	struct stat st;

	CHECK(!fstat(fd, &st));
	snprintf(path, sizeof(path), "%s/%s.%lx-%lx", getenv("DAXSYNC_IMAGE_DIR"), name, (unsigned long)st.st_dev,
		 (unsigned long)st.st_ino);
	return (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

// Makes the file and maps it. False: mmap has failed, on purpose.
static bool file_begin(struct owner *me, struct file *made, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	unlink(path); // an image is of an inode
	made->fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(made->fd >= 0 && !syscall(SYS_ftruncate, made->fd, made->nr_pages * PAGE));
	made->image = -1;
	if (!TRY(me, "mmap",
		 (made->base = mmap(NULL, made->nr_pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, made->fd, 0)) !=
			 MAP_FAILED))
		return false;
	made->image = image_open(made->fd, name);
	return true;
}

static void any_range(struct owner *me, const struct file *of, size_t most, size_t *first, size_t *nr)
{
	*nr = 1 + random_below(me, most);
	*first = random_below(me, of->nr_pages - CHILD_PAGES - *nr + 1);
}

// A few pages of the large file are stored to again and again, too.
static size_t any_page(struct owner *me, const struct file *of)
{
	return random_below(me, random_below(me, 2) ? of->nr_pages - CHILD_PAGES : 8);
}

static const struct file *any_file(struct owner *me)
{
	return &file[random_below(me, 4) ? SMALL : LARGE];
}

// What the threads do, a round at a time.

static void storer(struct owner *me)
{
	const struct file *to = any_file(me);
	size_t i, page = 0;

	for (i = 0; i < 12; i++) {
		page = any_page(me, to);
		store(me, to, page, to->base + page * PAGE);
	}
	sync_pages(me, to, page, 1, to->base + page * PAGE);
}

static void syncer(struct owner *me)
{
	const struct file *of = any_file(me);
	size_t first, nr;

	switch (random_below(me, 4)) {
	case 0:
		sync_pages(me, of, 0, of->nr_pages, of->base);
		break;
	case 1:
		sync_file(me, of);
		break;
	default:
		any_range(me, of, 8, &first, &nr);
		sync_pages(me, of, first, nr, of->base + first * PAGE);
	}
}

// A second mapping of a part of a file, which its owner changes while others use the same pages through the first.
struct window {
	const struct file *of;
	size_t first, nr;
	char *addr;
};

static void window_store(struct owner *me, const struct window *window)
{
	store_all(me, window->of, window->first, window->nr, window->addr);
}

static bool window_map(struct owner *me, struct window *window)
{
	window->of = any_file(me);
	any_range(me, window->of, 8, &window->first, &window->nr);
	return TRY(me, "mmap",
		   (window->addr = mmap(NULL, window->nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, window->of->fd,
					(off_t)(window->first * PAGE))) != MAP_FAILED);
}

static bool window_protect(struct owner *me, const struct window *window, size_t from, size_t nr, int prot)
{
	return TRY(me, "mprotect", !mprotect(window->addr + from * PAGE, nr * PAGE, prot));
}

// Readable only, in part or as a whole, and writable again. False: it is not.
static bool window_close(struct owner *me, const struct window *window, int prot)
{
	size_t from = random_below(me, window->nr), nr = 1 + random_below(me, window->nr - from);

	window_protect(me, window, from, nr, prot);
	return window_protect(me, window, from, nr, PROT_READ | PROT_WRITE);
}

static void window_grow(struct owner *me, struct window *window)
{
	size_t room = window->of->nr_pages - CHILD_PAGES - window->first;
	size_t nr = window->nr < room ? window->nr + 1 : window->nr;
	char *to = MAP_FAILED;

	if (!TRY(me, "mremap", (to = mremap(window->addr, window->nr * PAGE, nr * PAGE, MREMAP_MAYMOVE)) != MAP_FAILED))
		return;
	window->addr = to;
	window->nr = nr;
}

static void window_move(struct owner *me, struct window *window)
{
	size_t len = window->nr * PAGE;
	char *to = own_memory(len, PROT_NONE, MAP_PRIVATE);

	if (TRY(me, "mremap", mremap(window->addr, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED))
		window->addr = to;
	else
		syscall(SYS_munmap, to, len);
}

static void window_shorten(struct owner *me, struct window *window)
{
	size_t nr = window->nr / 2;

	if (nr && TRY(me, "munmap", !munmap(window->addr + (window->nr - nr) * PAGE, nr * PAGE)))
		window->nr -= nr;
}

static void window_over(struct owner *me, const struct window *window)
{
	size_t i = random_below(me, window->nr);
	char *at = window->addr + i * PAGE;

	TRY(me, "mmap",
	    mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, window->of->fd,
		 (off_t)((window->first + i) * PAGE)) == at);
}

static bool window_change(struct owner *me, struct window *window)
{
	switch (random_below(me, 8)) {
	case 0:
		return window_close(me, window, PROT_READ);
	case 1:
		return window_close(me, window, PROT_NONE);
	case 2:
		window_grow(me, window);
		break;
	case 3:
		window_move(me, window);
		break;
	case 4:
		window_shorten(me, window);
		break;
	case 5:
		window_over(me, window);
		break;
	case 6:
		TRY(me, "madvise", !madvise(window->addr, window->nr * PAGE, MADV_DONTNEED));
		break;
	default:
		sync_pages(me, window->of, window->first, window->nr, window->addr);
	}
	return true;
}

static void mapper(struct owner *me)
{
	struct window window;
	bool writable;

	if (!window_map(me, &window))
		return;
	window_store(me, &window);
	writable = window_change(me, &window);
	if (writable)
		window_store(me, &window);
	if (random_below(me, 2))
		sync_pages(me, window.of, window.first, window.nr, window.addr);
	TRY(me, "munmap", !munmap(window.addr, window.nr * PAGE));
	if (random_below(me, 3))
		sync_pages(me, window.of, window.first, window.nr, window.of->base + window.first * PAGE);
	else
		sync_file(me, window.of);
}

// What write(2) and read(2) bring into a file, and what changes it.

static void by_pwrite(struct owner *me, const struct file *to, size_t page)
{
	uint64_t value = next_value(me->id);

	if (TRY(me, "pwrite", pwrite(to->fd, &value, 8, (off_t)(page * PAGE + offset_in_page(me->id))) == 8))
		say(me->id, to, page, value);
}

static void by_read(struct owner *me, const struct file *to, size_t page)
{
	uint64_t value = next_value(me->id);
	int pair[2];

	CHECK(!pipe2(pair, O_CLOEXEC) && write(pair[1], &value, 8) == 8);
	if (TRY(me, "read", read(pair[0], to->base + page * PAGE + offset_in_page(me->id), 8) == 8))
		say(me->id, to, page, value);
	close(pair[0]);
	close(pair[1]);
}

static void resize(struct owner *me, const struct file *to)
{
	off_t size = (off_t)(to->nr_pages * PAGE);

	TRY(me, "ftruncate", !ftruncate(to->fd, size + (off_t)random_below(me, 3 * PAGE)));
	TRY(me, "ftruncate", !ftruncate(to->fd, size));
	TRY(me, "fallocate", !fallocate(to->fd, 0, 0, size));
}

// A file that comes and goes.
static void pass_by(struct owner *me)
{
	struct file *made = &me->passing;
	unsigned id;
	size_t i;

	*made = (struct file){.first = PASSING * MOST_PAGES, .nr_pages = 4};
	for (id = 0; id < NR_OWNERS; id++)
		for (i = 0; i < made->nr_pages; i++)
			say(id, made, i, 0);
	if (file_begin(me, made, "passing")) {
		store_all(me, made, 0, made->nr_pages, made->base);
		sync_pages(me, made, 0, made->nr_pages, made->base);
		store_all(me, made, 0, made->nr_pages, made->base);
		if (random_below(me, 2))
			sync_file(me, made);
		TRY(me, "munmap", !munmap(made->base, made->nr_pages * PAGE));
	}
	if (made->image >= 0)
		close(made->image);
	close(made->fd);
}

static void writer(struct owner *me)
{
	const struct file *to = any_file(me);
	size_t page = any_page(me, to), first, nr;

	switch (lossy ? 2 : random_below(me, 6)) { // the verifier does not look while the kernel writes
	case 0:
		resize(me, to);
		break;
	case 1:
		pass_by(me);
		break;
	case 2:
		any_range(me, to, 4, &first, &nr); // nothing changes, but it has to be seen to
		TRY(me, "mprotect", !mprotect(to->base + first * PAGE, nr * PAGE, PROT_READ | PROT_WRITE));
		break;
	case 3:
		by_read(me, to, page);
		break;
	default:
		by_pwrite(me, to, page);
	}
	store(me, to, page, to->base + page * PAGE);
	sync_pages(me, to, page, 1, to->base + page * PAGE);
}

// A child says what it has stored as the parent would. Its pages are its own: where two processes flush one page at once, the
// image has what the last fence brought, which may be what was flushed first.
static void child_run(struct owner *me, const struct file *to, size_t page, size_t how, uint64_t injected)
{
	char *addr = to->base + page * PAGE;

	store(me, to, page, addr);
	if (how % 2)
		sync_pages(me, to, page, 1, addr);
	if (nr_injected)
		atomic_fetch_add(&shared->injected, nr_injected() - injected);
	if (how == 2)
		execl("/bin/true", "true", NULL);
	_exit(0);
}

static void forker(struct owner *me)
{
	const struct file *to = any_file(me);
	size_t page = to->nr_pages - 1 - random_below(me, CHILD_PAGES), how = random_below(me, 6);
	uint64_t injected = nr_injected ? nr_injected() : 0;
	int status = 0;
	pid_t pid;

	me->at = "fork";
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		child_run(me, to, page, how, injected);
	me->at = "waitpid";
	CHECK(waitpid(pid, &status, 0) == pid);
	if (status)
		fail("a child (%zu) ended with status %#x", how, (unsigned)status);
	if (random_below(me, 2))
		sync_pages(me, to, page, 1, to->base + page * PAGE);
	else
		sync_file(me, to);
}

static void (*const does[NR_THREADS])(struct owner *me) = {
	[STORER] = storer, [STORER_2] = storer, [SYNCER] = syncer, [SYNCER_2] = syncer,
	[MAPPER] = mapper, [WRITER] = writer,   [FORKER] = forker,
};

static void *run(void *arg)
{
	struct owner *me = arg;
	unsigned i;

	pthread_barrier_wait(&together);
	for (i = 0; i < rounds && (forks || me->id != FORKER); i++)
		does[me->id](me);
	me->at = "its end";
	return NULL;
}

// Before and afterwards.

static void tell_where(int sig)
{
	unsigned i;

	(void)sig;
	for (i = 0; i < NR_OWNERS; i++)
		dprintf(2, "it hangs: owner %u: %s\n", i, owner[i].at);
	leave(3);
}

static void failure_inject(const char *spec)
{
	char why[128] = "";

	if (!spec)
		return;
	CHECK(inject);
	if (inject(spec, why, sizeof(why)))
		fail("%s", why);
}

static void fault_expect(const char *spec)
{
	const char *last = strrchr(spec, ',') ? strrchr(spec, ',') + 1 : spec;
	size_t i, len = strcspn(last, ":@");

	for (i = 0; i < sizeof(visible) / sizeof(visible[0]); i++)
		if (strlen(visible[i].fault) == len && !memcmp(visible[i].fault, last, len))
			expected = &visible[i];
}

// All that was stored is in the file.
static void contents_check(const struct file *of)
{
	uint64_t value = 0;
	unsigned id;
	size_t i;

	for (i = 0; i < of->nr_pages; i++)
		for (id = 0; id < NR_OWNERS; id++) {
			CHECK(syscall(SYS_pread64, of->fd, &value, 8, i * PAGE + offset_in_page(id)) == 8);
			if (value != atomic_load(&shared->said[id][of->first + i]))
				fail("page %zu has not what owner %u has stored", i, id);
		}
}

// With nothing that fails any more, everything works, for what there was and for what is new.
static void works_again(struct owner *me)
{
	unsigned round, i;

	for (round = 0; round < 2; round++)
		for (i = 0; i < 2; i++) {
			store_all(me, &file[i], 0, file[i].nr_pages, file[i].base);
			CHECK(round ? sync_file(me, &file[i])
				    : sync_pages(me, &file[i], 0, file[i].nr_pages, file[i].base));
		}
	pass_by(me);
	for (i = 0; i < 2; i++)
		contents_check(&file[i]);
}

static uint64_t missed_pages(void)
{
	struct daxsync_stats stats = {.size = sizeof(stats)};

	CHECK(!stats_get(&stats));
	return stats.missed_pages;
}

// Whoever stores again while others sync may hide from the verifier what a sync has lost. Now nobody does.
static void at_rest(struct owner *me)
{
	uint64_t lost = atomic_load(&shared->nr_lost);
	unsigned i;

	for (i = 0; i < 2; i++)
		CHECK(sync_file(me, &file[i]));
	if (atomic_load(&shared->nr_lost) != lost && !missed_pages())
		fail("what was lost is not reported");
}

static void begin(const char *fault, uint64_t seed)
{
	struct sigaction act = {.sa_handler = tell_where};
	unsigned i;

	*(void **)&mode_of = dlsym(RTLD_DEFAULT, "daxsync_mode_of");
	*(void **)&stats_get = dlsym(RTLD_DEFAULT, "daxsync_stats_get");
	*(void **)&inject = dlsym(RTLD_DEFAULT, "inject_parse");
	*(void **)&nr_injected = dlsym(RTLD_DEFAULT, "inject_count");
	CHECK(mode_of && stats_get && getenv("DAXSYNC_IMAGE_DIR"));
	shared = own_memory(sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED);
	for (i = 0; i < NR_OWNERS; i++) {
		owner[i].id = i;
		owner[i].state = mix(seed * NR_OWNERS + i);
		owner[i].at = "nothing";
	}
	if (early)
		failure_inject(fault);
	CHECK(file_begin(&owner[MAIN], &file[SMALL], "small") && file_begin(&owner[MAIN], &file[LARGE], "large"));
	CHECK(early || (file[SMALL].image >= 0 && file[LARGE].image >= 0));
	sigaction(SIGALRM, &act, NULL);
	alarm(PATIENCE);
}

static void threads_run(const char *fault)
{
	pthread_t thread[NR_THREADS];
	unsigned i;

	CHECK(!pthread_barrier_init(&together, NULL, NR_THREADS));
	if (!early)
		failure_inject(fault);
	for (i = 0; i < NR_THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, run, &owner[i]));
	for (i = 0; i < NR_THREADS; i++)
		CHECK(!pthread_join(thread[i], NULL));
	failure_inject(fault ? "" : NULL);
}

static int finish(void)
{
	uint64_t injected = atomic_load(&shared->injected) + (nr_injected ? nr_injected() : 0);
	uint64_t nr_errors = atomic_load(&shared->nr_errors);

	expected = NULL;
	at_rest(&owner[MAIN]);
	works_again(&owner[MAIN]);
	printf("injected %lu, seen %lu, judged %lu, lost %lu, missed %lu, modes %d %d\n", (unsigned long)injected,
	       (unsigned long)nr_errors, (unsigned long)atomic_load(&shared->nr_judged),
	       (unsigned long)atomic_load(&shared->nr_lost), (unsigned long)missed_pages(), mode_of(file[SMALL].base),
	       mode_of(file[LARGE].base));
	fflush(stdout);
	if (nr_errors > injected)
		fail("more calls have failed than were made to");
	if (!lossy && missed_pages())
		fail("missed pages");
	return 0;
}

int main(int argc, char **argv)
{
	const char *fault = NULL;
	uint64_t seed = 1;
	int c;

	while ((c = getopt(argc, argv, "bf:klr:s:")) != -1) {
		if (c == 'b')
			early = true;
		else if (c == 'f')
			fault = optarg;
		else if (c == 'k')
			forks = false;
		else if (c == 'l')
			lossy = true;
		else if (c == 'r')
			rounds = (unsigned)atoi(optarg);
		else if (c == 's')
			seed = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind + 1 != argc)
		return 2;
	directory = argv[optind];
	if (fault)
		fault_expect(fault);
	begin(fault, seed);
	threads_run(fault);
	return finish();
}
