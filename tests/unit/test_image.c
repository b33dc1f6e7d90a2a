// SPDX-License-Identifier: BSD-3-Clause
// test_image.c: the durable image of a file that another process writes too.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulate/image.h"
#include "emulate/run.h"
#include "file/file.h"
#include "flush/flush.h"
#include "signal/signals.h"

#define BYTES 8192

static struct dxs_file *file;
static struct dxs_registry *registry; // as if all processes shared it
static char path[] = "/tmp/daxsync-test-image.XXXXXX";
static char *addr;
static int fd;

static void setup(void)
{
	const char *why = "";
	struct stat st;

	cr_assert_eq(dxs_flush_init(&why), 0, "%s", why);
	cr_assert_eq(dxs_signals_install(0), 0);
	fd = mkstemp(path);
	cr_assert(fd >= 0 && !ftruncate(fd, BYTES) && !fstat(fd, &st));
	addr = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	registry = mmap(NULL, sizeof(*registry), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(addr != MAP_FAILED && registry != MAP_FAILED);
	cr_assert_eq(dxs_run_join(&why), 0, "%s", why);
	file = dxs_file_new(st.st_dev, st.st_ino, 12);
	cr_assert_not_null(file);
	atomic_store(&file->size, BYTES);
	atomic_store(&file->mode, DXS_MODE_EMULATED);
	atomic_store(&registry->announced, 1ULL << 32 | 1);
	atomic_store(&file->writers.page, registry);
	atomic_store(&file->writers.exclusive_at, 1);
	cr_assert_eq(dxs_file_mode(file), DXS_MODE_EMULATED);
	cr_assert_eq(dxs_image_open(file, fd, &why), 0, "%s", why);
}

static void teardown(void)
{
	dxs_image_close(dxs_image_of(file));
	file->observed = NULL;
	unlink(path);
}

TestSuite(image, .init = setup, .fini = teardown);

static void flush(char value)
{
	cr_assert_not_null(dxs_image_stage());
	addr[100] = value;
	dxs_image_snapshot(dxs_image_of(file), (uintptr_t)addr, 0, 4096);
}

static void fence(void)
{
	dxs_image_publish();
	dxs_image_unstage();
}

// Another process announces itself, stores, flushes and fences.
static void other_syncs(char value)
{
	int status, pid = fork();

	if (!pid) {
		dxs_image_reset_locks();
		atomic_store(&file->writers.exclusive_at, DXS_NEVER);
		atomic_fetch_add(&registry->announced, 1ULL << 32 | 1);
		flush(value);
		fence();
		_exit(0);
	}
	cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid && !status);
}

static char durable(void)
{
	char page[4096];

	cr_assert_eq(dxs_image_read(dxs_image_of(file), 0, page, sizeof(page)), 0);
	return page[100];
}

Test(image, what_was_flushed_is_durable_as_it_was_then)
{
	flush(1);
	addr[100] = 2;
	cr_expect_eq(durable(), 0);
	fence();
	cr_expect_eq(durable(), 1);
}

Test(image, the_fence_of_another_process_is_not_undone)
{
	flush(1);
	other_syncs(2);
	cr_expect_eq(durable(), 2);
	fence();
	cr_expect_eq(durable(), 2);
}

Test(image, nor_is_that_of_one_that_has_left_before_the_fence)
{
	flush(1);
	other_syncs(2);
	atomic_store(&file->writers.exclusive_at, 2);
	fence();
	cr_expect_eq(durable(), 2);
}

Test(image, nor_that_of_one_that_was_there_at_the_flush)
{
	atomic_store(&file->writers.exclusive_at, DXS_NEVER);
	flush(1);
	addr[100] = 2;
	atomic_store(&file->writers.exclusive_at, 1);
	fence();
	cr_expect_eq(durable(), 2);
}

// Or what it has looked at could be written over what is newer.
Test(image, one_that_takes_its_time_to_publish_is_waited_for)
{
	_Atomic uint64_t *word = &registry->announced;
	int status, pid;

	atomic_store(word, 0);
	pid = fork();
	if (!pid) {
		dxs_run_publish_begin();
		atomic_store(word, 1);
		usleep(1500000);
		atomic_store(word, 2);
		dxs_run_publish_end();
		_exit(0);
	}
	while (!atomic_load(word))
		usleep(1000);
	dxs_run_publish_begin();
	cr_expect_eq(atomic_load(word), 2);
	dxs_run_publish_end();
	cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid && !status);
}

Test(image, one_that_dies_while_it_publishes_does_not_stop_the_others)
{
	int status, pid = fork();

	if (!pid) {
		dxs_run_publish_begin();
		_exit(0);
	}
	cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid && !status);
	flush(1);
	fence();
	cr_expect_eq(durable(), 1);
	flush(2); // and it is let go of
	fence();
	cr_expect_eq(durable(), 2);
	cr_expect_eq(atomic_load(&dxs_run()->publisher), 0);
}
