// SPDX-License-Identifier: BSD-3-Clause
// test_writers.c: the registry of writers. A lock belongs to an open file description, so several places in one process
// stand for several processes.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/config.h"
#include "base/sys.h"
#include "writers/writers.h"

static char dir[] = "/tmp/daxsync-test-writers.XXXXXX";
static char registry[256]; // the registry's file
static int fd;             // the file that is written
static uint64_t dev, ino;

static void begin(void)
{
	struct stat st;

	cr_assert(mkdtemp(dir));
	snprintf(dxs_config.registry, sizeof(dxs_config.registry), "%s", dir);
	fd = memfd_create("file", MFD_CLOEXEC);
	cr_assert(fd >= 0 && !fstat(fd, &st));
	dev = st.st_dev;
	ino = st.st_ino;
	snprintf(registry, sizeof(registry), "%s/daxsync-writers.%lx-%lx", dir, (long)st.st_dev, (long)st.st_ino);
}

static void end(void)
{
	unlink(registry);
	rmdir(registry);
	cr_expect(!rmdir(dir), "something is left in %s", dir);
}

TestSuite(writers, .init = begin, .fini = end);

static struct dxs_writers joined(void)
{
	struct dxs_writers writers = {.page = NULL};

	dxs_writers_init(&writers);
	cr_assert(dxs_writers_exclusive(&writers));
	cr_assert(!dxs_writers_join(&writers, fd, dev, ino));
	return writers;
}

// A kernel sync of the whole file, with nothing happening meanwhile.
static bool sync_whole(struct dxs_writers *writers)
{
	struct dxs_ticket ticket = dxs_writers_sync_begin(writers);

	dxs_writers_sync_end(writers, ticket);
	return dxs_writers_exclusive(writers);
}

// A process that dies: its place is a mapping, which goes, and nothing is written.
static void die(struct dxs_writers *writers)
{
	cr_assert(!munmap(atomic_load(&writers->page), DXS_PAGE_SIZE));
}

static off_t registry_size(void)
{
	struct stat st;

	return stat(registry, &st) ? -1 : st.st_size;
}

Test(writers, alone_leaves_nothing)
{
	struct dxs_writers a = joined();

	cr_expect(dxs_writers_exclusive(&a));
	cr_expect_eq(registry_size(), DXS_PAGE_SIZE);
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
	cr_expect_eq(registry_size(), -1);
}

Test(writers, second_is_seen_before_it_can_store)
{
	struct dxs_writers a = joined(), b = joined();

	cr_expect(!dxs_writers_exclusive(&a));
	cr_expect(!dxs_writers_exclusive(&b));
	cr_expect(!sync_whole(&a), "b is still there");
	cr_expect(!sync_whole(&b), "a is still there");
	dxs_writers_destroy(&b, DXS_LEAVES_NOTHING);
	cr_expect(!dxs_writers_exclusive(&a), "what b has stored is not synced yet");
	cr_expect(sync_whole(&a));
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
	cr_expect_eq(registry_size(), -1);
}

Test(writers, who_comes_during_a_sync_is_seen)
{
	struct dxs_writers a = joined(), b = joined(), c;
	struct dxs_ticket ticket;

	dxs_writers_destroy(&b, DXS_LEAVES_NOTHING);
	ticket = dxs_writers_sync_begin(&a);
	cr_expect(ticket.exclusive);
	c = joined();
	dxs_writers_sync_end(&a, ticket);
	cr_expect(!dxs_writers_exclusive(&a));
	ticket = dxs_writers_sync_begin(&a);
	dxs_writers_destroy(&c, DXS_LEAVES_NOTHING);
	dxs_writers_sync_end(&a, ticket);
	cr_expect(!dxs_writers_exclusive(&a), "c was there during the sync");
	cr_expect(sync_whole(&a));
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
}

Test(writers, a_sync_that_failed_changes_nothing)
{
	struct dxs_writers a = joined(), b = joined();

	dxs_writers_destroy(&b, DXS_LEAVES_NOTHING);
	dxs_writers_sync_begin(&a);
	cr_expect(!dxs_writers_exclusive(&a));
	cr_expect(sync_whole(&a));
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
}

Test(writers, the_dead_leave_a_reminder)
{
	struct dxs_writers a = joined(), b, c;

	die(&a);
	b = joined();
	cr_expect(!dxs_writers_exclusive(&b), "what a has stored is not synced");
	dxs_writers_destroy(&b, DXS_LEAVES_NOTHING);
	cr_expect_eq(registry_size(), DXS_PAGE_SIZE, "nobody has synced it");
	c = joined();
	cr_expect(!dxs_writers_exclusive(&c));
	cr_expect(sync_whole(&c));
	dxs_writers_destroy(&c, DXS_LEAVES_NOTHING);
	cr_expect_eq(registry_size(), -1);
}

Test(writers, a_living_process_takes_over_from_a_dead_one)
{
	struct dxs_writers a = joined(), b = joined();

	die(&b);
	cr_expect(!dxs_writers_exclusive(&a));
	cr_expect(sync_whole(&a));
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
	cr_expect_eq(registry_size(), -1);
}

Test(writers, unclean_leave_is_a_reminder)
{
	struct dxs_writers a = joined(), b;

	dxs_writers_destroy(&a, DXS_LEAVES_STORES);
	b = joined();
	cr_expect(!dxs_writers_exclusive(&b));
	cr_expect(sync_whole(&b));
	dxs_writers_destroy(&b, DXS_LEAVES_NOTHING);
}

Test(writers, who_died_is_forgotten_with_the_file)
{
	struct dxs_writers a = joined(), b = joined(), c = joined();

	die(&a);
	dxs_writers_destroy(&b, DXS_LEAVES_NO_NAME);
	cr_expect_eq(registry_size(), DXS_PAGE_SIZE, "c is still there");
	dxs_writers_destroy(&c, DXS_LEAVES_NO_NAME);
	cr_expect_eq(registry_size(), -1);
}

Test(writers, another_inode_with_the_same_number)
{
	struct dxs_writers a = joined(), b;

	atomic_load(&a.page)->born_ns ^= 1;
	die(&a);
	b = joined();
	cr_expect(dxs_writers_exclusive(&b), "the dead wrote another file");
	dxs_writers_destroy(&b, DXS_LEAVES_NOTHING);
	cr_expect_eq(registry_size(), -1);
}

// A child made by fork: announced before, found by its copy of the hold.
Test(writers, forked_child_holds_until_its_end)
{
	struct dxs_writers a = joined();
	pid_t pid;

	dxs_writers_fork_begin();
	cr_assert(dxs_writers_announce(&a));
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	dxs_writers_fork_end();
	cr_expect(!dxs_writers_exclusive(&a));
	cr_expect(!sync_whole(&a));
	cr_expect(!sync_whole(&a));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_expect(!dxs_writers_exclusive(&a));
	cr_expect(sync_whole(&a));
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
	cr_expect_eq(registry_size(), -1);
}

// Found as well: one that nobody announced.
Test(writers, silent_child_is_found)
{
	struct dxs_writers a = joined(), b = joined();
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	dxs_writers_destroy(&b, DXS_LEAVES_NOTHING); // the child has a copy of it
	cr_expect(!sync_whole(&a));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_expect(sync_whole(&a));
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
}

Test(writers, orphan_of_a_parent_is_a_writer)
{
	struct dxs_writers a = joined(), b;
	int end_of_child[2];
	pid_t pid;
	char c;

	cr_assert(!pipe(end_of_child));
	dxs_writers_announce(&a);
	pid = fork();
	if (!pid) {
		close(end_of_child[1]);
		while (read(end_of_child[0], &c, 1) > 0)
			;
		_exit(0);
	}
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
	b = joined();
	cr_expect(!dxs_writers_exclusive(&b));
	cr_expect(!sync_whole(&b));
	close(end_of_child[1]);
	waitpid(pid, NULL, 0);
	cr_expect(sync_whole(&b));
	dxs_writers_destroy(&b, DXS_LEAVES_NOTHING);
}

Test(writers, close_of_everything_changes_nothing)
{
	struct dxs_writers a, b;
	int ready[2];
	pid_t pid;
	char c;

	cr_assert(!pipe(ready));
	pid = fork();
	if (!pid) {
		a = joined();
		dup2(ready[1], 3);
		close_range(4, ~0U, 0);
		cr_assert_eq(write(3, "", 1), 1);
		pause();
		_exit(!dxs_writers_exclusive(&a)); // to keep it
	}
	cr_assert_eq(read(ready[0], &c, 1), 1);
	b = joined();
	cr_expect(!sync_whole(&b));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_expect(sync_whole(&b));
	dxs_writers_destroy(&b, DXS_LEAVES_NOTHING);
}

Test(writers, removed_file_is_followed)
{
	struct dxs_writers a = joined(), b;

	cr_assert(!unlink(registry));
	cr_expect(sync_whole(&a), "exclusive in a new one");
	b = joined();
	cr_expect(!dxs_writers_exclusive(&a), "b has found it");
	cr_expect(!dxs_writers_exclusive(&b));
	dxs_writers_destroy(&b, DXS_LEAVES_NOTHING);
	cr_expect(sync_whole(&a));
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
	cr_expect_eq(registry_size(), -1);
}

Test(writers, removed_file_that_two_use)
{
	struct dxs_writers a = joined(), b = joined();

	cr_assert(!unlink(registry));
	cr_expect(!sync_whole(&a), "b is in the old one");
	cr_expect(!dxs_writers_exclusive(&b));
	cr_expect(!sync_whole(&b));
	dxs_writers_destroy(&b, DXS_LEAVES_NOTHING);
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
	unlink(registry);
}

static void *join_in_thread(void *arg)
{
	*(struct dxs_writers *)arg = joined();
	return NULL;
}

// A newcomer opens the file while the last writer, who holds it exclusively, is about to remove it.
Test(writers, who_waits_for_one_that_leaves_begins_again)
{
	struct flock lock = {.l_type = F_WRLCK, .l_len = 1};
	int leaver = open(registry, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct dxs_writers a = {.page = NULL}, b;
	pthread_t thread;

	cr_assert(leaver >= 0 && !fcntl(leaver, F_OFD_SETLK, &lock));
	cr_assert(!pthread_create(&thread, NULL, join_in_thread, &a));
	usleep(20000); // it has opened the file, or the test proves less than it could
	cr_assert(!unlink(registry));
	close(leaver);
	pthread_join(thread, NULL);
	cr_expect(dxs_writers_exclusive(&a));
	b = joined();
	cr_expect(!dxs_writers_exclusive(&a), "b has not found a");
	dxs_writers_destroy(&b, DXS_LEAVES_NOTHING);
	dxs_writers_destroy(&a, DXS_LEAVES_STORES);
	cr_expect_eq(registry_size(), DXS_PAGE_SIZE);
}

// Never exclusive with it, then with a good one in its place.
static void check_refused(const char *what)
{
	struct dxs_writers a = {.page = NULL};

	dxs_writers_init(&a);
	cr_expect_lt(dxs_writers_join(&a, fd, dev, ino), 0, "%s", what);
	cr_expect(!dxs_writers_exclusive(&a), "%s", what);
	cr_expect(!dxs_writers_announce(&a), "%s", what);
	cr_expect(!sync_whole(&a), "%s", what);
	unlink(registry);
	rmdir(registry);
	cr_expect(sync_whole(&a), "%s is gone", what);
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
	cr_expect_eq(registry_size(), -1, "%s", what);
}

static void registry_write(const char *text, size_t len, mode_t mode)
{
	int file = open(registry, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	cr_assert(file >= 0 && write(file, text, len) == (ssize_t)len && !fchmod(file, mode));
	close(file);
}

Test(writers, files_that_are_not_to_be_trusted)
{
	char target[300];

	snprintf(target, sizeof(target), "%s/target", dir);
	close(open(target, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	cr_assert(!symlink(target, registry));
	check_refused("a symlink");
	cr_assert(!link(target, registry));
	check_refused("a hard link");
	unlink(target);
	cr_assert(!mkdir(registry, 0700));
	check_refused("a directory");
	cr_assert(!mkfifo(registry, 0600));
	check_refused("a fifo");
	registry_write("", 0, 0666);
	check_refused("a file that others can write");
	registry_write("", 0, 0640);
	check_refused("a file that others can read");
	if (geteuid())
		return;
	registry_write("", 0, 0600);
	cr_assert(!chown(registry, 12345, 0));
	check_refused("a file of another user");
}

Test(writers, spoilt_files)
{
	static char garbage[2 * DXS_PAGE_SIZE];
	size_t sizes[] = {10, DXS_PAGE_SIZE, 2 * DXS_PAGE_SIZE}, i;
	struct dxs_writers a;

	for (i = 0; i < sizeof(garbage); i++)
		garbage[i] = (char)(i * 7 + 1);
	for (i = 0; i < 3; i++) {
		registry_write(garbage, sizes[i], 0600);
		a = joined();
		cr_expect(!dxs_writers_exclusive(&a), "%zu bytes: nobody knows what was here", sizes[i]);
		cr_expect(sync_whole(&a));
		cr_expect_eq(registry_size(), DXS_PAGE_SIZE);
		dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
		cr_expect_eq(registry_size(), -1);
	}
}

// The story: the file was cut between the identity and the count of those who had died. It was made longer again, with
// zeros, and read as "nobody has died".
Test(writers, a_page_that_was_cut_reminds_of_the_dead)
{
	struct dxs_writers a = joined();

	die(&a);
	cr_assert(!truncate(registry, offsetof(struct dxs_registry, announced)));
	a = joined();
	cr_expect(!dxs_writers_exclusive(&a), "nobody knows what was here");
	cr_expect(sync_whole(&a));
	cr_expect_eq(registry_size(), DXS_PAGE_SIZE);
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
}

Test(writers, directories_that_cannot_be_used)
{
	struct dxs_writers a = {.page = NULL};

	dxs_writers_init(&a);
	cr_assert(!chmod(dir, 0777));
	cr_expect_lt(dxs_writers_join(&a, fd, dev, ino), 0, "anybody can rename files there");
	cr_expect(!dxs_writers_exclusive(&a));
	cr_assert(!chmod(dir, 01777));
	cr_expect(sync_whole(&a), "found when it was tried again");
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);

	snprintf(dxs_config.registry, sizeof(dxs_config.registry), "%s/none", dir);
	dxs_writers_init(&a);
	a = (struct dxs_writers){.page = NULL};
	dxs_writers_init(&a);
	cr_expect_eq(dxs_writers_join(&a, fd, dev, ino), -ENOENT);
	cr_expect(!dxs_writers_exclusive(&a));
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
}

// After leaving, for the threads that still run at the end of a process.
Test(writers, nobody_comes_back)
{
	struct dxs_writers a = joined();

	dxs_writers_leave(&a, DXS_LEAVES_NOTHING);
	cr_expect(!dxs_writers_exclusive(&a));
	cr_expect(!sync_whole(&a));
	cr_expect_eq(registry_size(), -1);
	dxs_writers_leave(&a, DXS_LEAVES_NOTHING);
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
}

// As one that has left: others are exclusive meanwhile. It comes back as one that joins.
Test(writers, one_that_rests_is_seen_when_it_comes_back)
{
	struct dxs_writers a = joined(), b;

	cr_assert(dxs_writers_rest(&a));
	cr_expect(!dxs_writers_exclusive(&a));
	cr_assert(dxs_writers_return(&a));
	cr_expect(dxs_writers_exclusive(&a), "nobody has come");
	cr_assert(dxs_writers_rest(&a));
	b = joined();
	cr_expect(dxs_writers_exclusive(&b));
	cr_assert(dxs_writers_return(&a));
	cr_expect(!dxs_writers_exclusive(&a));
	cr_expect(!dxs_writers_exclusive(&b));
	cr_expect(!sync_whole(&b));
	cr_assert(dxs_writers_rest(&a));
	cr_expect(sync_whole(&b));
	die(&b);
	cr_assert(dxs_writers_return(&a));
	cr_expect(!dxs_writers_exclusive(&a), "what b has stored is not synced");
	cr_expect(sync_whole(&a));
	cr_assert(dxs_writers_rest(&a));
	dxs_writers_destroy(&a, DXS_LEAVES_STORES);
	cr_expect_eq(registry_size(), -1, "nothing is left behind");
}

Test(writers, nobody_returns_to_a_page_that_others_do_not_find)
{
	struct dxs_writers a = joined(), b;
	int number;

	cr_assert(dxs_writers_rest(&a));
	b = joined();
	dxs_writers_destroy(&b, DXS_LEAVES_NOTHING);
	cr_expect_eq(registry_size(), -1, "b was the last");
	cr_expect(!dxs_writers_return(&a));
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
	a = joined();
	cr_assert(dxs_writers_rest(&a));
	cr_assert(!close(a.fd)); // by the program, past all hooks
	cr_expect(!dxs_writers_return(&a));
	cr_assert_eq(dup2(fd, a.fd), a.fd);
	cr_expect(!dxs_writers_return(&a));
	number = a.fd;
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
	cr_expect_geq(fcntl(number, F_GETFD), 0, "it is the program's");
	cr_expect_eq(registry_size(), -1);
}

// A child that has announced itself to nobody, as in silent_child_is_found: it keeps what its parent lets go.
Test(writers, the_hold_of_a_silent_child_outlasts_a_rest)
{
	struct dxs_writers a = joined();
	int child, status;

	cr_assert(dxs_writers_rest(&a) && dxs_writers_return(&a)); // from here on with a descriptor
	child = (int)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (!child) {
		pause();
		_exit(0);
	}
	cr_assert_gt(child, 0);
	cr_assert(dxs_writers_rest(&a));
	cr_assert(dxs_writers_return(&a));
	cr_expect(!dxs_writers_exclusive(&a));
	cr_expect(!sync_whole(&a));
	cr_assert(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child);
	cr_expect(sync_whole(&a));
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
}

// Processes come and go at random, some by SIGKILL. Whenever one finds itself exclusive, nobody else holds the token.
static void come_and_go(unsigned seed, _Atomic int *token)
{
	struct dxs_writers a = {.page = NULL};
	int i;

	dxs_writers_init(&a);
	if (dxs_writers_join(&a, fd, dev, ino))
		_exit(1);
	atomic_fetch_add(token, 1); // this process stores from now on
	for (i = 0; i < 20; i++) {
		if (dxs_writers_exclusive(&a) && atomic_load(token) > 1 && dxs_writers_exclusive(&a))
			_exit(2); // another one stores, and had announced itself before: it was counted before
		if (rand_r(&seed) % 3 == 0)
			sync_whole(&a);
		if (rand_r(&seed) % 8 == 0)
			usleep((unsigned)rand_r(&seed) % 200);
	}
	atomic_fetch_sub(token, 1);
	if (seed % 5 == 0)
		kill(getpid(), SIGKILL);
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
	_exit(0);
}

Test(writers, two_are_never_exclusive)
{
	_Atomic int *token = mmap(NULL, DXS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct dxs_writers a;
	int i, status;

	for (i = 0; i < 1000; i++) {
		if (i >= 8) {
			cr_assert(wait(&status) > 0);
			cr_assert(WIFSIGNALED(status) || !WEXITSTATUS(status), "status %x", status);
		}
		if (!fork())
			come_and_go((unsigned)i, token);
	}
	while (wait(&status) > 0)
		cr_assert(WIFSIGNALED(status) || !WEXITSTATUS(status), "status %x", status);
	a = joined();
	cr_expect(sync_whole(&a));
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
	cr_expect_eq(registry_size(), -1);
}

// The numbers of two registries can be the same.
Test(writers, a_sync_that_began_at_another_registry_settles_nothing)
{
	struct dxs_writers a = joined(), b = joined(), c;
	struct dxs_ticket ticket;

	die(&b);
	ticket = dxs_writers_sync_begin(&a);
	cr_assert(ticket.exclusive);
	cr_assert(!unlink(registry));
	c = joined();
	while (!a.nr_drops) // it is looked for now and then
		dxs_writers_sync_end(&a, dxs_writers_sync_begin(&a));
	cr_assert_eq(atomic_load(&atomic_load(&a.page)->announced) >> 32, ticket.announced, "or it was not hard");
	dxs_writers_sync_end(&a, ticket);
	cr_expect_not(dxs_writers_exclusive(&a));
	dxs_writers_destroy(&c, DXS_LEAVES_NOTHING);
	dxs_writers_destroy(&a, DXS_LEAVES_NOTHING);
}
