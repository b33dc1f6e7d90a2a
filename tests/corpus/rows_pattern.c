// SPDX-License-Identifier: BSD-3-Clause
// rows_pattern.c: what real programs do with their mapped files, as traced.
#include "corpus.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define RW (PROT_READ | PROT_WRITE)

static char *whole;

static char *data_new(const char *name, size_t file_size, size_t len)
{
	fd = file_new(name, file_size);
	whole = map_new("data", fd, 0, len);
	return whole;
}

// LMDB with MDB_WRITEMAP: for each commit an msync of the whole sparse map, then of one page; no fsync.
static void lmdb(const void *arg)
{
	const size_t len = (size_t)1 << 30;
	size_t commit, i;

	(void)arg;
	data_new("data.mdb", len, len);
	for (commit = 0; commit < 20; commit++) {
		for (i = 0; i < 5; i++)
			fill(whole + (2 + (commit * 7 + i * 3) % 60) * PAGE, 1, commit, (char)('a' + commit));
		TELL("", msync(whole, len, MS_SYNC));
		fill(whole + commit % 2 * PAGE, 1, 8 + commit, (char)('A' + commit));
		TELL("", msync(whole + commit % 2 * PAGE, PAGE, MS_SYNC));
	}
	fill(whole + 5 * PAGE, 1, 0, '!'); // of a commit that never comes
	TELL("munmap", munmap(whole, len));
	say_file("file", fd);
}

// Kyoto Cabinet -oas: a large map over a small file, ftruncate up and down around every msync and fsync, whose range is
// longer than the file.
static void kyoto(const void *arg)
{
	const size_t len = (size_t)64 << 20;
	size_t i;

	(void)arg;
	data_new("casket.kch", 6 * PAGE, len);
	for (i = 0; i < 15; i++) {
		size_t nr = 6 + i % 4;

		TELL("", ftruncate(fd, (off_t)((nr + 4) * PAGE)));
		fill(whole, nr, i, (char)('a' + i));
		TELL("", ftruncate(fd, (off_t)(nr * PAGE)));
		TELL("", msync(whole, len, MS_SYNC));
		TELL("", fsync(fd));
		fill(whole + (nr - 1) * PAGE, 1, 100 + i, 'z');
	}
	TELL("ftruncate", ftruncate(fd, 8 * PAGE));
	TELL("munmap", munmap(whole, len));
	say_file("file", fd);
}

// tkrzw: the file grows by ftruncate, and the map moves by mremap, while other threads want to store.
static pthread_rwlock_t map_lock = PTHREAD_RWLOCK_INITIALIZER;
static size_t whole_pages;

static void *store_into_growing(void *arg)
{
	size_t mine = (size_t)(uintptr_t)arg, i;

	for (i = 0; i < 400; i++) {
		pthread_rwlock_rdlock(&map_lock);
		((volatile char *)whole)[i % 4 * PAGE + 64 * mine] = (char)(i & 127);
		if (i % 50 == 49)
			MUST(!msync(whole, whole_pages * PAGE, MS_SYNC));
		pthread_rwlock_unlock(&map_lock);
	}
	return NULL;
}

static void tkrzw(const void *arg)
{
	pthread_t thread[3];
	size_t i;

	(void)arg;
	whole_pages = 4;
	data_new("casket.tkh", 4 * PAGE, 4 * PAGE);
	for (i = 0; i < 3; i++)
		MUST(!pthread_create(&thread[i], NULL, store_into_growing, (void *)(i + 1)));
	for (i = 0; i < 20; i++) {
		size_t more = whole_pages + whole_pages / 2;

		pthread_rwlock_wrlock(&map_lock);
		MUST(!ftruncate(fd, (off_t)(more * PAGE)));
		whole = mremap(whole, whole_pages * PAGE, more * PAGE, MREMAP_MAYMOVE);
		MUST(whole != MAP_FAILED);
		whole_pages = more < 2000 ? more : whole_pages;
		if (whole_pages != more) { // as at the end: back to what is used
			whole = mremap(whole, more * PAGE, 16 * PAGE, MREMAP_MAYMOVE);
			MUST(whole != MAP_FAILED && !ftruncate(fd, 16 * PAGE));
			whole_pages = 16;
		}
		fill(whole + 4 * PAGE, whole_pages - 4, i, (char)('a' + i));
		pthread_rwlock_unlock(&map_lock);
	}
	for (i = 0; i < 3; i++)
		MUST(!pthread_join(thread[i], NULL));
	TELL("msync", msync(whole, whole_pages * PAGE, MS_SYNC));
	TELL("size", lseek(fd, 0, SEEK_END));
	say_file("file", fd);
}

// fio's mmap engine: blocks in random order, then an msync of the whole file.
static void fio(const void *arg)
{
	uint32_t random = 12345;
	size_t i;

	(void)arg;
	data_new("fio", 64 * PAGE, 64 * PAGE);
	for (i = 0; i < 200; i++) {
		random = random * 1103515245 + 12345;
		memset(whole + (random >> 16) % 64 * PAGE, (int)('a' + i % 26), PAGE);
		if (i % 10 == 9)
			TELL("", msync(whole, 64 * PAGE, MS_SYNC));
	}
	TELL("fsync", fsync(fd));
	say_file("file", fd);
}

// PMDK where the medium has pages: many small msyncs, addresses rounded down, lengths that are no pages.
static void pmdk_sync(char *addr, size_t len)
{
	size_t skew = (uintptr_t)addr % PAGE;

	TELL("", msync(addr - skew, len + skew, MS_SYNC));
}

static void pmdk(const void *arg)
{
	static const size_t lens[] = {64, 8, 4096, 300, 64, 128, 1000, 16, 64};
	size_t insert, i, at;
	char *own;

	(void)arg;
	fd = file_new("pool", 32 * PAGE);
	own = mmap(NULL, 32 * PAGE, RW, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
	if (own == MAP_FAILED)
		tell_mmap("map_sync", own);
	whole = own != MAP_FAILED ? region("data", own, 32 * PAGE) : map_new("data", fd, 0, 32 * PAGE);
	for (insert = 0; insert < 10; insert++)
		for (i = 0; i < 9; i++) {
			at = (insert * 37 + i * 13) % 30 * PAGE + insert * 64 + i * 72;
			memset(whole + at, (int)('a' + insert), lens[i]);
			pmdk_sync(whole + at, lens[i]);
		}
	say_file("file", fd);
}

// Stores, munmap without a sync, fsync of the descriptor later.
static void munmap_then_fsync(const void *arg)
{
	int i;

	(void)arg;
	memory_make();
	for (i = 0; i < 5; i++) {
		fill(map + i * (int)PAGE, 2, (size_t)i, (char)('m' + i));
		TELL("munmap", munmap(map, SIZE));
		TELL("fsync", fsync(fd));
		map = mmap(map, SIZE, RW, MAP_SHARED | MAP_FIXED, fd, 0);
		MUST(map != MAP_FAILED);
	}
	after();
}

// fsync by a thread that never stores.
static atomic_int turn;

static void *only_syncs(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 20; i++) {
		while (atomic_load(&turn) != 2 * i + 1)
			sched_yield();
		TELL("", i % 2 ? fsync(fd) : fdatasync(fd));
		atomic_store(&turn, 2 * i + 2);
	}
	return NULL;
}

static void fsync_by_another(const void *arg)
{
	pthread_t thread;
	int i;

	(void)arg;
	memory_make();
	MUST(!pthread_create(&thread, NULL, only_syncs, NULL));
	for (i = 0; i < 20; i++) {
		fill(map + i % 6 * (int)PAGE, 2, (size_t)i, (char)('a' + i));
		atomic_store(&turn, 2 * i + 1);
		while (atomic_load(&turn) != 2 * i + 2)
			sched_yield();
	}
	MUST(!pthread_join(thread, NULL));
	say_file("file", fd);
	after();
}

// ftruncate to the same size after every record.
static void same_size(const void *arg)
{
	size_t i;

	(void)arg;
	memory_make();
	for (i = 0; i < 40; i++) {
		map[i * 800 % SIZE + 3] = (char)('a' + i % 26);
		TELL("", ftruncate(fd, SIZE));
		if (i % 4 == 3)
			TELL("", msync(map, SIZE, MS_SYNC));
	}
	after();
}

// A window that moves along a file.
static void window(const void *arg)
{
	size_t at;

	(void)arg;
	fd = file_new("log", 64 * PAGE);
	for (at = 0; at + 4 <= 64; at += 3) {
		char *here = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, (off_t)(at * PAGE));

		MUST(here != MAP_FAILED);
		fill(here, 4, at, (char)('A' + at % 50));
		if (at % 2)
			TELL("", msync(here, 4 * PAGE, MS_SYNC));
		fill(here + 2 * PAGE, 1, at + 1, 'w');
		TELL("", munmap(here, 4 * PAGE));
	}
	TELL("fdatasync", fdatasync(fd));
	say_file("file", fd);
}

// The file's tail mapped right behind the first mapping, and msync across both.
static void tail_behind(const void *arg)
{
	char *tail;
	size_t nr;

	(void)arg;
	memory_make();
	MUST(!munmap(map + SIZE, AROUND));
	for (nr = NR_PAGES; nr < 20; nr += 3) {
		TELL("ftruncate", ftruncate(fd, (off_t)((nr + 3) * PAGE)));
		tail = mmap(map + nr * PAGE, 3 * PAGE, RW, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, (off_t)(nr * PAGE));
		MUST(tail == map + nr * PAGE);
		fill(map + (nr - 2) * PAGE, 5, nr, (char)('a' + nr));
		TELL("msync", msync(map + PAGE, (nr + 2) * PAGE, MS_SYNC));
		fill(map + nr * PAGE, 2, nr + 1, 'T');
	}
	TELL("msync", msync(map, nr * PAGE, MS_SYNC));
	say_file("file", fd);
	TELL("munmap", munmap(map, nr * PAGE));
}

// Pieces of a file mapped over a reservation, and given back to it.
static void reservation(const void *arg)
{
	char *piece;
	size_t i;

	(void)arg;
	memory_make();
	for (i = 0; i < 8; i++) {
		piece = mmap(map + (i + 4) * PAGE, 4 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, (off_t)(i % 5 * PAGE));
		MUST(piece != MAP_FAILED);
		fill(piece, 4, i, (char)('a' + i));
		if (i % 2)
			TELL("msync", msync(map, SIZE, MS_SYNC));
		MUST(mmap(map + (i + 6) * PAGE, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		     MAP_FAILED);
	}
	after();
}

// Network data received straight into the map.
static void *sends(void *arg)
{
	char packet[1500];
	int to = *(int *)arg, i;

	for (i = 0; i < 60; i++) {
		memset(packet, 'a' + i % 26, sizeof(packet));
		MUST(send(to, packet, (size_t)(500 + i * 10), 0) == 500 + i * 10);
	}
	return NULL;
}

static void receive(const void *arg)
{
	int pair[2], i;
	pthread_t thread;
	size_t at = 0;

	(void)arg;
	data_new("received", 32 * PAGE, 32 * PAGE);
	fill(whole, 32, 5, 'x');
	TELL("msync", msync(whole, 32 * PAGE, MS_SYNC));
	MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) && !pthread_create(&thread, NULL, sends, &pair[0]));
	for (i = 0; i < 60; i++) {
		ssize_t nr = recv(pair[1], whole + at, 1500, 0);

		TELL("", nr);
		at += nr > 0 ? (size_t)nr : 0;
		if (i % 8 == 7)
			TELL("msync", msync(whole, at, MS_SYNC));
	}
	MUST(!pthread_join(thread, NULL));
	TELL("fsync", fsync(fd));
	say_file("file", fd);
}

// Process-shared mutexes in the map: robust ones, whose owner ends. Where the owner's page is closed at that moment, see
// the limits (doc/limits.md).
static void mutex_make(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attr;

	MUST(!pthread_mutexattr_init(&attr) && !pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED));
	MUST(!pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) && !pthread_mutex_init(mutex, &attr));
}

static void *locks_and_ends(void *arg)
{
	tell_errno("lock", pthread_mutex_lock(arg));
	return NULL;
}

static void lock_and_end(void)
{
	tell_errno("lock", pthread_mutex_lock((pthread_mutex_t *)map));
	fill(map + 3 * PAGE, 2, 40, 'o');
}

static void lock_and_die(void)
{
	tell_errno("lock", pthread_mutex_lock((pthread_mutex_t *)map));
	fill(map + 4 * PAGE, 2, 41, 'O');
	kill(getpid(), SIGKILL);
}

// What libc keeps in a mutex are thread ids and addresses, which differ from run to run.
static void owner_died(pthread_mutex_t *mutex)
{
	tell_errno("owner died", pthread_mutex_lock(mutex));
	tell_errno("consistent", pthread_mutex_consistent(mutex));
	tell_errno("unlock", pthread_mutex_unlock(mutex));
	TELL("msync", msync(map, SIZE, MS_SYNC));
}

static void robust_mutexes(const void *arg)
{
	pthread_mutex_t *mutex;
	pthread_t thread;

	(void)arg;
	memory_make();
	memset(map, 0, PAGE);
	mutex = (pthread_mutex_t *)map;
	mutex_make(mutex);
	MUST(!pthread_create(&thread, NULL, locks_and_ends, mutex) && !pthread_join(thread, NULL));
	owner_died(mutex);
	in_child("ends", lock_and_end);
	owner_died(mutex);
	in_child("dies", lock_and_die);
	owner_died(mutex);
	tell_errno("lock", pthread_mutex_lock(mutex));
	tell_errno("unlock", pthread_mutex_unlock(mutex));
	memset(map, 0, PAGE);
	after();
}

// A language run-time with handlers of its own: a write barrier by mprotect on the mapping, and guard pages.
static volatile sig_atomic_t nr_barriers;
static volatile int barrier_code;

static void on_barrier(int sig, siginfo_t *info, void *context)
{
	char *page = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));

	(void)context;
	if (sig != SIGSEGV || page < map || page >= map + SIZE || mprotect(page, PAGE, RW))
		_exit(50);
	nr_barriers = nr_barriers + 1;
	barrier_code = info->si_code;
}

static void write_barrier(const void *arg)
{
	struct sigaction act = {.sa_sigaction = on_barrier, .sa_flags = SA_SIGINFO};
	int i;

	(void)arg;
	memory_make();
	MUST(!sigaction(SIGSEGV, &act, NULL) && !sigaction(SIGBUS, &act, NULL));
	for (i = 0; i < 6; i++) {
		MUST(!mprotect(map, SIZE, PROT_READ));
		fill(map + i % 4 * (int)PAGE, 3, (size_t)i, (char)('a' + i));
		TELL("barriers", nr_barriers);
		TELL("code", barrier_code);
		TELL("msync", msync(map, SIZE, MS_SYNC));
		fill(map + i % 4 * (int)PAGE, 3, (size_t)i + 20, (char)('A' + i));
		TELL("barriers", nr_barriers);
	}
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	MUST(!mprotect(map, SIZE, RW));
	after();
}

// A server that starts as root, maps its data, and goes on as a service user.
static void service_user(const void *arg)
{
	char *second;

	(void)arg;
	memory_make();
	memory_store();
	if (geteuid())
		skip("needs to be root, to become another user");
	MUST(!fchown(fd, 65534, 65534) && !setresgid(65534, 65534, 65534) && !setresuid(65534, 65534, 65534));
	after();
	second = map_new("second", fd, 0, SIZE);
	fill(second, 4, 50, 'U');
	TELL("msync", msync(second, SIZE, MS_SYNC));
	memory_store();
	after();
}

void rows_pattern(void)
{
	row("pattern/lmdb", lmdb, NULL);
	row("pattern/kyoto", kyoto, NULL);
	row("pattern/tkrzw", tkrzw, NULL);
	row("pattern/fio", fio, NULL);
	row("pattern/pmdk", pmdk, NULL);
	row("pattern/munmap_then_fsync", munmap_then_fsync, NULL);
	row("pattern/fsync_by_another", fsync_by_another, NULL);
	row("pattern/same_size", same_size, NULL);
	row("pattern/window", window, NULL);
	row("pattern/tail_behind", tail_behind, NULL);
	row("pattern/reservation", reservation, NULL);
	row("pattern/receive", receive, NULL);
	row("pattern/robust_mutexes", robust_mutexes, NULL);
	row("pattern/write_barrier", write_barrier, NULL);
	row("pattern/service_user", service_user, NULL);
}
