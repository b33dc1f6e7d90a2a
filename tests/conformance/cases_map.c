// SPDX-License-Identifier: BSD-3-Clause
// cases_map.c: mappings that are changed, moved, split, covered and taken away.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "conformance.h"

// A store followed by a sync, twice: the range is tracked, traps included.
static void check_is_tracked(char *addr, size_t nr, char value)
{
	uint64_t traps, flushed;

	store_pages(addr, nr, value);
	sync_all(addr, nr * page);
	traps = nr_traps();
	flushed = nr_flushed();
	store_pages(addr, nr, (char)(value + 1));
	COUNTED(nr_traps() > traps);
	sync_all(addr, nr * page);
	COUNTED(nr_flushed() >= flushed + nr);
	CHECK(pages_are(addr, nr, (char)(value + 1)));
}

static sigjmp_buf out;
static volatile uintptr_t fault_addr;

static void on_segv(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	fault_addr = (uintptr_t)info->si_addr;
	siglongjmp(out, 1);
}

// Whether an access ends in a SIGSEGV of the program's own, at the right address.
static bool is_denied(char *addr, bool store)
{
	struct sigaction act = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO}, old;
	volatile bool denied = false;

	CHECK(!sigaction(SIGSEGV, &act, &old));
	fault_addr = 0;
	if (sigsetjmp(out, 1))
		denied = fault_addr == (uintptr_t)addr;
	else if (store)
		*(volatile char *)addr = 'X';
	else
		(void)*(volatile char *)addr;
	CHECK(!sigaction(SIGSEGV, &old, NULL));
	return denied;
}

// E.3: make_writable() never gives more than the program's own protection.
static void mprotect_ro_and_back(void)
{
	char *map = map_closed(file_new(FILE_SIZE));

	store_pages(map, NR_PAGES, 'b');
	CHECK(!mprotect(map, FILE_SIZE, PROT_READ));
	CHECK(is_denied(map + page, true));
	sync_all(map, FILE_SIZE); // what was stored before
	CHECK(is_denied(map + page, true) && pages_are(map, NR_PAGES, 'b'));
	CHECK(!mprotect(map, FILE_SIZE, PROT_READ | PROT_WRITE));
	check_is_tracked(map, NR_PAGES, 'c');
}

// The protection of a part only: the mapping is split in three.
static void mprotect_of_the_middle_and_back(void)
{
	char *map = map_closed(file_new(FILE_SIZE));

	store_pages(map, NR_PAGES, 'b');
	CHECK(!mprotect(map + 2 * page, 2 * page, PROT_READ));
	CHECK(is_denied(map + 3 * page, true) && !is_denied(map + 4 * page, true));
	sync_all(map, FILE_SIZE);
	store_pages(map, 2, 'c');
	store_pages(map + 4 * page, NR_PAGES - 4, 'c');
	sync_all(map, FILE_SIZE);
	CHECK(!mprotect(map + 2 * page, 2 * page, PROT_READ | PROT_WRITE));
	check_is_tracked(map, NR_PAGES, 'd');
}

// E.3: a page without any protection can be flushed, and is not made readable by that.
static void prot_none_then_back(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	store_pages(map, NR_PAGES, 'b');
	CHECK(!mprotect(map, FILE_SIZE, PROT_NONE));
	CHECK(is_denied(map, true) && is_denied(map + page, false));
	sync_all(map, FILE_SIZE);
	CHECK(!fsync(fd));
	CHECK(is_denied(map, false) && is_denied(map, true));
	CHECK(!mprotect(map, FILE_SIZE, PROT_READ | PROT_WRITE));
	CHECK(pages_are(map, NR_PAGES, 'b'));
	check_is_tracked(map, NR_PAGES, 'c');
}

// E.3: what is stored through another mapping closes this one too, and gives it nothing.
static void alias_without_protection_stays_so(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd), *old = map_new(fd, 0, FILE_SIZE), *fresh;

	sync_all(old, FILE_SIZE);
	CHECK(!mprotect(old, FILE_SIZE, PROT_NONE));
	fresh = map_new(fd, 0, FILE_SIZE); // never closed
	CHECK(!mprotect(fresh, FILE_SIZE, PROT_NONE));
	check_is_tracked(map, NR_PAGES, 'b');
	CHECK(is_denied(old, false) && is_denied(old + page, true));
	CHECK(is_denied(fresh, false) && is_denied(fresh + page, true));
	CHECK(!mprotect(old, FILE_SIZE, PROT_READ) && !mprotect(fresh, FILE_SIZE, PROT_READ | PROT_WRITE));
	CHECK(pages_are(old, NR_PAGES, 'c') && is_denied(old, true));
	check_is_tracked(fresh, NR_PAGES, 'd');
}

// A call that fails has changed what comes before the place where it failed, and nothing behind it. Far from where the
// kernel puts mappings of its own choice, so that the hole stays one.
static void mprotect_that_fails(void)
{
	char *map = (char *)0x200000000000;

	CHECK(mmap(map, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, file_new(FILE_SIZE), 0) ==
	      map);
	store_pages(map, NR_PAGES, 'a');
	sync_all(map, FILE_SIZE);
	CHECK(!munmap(map + 3 * page, page));
	CHECK_ERRNO(mprotect(map, FILE_SIZE, PROT_READ), ENOMEM);
	CHECK(is_denied(map, true) && is_denied(map + 2 * page, true) && !is_denied(map + 4 * page, true));
	CHECK_ERRNO(mprotect(map + 3 * page, FILE_SIZE - 3 * page, PROT_NONE), ENOMEM);
	check_is_tracked(map + 4 * page, NR_PAGES - 4, 'b');
	CHECK(!mprotect(map + 4 * page, 2 * page, PROT_READ) && !mprotect(map + 6 * page, 2 * page, PROT_NONE));
	CHECK_ERRNO(mprotect(map + 3 * page, FILE_SIZE - 3 * page, PROT_READ | PROT_WRITE), ENOMEM);
	CHECK(is_denied(map + 4 * page, true) && is_denied(map + 7 * page, false));
	sync_all(map, page);
	CHECK(is_denied(map + 4 * page, true) && is_denied(map + 7 * page, false));
	CHECK(!mprotect(map + 4 * page, FILE_SIZE - 4 * page, PROT_READ | PROT_WRITE));
	check_is_tracked(map + 4 * page, NR_PAGES - 4, 'd');
}

// A shared mapping made for reading can be written later: it is of interest from the start.
static void map_shared_readonly_then_mprotect_rw(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, fd, 0);

	CHECK(map != MAP_FAILED);
	CHECK(pages_are(map, NR_PAGES, 0));
	sync_all(map, FILE_SIZE);
	CHECK(is_denied(map, true));
	CHECK(!mprotect(map, FILE_SIZE, PROT_READ | PROT_WRITE));
	check_is_tracked(map, NR_PAGES, 'a');
}

// A mapping of a descriptor that cannot write stays a reader's.
static void map_shared_of_a_readonly_descriptor(void)
{
	char link[32];
	int fd = file_new(FILE_SIZE), reader;
	char *map = map_closed(fd), *view;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	reader = open(link, O_RDONLY | O_CLOEXEC);
	CHECK(reader >= 0);
	CHECK_ERRNO((long)mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0), EACCES);
	view = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, reader, 0);
	CHECK(view != MAP_FAILED);
	CHECK_ERRNO(mprotect(view, FILE_SIZE, PROT_READ | PROT_WRITE), EACCES);
	store_pages(map, NR_PAGES, 'b');
	CHECK(pages_are(view, NR_PAGES, 'b'));
	sync_all(view, FILE_SIZE);
	check_is_tracked(map, NR_PAGES, 'c');
}

// M10 with M1: the part that is added is new, hence open.
static void mremap_grow(void)
{
	int fd = file_new(2 * FILE_SIZE);
	char *map = map_closed(fd), *grown;

	store_pages(map, NR_PAGES, 'b');
	grown = mremap(map, FILE_SIZE, 2 * FILE_SIZE, MREMAP_MAYMOVE);
	CHECK(grown != MAP_FAILED);
	CHECK(pages_are(grown, NR_PAGES, 'b') && pages_are(grown + FILE_SIZE, NR_PAGES, 0));
	check_is_tracked(grown, 2 * NR_PAGES, 'c');
}

// M10
static void mremap_shrink(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	store_pages(map, NR_PAGES, 'b');
	CHECK(mremap(map, FILE_SIZE, FILE_SIZE / 2, 0) == map);
	CHECK(is_denied(map + FILE_SIZE / 2, false));
	check_is_tracked(map, NR_PAGES / 2, 'c');
	CHECK(file_has(fd, FILE_SIZE - page, 'b'));
}

// A growth that cannot be in place.
static void mremap_move(void)
{
	int fd = file_new(2 * FILE_SIZE);
	char *room = room_for(2 * FILE_SIZE), *moved;

	CHECK(mmap(room, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == room);
	store_pages(room, NR_PAGES, 'a');
	sync_all(room, FILE_SIZE);
	store_pages(room, NR_PAGES / 2, 'b');
	CHECK_ERRNO((long)mremap(room, FILE_SIZE, 2 * FILE_SIZE, 0), ENOMEM);
	store_pages(room, NR_PAGES, 'b'); // still there
	moved = mremap(room, FILE_SIZE, 2 * FILE_SIZE, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED && moved != room);
	CHECK(is_denied(room, true) && pages_are(moved, NR_PAGES, 'b'));
	check_is_tracked(moved, 2 * NR_PAGES, 'c');
}

// To an address where another tracked mapping is, which goes.
static void mremap_fixed(void)
{
	int fd = file_new(FILE_SIZE), other = file_new(FILE_SIZE);
	char *map = map_closed(fd), *target = map_closed(other);

	store_pages(map, NR_PAGES, 'b');
	store_pages(target, NR_PAGES, 'o');
	CHECK(mremap(map, FILE_SIZE, FILE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
	CHECK(pages_are(target, NR_PAGES, 'b') && file_has(other, 0, 'o') && is_denied(map, true));
	check_is_tracked(target, NR_PAGES, 'c');
	CHECK(!fsync(other));
	CHECK(!munmap(target, FILE_SIZE));
	CHECK(file_has(fd, FILE_SIZE - page, 'd'));
}

// The middle of a mapping moves away.
static void mremap_of_the_middle(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd), *target = room_for(FILE_SIZE);

	store_pages(map, NR_PAGES, 'b');
	CHECK(mremap(map + 2 * page, 3 * page, 3 * page, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
	CHECK(pages_are(target, 3, 'b'));
	check_is_tracked(target, 3, 'c');
	check_is_tracked(map, 2, 'e');
	check_is_tracked(map + 5 * page, NR_PAGES - 5, 'g');
	CHECK(file_has(fd, 2 * page, 'd') && file_has(fd, 0, 'f') && file_has(fd, 5 * page, 'h'));
}

// Both mappings are there afterwards, and both are tracked.
static void mremap_dontunmap(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd), *moved;

	store_pages(map, NR_PAGES, 'b');
	moved = mremap(map, FILE_SIZE, FILE_SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	if (moved == MAP_FAILED && errno == EINVAL)
		cell_skip("this kernel has no MREMAP_DONTUNMAP for shared memory (Linux 5.13)");
	CHECK(moved != MAP_FAILED);
	CHECK(pages_are(moved, NR_PAGES, 'b') && pages_are(map, NR_PAGES, 'b'));
	check_is_tracked(moved, NR_PAGES, 'c');
	check_is_tracked(map, NR_PAGES, 'e');
	CHECK(pages_are(moved, NR_PAGES, 'f'));
}

// mremap of old size 0 makes an alias (of shared memory).
static void mremap_of_nothing_makes_an_alias(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd), *alias = mremap(map, 0, FILE_SIZE, MREMAP_MAYMOVE);
	uint64_t flushed;

	CHECK(alias != MAP_FAILED && alias != map);
	store_pages(alias, NR_PAGES, 'b');
	sync_all(map, FILE_SIZE);
	flushed = nr_flushed();
	store_pages(alias, NR_PAGES, 'c');
	sync_all(map, FILE_SIZE);
	COUNTED(nr_flushed() >= flushed + NR_PAGES);
	check_is_tracked(alias, NR_PAGES, 'd');
}

// Arguments that mremap refuses leave all as it was.
static void mremap_errors_equal_kernel(void)
{
	char *map = map_closed(file_new(FILE_SIZE));

	CHECK_ERRNO((long)mremap(map + 1, FILE_SIZE, FILE_SIZE, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERRNO((long)mremap(map, FILE_SIZE, 0, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERRNO((long)mremap(map, FILE_SIZE, FILE_SIZE, 0x4000), EINVAL);
	CHECK_ERRNO((long)mremap(map, FILE_SIZE, FILE_SIZE, MREMAP_FIXED, map), EINVAL);
	CHECK_ERRNO((long)mremap(map, FILE_SIZE, FILE_SIZE, MREMAP_FIXED | MREMAP_MAYMOVE, map + page), EINVAL);
	check_is_tracked(map, NR_PAGES, 'b');
}

// M10
static void partial_munmap_middle(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	store_pages(map, NR_PAGES, 'b');
	CHECK(!munmap(map + 3 * page, 2 * page));
	CHECK(is_denied(map + 3 * page, true) && is_denied(map + 4 * page, false));
	CHECK(pages_are(map, 3, 'b') && pages_are(map + 5 * page, NR_PAGES - 5, 'b'));
	check_is_tracked(map, 3, 'c');
	check_is_tracked(map + 5 * page, NR_PAGES - 5, 'e');
	CHECK(!fsync(fd));
	CHECK(file_has(fd, 3 * page, 'b') && file_has(fd, 0, 'd') && file_has(fd, 5 * page, 'f'));
	CHECK(!munmap(map, FILE_SIZE));   // holes do not matter
	CHECK(is_device() || !fsync(fd)); // the kernel has none for a device, once nothing is mapped
}

// M10: what is covered is flushed before it goes.
static void map_fixed_of_another_file_over_tracked(void)
{
	int fd = file_new(FILE_SIZE), other = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	store_pages(map, NR_PAGES, 'b');
	CHECK(mmap(map + 2 * page, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, other, 0) ==
	      map + 2 * page);
	CHECK(pages_are(map + 2 * page, 2, 0) && pages_are(map, 2, 'b') && file_has(fd, 2 * page, 'b'));
	check_is_tracked(map, NR_PAGES, 'c');
	CHECK(file_has(other, page, 'd') && file_has(fd, 3 * page, 'b') && file_has(fd, 4 * page, 'd'));
	CHECK(!fsync(fd) && !fsync(other));
}

// The kernel covers whole pages, which may be huge: the last one, that the length names in part, is the new file's as well.
static void map_fixed_of_an_odd_length(void)
{
	int fd = file_new(FILE_SIZE), other = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	store_pages(map, NR_PAGES, 'b');
	CHECK(mmap(map, page + page / 2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, other, 0) == map);
	store_pages(map, NR_PAGES, 'n');
	sync_all(map, FILE_SIZE);
	check_is_tracked(map, NR_PAGES, 'c');
	CHECK(file_has(other, page, 'd') && file_has(fd, page, 'b') && file_has(fd, 2 * page, 'd'));
	CHECK(!munmap(map, FILE_SIZE));
}

// M10: the new memory is none of the library's.
static void map_fixed_of_memory_over_tracked(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);
	uint64_t traps;

	store_pages(map, NR_PAGES, 'b');
	CHECK(mmap(map + 2 * page, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	      map + 2 * page);
	CHECK(pages_are(map + 2 * page, 2, 0));
	traps = nr_traps();
	store_pages(map + 2 * page, 2, 'n');
	COUNTED(nr_traps() == traps);
	sync_all(map, FILE_SIZE);
	check_is_tracked(map, 2, 'c');
	check_is_tracked(map + 4 * page, NR_PAGES - 4, 'c');
	CHECK(pages_are(map + 2 * page, 2, 'n') && file_has(fd, 2 * page, 'b'));
}

// MAP_FIXED_NOREPLACE refuses, and a failing MAP_FIXED leaves what was there tracked.
static void map_fixed_that_fails_leaves_the_old(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	CHECK_ERRNO((long)mmap(map, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0),
		    EEXIST);
	CHECK_ERRNO((long)mmap(map, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, -1, 0), EBADF);
	CHECK_ERRNO((long)mmap(map, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 1), EINVAL);
	check_is_tracked(map, NR_PAGES, 'b');
}

// A file system may refuse a mapping when the kernel has taken away already what was there (MAP_SYNC on ext4).
static void map_fixed_that_fails_and_takes_away(void)
{
	int fd = file_new(FILE_SIZE), other = open("/var/tmp", O_TMPFILE | O_RDWR, 0600);
	char *map = map_closed(fd), *middle = map + 2 * page;
	unsigned char vec[4096];

	if (other < 0 || ftruncate(other, (off_t)(2 * page)))
		cell_skip("needs unnamed files in /var/tmp");
	store_pages(map, NR_PAGES, 'b');
	if (mmap(middle, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC | MAP_FIXED, other, 0) !=
	    MAP_FAILED)
		cell_skip("the file system of /var/tmp grants MAP_SYNC");
	if (!syscall(SYS_mincore, middle, 2 * page, vec))
		cell_skip("the file system of /var/tmp refuses before anything is taken away");
	CHECK_ERRNO(msync(map, FILE_SIZE, MS_SYNC), ENOMEM);
	CHECK(mmap(middle, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		   0) == middle);
	store_pages(middle, 2, 'z');
	sync_all(map, FILE_SIZE);
	CHECK(file_has(fd, 2 * page, 'b'));
	store_pages(map, 2, 'c');
	store_pages(map + 4 * page, NR_PAGES - 4, 'c');
	sync_all(map, FILE_SIZE);
	CHECK(file_has(fd, 0, 'c') && file_has(fd, 2 * page, 'b'));
}

// M10: what was stored before the munmap is durable after the fsync, which meets no mapping any more.
static void munmap_then_fsync(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	store_pages(map, NR_PAGES, 'b');
	CHECK(!munmap(map, FILE_SIZE));
	CHECK(is_device() || !fsync(fd));
	map = map_new(fd, 0, FILE_SIZE);
	CHECK(pages_are(map, NR_PAGES, 'b'));
	sync_all(map, FILE_SIZE);
	check_is_tracked(map, NR_PAGES, 'c');
}

static void munmap_errors_equal_kernel(void)
{
	char *map = map_closed(file_new(FILE_SIZE));

	CHECK_ERRNO(munmap(map + 1, FILE_SIZE), EINVAL);
	CHECK_ERRNO(munmap(map, 0), EINVAL);
	CHECK_ERRNO(munmap(map, SIZE_MAX), EINVAL);
	CHECK_ERRNO(mprotect(map + 1, page, PROT_READ), EINVAL);
	CHECK_ERRNO(mprotect(map, SIZE_MAX, PROT_READ), ENOMEM);
	CHECK_ERRNO(mprotect(map, page, 0x4000000 | PROT_GROWSUP | PROT_GROWSDOWN), EINVAL);
	check_is_tracked(map, NR_PAGES, 'b');
}

// Neighbours in memory go first: no tables are left behind for the next mapping at the same address.
static void many_windows(void)
{
	size_t nr_file = page > 4096 ? 16 : 64, nr_windows = nr_times(page > 4096 ? 100 : 500), i;
	int fd = file_new(nr_file * page);
	char *keep = map_new(fd, 0, nr_file * page);

	for (i = 0; i < nr_windows; i++) {
		size_t first = i * 7 % (nr_file - 4);
		char *window = map_new(fd, first * page, 4 * page);

		store_pages(window, 4, (char)i);
		if (i % 3)
			sync_all(window, 4 * page);
		store_pages(window + page, 1, (char)(i + 1));
		if (i % 4 == 0)
			sync_all(keep, nr_file * page);
		CHECK(!munmap(window, 4 * page));
		CHECK(pages_are(keep + first * page, 1, (char)i) &&
		      pages_are(keep + (first + 1) * page, 1, (char)(i + 1)));
	}
	check_is_tracked(keep, nr_file, 'k');
}

static long vm_pte_kib(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[128];
	long kib = -1;

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmPTE: %ld", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

static blkcnt_t blocks_of(int fd)
{
	struct stat st;

	CHECK(!fstat(fd, &st));
	return st.st_blocks;
}

static void store_sparsely(char *map, char value)
{
	size_t i;

	for (i = 0; i < 8; i++)
		map[i * (size_t)8000000000 + i * 4097] = (char)((size_t)value + i);
}

// E.4: what was never touched costs nothing: no page tables, no blocks (a file system may allocate more than a page for
// a store, but nothing for a sync).
static void sparse_64g(void)
{
	size_t size = (size_t)64 << 30, i;
	int fd = file_new(size);
	char *map, value;
	blkcnt_t blocks;
	long pte;

	needs_lazy_closing();
	map = map_new(fd, 0, size);
	pte = vm_pte_kib();
	store_sparsely(map, 1);
	CHECK(map[size / 2 + 12345] == 0); // a load makes one page of zeros, no more
	blocks = blocks_of(fd);
	for (value = 1; value < 5; value++) {
		store_sparsely(map, value);
		sync_all(map, size);
	}
	CHECK(!fsync(fd));
	for (i = 0; i < 8; i++)
		CHECK(file_has(fd, i * (size_t)8000000000 + i * 4097, (char)(4 + i)));
	CHECK(blocks_of(fd) <= blocks + 64);
	CHECK(vm_pte_kib() - pte < 2048);
	CHECK(!munmap(map, size));
}

#define HUGE ((size_t)2 << 20)

// A file whose blocks are there and lie together, so that DAX can map huge pages of it.
static int file_of_huge_pages(size_t size)
{
	static const char zeros[1 << 16];
	int fd = file_new(size);
	size_t at;

	if (fallocate(fd, 0, 0, (off_t)size))
		cell_skip("fallocate is not supported here");
	for (at = 0; at < size; at += sizeof(zeros))
		CHECK(pwrite(fd, zeros, sizeof(zeros), (off_t)at) == sizeof(zeros));
	CHECK(!fsync(fd));
	return fd;
}

// A mapping at an address that is `shift` bytes behind a boundary of huge pages; read once, so that these are mapped.
static char *map_behind_boundary(int fd, size_t len, size_t shift)
{
	char *place = mmap(NULL, len + 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *addr = (char *)(((uintptr_t)place + HUGE - 1) & ~(HUGE - 1)) + shift;
	size_t at;

	CHECK(place != MAP_FAILED);
	CHECK(mmap(addr, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == addr);
	for (at = 0; at < len; at += HUGE)
		CHECK(((volatile char *)addr)[at] == 0);
	return addr;
}

// Where stores are sparse, a huge page is split, and not flushed as a whole. What was mapped before the first sync is.
static void huge_page_is_split(void)
{
	size_t size = 4 * HUGE, i;
	int fd = file_of_huge_pages(size);
	char *map = map_behind_boundary(fd, size, 0);
	uint64_t flushed;

	sync_all(map, size);
	flushed = nr_flushed();
	for (i = HUGE / 4; i < size; i += HUGE / 2)
		map[i] = 'x';
	sync_all(map, size);
	COUNTED(nr_flushed() >= flushed + 4 && nr_flushed() <= flushed + 64);
	for (i = HUGE / 4; i < size; i += HUGE / 2)
		CHECK(file_has(fd, i, 'x'));
	CHECK(!munmap(map, size));
}

// Of a mapping whose first huge page is stored to densely, those behind it are opened and closed as a whole.
static char *map_of_whole_pages(int fd, size_t size)
{
	char *map = map_behind_boundary(fd, size, 0);
	size_t i;

	sync_all(map, size);
	for (i = 0; i < HUGE / 4; i += 4096)
		map[i] = 'd';
	sync_all(map, size);
	return map;
}

// The 2 MiB entry that stayed writable after its first sync (the v3 series): each further store must trap again.
static void huge_page_is_closed_again(void)
{
	size_t size = 3 * HUGE, i;
	int fd = file_of_huge_pages(size), round;
	char *map = map_of_whole_pages(fd, size);

	for (round = 1; round < 5; round++) {
		uint64_t traps = nr_traps(), flushed = nr_flushed();

		for (i = 0; i < size; i += HUGE / 2)
			map[i + (size_t)round * 4096] = (char)round;
		COUNTED(nr_traps() >= traps + 2);
		sync_all(map, size);
		COUNTED(nr_flushed() >= flushed + 2);
		flushed = nr_flushed();
		sync_all(map, size);
		COUNTED(nr_flushed() == flushed);
	}
	for (i = 0; i < size; i += HUGE / 2)
		for (round = 1; round < 5; round++)
			CHECK(file_has(fd, i + (size_t)round * 4096, (char)round));
	CHECK(!munmap(map, size));
}

// Huge entries and small ones of the same range (they collided in the v3 series): one mapping that can have huge pages,
// one that cannot because it lies askew.
static void huge_and_small_entries_of_one_range(void)
{
	size_t size = 2 * HUGE, i;
	int fd = file_of_huge_pages(size), round;
	char *huge = map_behind_boundary(fd, size, 0), *small = map_behind_boundary(fd, size, 4096);

	for (round = 1; round < 5; round++) {
		for (i = 0; i < size; i += HUGE / 4) {
			huge[i + 8192] = (char)round;
			small[i + 8193] = (char)round;
			small[i + 4096] = (char)round;
		}
		sync_all(round % 2 ? huge : small, size / 2); // some of it, through either
		small[12345] = (char)round;
		huge[HUGE + 4321] = (char)round;
		sync_all(round % 2 ? small : huge, size);
		CHECK(file_has(fd, 12345, (char)round) && file_has(fd, HUGE + 4321, (char)round));
	}
	for (i = 0; i < size; i += HUGE / 4)
		CHECK(huge[i + 8192] == 4 && huge[i + 8193] == 4 && huge[i + 4096] == 4);
	CHECK(!munmap(huge, size) && !munmap(small, size));
}

static struct {
	char *map;
	int pipes[2];
} reading;

static void *sync_beside_a_read(void *arg)
{
	(void)arg;
	usleep(20000); // the other thread has come to its read by now
	reading.map[1] = 'x';
	sync_all(reading.map, 4096);
	CHECK(write(reading.pipes[1], "abc", 3) == 3);
	return NULL;
}

// M9 and huge pages: closing one as a whole must not close a page that the kernel is about to write.
static void read_into_huge_page_while_syncing(void)
{
	int round;

	CHECK(!pipe(reading.pipes));
	for (round = 0; round < 10; round++) { // closing a part of it splits a huge page, so each needs a new one
		int fd = file_of_huge_pages(2 * HUGE);
		char *map = map_of_whole_pages(fd, 2 * HUGE), *at;

		reading.map = map + HUGE;
		at = reading.map + HUGE / 2;
		*reading.map = 'y'; // opens all of it
		thread_start(sync_beside_a_read, NULL);
		CHECK(read(reading.pipes[0], at, 3) == 3 && !memcmp(at, "abc", 3));
		threads_join();
		sync_all(reading.map, HUGE);
		CHECK(!munmap(map, 2 * HUGE) && !close(fd));
	}
}

static long number_in(const char *path)
{
	FILE *file = fopen(path, "re");
	long value = 0;

	CHECK(file && fscanf(file, "%ld", &value) == 1);
	fclose(file);
	return value;
}

static long nr_vmas(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	long nr = 0;
	int c;

	CHECK(file);
	while ((c = getc(file)) != EOF)
		nr += c == '\n';
	fclose(file);
	return nr;
}

// What a program may do at any time: 100 mappings more.
static void map_a_hundred(void)
{
	char *map = mmap(NULL, 100 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	CHECK(map != MAP_FAILED);
	for (i = 0; i < 100; i += 2)
		CHECK(!mprotect(map + i * page, page, PROT_READ));
	CHECK(!munmap(map, 100 * page));
}

// Each isolated open page costs the mprotect engine two VMAs, and there are far more pages than the process may have.
static void scattered_stores_beyond_max_map_count(void)
{
	size_t nr = (size_t)number_in("/proc/sys/vm/max_map_count"), step = 8 * page, size, i;
	blkcnt_t blocks = 0;
	char *map;
	int fd, round;

	if (nr > 100000)
		cell_skip("vm.max_map_count is larger than this test has memory for");
	nr = nr * 5 / 8; // two VMAs each: more than there are
	size = nr * step;
	fd = file_new(size);
	map = map_new(fd, 0, size);
	sync_all(map, size);
	for (round = 1; round < 3; round++) {
		for (i = 0; i < nr; i++) {
			map[i * step] = (char)(i + (size_t)round);
			if (i % 32 == 0)
				map_a_hundred();
		}
		blocks = blocks ? blocks : blocks_of(fd); // a file system may allocate more than a page for a store
		CHECK(nr_vmas() < number_in("/proc/sys/vm/max_map_count") / 4 * 3);
		sync_all(map, size);
	}
	for (i = 0; i < nr; i++)
		CHECK(map[i * step] == (char)(i + 2));
	CHECK(blocks_of(fd) <= blocks + 64);
	CHECK(!munmap(map, size));
}

// All pieces of the tracker's budget are used up by one mapping, and others still get what they need.
static void many_mappings_beyond_max_map_count(void)
{
	char *map[8];
	size_t step = 6 * page, nr = (size_t)number_in("/proc/sys/vm/max_map_count") / 8, i, k;
	int fd[8];

	if (nr > 12000)
		cell_skip("vm.max_map_count is larger than this test has memory for");
	for (k = 0; k < 8; k++) {
		fd[k] = file_new(nr * step);
		map[k] = map_new(fd[k], 0, nr * step);
		sync_all(map[k], nr * step);
	}
	for (i = 0; i < nr; i++)
		for (k = 0; k < 8; k++)
			map[k][(i * 7919 % nr) * step] = (char)(i + k);
	for (k = 0; k < 8; k++) {
		sync_all(map[k], nr * step);
		for (i = 0; i < nr; i++)
			CHECK(map[k][(i * 7919 % nr) * step] == (char)(i + k));
		CHECK(!munmap(map[k], nr * step));
	}
}

const struct test_case cases_map[] = {
	CASE(mprotect_ro_and_back, ALL),
	CASE(mprotect_of_the_middle_and_back, ALL),
	CASE(prot_none_then_back, ALL),
	CASE(alias_without_protection_stays_so, ALL),
	CASE(mprotect_that_fails, ALL),
	CASE(map_shared_readonly_then_mprotect_rw, ALL),
	CASE(map_shared_of_a_readonly_descriptor, NO_HUGETLBFS),
	CASE(mremap_grow, NO_HUGETLBFS),
	CASE(mremap_shrink, ALL),
	CASE(mremap_move, NO_HUGETLBFS),
	CASE(mremap_fixed, ALL),
	CASE(mremap_of_the_middle, ALL),
	CASE(mremap_dontunmap, NO_HUGETLBFS),
	CASE(mremap_of_nothing_makes_an_alias, NO_HUGETLBFS),
	CASE(mremap_errors_equal_kernel, NO_HUGETLBFS),
	CASE(partial_munmap_middle, ALL),
	CASE(map_fixed_of_another_file_over_tracked, ALL),
	CASE(map_fixed_of_an_odd_length, FILES),
	CASE(map_fixed_of_memory_over_tracked, ALL),
	CASE(map_fixed_that_fails_leaves_the_old, ALL),
	CASE(map_fixed_that_fails_and_takes_away, SMALL),
	CASE(munmap_then_fsync, ALL),
	CASE(munmap_errors_equal_kernel, ALL),
	CASE(many_windows, ALL),
	CASE(huge_page_is_split, SMALL),
	CASE(huge_page_is_closed_again, SMALL),
	CASE(huge_and_small_entries_of_one_range, SMALL),
	CASE(read_into_huge_page_while_syncing, SMALL),
	CASE(sparse_64g, NAMED),
	CASE(scattered_stores_beyond_max_map_count, NAMED),
	CASE(many_mappings_beyond_max_map_count, NAMED),
	END_OF_CASES,
};
