// SPDX-License-Identifier: BSD-3-Clause
// execute.c: one sequence, twice, compared step by step.
//
// The one through libc is judged three ways: every result is that of the raw system calls (values, errno, signals,
// file content, what the mappings show); the verifier has missed no page; and after each sync the durable image, which
// is looked for among the library's descriptors, holds what the sync was for. The last also holds where the verifier
// does not look, in mode `kernel`.
#include "execute.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <daxsync/daxsync.h>

#define IMAGE_LINK "/memfd:daxsync image"
#define SOURCE_BYTES (8 * PAGE)

struct world {
	bool native;
	int fd;
	char *addr[SLOTS];
};

// What a step shows to the program.
struct result {
	long ret; // 0 for addresses
	int err, sig, code;
};

// What a forked child has to say.
struct child {
	struct result result;
	uint64_t missed, injected;
	char what[200];
};

static enum memory memory;
static int (*stats_get)(struct daxsync_stats *stats);
static int (*mode_of)(const void *addr);
static int source_fd = -1; // for reads into the mappings
static struct child *child;
static int image_fd = -1;
static struct run *run;

static uint64_t missed_pages(void)
{
	struct daxsync_stats stats = {.size = sizeof(stats)};

	return stats_get && !stats_get(&stats) ? stats.missed_pages : 0;
}

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void fail(const char *format, ...)
{
	va_list args;

	if (run->failed)
		return;
	run->failed = true;
	va_start(args, format);
	vsnprintf(run->what, sizeof(run->what), format, args);
	va_end(args);
}

typedef uint64_t counter(void);

uint64_t faults_injected(void)
{
	counter *nr = (counter *)dlsym(RTLD_DEFAULT, "inject_count");

	return nr ? nr() : 0;
}

// Stores that may fault.

static sigjmp_buf back;
static volatile sig_atomic_t guarded;
static volatile int caught_code;
static char *volatile caught_addr;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!guarded) {
		signal(sig, SIG_DFL); // and again, for good
		return;
	}
	guarded = 0;
	caught_code = info->si_code;
	caught_addr = info->si_addr;
	siglongjmp(back, sig);
}

static struct result touch(char *at, bool is_store, uint64_t value)
{
	volatile uint64_t *word = (volatile uint64_t *)at;
	struct result result = {0};
	int sig = sigsetjmp(back, 1);

	if (sig) {
		result.sig = sig;
		result.code = caught_code;
		result.ret = caught_addr == at ? 0 : -1;
		return result;
	}
	guarded = 1;
	if (is_store)
		*word = value;
	else
		result.ret = (long)*word;
	guarded = 0;
	return result;
}

// Each store goes to another cache line, and no two values are the same.
static struct result store(char *page, uint64_t id)
{
	return touch(page + id % 60 * 64 + 8, true, id * 0x0101010101010101ULL);
}

// System calls of either world.

#define CALL(world, nr, name, ...) ((world)->native ? syscall(nr, __VA_ARGS__) : (long)name(__VA_ARGS__))

static struct result returned(long ret)
{
	return (struct result){.ret = ret, .err = ret == -1 ? errno : 0};
}

static struct result returned_addr(long ret, char **addr)
{
	if (ret == -1)
		return returned(ret);
	*addr = (char *)ret; // NOLINT(performance-no-int-to-ptr)
	return (struct result){0};
}

static struct result do_map(struct world *world, int slot, const struct op *op)
{
	return returned_addr(CALL(world, SYS_mmap, mmap, NULL, (size_t)(op->b * PAGE), PROT_READ | PROT_WRITE,
				  MAP_SHARED, world->fd, op->a * PAGE),
			     &world->addr[slot]);
}

static struct result do_map_over(struct world *world, const struct slot *slot, const struct op *op)
{
	char *addr = world->addr[op->slot] + op->a * PAGE;

	return returned_addr(CALL(world, SYS_mmap, mmap, addr, (size_t)(op->b * PAGE), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_FIXED, world->fd, (slot->first + op->a) * PAGE),
			     &addr);
}

static struct result do_stores(const struct world *world, const struct slot *slot, const struct op *op, uint64_t id)
{
	struct result sum = {0};
	int i;

	for (i = 0; i < slot->len; i++) {
		if (slot->mapped & 1U << i) {
			struct result one = store(world->addr[op->slot] + i * PAGE, id + (uint64_t)i);

			sum.ret = sum.ret * 4 + one.sig;
			sum.code += one.code;
		}
	}
	return sum;
}

// The generator's own, by a raw call: what fails on purpose fails for the sequence.
static void *own_memory(size_t len, int prot, int flags)
{
	return (void *)syscall(SYS_mmap, NULL, len, prot, flags | MAP_ANONYMOUS, -1, 0); // NOLINT
}

static struct result do_move(struct world *world, const struct slot *slot, const struct op *op)
{
	size_t len = (size_t)(slot->len * PAGE);
	char *to = own_memory(len, PROT_NONE, MAP_PRIVATE);

	struct result result = returned_addr(
		CALL(world, SYS_mremap, mremap, world->addr[op->slot], len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to),
		&world->addr[op->slot]);

	if (result.ret)
		syscall(SYS_munmap, to, len);
	return result;
}

static size_t len_of(const struct slot *slot, const struct op *op)
{
	return (size_t)((op->b ? op->b : slot->len) * PAGE);
}

// A hole in a mapping is taken at once by memory that is nobody's, or the next small mapping of anybody would lie there.
static struct result do_unmap(const struct world *world, const struct slot *slot, const struct op *op)
{
	char *addr = world->addr[op->slot], *from = addr + op->a * PAGE;
	struct result result = returned(CALL(world, SYS_munmap, munmap, from, len_of(slot, op)));
	struct layout after = {.slot[0] = *slot};

	if (result.ret)
		return result;
	layout_apply(&after, &(struct op){.kind = UNMAP, .a = op->a, .b = op->b});
	if (after.slot[0].len)
		syscall(SYS_mmap, from, len_of(slot, op), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	else
		syscall(SYS_munmap, addr, (size_t)(slot->len * PAGE));
	return result;
}

static void pages_judge(const struct world *world, const struct slot *slot, const char *at, int from, int nr,
			const char *after);

static struct result store_and_sync(struct world *world, const struct slot *slot, const struct op *op, uint64_t id)
{
	struct result result = store(world->addr[op->slot] + op->a * PAGE, id);

	while (op->b && CALL(world, SYS_msync, msync, world->addr[op->slot], (size_t)(slot->len * PAGE), MS_SYNC)) {
		if (errno == run->tolerated && !run->failed_calls++)
			continue;
		result.err = errno;
		break;
	}
	return result;
}

static void child_run(struct world *world, const struct slot *slot, const struct op *op, uint64_t id)
{
	struct run mine = {.tolerated = run->tolerated};

	run = &mine;
	image_fd = -1;
	child->result = store_and_sync(world, slot, op, id);
	if (op->b && !child->result.err)
		pages_judge(world, slot, world->addr[op->slot], 0, slot->len, "msync in a child");
	child->missed = missed_pages();
	child->injected = run->tolerated ? faults_injected() : 0;
	memcpy(child->what, mine.what, sizeof(child->what) - 1);
	_exit(0);
}

// The raw world does in this process what a child does in the other: the memory is the same.
static struct result do_fork(struct world *world, const struct slot *slot, const struct op *op, uint64_t id)
{
	int status = 0;
	pid_t pid;

	if (world->native)
		return store_and_sync(world, slot, op, id);
	memset(child, 0, sizeof(*child));
	pid = fork();
	if (!pid)
		child_run(world, slot, op, id);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		fail("a child ended with status %#x", (unsigned)status);
	run->injected += child->injected;
	if (child->missed)
		fail("missed page, in a child");
	if (child->what[0])
		fail("%s", child->what);
	return child->result;
}

static struct result do_pwrite(const struct world *world, const struct op *op, uint64_t id)
{
	char data[20000];

	memset(data, (int)(id % 251 + 1), sizeof(data));
	return returned(CALL(world, SYS_pwrite64, pwrite, world->fd, data, (size_t)op->b, op->a));
}

static struct result step_do(struct world *world, const struct layout *layout, const struct op *op, uint64_t id)
{
	const struct slot *slot = &layout->slot[op->slot];
	char *addr = world->addr[op->slot];
	char *page = addr + op->a * PAGE;

	switch (op->kind) {
	case MAP:
		return do_map(world, layout_free_slot(layout), op);
	case MAP_OVER:
		return do_map_over(world, slot, op);
	case STORE:
		return store(page, id);
	case STORE_ALL:
		return do_stores(world, slot, op, id);
	case MSYNC:
		return returned(CALL(world, SYS_msync, msync, page, len_of(slot, op), MS_SYNC));
	case FSYNC:
		return returned(CALL(world, SYS_fsync, fsync, world->fd));
	case FDATASYNC:
		return returned(CALL(world, SYS_fdatasync, fdatasync, world->fd));
	case RESIZE:
		return returned(CALL(world, SYS_ftruncate, ftruncate, world->fd, op->a * PAGE + op->b));
	case PUNCH:
		return returned(CALL(world, SYS_fallocate, fallocate, world->fd,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, op->a * PAGE, op->b * PAGE));
	case ALLOCATE:
		return returned(CALL(world, SYS_fallocate, fallocate, world->fd, 0, op->a * PAGE, op->b * PAGE));
	case REMAP:
		return returned_addr(CALL(world, SYS_mremap, mremap, addr, (size_t)(slot->len * PAGE),
					  (size_t)(op->a * PAGE), MREMAP_MAYMOVE),
				     &world->addr[op->slot]);
	case MOVE:
		return do_move(world, slot, op);
	case FORK:
		return do_fork(world, slot, op, id);
	case PWRITE:
		return do_pwrite(world, op, id);
	case READ:
		return returned(CALL(world, SYS_pread64, pread, source_fd, page + READ_AT, (size_t)op->b, (long)id));
	case UNMAP:
		return do_unmap(world, slot, op);
	case PROTECT:
		return returned(CALL(world, SYS_mprotect, mprotect, addr, (size_t)(slot->len * PAGE),
				     PROT_READ | (op->a ? PROT_WRITE : 0)));
	case REMOVE:
		return returned(CALL(world, SYS_madvise, madvise, page, len_of(slot, op), MADV_REMOVE));
	default:
		return (struct result){0};
	}
}

// The durable image.

static bool is_image(int fd)
{
	char link[32], to[64] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return readlink(link, to, sizeof(to) - 1) > 0 && !strncmp(to, IMAGE_LINK, strlen(IMAGE_LINK));
}

// There is one image at a time, that of the file that is mapped. The library's numbers are not to be opened again.
static bool image_find(void)
{
	const struct dirent *entry;
	DIR *dir;

	if (image_fd >= 0 && is_image(image_fd))
		return true;
	image_fd = -1;
	dir = stats_get ? opendir("/proc/self/fd") : NULL;
	while (dir && image_fd < 0 && (entry = readdir(dir)))
		if (is_image(atoi(entry->d_name)))
			image_fd = atoi(entry->d_name);
	if (dir)
		closedir(dir);
	return image_fd >= 0;
}

static long size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : (long)st.st_size;
}

// Reads by raw calls, so that nothing is pinned or seen. Zeros behind the end.
static void content_read(int fd, long from, char *to, size_t len)
{
	long ret = syscall(SYS_pread64, fd, to, len, from);

	ret = ret < 0 ? 0 : ret;
	memset(to + ret, 0, len - (size_t)ret);
}

// Page `pgoff` of a file is what its durable image has there, as far as the file reaches.
static void page_judge(const struct world *world, long pgoff, const char *after)
{
	long from = pgoff * PAGE, len = size_of(world->fd) - from;
	char now[PAGE], durable[PAGE];

	if (len <= 0 || run->failed)
		return;
	len = len < PAGE ? len : PAGE;
	run->judged++;
	content_read(world->fd, from, now, (size_t)len);
	content_read(image_fd, from, durable, (size_t)len);
	if (memcmp(now, durable, (size_t)len))
		fail("after %s the durable image differs from the file in page %ld", after, pgoff);
}

// The same for pages [from, from + nr) of a slot, as far as they are mapped.
static void pages_judge(const struct world *world, const struct slot *slot, const char *at, int from, int nr,
			const char *after)
{
	int i;

	if (world->native || !image_find() || (mode_of && mode_of(at) == DAXSYNC_MODE_PASS)) // then it is the kernel's
		return;
	for (i = from; i < from + nr; i++) {
		// After an injected failure a part may have been let go, alone.
		bool is_left = getenv("DAXSYNC_FAULT") && mode_of &&
			       mode_of(at + (size_t)i * PAGE) == DAXSYNC_MODE_PASS;

		if (slot->mapped & 1U << i && !is_left)
			page_judge(world, slot->first + i, after);
	}
}

// After an fsync. The library keeps an image as long as the file is mapped.
static void file_judge(const struct world *world)
{
	long pgoff;

	if (world->native || !image_find())
		return;
	for (pgoff = 0; pgoff * PAGE < size_of(world->fd); pgoff++)
		page_judge(world, pgoff, "fsync");
	if (size_of(image_fd) != size_of(world->fd))
		fail("after fsync the durable size is %ld, the file's %ld", size_of(image_fd), size_of(world->fd));
}

static bool is_known(const struct layout *layout)
{
	int i;

	for (i = 0; i < SLOTS; i++)
		if (layout->slot[i].mapped)
			return true;
	return false;
}

// After an operation that has worked.
static void step_judge(const struct world *world, const struct layout *layout, const struct op *op)
{
	const struct slot *slot = &layout->slot[op->slot];

	if (op->kind == MSYNC)
		pages_judge(world, slot, world->addr[op->slot], op->a, op->b ? op->b : slot->len, "msync");
	if ((op->kind == FSYNC || op->kind == FDATASYNC) && is_known(layout))
		file_judge(world);
}

// Compared.

static void results_compare(const struct op *op, struct result shim, struct result native)
{
	char name[64];

	op_name(op, name, sizeof(name));
	if (shim.ret != native.ret || shim.err != native.err || shim.sig != native.sig || shim.code != native.code)
		fail("%s: value %ld, errno %d, signal %d (%d); the kernel: value %ld, errno %d, signal %d (%d)", name,
		     shim.ret, shim.err, shim.sig, shim.code, native.ret, native.err, native.sig, native.code);
	run->caught += shim.sig != 0;
}

static void step_run(struct world *world, struct layout *layout, const struct op *op, uint64_t id)
{
	uint64_t missed = missed_pages();
	struct result native = step_do(&world[1], layout, op, id);
	struct result shim = step_do(&world[0], layout, op, id);

	if (run->tolerated && shim.err == run->tolerated && !native.err) {
		run->failed_calls++;
		shim = step_do(&world[0], layout, op, id);
	}
	results_compare(op, shim, native);
	if (missed_pages() != missed)
		fail("missed page");
	if (run->failed || shim.ret < 0 || shim.sig)
		return;
	layout_apply(layout, op);
	step_judge(&world[0], layout, op);
}

// What both files hold, and what the mappings show of it.
static void contents_compare(const struct world *world, const struct layout *layout)
{
	char shim[PAGE], native[PAGE];
	long at, size = size_of(world[0].fd);
	int i, slot;

	if (size != size_of(world[1].fd))
		fail("the size is %ld; the kernel: %ld", size, size_of(world[1].fd));
	for (at = 0; at < size; at += PAGE) {
		content_read(world[0].fd, at, shim, PAGE);
		content_read(world[1].fd, at, native, PAGE);
		if (memcmp(shim, native, PAGE))
			fail("page %ld of the file is not what the kernel makes of it", at / PAGE);
	}
	for (slot = 0; slot < SLOTS; slot++) {
		for (i = 0; i < layout->slot[slot].len; i++) {
			struct result a, b;

			if (!(layout->slot[slot].mapped & 1U << i))
				continue;
			a = touch(world[0].addr[slot] + i * PAGE, false, 0);
			b = touch(world[1].addr[slot] + i * PAGE, false, 0);
			if (a.ret != b.ret || a.sig != b.sig)
				fail("page %d of mapping %c does not show what the kernel shows", i, 'a' + slot);
		}
	}
}

// What every sequence ends with: whatever is left open and unmarked is stored to and must not be missed.
static void end_run(struct world *world, struct layout *layout)
{
	static const struct op sync_file = {.kind = FSYNC};
	struct op op = {.kind = FSYNC};
	int slot, round;

	step_run(world, layout, &sync_file, 0);
	contents_compare(world, layout);
	for (round = 0; round < 2; round++) {
		for (slot = 0; slot < SLOTS && !run->failed; slot++) {
			op = (struct op){.kind = round ? MSYNC : STORE_ALL, .slot = slot};
			if (layout_allows(layout, &op))
				step_run(world, layout, &op, (uint64_t)(1000 + 20 * slot));
		}
	}
	contents_compare(world, layout);
}

static int file_new(bool native)
{
	static unsigned nr;
	char data[PAGE], path[64];
	int i, fd;

	if (memory == MEMFD) {
		fd = memfd_create("generator", MFD_CLOEXEC);
	} else {
		snprintf(path, sizeof(path), FILES "%d.%u.%d", getpid(), nr++, native);
		unlink(path); // of a worker that was killed
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	if (fd < 0 || ftruncate(fd, FILE_PAGES * PAGE)) {
		perror("generator: a file cannot be made");
		exit(2);
	}
	for (i = 0; i < DATA_PAGES; i++) {
		memset(data, 'A' + i, sizeof(data));
		if (syscall(SYS_pwrite64, fd, data, sizeof(data), i * PAGE) != PAGE)
			exit(2);
	}
	return fd;
}

static void file_remove(int fd)
{
	char link[32], path[64] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (memory == TMPFS && readlink(link, path, sizeof(path) - 1) > 0)
		unlink(path);
	close(fd);
}

static void worlds_end(struct world *world, const struct layout *layout)
{
	int i, slot;

	for (i = 0; i < 2; i++) {
		for (slot = 0; slot < SLOTS; slot++) {
			size_t len = (size_t)(layout->slot[slot].len * PAGE);

			if (len && CALL(&world[i], SYS_munmap, munmap, world[i].addr[slot], len))
				CALL(&world[i], SYS_munmap, munmap, world[i].addr[slot], len); // failed on purpose
		}
		file_remove(world[i].fd);
	}
}

bool execute(struct run *to_run, bool drop)
{
	struct world world[2] = {{.native = false, .fd = file_new(false)}, {.native = true, .fd = file_new(true)}};
	struct sequence *sequence = &to_run->sequence;
	struct layout layout = {0};
	unsigned i, kept = 0;
	bool sensible = true;

	run = to_run;
	run->failed = false;
	run->what[0] = '\0';
	for (i = 0; i < sequence->len && sensible && !run->failed; i++) {
		const struct op *op = &ops[sequence->op[i]];

		run->step = i;
		if (layout_allows(&layout, op)) {
			sequence->op[kept++] = sequence->op[i];
			step_run(world, &layout, op, i + 1);
		} else {
			sensible = drop;
		}
	}
	if (sensible && !run->failed) {
		run->step = sequence->len;
		end_run(world, &layout);
	}
	if (drop)
		sequence->len = kept;
	worlds_end(world, &layout);
	return sensible;
}

void execute_init(enum memory which)
{
	struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	char data[SOURCE_BYTES];
	size_t i;

	memory = which;
	stats_get = (typeof(stats_get))dlsym(RTLD_DEFAULT, "daxsync_stats_get");
	mode_of = (typeof(mode_of))dlsym(RTLD_DEFAULT, "daxsync_mode_of");
	sigaction(SIGBUS, &act, NULL);
	sigaction(SIGSEGV, &act, NULL);
	for (i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 % 255 + 1);
	source_fd = memfd_create("source", MFD_CLOEXEC);
	child = own_memory(sizeof(*child), PROT_READ | PROT_WRITE, MAP_SHARED);
	if (source_fd < 0 || write(source_fd, data, sizeof(data)) != sizeof(data) || child == MAP_FAILED) {
		perror("generator");
		exit(2);
	}
}
