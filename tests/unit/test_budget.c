// SPDX-License-Identifier: BSD-3-Clause
// test_budget.c: the budget of VMAs, with files in /proc that say what the test wants: what the limit is, when the VMAs are
// counted again, and what the reserve is good for.
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sys.h"
#include "engine/budget.h"

#define LEAST 64
#define STEP 1024
#define RESERVE 32
#define RELEASED 8

static char max_text[32]; // of vm.max_map_count; empty: it cannot be read
static long nr_lines;     // of /proc/self/maps; -1: it cannot be read
static atomic_uint nr_counts, nr_reserves;
static long refused = -1; // a system call that fails
static atomic_bool hold;  // the first count waits while this is set
static atomic_uint nr_held;

static int file_of(const char *text, size_t len, long times)
{
	int fd = memfd_create("proc", MFD_CLOEXEC);

	cr_assert(fd >= 0);
	while (times-- > 0)
		cr_assert_eq(write(fd, text, len), (ssize_t)len);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

// The linker lets the library call this in the place of syscall().
long __real_syscall(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long nr, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	const char *path = nr == SYS_openat ? (const char *)b : "";
	bool is_max = !strcmp(path, "/proc/sys/vm/max_map_count"), is_maps = !strcmp(path, "/proc/self/maps");

	if (is_maps && !atomic_fetch_add(&nr_counts, 1)) {
		atomic_store(&nr_held, 1);
		while (atomic_load(&hold))
			usleep(100);
	}
	nr_reserves += nr == SYS_mmap;
	if (nr == refused || (is_max && !*max_text) || (is_maps && nr_lines < 0)) {
		errno = ENOMEM;
		return -1;
	}
	if (is_max)
		return file_of(max_text, strlen(max_text), 1);
	if (is_maps)
		return file_of("7f00-7f01 rw-p 00000000 00:00 0 \n", 33, nr_lines);
	return __real_syscall(nr, a, b, c, d, e, f);
}

static void proc_is(long max, long lines)
{
	snprintf(max_text, sizeof(max_text), "%ld\n", max);
	nr_lines = lines;
}

static void setup(void)
{
	proc_is(65530, 100);
}

TestSuite(budget, .init = setup);

// Counts again, as at a first time.
static int64_t limit_of(long max, long lines)
{
	proc_is(max, lines);
	while (dxs_budget_release())
		;
	dxs_budget_refresh();
	return dxs_budget_limit();
}

Test(budget, before_the_first_count_there_is_little)
{
	cr_expect_eq(dxs_budget_limit(), LEAST);
	cr_expect_eq(dxs_budget_used(), 0);
	cr_expect_not(dxs_budget_release());
}

Test(budget, the_limit_is_half_of_what_the_program_leaves)
{
	cr_expect_eq(limit_of(65530, 530), 32500);
	cr_expect_eq(limit_of(10000, 2000), 4000);
	cr_expect_eq(limit_of(10000, 2001), 3999);
}

Test(budget, what_the_tracker_uses_is_not_the_programs)
{
	dxs_budget_add(700);
	dxs_budget_add(-200);
	cr_expect_eq(dxs_budget_used(), 500);
	cr_expect_eq(limit_of(10000, 2500), 4000);
	cr_expect_eq(dxs_budget_used(), 500);
}

Test(budget, the_limit_never_falls_below_the_least)
{
	cr_expect_eq(limit_of(1000, 1000 - 2 * LEAST - 2), LEAST + 1);
	cr_expect_eq(limit_of(1000, 1000 - 2 * LEAST), LEAST);
	cr_expect_eq(limit_of(1000, 999), LEAST);
	cr_expect_eq(limit_of(1000, 1500), LEAST, "the program had more before it was set");
}

Test(budget, what_cannot_be_read_is_guessed)
{
	cr_expect_eq(limit_of(10000, -1), 2500, "half are the program's");
	*max_text = '\0';
	while (dxs_budget_release())
		;
	nr_lines = 530;
	dxs_budget_refresh();
	cr_expect_eq(dxs_budget_limit(), 32500, "the kernel's default");
}

// Each store to a mapping that is not known yet asks.
Test(budget, it_counts_again_only_when_much_has_changed)
{
	dxs_budget_refresh();
	cr_expect_eq(nr_counts, 1);
	dxs_budget_refresh();
	dxs_budget_add(STEP - 1);
	dxs_budget_refresh();
	cr_expect_eq(nr_counts, 1);
	dxs_budget_add(1);
	dxs_budget_refresh();
	cr_expect_eq(nr_counts, 2);
	dxs_budget_add(1 - STEP);
	dxs_budget_refresh();
	cr_expect_eq(nr_counts, 2);
	dxs_budget_add(-1);
	dxs_budget_refresh();
	cr_expect_eq(nr_counts, 3, "fewer count as well");
}

static long vmas(void)
{
	static char text[1 << 20];
	size_t len = 0;
	ssize_t got;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	long nr = 0;

	cr_assert(fd >= 0);
	while ((got = read(fd, text + len, sizeof(text) - len)) > 0)
		len += (size_t)got;
	close(fd);
	for (size_t i = 0; i < len; i++)
		nr += text[i] == '\n';
	return nr;
}

Test(budget, each_part_of_the_reserve_is_as_many_vmas_as_pages)
{
	long before = vmas(), now;
	int i;

	dxs_budget_refresh();
	now = vmas();
	cr_expect_geq(now, before + RESERVE - 1, "%ld, %ld", before, now); // the first may be one with its neighbour
	for (i = 0; dxs_budget_release(); i++) {
		cr_expect_leq(vmas(), now - RELEASED + 1, "part %d", i);
		now = vmas();
	}
	cr_expect_eq(i, RESERVE / RELEASED);
	cr_expect_leq(now, before);
	cr_expect_not(dxs_budget_release());
}

Test(budget, a_reserve_that_is_used_up_is_made_again)
{
	dxs_budget_refresh();
	cr_expect_eq(nr_reserves, 1);
	cr_expect(dxs_budget_release());
	dxs_budget_refresh();
	cr_expect_eq(nr_reserves, 1, "there is some left");
	while (dxs_budget_release())
		;
	dxs_budget_refresh();
	cr_expect_eq(nr_reserves, 2);
	cr_expect(dxs_budget_release());
}

Test(budget, without_memory_for_a_reserve_there_is_none)
{
	refused = SYS_mmap;
	dxs_budget_refresh();
	cr_expect_eq(nr_reserves, 1);
	cr_expect_not(dxs_budget_release());
	cr_expect_eq(dxs_budget_limit(), (65530 - 100) / 2);
	refused = -1;
	dxs_budget_refresh();
	cr_expect(dxs_budget_release());
}

static void *refresh_body(void *arg)
{
	dxs_budget_refresh();
	return arg;
}

Test(budget, a_child_begins_with_nothing_in_use)
{
	dxs_budget_add(2 * STEP);
	dxs_budget_refresh();
	dxs_budget_reset();
	cr_expect_eq(dxs_budget_used(), 0);
	cr_expect_eq(dxs_budget_limit(), (65530 - 100 + 2 * STEP) / 2, "what it has inherited");
	dxs_budget_add(STEP - 1);
	dxs_budget_refresh();
	cr_expect_eq(nr_counts, 1, "counted from its own begin on");
	dxs_budget_add(1);
	dxs_budget_refresh();
	cr_expect_eq(nr_counts, 2);
	cr_expect(dxs_budget_release(), "its reserve is a copy");
}

// It would wait for a thread that exists only in the parent.
Test(budget, a_child_does_not_wait_for_one_that_was_counting)
{
	pthread_t thread;

	hold = true;
	cr_assert_eq(pthread_create(&thread, NULL, refresh_body, NULL), 0);
	while (!atomic_load(&nr_held))
		usleep(100);
	dxs_budget_reset();
	dxs_budget_add(STEP);
	dxs_budget_refresh();
	cr_expect_eq(nr_counts, 2);
	hold = false;
	pthread_join(thread, NULL);
}
