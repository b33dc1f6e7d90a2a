// SPDX-License-Identifier: BSD-3-Clause
// cases_thread.c: threads that store, sync, map, unmap and are cancelled at the same time.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conformance.h"

static char *shared;
static atomic_bool stop;
static atomic_ulong rounds;

static void *store_and_sync(void *arg)
{
	unsigned long round;

	(void)arg;
	for (round = 0; !stop; round++) {
		store_pages(shared, NR_PAGES, (char)round);
		sync_all(shared, FILE_SIZE);
		CHECK(pages_are(shared, NR_PAGES, (char)round));
		atomic_fetch_add(&rounds, 1);
	}
	return NULL;
}

// M10: a trap never opens memory that is somebody else's meanwhile, and mappings that come and go disturb nobody.
static void neighbours_unmap_while_storing(void)
{
	int fd[4], i;
	double end;

	for (i = 0; i < 4; i++)
		fd[i] = file_new(FILE_SIZE / 4);
	shared = map_closed(file_new(FILE_SIZE));
	thread_start(store_and_sync, NULL);
	for (i = 0, end = now() + seconds(2); now() < end || rounds < 10; i++) {
		char *map = map_new(fd[i % 4], 0, FILE_SIZE / 4);

		store_pages(map, NR_PAGES / 4, (char)i);
		if (i % 2)
			sync_all(map, FILE_SIZE / 4);
		store_pages(map, NR_PAGES / 4, (char)(i + 1));
		CHECK(!munmap(map, FILE_SIZE / 4));
	}
	stop = true;
	threads_join();
	sync_all(shared, FILE_SIZE);
}

static void *store_to_alias(void *arg)
{
	char *alias = arg;

	while (!stop) {
		store_pages(alias, NR_PAGES, 'A');
		atomic_fetch_add(&rounds, 1);
	}
	return NULL;
}

// Aliases of the file that is being stored to and synced come and go.
static void aliases_come_and_go_while_storing(void)
{
	int fd = file_new(FILE_SIZE);
	double end;

	shared = map_closed(fd);
	thread_start(store_to_alias, map_new(fd, 0, FILE_SIZE));
	for (end = now() + seconds(2); now() < end;) {
		char *alias = map_new(fd, 0, FILE_SIZE);

		store_pages(alias, NR_PAGES, 'B');
		sync_all(shared, FILE_SIZE);
		store_pages(alias, NR_PAGES, 'C');
		CHECK(!munmap(alias, FILE_SIZE));
	}
	stop = true;
	threads_join();
	sync_all(shared, FILE_SIZE);
}

// The mapping moves to and fro while threads store to another mapping of the same file. M10.
static void mremap_while_storing(void)
{
	int fd = file_new(FILE_SIZE);
	char *map, *room;
	double end;

	shared = map_closed(fd);
	thread_start(store_to_alias, shared);
	map = map_new(fd, 0, FILE_SIZE);
	for (end = now() + seconds(2); now() < end;) {
		room = room_for(FILE_SIZE);
		store_pages(map, NR_PAGES, 'M');
		room = mremap(map, FILE_SIZE, FILE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, room);
		CHECK(room != MAP_FAILED);
		map = room;
		sync_all(map, FILE_SIZE);
	}
	stop = true;
	threads_join();
	sync_all(shared, FILE_SIZE);
}

// Far from where the kernel puts mappings of its own choice, so that nothing else gets into what is taken away.
#define FAR ((char *)0x200000000000)

static char *map_far(int fd)
{
	CHECK(mmap(FAR, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0) == FAR);
	return FAR;
}

// Stores another value each time, so that every store can be seen.
static void *store_and_count(void *arg)
{
	char *map = arg;

	while (!stop)
		store_pages(map, NR_PAGES / 2, (char)atomic_fetch_add(&rounds, 1));
	return NULL;
}

// What is in each page, and after a while still is: nobody stores there.
static void check_is_still(const char *map)
{
	char seen[NR_PAGES];
	size_t i;

	for (i = 0; i < NR_PAGES; i++)
		seen[i] = map[i * page];
	usleep(100);
	for (i = 0; i < NR_PAGES; i++)
		CHECK(map[i * page] == seen[i]);
}

// Something else is put over a mapping that is being stored to, memory or another file. The storing thread sees nothing
// of that: the kernel puts the one in the other's place in one step. M10.
static void map_fixed_over_while_storing(void)
{
	int fd[2] = {file_new(FILE_SIZE), file_new(FILE_SIZE)}, i;
	char *map = map_far(fd[0]), *view[2];
	double end;

	for (i = 0; i < 2; i++)
		view[i] = map_closed(fd[i]);
	thread_start(store_and_count, map);
	for (i = 0, end = now() + seconds(2); now() < end || rounds < 10; i++) {
		bool memory = i % 4 == 1;
		int which = i % 3 == 0;

		CHECK(mmap(map, FILE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_FIXED | (memory ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED), memory ? -1 : fd[which],
			   0) == map);
		check_is_still(view[!which]);
		if (memory)
			check_is_still(view[which]);
		sync_all(view[0], FILE_SIZE);
		sync_all(view[1], FILE_SIZE);
	}
	stop = true;
	threads_join();
	sync_all(map, FILE_SIZE);
}

// So many pages that a store comes back to one long after the sync that missed it; huge ones are few.
static size_t nr_wide_pages(void)
{
	return page == 4096 ? 8192 : NR_PAGES;
}

static void *store_on(void *arg)
{
	char *map = arg;
	size_t i, nr = nr_wide_pages();

	for (i = 0; !stop; i = (i + 1) % nr)
		map[i * page] = (char)atomic_fetch_add(&rounds, 1);
	return NULL;
}

// A file is put over memory that is being stored to, as allocators do that reserve their addresses first. What reaches the
// file before its pages are closed has to be found: nothing stored there traps.
static void map_fixed_over_memory_while_storing(void)
{
	size_t len = nr_wide_pages() * page;
	int fd = file_new(len), i;
	char *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	double end;

	CHECK(map != MAP_FAILED);
	thread_start(store_on, map);
	for (i = 0, end = now() + seconds(2); now() < end || rounds < 10; i++) {
		bool memory = i % 2;

		CHECK(mmap(map, len, PROT_READ | PROT_WRITE,
			   MAP_FIXED | (memory ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED), memory ? -1 : fd,
			   0) == map);
		if (!memory)
			sync_all(map, len);
	}
	stop = true;
	threads_join();
}

// The mapping shrinks and grows in its place; the half that is stored to stays where it is all the time. M10.
static void mremap_in_place_while_storing(void)
{
	int fd = file_new(FILE_SIZE), i;
	char *map = map_far(fd), *view = map_closed(fd);
	double end;

	thread_start(store_and_count, map);
	for (i = 0, end = now() + seconds(2); now() < end || rounds < 10; i++) {
		CHECK(mremap(map, FILE_SIZE, FILE_SIZE / 2, 0) == map);
		sync_all(i % 2 ? map : view, FILE_SIZE / 2);
		CHECK(mremap(map, FILE_SIZE / 2, FILE_SIZE, 0) == map);
		store_pages(map + FILE_SIZE / 2, NR_PAGES / 2, (char)i);
		sync_all(map, FILE_SIZE);
		CHECK(pages_are(view + FILE_SIZE / 2, NR_PAGES / 2, (char)i));
	}
	stop = true;
	threads_join();
	sync_all(map, FILE_SIZE);
}

static atomic_ulong phase;          // odd: the mapping may be write-protected at this moment
static atomic_ulong phase_at_store; // when the storing thread began its store
static atomic_ulong nr_denied;

// A SIGSEGV is the program's own only if the mapping was write-protected at some time since the store began. The store
// is tried again when it is not any more.
static void on_denied(int sig, siginfo_t *info, void *context)
{
	unsigned long began = phase_at_store;

	(void)context;
	CHECK(sig == SIGSEGV && (char *)info->si_addr >= FAR && (char *)info->si_addr < FAR + FILE_SIZE);
	CHECK(began % 2 || phase != began);
	atomic_fetch_add(&nr_denied, 1);
	while (phase % 2)
		usleep(10);
}

static void *store_when_allowed(void *arg)
{
	char *map = arg;
	unsigned long i;

	for (i = 0; !stop; i++) {
		phase_at_store = phase;
		((volatile char *)map)[i % (NR_PAGES / 2) * page] = (char)(i / NR_PAGES);
	}
	return NULL;
}

// The program takes away the write permission, or all of it, and gives it back. No store completes in between.
static void protect_while_storing(int prot)
{
	struct sigaction act = {.sa_sigaction = on_denied, .sa_flags = SA_SIGINFO};
	int fd = file_new(FILE_SIZE), probe = memfd_create("probe", MFD_CLOEXEC), i;
	char *map = map_far(fd), *view = map_closed(fd);
	double end;

	CHECK(!sigaction(SIGSEGV, &act, NULL));
	thread_start(store_when_allowed, map);
	for (i = 0, end = now() + seconds(2); now() < end || !nr_denied; i++) {
		if (i % 2)
			sync_all(map, FILE_SIZE); // so that stores trap
		phase++;
		CHECK(!mprotect(map, FILE_SIZE, prot));
		check_is_still(view);
		sync_all(i % 3 ? view : map, FILE_SIZE);
		if (prot == PROT_NONE)
			CHECK_ERRNO(pwrite(probe, map + (size_t)i % NR_PAGES * page, 1, 0), EFAULT);
		check_is_still(view);
		CHECK(!mprotect(map, FILE_SIZE, PROT_READ | PROT_WRITE));
		phase++;
		CHECK(!mprotect(map, FILE_SIZE, PROT_READ | PROT_WRITE)); // changes nothing
	}
	stop = true;
	threads_join();
	sync_all(map, FILE_SIZE);
}

static void mprotect_read_while_storing(void)
{
	protect_while_storing(PROT_READ);
}

static void mprotect_none_while_storing(void)
{
	protect_while_storing(PROT_NONE);
}

static void *sync_until_cancelled(void *arg)
{
	unsigned i;

	for (i = 0;; i++) {
		store_pages(shared, NR_PAGES, (char)i);
		CHECK(!msync(shared, FILE_SIZE, MS_SYNC));
		if (arg)
			CHECK(!fsync(*(int *)arg));
	}
	return NULL;
}

// msync is a cancellation point; cancellation acts before it or after it, never in the middle.
static void cancel_in_msync(void)
{
	int fd = file_new(FILE_SIZE), i, nr = (int)nr_times(200);
	pthread_t thread;
	void *result;

	shared = map_closed(fd);
	for (i = 0; i < nr; i++) {
		CHECK(!pthread_create(&thread, NULL, sync_until_cancelled, i % 2 ? &fd : NULL));
		usleep((useconds_t)(i * 37 % 1000));
		CHECK(!pthread_cancel(thread));
		CHECK(!pthread_join(thread, &result) && result == PTHREAD_CANCELED);
		store_pages(shared, NR_PAGES, 'n');
		sync_all(shared, FILE_SIZE);
	}
	CHECK(!fsync(fd));
}

static pthread_barrier_t all_ready;

static void *sync_one_page(void *arg)
{
	size_t id = (size_t)(uintptr_t)arg, i;

	pthread_barrier_wait(&all_ready);
	for (i = 0; i < nr_times(page > 4096 ? 20 : 100); i++) {
		((volatile char *)shared)[page + id] = (char)i;
		sync_all(shared + page, page);
		CHECK(shared[page + id] == (char)i);
	}
	return NULL;
}

// M3, M4: many syncs of one page: no store is lost, none returns before the flush it relies on has been fenced.
static void hundred_threads_sync_one_page(void)
{
	uintptr_t i;

	shared = map_closed(file_new(FILE_SIZE));
	CHECK(!pthread_barrier_init(&all_ready, NULL, 100));
	for (i = 0; i < 100; i++)
		thread_start(sync_one_page, (void *)i);
	threads_join();
	sync_all(shared, FILE_SIZE);
}

static void *store_and_end(void *arg)
{
	store_pages(arg, NR_PAGES, 'e');
	return NULL;
}

// Stores of a thread that has ended are covered like any others.
static void stores_of_ended_threads_are_synced(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	unsigned i;

	for (i = 0; i < nr_times(50); i++) {
		uint64_t before = nr_flushed();

		thread_start(store_and_end, map);
		threads_join();
		sync_all(map, FILE_SIZE);
		COUNTED(nr_flushed() >= before + NR_PAGES);
	}
}

static void *truncate_in_a_loop(void *arg)
{
	int fd = *(int *)arg;

	while (!stop) {
		CHECK(!ftruncate(fd, (off_t)FILE_SIZE / 2));
		CHECK(!ftruncate(fd, (off_t)FILE_SIZE));
	}
	return NULL;
}

// M7: the file is cut off between the look and the flush; the half that stays is stored to.
static void truncate_while_syncing(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);
	double end;
	int i = 0;

	thread_start(truncate_in_a_loop, &fd);
	for (end = now() + seconds(2); now() < end; i++) {
		store_pages(map, NR_PAGES / 2, (char)i);
		sync_all(map, FILE_SIZE);
		CHECK(pages_are(map, NR_PAGES / 2, (char)i));
	}
	stop = true;
	threads_join();
	store_pages(map, NR_PAGES, 'e');
	sync_all(map, FILE_SIZE);
}

// Whoever has the descriptor that this returns decides about the calling thread's fsyncs. -1: the kernel cannot do that.
static int fsyncs_hold(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

struct syncer {
	int fd;
	atomic_int listener; // 0: not yet
};

static void *fsync_once(void *arg)
{
	struct syncer *syncer = arg;
	int listener = fsyncs_hold();

	syncer->listener = listener;
	if (listener >= 0)
		CHECK(!fsync(syncer->fd));
	return NULL;
}

// What write(2) has brought is pending until a kernel sync that began later has returned: an msync that comes
// while another thread's fsync is still under way goes to the kernel itself.
static void msync_while_an_fsync_runs(void)
{
	struct syncer syncer = {.fd = file_new(FILE_SIZE)};
	char *map = map_closed(syncer.fd);
	struct seccomp_notif held = {0};
	struct seccomp_notif_resp go_on = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
	uint64_t before;

	CHECK(pwrite(syncer.fd, "first", 5, (off_t)page) == 5);
	thread_start(fsync_once, &syncer);
	while (!syncer.listener)
		usleep(1000);
	if (syncer.listener < 0)
		cell_skip("the kernel cannot hold a system call (seccomp user notification)");
	CHECK(!ioctl(syncer.listener, SECCOMP_IOCTL_NOTIF_RECV, &held));
	before = nr_kernel_syncs();
	sync_all(map, FILE_SIZE);
	COUNTED(nr_kernel_syncs() > before);
	CHECK(pwrite(syncer.fd, "second", 6, 2 * (off_t)page) == 6);
	go_on.id = held.id;
	CHECK(!ioctl(syncer.listener, SECCOMP_IOCTL_NOTIF_SEND, &go_on));
	threads_join();
	before = nr_kernel_syncs();
	sync_all(map, FILE_SIZE);
	COUNTED(nr_kernel_syncs() > before); // the second write came after the fsync had begun
	CHECK(!fsync(syncer.fd));
	before = nr_kernel_syncs();
	sync_all(map, FILE_SIZE);
	COUNTED(nr_kernel_syncs() == before || mode_of(map) == DAXSYNC_MODE_KERNEL); // nothing is pending any more
}

static void *map_in_a_loop(void *arg)
{
	int fd = *(int *)arg;

	while (!stop) {
		char *map = map_new(fd, 0, FILE_SIZE);

		store_pages(map, 1, 'm');
		CHECK(!munmap(map, FILE_SIZE));
	}
	return NULL;
}

// A mapping that comes or goes takes the registry's lock and then the allocators'; so must a fork, which takes them all.
static void fork_while_another_thread_maps(void)
{
	int fd = file_new(FILE_SIZE), status;
	unsigned i;

	shared = map_closed(fd);
	thread_start(map_in_a_loop, &fd);
	for (i = 0; i < nr_times(500); i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (!pid)
			_exit(0);
		CHECK(waitpid(pid, &status, 0) == pid && !status);
	}
	stop = true;
	threads_join();
}

static void *flush_all_streams(void *arg)
{
	(void)arg;
	while (!stop)
		CHECK(!fflush(NULL));
	return NULL;
}

// fflush(NULL) holds libc's list of streams while it waits for a stream, which a thread that maps may hold.
static void map_with_a_stream_locked(void)
{
	int fd = file_new(FILE_SIZE);
	FILE *stream = fopen("/dev/null", "w");
	unsigned i;

	CHECK(stream);
	thread_start(flush_all_streams, NULL);
	for (i = 0; i < nr_times(200); i++) {
		flockfile(stream);
		shared = map_new(fd, 0, FILE_SIZE);
		store_pages(shared, 1, 's');
		CHECK(!munmap(shared, FILE_SIZE));
		funlockfile(stream);
	}
	stop = true;
	threads_join();
}

const struct test_case cases_thread[] = {
	CASE(neighbours_unmap_while_storing, ALL),
	CASE(aliases_come_and_go_while_storing, ALL),
	CASE(mremap_while_storing, NO_HUGETLBFS),
	CASE(cancel_in_msync, NO_HUGETLBFS),
	CASE(map_fixed_over_while_storing, ALL),
	CASE(map_fixed_over_memory_while_storing, ALL),
	CASE(mremap_in_place_while_storing, NO_HUGETLBFS),
	CASE(mprotect_read_while_storing, ALL),
	CASE(mprotect_none_while_storing, ALL),
	CASE(hundred_threads_sync_one_page, ALL),
	CASE(stores_of_ended_threads_are_synced, ALL),
	CASE(truncate_while_syncing, FILES),
	CASE(fork_while_another_thread_maps, ALL),
	CASE(map_with_a_stream_locked, ALL),
	CASE(msync_while_an_fsync_runs, SMALL),
	END_OF_CASES,
};
