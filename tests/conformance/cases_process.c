// SPDX-License-Identifier: BSD-3-Clause
// cases_process.c: fork, vfork, exec, and what children do with the mappings they inherit.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conformance.h"

extern char **environ;

static char *shared;
static int shared_fd;

static void check_tracks(char *map, char value)
{
	uint64_t traps, flushed;

	store_pages(map, NR_PAGES, value);
	sync_all(map, FILE_SIZE);
	traps = nr_traps();
	flushed = nr_flushed();
	store_pages(map, NR_PAGES, (char)(value + 1));
	COUNTED(nr_traps() > traps);
	sync_all(map, FILE_SIZE);
	COUNTED(nr_flushed() >= flushed + NR_PAGES);
}

static void map_shared(void)
{
	shared_fd = file_new(FILE_SIZE);
	shared = map_closed(shared_fd);
}

static void child_stores(void *arg)
{
	(void)arg;
	CHECK(pages_are(shared, NR_PAGES, 'p'));
	store_pages(shared, NR_PAGES, 'c');
	sync_all(shared, FILE_SIZE);
	store_pages(shared + page, 1, 'C');
	CHECK(!fsync(shared_fd));
	store_pages(shared + 2 * page, 1, 'D'); // not synced
}

// After a fork two processes write, and neither sees the other's stores: the kernel, which does, serves both.
static void fork_child_stores(void)
{
	map_shared();
	store_pages(shared, NR_PAGES, 'p'); // dirty across the fork
	CHECK(is_success(in_child(child_stores, NULL)));
	CHECK(shared[0] == 'c' && shared[page] == 'C' && shared[2 * page] == 'D');
	COUNTED(mode_of(shared) == DAXSYNC_MODE_KERNEL);
	sync_all(shared, FILE_SIZE);
	store_pages(shared, NR_PAGES, 'q');
	sync_all(shared, FILE_SIZE);
	CHECK(!fsync(shared_fd));
	CHECK(file_has(shared_fd, 0, 'q'));
}

static void child_stores_and_dies(void *arg)
{
	(void)arg;
	store_pages(shared, 1, 'k');
	kill(getpid(), SIGKILL);
}

// What a writer has left, only a sync of the whole file covers: the mode stays until one has come.
static void killed_writer_is_made_up_for_by_a_sync_of_all(void)
{
	int before, i, status;

	map_shared();
	before = mode_of(shared);
	status = in_child(child_stores_and_dies, NULL);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	for (i = 0; i < 3; i++) {
		sync_all(shared + page, FILE_SIZE - page);
		sync_all(shared, FILE_SIZE - page);
		COUNTED(mode_of(shared) == DAXSYNC_MODE_KERNEL);
	}
	while (mode_of(shared) != before)
		sync_all(shared, FILE_SIZE);
	sync_all(shared, FILE_SIZE);
	CHECK(shared[0] == 'k');
}

static void child_maps(void *arg)
{
	int fd = file_new(FILE_SIZE);

	(void)arg;
	check_tracks(map_closed(fd), 'b');
	store_pages(shared, NR_PAGES, 'c');
	sync_all(shared, FILE_SIZE);
}

// A child can track files of its own.
static void fork_child_maps_a_new_file(void)
{
	map_shared();
	CHECK(is_success(in_child(child_maps, NULL)));
	CHECK(pages_are(shared, NR_PAGES, 'c'));
	sync_all(shared, FILE_SIZE);
}

static void child_changes_mappings(void *arg)
{
	char *moved;

	(void)arg;
	store_pages(shared, NR_PAGES, 'c');
	CHECK(!mprotect(shared, page, PROT_READ));
	CHECK(!munmap(shared + page, page));
	moved = mremap(shared + 2 * page, 2 * page, 2 * page, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED);
	store_pages(moved, 2, 'm');
	sync_all(moved, 2 * page);
	CHECK(!munmap(shared, FILE_SIZE));
}

static void fork_child_changes_mappings(void)
{
	map_shared();
	CHECK(is_success(in_child(child_changes_mappings, NULL)));
	CHECK(shared[0] == 'c' && shared[2 * page] == 'm');
	store_pages(shared, NR_PAGES, 'p');
	sync_all(shared, FILE_SIZE);
}

static void grandchild(void *arg)
{
	(void)arg;
	store_pages(shared, NR_PAGES, 'g');
	sync_all(shared, FILE_SIZE);
}

static void child_forks(void *arg)
{
	store_pages(shared, NR_PAGES, 'c');
	CHECK(is_success(in_child(grandchild, arg)));
	sync_all(shared, FILE_SIZE);
	CHECK(pages_are(shared, NR_PAGES, 'g'));
}

static void fork_of_a_fork(void)
{
	map_shared();
	CHECK(is_success(in_child(child_forks, NULL)));
	CHECK(pages_are(shared, NR_PAGES, 'g'));
	sync_all(shared, FILE_SIZE);
}

static void wait_success(pid_t pid)
{
	int status;

	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(is_success(status));
}

static void raw_child(void)
{
	store_pages(shared, NR_PAGES, 'c');
	sync_all(shared, FILE_SIZE);
	CHECK(!fsync(shared_fd));
	_exit(0);
}

// _Fork() runs no fork handlers.
static void raw_fork_without_handlers(void)
{
	pid_t pid;

	map_shared();
	store_pages(shared, NR_PAGES / 2, 'p');
	pid = _Fork();
	if (!pid)
		raw_child();
	wait_success(pid);
	CHECK(pages_are(shared, NR_PAGES, 'c'));
	store_pages(shared, NR_PAGES, 'q');
	sync_all(shared, FILE_SIZE);
	CHECK(!fsync(shared_fd));
	CHECK(pages_are(shared, NR_PAGES, 'q'));
}

// The same by the system call itself.
static void raw_clone_without_handlers(void)
{
	pid_t pid;

	map_shared();
	store_pages(shared, NR_PAGES / 2, 'p');
	pid = (pid_t)syscall(SYS_clone, 17 /* SIGCHLD */, 0, 0, 0, 0);
	if (!pid)
		raw_child();
	wait_success(pid);
	CHECK(pages_are(shared, NR_PAGES, 'c'));
	store_pages(shared, NR_PAGES, 'q');
	sync_all(shared, FILE_SIZE);
}

static void raw_child_unsynced(void)
{
	store_pages(shared, NR_PAGES, 'c');
	syscall(SYS_exit_group, 0);
}

// The child of a raw fork stores and goes without a word: the parent's fsync covers it.
static void raw_fork_child_leaves_unsynced_stores(void)
{
	pid_t pid;

	map_shared();
	pid = _Fork();
	if (!pid)
		raw_child_unsynced();
	wait_success(pid);
	CHECK(!fsync(shared_fd));
	sync_all(shared, FILE_SIZE);
	CHECK(pages_are(shared, NR_PAGES, 'c'));
}

// A child that shares memory and only executes: the parent stays as it was.
static void vfork_exec(void)
{
	char *argv[] = {"true", NULL};
	pid_t pid;
	int mode;

	map_shared();
	mode = mode_of(shared);
	store_pages(shared, NR_PAGES, 'v');
	pid = vfork();
	if (!pid) {
		execve("/bin/true", argv, environ);
		_exit(1);
	}
	wait_success(pid);
	CHECK(mode_of(shared) == mode);
	CHECK(pages_are(shared, NR_PAGES, 'v'));
	check_tracks(shared, 'w');
}

// A vfork child that fails to execute, and ends by _exit(): the parent's library goes on.
static void vfork_exit(void)
{
	char *argv[] = {"none", NULL};
	pid_t pid;
	int status;

	map_shared();
	store_pages(shared, NR_PAGES, 'v');
	pid = vfork();
	if (!pid) {
		execv("/nonexistent/none", argv);
		_exit(3);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 3);
	check_tracks(shared, 'w');
}

static void posix_spawn_and_system(void)
{
	char *argv[] = {"true", NULL};
	pid_t pid = -1;
	int mode, i;

	map_shared();
	mode = mode_of(shared);
	for (i = 0; i < 3; i++) {
		store_pages(shared, NR_PAGES, (char)('s' + i));
		CHECK(!posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ));
		wait_success(pid);
		CHECK(is_success(system("exit 0")));
		CHECK(mode_of(shared) == mode);
	}
	check_tracks(shared, 'a');
}

static void exec_over_dirty_pages(void *arg)
{
	char *argv[] = {"true", NULL};
	char *map = map_closed(*(int *)arg);

	store_pages(map, NR_PAGES, 'e');
	execv("/bin/true", argv);
	cell_fail(__FILE__, __LINE__, "exec failed");
}

// What is dirty at an exec is in the file afterwards.
static void exec_with_unsynced_pages(void)
{
	int fd = file_new(FILE_SIZE);
	char *map;

	CHECK(is_success(in_child(exec_over_dirty_pages, &fd)));
	CHECK(file_has(fd, FILE_SIZE - page, 'e'));
	map = map_new(fd, 0, FILE_SIZE);
	check_tracks(map, 'f');
}

// What is mapped where the parent's mapping is not inherited: all of it, and a part.
static void child_maps_over(void *arg)
{
	size_t first = *(size_t *)arg, len = FILE_SIZE - first * page;
	int fd = is_device() ? shared_fd : file_new(FILE_SIZE);
	char *place = shared + first * page, *own;

	store_pages(shared, first, 'c'); // what is left of it
	sync_all(shared, first * page);
	own = mmap(place, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
	CHECK(own == place);
	store_pages(own, len / page, 'o');
	sync_all(own, len);
	store_pages(own, len / page, 'p');
	sync_all(own, len);
	CHECK(!munmap(own, len));
	own = mmap(place, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(own == place && !mprotect(own, len, PROT_READ | PROT_WRITE));
	store_pages(own, len / page, 'q');
	CHECK(!munmap(own, len));
	CHECK(is_device() || !fsync(fd)); // the kernel has none for a device, once nothing is mapped
}

// MADV_DONTFORK: the child has memory of its own there, or another mapping.
static void mapping_that_is_not_inherited(void)
{
	size_t first;

	for (first = 0; first <= (is_device() ? 0 : 4); first += 4) { // a device has no kernel to leave the rest to
		map_shared();
		store_pages(shared, NR_PAGES, 'b');
		sync_all(shared, FILE_SIZE);
		CHECK(!madvise(shared + first * page, FILE_SIZE - first * page, MADV_DONTFORK));
		CHECK(is_success(in_child(child_maps_over, &first)));
		check_tracks(shared, 'e');
	}
}

static void failing_exec(void)
{
	char *argv[] = {"none", NULL};

	map_shared();
	store_pages(shared, NR_PAGES, 'b');
	CHECK_ERRNO(execv("/nonexistent/none", argv), ENOENT);
	CHECK_ERRNO(execve("/dev/null", argv, environ), EACCES);
	check_tracks(shared, 'c');
}

static void become_daemon(void *arg)
{
	pid_t pid = fork();

	(void)arg;
	CHECK(pid >= 0);
	if (pid)
		_exit(0);
	setsid();
	closefrom(3);
	store_pages(shared, NR_PAGES, 'd');
	sync_all(shared, FILE_SIZE);
	store_pages(shared, NR_PAGES, 'D');
	_exit(0);
}

// fork, exit of the parent, closing of all descriptors: a daemon goes on with what was mapped before.
static void daemon_keeps_its_mappings(void)
{
	int i;

	map_shared();
	CHECK(is_success(in_child(become_daemon, NULL)));
	for (i = 0; i < 500 && !pages_are(shared, NR_PAGES, 'D'); i++)
		usleep(10000);
	CHECK(pages_are(shared, NR_PAGES, 'D'));
	sync_all(shared, FILE_SIZE);
}

const struct test_case cases_process[] = {
	CASE(fork_child_stores, ALL),
	CASE(killed_writer_is_made_up_for_by_a_sync_of_all, NAMED),
	CASE(fork_child_maps_a_new_file, FILES),
	CASE(fork_child_changes_mappings, ALL),
	CASE(fork_of_a_fork, ALL),
	CASE(raw_fork_without_handlers, ALL),
	CASE(raw_clone_without_handlers, NO_HUGETLBFS),
	CASE(raw_fork_child_leaves_unsynced_stores, NO_HUGETLBFS),
	CASE(vfork_exec, ALL),
	CASE(vfork_exit, NO_HUGETLBFS),
	CASE(posix_spawn_and_system, ALL),
	CASE(exec_with_unsynced_pages, ALL),
	CASE(mapping_that_is_not_inherited, ALL),
	CASE(failing_exec, NO_HUGETLBFS),
	CASE(daemon_keeps_its_mappings, ALL),
	END_OF_CASES,
};
