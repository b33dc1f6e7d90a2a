// SPDX-License-Identifier: BSD-3-Clause
// fuzz_api.c: the public functions as a sequence of calls on a file of a tmpfs in emulation, verified, with right and wrong
// arguments.
//
// Promised: each call returns what the header says and nothing else; a failed daxsync_map() leaves its result alone; what was
// stored is in the file; no page is missed. What can go wrong for want of memory does not here.
#include <daxsync/daxsync.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

#define PAGE 4096UL
#define FILE_PAGES 16UL
#define ARENA_PAGES 32UL
#define NR_MAPS 6

// Mappings that daxsync_map() made, and what is left of them; and a part of the address space in which the program maps for
// itself, so that it is known what is there.
struct map {
	char *addr;
	size_t pages, pgoff;
	uint32_t
		released; // pages that are the program's own again: what is stored there nobody promises anything about
};
static struct map map[NR_MAPS];
static char *arena;
static uint8_t shadow[FILE_PAGES * PAGE];
static int fd;

static bool is_one_of(int err, const int *known, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (known[i] == err)
			return true;
	return false;
}

#define PROMISE_ONE_OF(err, ...)                                                                                       \
	do {                                                                                                           \
		const int known_[] = {__VA_ARGS__};                                                                    \
		int err_ = (err);                                                                                      \
                                                                                                                       \
		if (!is_one_of(err_, known_, NR(known_)))                                                              \
			fprintf(stderr, "the call returned %d\n", err_);                                               \
		PROMISE(is_one_of(err_, known_, NR(known_)));                                                          \
	} while (0)

// Options, right ones mostly. NULL is right too. *is_right: whether they are.
static const struct daxsync_opts *take_opts(struct input *input, struct daxsync_opts *opts, bool *is_right)
{
	uint8_t what = take_byte(input);

	*opts = (struct daxsync_opts){sizeof(*opts), what & 3};
	*is_right = what < 0xf0;
	if (what >= 0xf8)
		opts->size = take_byte(input) % sizeof(*opts);
	else if (what >= 0xf0)
		opts->flags = ~3u & (unsigned)(what << 2);
	return what & 4 && *is_right ? NULL : opts;
}

static void call_map(struct input *input)
{
	struct map *to = &map[take_byte(input) % NR_MAPS];
	uint8_t what = take_byte(input);
	size_t len = (1 + take_byte(input) % (FILE_PAGES + 2)) * PAGE, pgoff = take_byte(input) % FILE_PAGES;
	off_t off = (off_t)(pgoff * PAGE);
	struct daxsync_opts opts;
	bool is_right;
	const struct daxsync_opts *given = take_opts(input, &opts, &is_right);
	void *addr = arena;
	int err;

	if (to->addr)
		return;
	if (what == 0xff)
		len = 0;
	else if (what == 0xfe)
		len = SIZE_MAX - take_number(input, 8) % PAGE;
	else if (what == 0xfd)
		off += 1 + take_byte(input);
	else if (what == 0xfc)
		off = -off - (off_t)PAGE;
	err = daxsync_map(what == 0xfb ? -1 : fd, len, off, given, &addr);
	PROMISE(!(what < 0xfb && is_right) || !err);
	PROMISE_ONE_OF(err, 0, -EINVAL, -ENOMEM, -EBADF, -EOVERFLOW);
	PROMISE(is_right || err == -EINVAL);
	PROMISE(!err || addr == arena);
	if (err)
		return;
	PROMISE(daxsync_mode_of(addr) == DAXSYNC_MODE_EMULATED);
	*to = (struct map){addr, (len + PAGE - 1) / PAGE, pgoff, 0};
}

static void store(struct input *input)
{
	const struct map *at = &map[take_byte(input) % NR_MAPS];
	size_t page = take_byte(input), len = 1 + take_byte(input) % 8, off = take_number(input, 2) % (PAGE - 8);
	uint8_t bytes[8];

	if (!at->addr)
		return;
	page %= at->pages;
	if (at->pgoff + page >= FILE_PAGES || at->released >> page & 1)
		return; // beyond the end of the file, or not tracked
	take_bytes(input, bytes, len);
	memcpy(at->addr + page * PAGE + off, bytes, len);
	memcpy(shadow + (at->pgoff + page) * PAGE + off, bytes, len);
}

// A range in or around a mapping, or in the arena. Everything there is mapped.
static char *take_range(struct input *input, size_t *len)
{
	const struct map *at = &map[take_byte(input) % NR_MAPS];
	char *start = at->addr ? at->addr : arena;
	size_t size = (at->addr ? at->pages : ARENA_PAGES) * PAGE, from = take_number(input, 3) % size;

	*len = 1 + take_number(input, 3) % (size - from);
	return start + from;
}

static void call_sync(struct input *input)
{
	uint8_t what = take_byte(input);
	size_t len;
	char *addr = take_range(input, &len);

	if (what < 0xf0) {
		PROMISE_ONE_OF(daxsync_sync(addr, len), 0);
	} else if (what < 0xf8) { // anywhere
		addr = (char *)take_number(input, 8);
		len = take_number(input, 8);
		PROMISE_ONE_OF(daxsync_sync(addr, len), 0, -ENOMEM, -EINVAL, -EOVERFLOW);
	} else {
		PROMISE_ONE_OF(daxsync_sync(addr, SIZE_MAX - take_byte(input)), -EOVERFLOW);
		PROMISE_ONE_OF(daxsync_sync(NULL, 1 + take_byte(input)), -ENOMEM);
		PROMISE_ONE_OF(daxsync_sync(addr, 0), 0);
	}
}

static void call_syncv(struct input *input)
{
	struct iovec range[40] = {0};
	size_t nr = take_byte(input) % (NR(range) + 1);
	uint8_t what = take_byte(input);

	for (size_t i = 0; i < nr; i++)
		range[i].iov_base = take_range(input, &range[i].iov_len);
	if (nr && what >= 0xf8)
		range[what % nr] = (struct iovec){arena, SIZE_MAX - take_byte(input)};
	else if (nr && what >= 0xf0)
		range[what % nr] = (struct iovec){NULL, 1 + take_byte(input)};
	PROMISE_ONE_OF(daxsync_syncv(range, nr), !nr || what < 0xf0 ? 0 : what < 0xf8 ? -ENOMEM : -EOVERFLOW);
}

// After a sync of a mapping nothing of it is dirty but what stays writable; what is stored to then is.
static void call_dirty(struct input *input)
{
	const struct map *at = &map[take_byte(input) % NR_MAPS];
	unsigned char vec[FILE_PAGES + 3];
	size_t page = take_byte(input);
	uint8_t what = take_byte(input);
	bool may_be_clean;

	if (what >= 0xf0) {
		PROMISE_ONE_OF(daxsync_dirty(arena + 1 + what, PAGE, vec), -EINVAL);
		PROMISE_ONE_OF(daxsync_dirty(arena, SIZE_MAX - what, vec), -EOVERFLOW);
		PROMISE_ONE_OF(daxsync_dirty(arena, PAGE, vec), 0);
		PROMISE(vec[0] == 1);
	}
	if (!at->addr)
		return;
	page %= at->pages;
	// Released, and tracked again since: a new mapping of the file does that.
	may_be_clean = at->released >> page & 1 && daxsync_mode_of(at->addr + page * PAGE) != DAXSYNC_MODE_PASS;
	if (at->pgoff + page < FILE_PAGES && !(at->released >> page & 1)) {
		at->addr[page * PAGE] = (char)what;
		shadow[(at->pgoff + page) * PAGE] = what;
	}
	memset(vec, 0xff, sizeof(vec));
	PROMISE_ONE_OF(daxsync_dirty(at->addr, at->pages * PAGE, vec), 0);
	PROMISE(at->pgoff + page >= FILE_PAGES || may_be_clean || vec[page] == 1);
	for (size_t i = 0; i < sizeof(vec); i++)
		PROMISE(i < at->pages ? vec[i] <= 1 : vec[i] == 0xff);
}

static void call_sync_file(struct input *input)
{
	uint8_t what = take_byte(input);
	int pipes[2];

	if (what < 0xf0) {
		PROMISE_ONE_OF(daxsync_sync_file(fd), 0);
		return;
	}
	PROMISE_ONE_OF(daxsync_sync_file(-1 - what), -EBADF);
	PROMISE_ONE_OF(daxsync_sync_file(1 << 20), -EBADF);
	PROMISE(!pipe2(pipes, O_CLOEXEC));
	PROMISE_ONE_OF(daxsync_sync_file(pipes[0]), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
}

// All of a mapping, or its end.
static void call_unmap(struct input *input)
{
	struct map *at = &map[take_byte(input) % NR_MAPS];
	uint8_t what = take_byte(input);
	size_t stay = what < 0x80 ? 0 : what % (at->pages ? at->pages : 1);

	if (!at->addr)
		return;
	if (what >= 0xf0) {
		PROMISE_ONE_OF(daxsync_unmap(at->addr + 1, PAGE), -EINVAL);
		PROMISE_ONE_OF(daxsync_unmap(at->addr, 0), -EINVAL);
		PROMISE_ONE_OF(daxsync_unmap(at->addr, SIZE_MAX - what), -EINVAL, -ENOMEM);
		return;
	}
	PROMISE_ONE_OF(daxsync_unmap(at->addr + stay * PAGE, (at->pages - stay) * PAGE), 0);
	at->pages = stay;
	if (!stay)
		at->addr = NULL;
}

static void call_release(struct input *input)
{
	struct map *at = &map[take_byte(input) % NR_MAPS];
	uint8_t page = take_byte(input), what = take_byte(input);

	if (what >= 0xf0) {
		char *addr = (char *)take_number(input, 8);

		PROMISE_ONE_OF(daxsync_release(addr, take_number(input, 8)), -EINVAL);
		return;
	}
	if (!at->addr)
		return;
	page = (uint8_t)(page % at->pages);
	PROMISE_ONE_OF(daxsync_release(at->addr + page * PAGE, PAGE), 0,
		       at->released >> page & 1 ? -EINVAL : 0); // a new mapping of the file makes it tracked again
	PROMISE(daxsync_mode_of(at->addr + page * PAGE) == DAXSYNC_MODE_PASS);
	at->released |= 1u << page;
}

// A mapping of the program's own in the arena, handed over, or of something else.
static void call_adopt(struct input *input)
{
	size_t page = take_byte(input) % (ARENA_PAGES - 8), pages = 1 + take_byte(input) % 8;
	size_t pgoff = take_byte(input) % (FILE_PAGES - 8), wrong = take_byte(input);
	struct daxsync_opts opts;
	bool is_right;
	const struct daxsync_opts *given = take_opts(input, &opts, &is_right);
	char *addr = arena + page * PAGE;
	int err;

	PROMISE(daxsync_unmap(addr, pages * PAGE) == 0);
	PROMISE(mmap(addr, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)(pgoff * PAGE)) ==
		addr);
	if (wrong == 0xff)
		err = daxsync_adopt((void *)take_number(input, 8), take_number(input, 8), fd, 0, given);
	else
		err = daxsync_adopt(addr, pages * PAGE, fd, (off_t)((pgoff + (wrong >= 0xf8)) * PAGE), given);
	if (wrong == 0xff)
		PROMISE_ONE_OF(err, -EINVAL, -EEXIST);
	else
		PROMISE_ONE_OF(err, is_right && wrong < 0xf8 ? 0 : -EINVAL);
	if (!err) {
		addr[0] = (char)wrong;
		shadow[pgoff * PAGE] = (uint8_t)wrong;
		PROMISE_ONE_OF(daxsync_sync(addr, pages * PAGE), 0);
		PROMISE_ONE_OF(daxsync_adopt(addr, PAGE, fd, (off_t)(pgoff * PAGE), given), -EEXIST);
	}
	PROMISE_ONE_OF(daxsync_unmap(addr, pages * PAGE), 0);
	PROMISE(mmap(addr, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == addr);
}

static void promise_file(void)
{
	struct daxsync_stats stats = {.size = sizeof(stats)};
	static uint8_t now[sizeof(shadow)];

	PROMISE(pread(fd, now, sizeof(now), 0) == sizeof(now) && !memcmp(now, shadow, sizeof(now)));
	PROMISE(!daxsync_stats_get(&stats) && !stats.missed_pages);
}

static void log_line(int level, const char *text, void *arg)
{
	(void)level;
	(void)text;
	(void)arg;
}

static void call_questions(struct input *input)
{
	const void *addr = (const void *)take_number(input, 8);
	size_t len;
	struct daxsync_stats stats = {.size = take_byte(input)};
	struct daxsync_map_stats map_stats = {.size = take_byte(input)};
	struct daxsync_config config = {take_byte(input), take_byte(input) % 8, take_byte(input) % 8};
	int mode = daxsync_mode_of(addr), err = daxsync_stats_get(&stats);

	PROMISE(mode >= DAXSYNC_MODE_PASS && mode <= DAXSYNC_MODE_BYTE && *daxsync_reason_of(addr));
	PROMISE(*daxsync_reason_of(take_range(input, &len)));
	PROMISE(*daxsync_strerror((int)take_number(input, 4)));
	PROMISE_ONE_OF(err, 0, -EINVAL);
	PROMISE_ONE_OF(daxsync_map_stats_get(arena, &map_stats), -EINVAL, -ENOENT);
	if (config.size <= sizeof(config))
		PROMISE_ONE_OF(daxsync_configure(&config), 0, -EINVAL, -EBUSY);
	PROMISE_ONE_OF(daxsync_log_set(4 + (int)config.engine, log_line, NULL), -EINVAL);
	PROMISE_ONE_OF(daxsync_stats_json(-1), -EBADF);
	promise_file();
}

static void (*const calls[])(struct input *) = {
	call_map,   store,        store,      store,          call_sync,  call_sync_file,
	call_unmap, call_release, call_adopt, call_questions, call_syncv, call_dirty,
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char cwd[4000];

	(void)argc;
	(void)argv;
	PROMISE(getcwd(cwd, sizeof(cwd)));
	setenv("DAXSYNC_EMULATE", "1", true);
	setenv("DAXSYNC_VERIFY", "1", true);
	setenv("DAXSYNC_REGISTRY", cwd, true);
	arena = mmap(NULL, ARENA_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	PROMISE(arena != MAP_FAILED);
	return 0;
}

// Whether an engine can track the file at all; where not, there is nothing to be seen.
static void need_engine(void)
{
	struct daxsync_opts opts = {sizeof(opts), DAXSYNC_OPT_STRICT};
	void *addr;

	if (daxsync_map(fd, PAGE, 0, &opts, &addr)) {
		fprintf(stderr, "SKIP: fuzz: no engine can track tmpfs on this machine\n");
		_exit(1);
	}
	daxsync_unmap(addr, PAGE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool has_engine;
	struct input input = {data, size};

	fd = open("file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	PROMISE(fd >= 0 && !ftruncate(fd, sizeof(shadow)));
	memset(shadow, 0, sizeof(shadow));
	if (!has_engine)
		need_engine();
	has_engine = true;
	while (input.left)
		calls[take_byte(&input) % NR(calls)](&input);
	promise_file();
	for (int i = 0; i < NR_MAPS; i++) {
		if (map[i].addr)
			PROMISE_ONE_OF(daxsync_unmap(map[i].addr, map[i].pages * PAGE), 0);
		map[i].addr = NULL;
	}
	promise_file();
	close(fd);
	PROMISE(!unlink("file"));
	return 0;
}
