// SPDX-License-Identifier: BSD-3-Clause
// corpus DIRECTORY [PREFIX]: prints one line for each row whose name begins with PREFIX (tests/rows). Their files are
// made in DIRECTORY.
//
// With CORPUS_MODE=NAME the rows' mappings must be in that mode. With CORPUS_PART=K/N only every N-th row is run, from
// number K on.
#include "corpus.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/stat.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT 60 // seconds for a row, on a slow machine too
#define MAX_REGIONS 8
#define MAX_SAID (64 * PAGE) // of a file

// Low, where the kernel puts nothing of its own accord as long as there is room above: the gaps that rows make stay gaps.
#define ARENA ((void *)(1UL << 40))

int fd;
char *map, *arena;

static char directory[PATH_MAX]; // of the row

struct known {
	struct {
		char name[16];
		const char *addr;
		size_t len;
	} region[MAX_REGIONS];
	unsigned nr;
};
static struct known *known; // where the memory of the row is, for the tracer

void skip(const char *why)
{
	say(" [skipped: %s]", why);
	_exit(77);
}

long tell(const char *label, long ret)
{
	int error = errno;

	if (ret == -1 && error)
		say(" %s=%s", label, strerrorname_np(error));
	else
		say(" %s=%ld", label, ret);
	errno = error;
	return ret;
}

void tell_errno(const char *label, int error)
{
	say(" %s=%s", label, error ? strerrorname_np(error) : "0");
}

char *region(const char *name, void *addr, size_t len)
{
	unsigned i;

	for (i = 0; i < known->nr && strcmp(known->region[i].name, name) != 0; i++)
		;
	MUST(i < MAX_REGIONS);
	snprintf(known->region[i].name, sizeof(known->region[i].name), "%s", name);
	known->region[i].addr = addr;
	known->region[i].len = len;
	if (i == known->nr)
		known->nr++;
	return addr;
}

// The last region that the address is in: later ones lie in earlier ones.
const char *place(const void *addr)
{
	static char text[48];
	unsigned i;

	for (i = known->nr; i-- > 0;) {
		size_t off = (size_t)((const char *)addr - known->region[i].addr);

		if (off < known->region[i].len) {
			snprintf(text, sizeof(text), "%s+%zx", known->region[i].name, off);
			return text;
		}
	}
	return addr ? "elsewhere" : "0";
}

void *tell_mmap(const char *label, void *addr)
{
	if (addr == MAP_FAILED)
		say(" %s=%s", label, strerrorname_np(errno));
	else
		say(" %s=%s", label, place(addr));
	return addr;
}

// Accesses that may fault.

static sigjmp_buf back;
static volatile sig_atomic_t caught_code;
static void *volatile caught_addr;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	caught_code = info->si_code;
	caught_addr = info->si_addr;
	siglongjmp(back, sig);
}

static int access_guarded(volatile char *addr, char *value, bool is_store)
{
	struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, old[2];
	int sig;

	MUST(!sigaction(SIGSEGV, &act, &old[0]) && !sigaction(SIGBUS, &act, &old[1]));
	sig = sigsetjmp(back, 1);
	if (!sig && is_store)
		*addr = *value;
	else if (!sig)
		*value = *addr;
	MUST(!sigaction(SIGSEGV, &old[0], NULL) && !sigaction(SIGBUS, &old[1], NULL));
	return sig;
}

static void say_fault(const char *what, const char *addr, int sig)
{
	if (!sig)
		return;
	say(" <%s %s: %s, code %d", what, place(addr), sigabbrev_np(sig), (int)caught_code);
	say("%s%s>", caught_addr == addr ? "" : " at ", caught_addr == addr ? "" : place(caught_addr));
}

int load(const char *addr, char *value)
{
	int sig = access_guarded((volatile char *)(uintptr_t)addr, value, false);

	say_fault("load", addr, sig);
	return sig;
}

int store(char *addr, char value)
{
	int sig = access_guarded(addr, &value, true);

	say_fault("store", addr, sig);
	return sig;
}

void fill(char *addr, size_t nr, size_t at, char value)
{
	size_t i;

	for (i = 0; i < nr; i++)
		((volatile char *)addr)[i * PAGE + at] = value;
}

static uint32_t sum(uint32_t hash, const char *bytes, size_t len)
{
	while (len--)
		hash = (hash ^ (unsigned char)*bytes++) * 16777619; // FNV-1a
	return hash;
}

static char first_byte(const char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len && !bytes[i]; i++)
		;
	return i == len ? '.' : bytes[i] > ' ' && bytes[i] < 127 ? bytes[i] : '?';
}

void say_memory(const char *label, const char *addr, size_t len)
{
	uint32_t hash = 2166136261;
	size_t at;
	char byte;

	say(" %s=", label);
	for (at = 0; at < len; at += PAGE) {
		int sig = access_guarded((volatile char *)(uintptr_t)addr + at, &byte, false);

		if (sig) {
			say("<%s %d>", sigabbrev_np(sig), (int)caught_code);
			continue;
		}
		say("%c", first_byte(addr + at, PAGE));
		hash = sum(hash, addr + at, PAGE);
	}
	say(":%08x", hash);
}

void say_bytes(const char *label, int from, off_t off, size_t len)
{
	uint32_t hash = 2166136261;
	char bytes[4096];
	ssize_t nr;

	say(" %s=", label);
	while (len && (nr = pread(from, bytes, len < PAGE ? len : PAGE, off)) > 0) {
		say("%c", first_byte(bytes, (size_t)nr));
		hash = sum(hash, bytes, (size_t)nr);
		off += nr;
		len -= (size_t)nr;
	}
	say(":%08x", hash);
}

void say_file(const char *label, int from)
{
	off_t size = lseek(from, 0, SEEK_END);

	say(" %s: %ld", label, (long)size);
	if (size > 0)
		say_bytes("", from, 0, size < (off_t)MAX_SAID ? (size_t)size : MAX_SAID);
}

int file_new(const char *name, size_t size)
{
	int new = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	MUST(new >= 0 && !ftruncate(new, (off_t)size));
	return new;
}

// Natively there is nobody to ask.
static bool mode_is_expected(const void *addr)
{
	static const char *const name[] = {"pass", "kernel", "emulated", "direct", "byte"};
	const char *expected = getenv("CORPUS_MODE");
	int (*get)(const void *), mode;

	*(void **)&get = dlsym(RTLD_DEFAULT, "daxsync_mode_of");
	if (!get || !expected)
		return !expected;
	mode = get(addr);
	return !strcmp(mode < 0 ? "pass" : name[mode], expected);
}

char *map_new(const char *name, int from, off_t off, size_t len)
{
	char *addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, from, off);

	MUST(addr != MAP_FAILED);
	return region(name, addr, len);
}

void memory_make(void)
{
	fd = file_new("file", SIZE);
	arena = mmap(ARENA, SIZE + 2 * AROUND, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	MUST(arena == ARENA);
	region("arena", arena, SIZE + 2 * AROUND);
	map = mmap(arena + AROUND, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	MUST(map == arena + AROUND);
	MUST(mode_is_expected(map));
	region("map", map, SIZE);
	fill(map, NR_PAGES, 1, 'a');
	MUST(!msync(map, SIZE, MS_SYNC));
}

void memory_store(void)
{
	size_t i;

	for (i = 1; i < NR_PAGES; i += 2)
		store(map + i * PAGE, 'b');
}

void after_syncs(void)
{
	TELL("msync", msync(map, SIZE, MS_SYNC));
	TELL("fsync", fsync(fd));
	say_memory("holds", map, SIZE);
	say_file("file", fd);
}

void after(void)
{
	size_t i;

	say_memory("has", map, SIZE);
	for (i = 0; i < NR_PAGES; i++)
		store(map + i * PAGE + 2, 'c');
	after_syncs();
}

bool is_dax(void)
{
	struct { // struct statx, which <sys/stat.h> and <linux/stat.h> cannot both give
		uint32_t mask, blksize;
		uint64_t attributes;
		char rest[240];
	} stx = {0};

	MUST(!syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0, &stx));
	return stx.attributes & STATX_ATTR_DAX;
}

void say_status(const char *label, int status)
{
	if (WIFEXITED(status))
		say(" %s: exit %d", label, WEXITSTATUS(status));
	else
		say(" %s: %s", label, sigabbrev_np(WTERMSIG(status)));
}

void in_child(const char *label, void (*run)(void))
{
	pid_t pid = fork();
	int status;

	MUST(pid >= 0);
	if (!pid) {
		run();
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0) == pid);
	say_status(label, status);
}

// Around a row.

static void begin(const char *name)
{
	(void)name;
	MUST(!chdir(directory));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void ended(const char *name)
{
	(void)name;
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	MUST(!mkdir(directory, 0755));
	known->nr = 0;
}

static void all(void)
{
	rows_map();
	rows_remap();
	rows_file();
	rows_size();
	rows_pattern();
	rows_sync();
	rows_process();
}

int main(int argc, char **argv)
{
	static struct table table = {.all = all, .place = place, .begin = begin, .ended = ended, .timeout = TIMEOUT};
	const char *part = getenv("CORPUS_PART");
	int ret;

	if (part && (sscanf(part, "%u/%u", &table.part, &table.parts) != 2 || table.part >= table.parts))
		return 2;
	if (argc == 3 && !strcmp(argv[1], "--helper"))
		return process_helper(argv[2]);
	if (argc < 2) {
		fputs("Usage: corpus DIRECTORY [PREFIX]\n", stderr);
		return 2;
	}
	snprintf(directory, sizeof(directory), "%s/corpus.XXXXXX", argv[1]);
	known = mmap(NULL, sizeof(*known), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (known == MAP_FAILED || !mkdtemp(directory) || chmod(directory, 0755)) {
		perror(argv[1]);
		return 2;
	}
	ret = rows_print(&table, argc > 2 ? argv[2] : "");
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return ret;
}
