// SPDX-License-Identifier: BSD-3-Clause
// cases_kernel_write.c: the kernel writes into closed pages for the program: read(2) and its family. M9: no EFAULT is
// ever seen, the data is there, and the next sync covers it.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "conformance.h"

#define DATA "what the kernel brings"
#define DATA_LEN (sizeof(DATA) - 1)

// Brings DATA to an address, in whatever way; returns what the call did.
typedef ssize_t bring_fn(char *to);

// On a part of a page, and across two pages, several times: the pages are closed each time.
static void check_bring(bring_fn *bring)
{
	char *map = map_closed(file_new(FILE_SIZE));
	size_t at[] = {page + 100, 4 * page - DATA_LEN / 2, 0, FILE_SIZE - DATA_LEN};
	size_t i, round;

	for (round = 0; round < nr_times(3); round++) {
		for (i = 0; i < 4; i++) {
			uint64_t before;

			memset(map + at[i], 0, DATA_LEN);
			sync_all(map, FILE_SIZE);
			before = nr_flushed();
			CHECK(bring(map + at[i]) == (ssize_t)DATA_LEN);
			CHECK(!memcmp(map + at[i], DATA, DATA_LEN));
			sync_all(map, FILE_SIZE);
			COUNTED(nr_flushed() >= before + (i == 1 ? 2 : 1));
		}
	}
}

static int data_file(void)
{
	int fd = memfd_create("data", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, DATA, DATA_LEN) == (ssize_t)DATA_LEN && !lseek(fd, 0, SEEK_SET));
	return fd;
}

static ssize_t ended(ssize_t ret, int fd)
{
	CHECK(!close(fd));
	return ret;
}

static ssize_t by_read(char *to)
{
	int fd = data_file();

	return ended(read(fd, to, DATA_LEN), fd);
}

static ssize_t by_read_from_pipe(char *to)
{
	int pipes[2];

	CHECK(!pipe(pipes) && write(pipes[1], DATA, DATA_LEN) == (ssize_t)DATA_LEN);
	close(pipes[1]);
	return ended(read(pipes[0], to, DATA_LEN), pipes[0]);
}

static ssize_t by_pread(char *to)
{
	int fd = data_file();

	return ended(pread(fd, to, DATA_LEN, 0), fd);
}

static ssize_t by_readv(char *to)
{
	struct iovec iov[3] = {{to, 3}, {to + 3, 4}, {to + 7, DATA_LEN - 7}};
	int fd = data_file();

	return ended(readv(fd, iov, 3), fd);
}

static ssize_t by_preadv(char *to)
{
	struct iovec iov[2] = {{to, 3}, {to + 3, DATA_LEN - 3}};
	int fd = data_file();

	return ended(preadv(fd, iov, 2, 0), fd);
}

static ssize_t by_preadv2(char *to)
{
	struct iovec iov[2] = {{to, 3}, {to + 3, DATA_LEN - 3}};
	int fd = data_file();

	return ended(preadv2(fd, iov, 2, -1, 0), fd);
}

static int data_socket(int type)
{
	int pair[2];

	CHECK(!socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair));
	CHECK(send(pair[1], DATA, DATA_LEN, 0) == (ssize_t)DATA_LEN);
	close(pair[1]);
	return pair[0];
}

static ssize_t by_recv(char *to)
{
	int fd = data_socket(SOCK_STREAM);

	return ended(recv(fd, to, DATA_LEN, MSG_WAITALL), fd);
}

static ssize_t by_recvfrom(char *to)
{
	int fd = data_socket(SOCK_DGRAM);

	return ended(recvfrom(fd, to, DATA_LEN, 0, NULL, NULL), fd);
}

static ssize_t by_recvmsg(char *to)
{
	struct iovec iov[2] = {{to, 5}, {to + 5, DATA_LEN - 5}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	int fd = data_socket(SOCK_DGRAM);

	return ended(recvmsg(fd, &msg, 0), fd);
}

static ssize_t by_recvmmsg(char *to)
{
	struct iovec iov = {to, DATA_LEN};
	struct mmsghdr msg = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
	int fd = data_socket(SOCK_DGRAM), nr = recvmmsg(fd, &msg, 1, 0, NULL);

	return ended(nr == 1 ? (ssize_t)msg.msg_len : -1, fd);
}

// stdio without a buffer of its own reads into the program's memory by a call inside libc.
static ssize_t by_fread(char *to)
{
	FILE *file = fdopen(data_file(), "r");
	size_t len;

	CHECK(file && !setvbuf(file, NULL, _IONBF, 0));
	len = fread(to, 1, DATA_LEN, file);
	CHECK(!fclose(file));
	return (ssize_t)len;
}

// The stream's own buffer is in the mapping.
static ssize_t by_setvbuf(char *to)
{
	FILE *file = fdopen(data_file(), "r");
	char copy[DATA_LEN];
	size_t len;

	CHECK(file && !setvbuf(file, to, _IOFBF, DATA_LEN));
	len = fread(copy, 1, 1, file);
	CHECK(len == 1 && !fclose(file));
	return (ssize_t)DATA_LEN;
}

static ssize_t by_readlink(char *to)
{
	char name[] = "/dev/shm/daxsync-link.XXXXXX";
	ssize_t len;

	CHECK(mkdtemp(name));
	CHECK(!rmdir(name) && !symlink(DATA, name));
	len = readlink(name, to, DATA_LEN);
	CHECK(!unlink(name));
	return len;
}

static ssize_t by_process_vm_readv(char *to)
{
	static char data[] = DATA;
	struct iovec local = {to, DATA_LEN}, remote = {data, DATA_LEN};

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
}

#define BRINGS(name, function)                                                                                         \
	static void name(void)                                                                                         \
	{                                                                                                              \
		check_bring(function);                                                                                 \
	}

BRINGS(read_into_closed_page, by_read)
BRINGS(read_from_pipe_into_closed_page, by_read_from_pipe)
BRINGS(pread_into_closed_page, by_pread)
BRINGS(readv_into_closed_page, by_readv)
BRINGS(preadv_into_closed_page, by_preadv)
BRINGS(preadv2_into_closed_page, by_preadv2)
BRINGS(recv_into_closed_page, by_recv)
BRINGS(recvfrom_into_closed_page, by_recvfrom)
BRINGS(recvmsg_into_closed_page, by_recvmsg)
BRINGS(recvmmsg_into_closed_page, by_recvmmsg)
BRINGS(fread_into_closed_page, by_fread)
BRINGS(setvbuf_of_closed_page, by_setvbuf)
BRINGS(readlink_into_closed_page, by_readlink)
BRINGS(process_vm_readv_into_closed_page, by_process_vm_readv)

static bool is_zero(const char *addr, size_t len)
{
	while (len)
		if (addr[--len])
			return false;
	return true;
}

static void getrandom_into_closed_page(void)
{
	char *map = map_closed(file_new(FILE_SIZE)), *to = map + 2 * page - 32;
	uint64_t before = nr_flushed();

	memset(to, 0, 64);
	sync_all(map, FILE_SIZE);
	CHECK(getrandom(to, 64, 0) == 64);
	CHECK(!is_zero(to, 32) && !is_zero(to + 32, 32));
	sync_all(map, FILE_SIZE);
	COUNTED(nr_flushed() >= before + 4);
	memset(to, 0, 64);
	sync_all(map, FILE_SIZE);
	CHECK(!getentropy(to, 64));
	CHECK(!is_zero(to, 32) && !is_zero(to + 32, 32));
	sync_all(map, FILE_SIZE);
}

// More buffers than can be pinned one by one.
static void readv_of_many_buffers(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	struct iovec iov[64];
	int fd = memfd_create("data", MFD_CLOEXEC), i;
	char data[640];

	memset(data, 'd', sizeof(data));
	CHECK(write(fd, data, sizeof(data)) == sizeof(data));
	for (i = 0; i < 64; i++)
		iov[i] = (struct iovec){map + (size_t)(i * 5 % 8) * page + (size_t)i * 10, 10};
	CHECK(preadv(fd, iov, 64, 0) == sizeof(data));
	for (i = 0; i < 64; i++)
		CHECK(!memcmp(iov[i].iov_base, data, 10));
	sync_all(map, FILE_SIZE);
}

// Buffers in the mappings of more files than one pin holds.
static void readv_into_many_files(void)
{
	struct iovec iov[16];
	char *map[16], data[160];
	int fd = memfd_create("data", MFD_CLOEXEC), i;

	memset(data, 'd', sizeof(data));
	CHECK(write(fd, data, sizeof(data)) == sizeof(data));
	for (i = 0; i < 16; i++) {
		map[i] = map_new(file_new(page), 0, page);
		store_pages(map[i], 1, 'a');
		sync_all(map[i], page);
		iov[i] = (struct iovec){map[i] + 10, 10};
	}
	CHECK(preadv(fd, iov, 16, 0) == sizeof(data));
	for (i = 0; i < 16; i++) {
		CHECK(!memcmp(map[i] + 10, data, 10));
		sync_all(map[i], page);
	}
}

// More messages in one call than there are pins, each with a buffer of its own. Of a stream, because a queue of datagrams
// holds but a few.
static void recvmmsg_of_many_messages(void)
{
	struct mmsghdr msg[100];
	struct iovec iov[100];
	char *map = map_new(file_new(100 * page), 0, 100 * page), data[100 * 16];
	int pair[2], i;

	store_pages(map, 100, 'a');
	sync_all(map, 100 * page);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	for (i = 0; i < 100; i++) {
		memset(data + (size_t)i * 16, i + 1, 16);
		iov[i] = (struct iovec){map + (size_t)i * page, 16};
		msg[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
	}
	CHECK(send(pair[1], data, sizeof(data), 0) == sizeof(data));
	CHECK(recvmmsg(pair[0], msg, 100, 0, NULL) == 100);
	sync_all(map, 100 * page);
	for (i = 0; i < 100; i++)
		CHECK(msg[i].msg_len == 16 && !memcmp(iov[i].iov_base, data + (size_t)i * 16, 16));
}

// One read over the whole mapping, and one that ends outside of it.
static void read_into_all_of_the_mapping(void)
{
	int fd = file_new(FILE_SIZE), source = memfd_create("data", MFD_CLOEXEC);
	char *map = map_closed(fd), *room;
	size_t i;

	for (i = 0; i < NR_PAGES; i++)
		CHECK(pwrite(source, "r", 1, (off_t)(i * page)) == 1);
	CHECK(!ftruncate(source, (off_t)FILE_SIZE));
	CHECK(read(source, map, FILE_SIZE) == (ssize_t)FILE_SIZE);
	CHECK(pages_are(map, NR_PAGES, 'r'));
	sync_all(map, FILE_SIZE);
	room = room_for(3 * page);
	CHECK(!mprotect(room, 3 * page, PROT_READ | PROT_WRITE));
	CHECK(mmap(room + page, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == room + page);
	sync_all(map, FILE_SIZE);
	CHECK(pread(source, room, 3 * page, 0) == (ssize_t)(3 * page));
	CHECK(pages_are(room, 3, 'r'));
	sync_all(map, FILE_SIZE);
}

// A buffer that the program cannot write is EFAULT as ever.
static void read_into_readonly_page_is_efault(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	int fd = data_file();

	CHECK(!mprotect(map + page, page, PROT_READ));
	CHECK_ERRNO(pread(fd, map + page, DATA_LEN, 0), EFAULT);
	CHECK(map[page] == 'a');
	CHECK(pread(fd, map, DATA_LEN, 0) == (ssize_t)DATA_LEN);
	CHECK(!munmap(map + page, page));
	CHECK_ERRNO(pread(fd, map + page, DATA_LEN, 0), EFAULT);
	sync_all(map, page);
}

static char *shared;
static atomic_bool stop;

static void *sync_in_a_loop(void *arg)
{
	(void)arg;
	while (!stop)
		sync_all(shared, FILE_SIZE);
	return NULL;
}

// CONFORMANCE_DATAGRAMS=100000 for the long form.
static uint32_t nr_datagrams(void)
{
	const char *nr = getenv("CONFORMANCE_DATAGRAMS");

	return nr ? (uint32_t)strtoul(nr, NULL, 10) : nr_times(2000);
}

static void *send_datagrams(void *arg)
{
	int fd = *(int *)arg;
	uint32_t i, nr = nr_datagrams();

	for (i = 0; i < nr; i++)
		CHECK(send(fd, &i, sizeof(i), 0) == sizeof(i));
	return NULL;
}

// M9: a datagram that has been taken from its queue cannot be asked for again.
static void datagram_not_lost(void)
{
	uint32_t i, nr = nr_datagrams();
	int pair[2];

	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
	shared = map_closed(file_new(FILE_SIZE));
	thread_start(sync_in_a_loop, NULL);
	thread_start(send_datagrams, &pair[1]);
	for (i = 0; i < nr; i++) {
		char *to = shared + (1 + i % (NR_PAGES - 1)) * page - 2; // across two pages
		uint32_t got;

		CHECK(recv(pair[0], to, sizeof(i), 0) == sizeof(i));
		memcpy(&got, to, sizeof(got));
		CHECK(got == i);
	}
	stop = true;
	threads_join();
	sync_all(shared, FILE_SIZE);
}

struct reader {
	int fd;
	char *to;
	atomic_int tid;
};

static void *read_byte(void *arg)
{
	struct reader *reader = arg;

	reader->tid = gettid();
	CHECK(read(reader->fd, reader->to, 1) == 1);
	return NULL;
}

// A read that waits for its data has its page pinned; syncs go on meanwhile. What it brings then is there, and synced.
static void check_waiting_read(char *map, size_t len, char *to)
{
	struct reader reader = {.to = to};
	int pipes[2], i;

	CHECK(!pipe(pipes));
	reader.fd = pipes[0];
	thread_start(read_byte, &reader);
	while (!reader.tid || !is_asleep(reader.tid))
		usleep(1000);
	for (i = 0; i < 3; i++)
		sync_all(map, len);
	CHECK(write(pipes[1], "r", 1) == 1);
	threads_join();
	CHECK(*to == 'r');
	sync_all(map, len);
	close(pipes[0]);
	close(pipes[1]);
}

static void sync_while_a_read_waits(void)
{
	char *map = map_closed(file_new(FILE_SIZE));

	check_waiting_read(map, FILE_SIZE, map + page);
	check_waiting_read(map, FILE_SIZE, map + page + 1);
}

// The same where nothing has ever been closed: the first closing of a part has to keep away from it, too. A large
// mapping starts so with userfaultfd, and one with a new protection with mprotect.
static void first_sync_while_a_read_waits(void)
{
	size_t len = (size_t)128 << 20;
	char *map = map_new(file_new(len), 0, len);

	CHECK(!mprotect(map, len, PROT_READ | PROT_WRITE));
	map[page] = 'a';
	check_waiting_read(map, len, map + 2 * page);
	check_waiting_read(map, len, map + 2 * page);
}

static void *protect_and_sync(void *arg)
{
	(void)arg;
	while (!stop) {
		CHECK(!mprotect(shared, FILE_SIZE, PROT_READ | PROT_WRITE)); // with mprotect, all of it is open now
		sync_all(shared, FILE_SIZE);                                 // and closed for the first time again
	}
	return NULL;
}

// Giving a mapping the protection that it has changes nothing for a read that is under way, or begins just then.
static void read_while_protection_is_set_again(void)
{
	int fd = data_file(), nr = 0;
	double end = now() + seconds(2);

	shared = map_closed(file_new(FILE_SIZE));
	thread_start(protect_and_sync, NULL);
	for (; now() < end; nr++) {
		char *to = shared + (size_t)(1 + nr % 7) * page - 2;

		memset(to, 0, DATA_LEN);
		CHECK(pread(fd, to, DATA_LEN, 0) == (ssize_t)DATA_LEN);
		CHECK(!memcmp(to, DATA, DATA_LEN));
	}
	stop = true;
	threads_join();
	sync_all(shared, FILE_SIZE);
}

#define DIRECT_LEN ((size_t)16 << 10)

static int direct_file(void)
{
	char name[] = "/var/tmp/daxsync-direct.XXXXXX", block[4096];
	int fd = mkstemp(name), direct;
	size_t i;

	if (fd < 0)
		cell_skip("no files in /var/tmp");
	for (i = 0; i < 64 * DIRECT_LEN; i += sizeof(block)) {
		memset(block, (int)(i / DIRECT_LEN % 255 + 1), sizeof(block));
		CHECK(write(fd, block, sizeof(block)) == sizeof(block));
	}
	CHECK(!fsync(fd));
	direct = open(name, O_RDONLY | O_DIRECT | O_CLOEXEC);
	CHECK(!unlink(name) && !close(fd));
	if (direct < 0)
		cell_skip("no O_DIRECT in /var/tmp");
	return direct;
}

// A device writes to the pages a while after the kernel has made them writable: they stay open until the read is over.
static void direct_read_while_syncing(void)
{
	int fd = direct_file(), nr = 0;
	double end = now() + seconds(2);

	shared = map_closed(file_new(FILE_SIZE));
	thread_start(sync_in_a_loop, NULL);
	for (; now() < end; nr++) {
		off_t off = (off_t)(nr % 64) * (off_t)DIRECT_LEN;
		char *to = shared + (size_t)nr % 2 * DIRECT_LEN;

		CHECK(pread(fd, to, DIRECT_LEN, off) == (ssize_t)DIRECT_LEN);
		CHECK(*to == (char)(nr % 64 + 1) && !memcmp(to, to + 1, DIRECT_LEN - 1));
	}
	stop = true;
	threads_join();
	sync_all(shared, FILE_SIZE);
}

static int blocking[2];

static void *read_for_ever(void *arg)
{
	(void)arg;
	read(blocking[0], shared, 2 * page);
	return NULL;
}

// M9: what a cancelled read has pinned is let go of: the pages are closed again.
static void cancelled_read_lets_go(void)
{
	pthread_t thread;
	uint64_t traps;
	void *ret;

	shared = map_closed(file_new(FILE_SIZE));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, blocking));
	CHECK(!pthread_create(&thread, NULL, read_for_ever, NULL));
	usleep(50000); // asleep in the read or before it: both must do
	CHECK(!pthread_cancel(thread) && !pthread_join(thread, &ret) && ret == PTHREAD_CANCELED);
	sync_all(shared, FILE_SIZE);
	traps = nr_traps();
	store_pages(shared, 2, 'c');
	COUNTED(nr_traps() == traps + 2);
	sync_all(shared, FILE_SIZE);
}

static sigjmp_buf out;

static void jump_out(int sig)
{
	(void)sig;
	siglongjmp(out, 1);
}

// A handler that leaves a read for good loses nothing.
static void jump_out_of_read(void)
{
	struct sigaction act = {.sa_handler = jump_out};
	int round, pipes[2];

	shared = map_closed(file_new(FILE_SIZE));
	CHECK(!pipe(pipes) && !sigaction(SIGALRM, &act, NULL));
	for (round = 0; round < 3; round++) {
		if (!sigsetjmp(out, 1)) {
			ualarm(20000, 0);
			read(pipes[0], shared + page, 10);
		}
		store_pages(shared, NR_PAGES, (char)('a' + round));
		sync_all(shared, FILE_SIZE);
	}
	CHECK(pages_are(shared, NR_PAGES, 'c'));
}

const struct test_case cases_kernel_write[] = {
	CASE(read_into_closed_page, ALL),
	CASE(read_from_pipe_into_closed_page, ALL),
	CASE(pread_into_closed_page, ALL),
	CASE(readv_into_closed_page, ALL),
	CASE(preadv_into_closed_page, ALL),
	CASE(preadv2_into_closed_page, ALL),
	CASE(recv_into_closed_page, ALL),
	CASE(recvfrom_into_closed_page, ALL),
	CASE(recvmsg_into_closed_page, ALL),
	CASE(recvmmsg_into_closed_page, ALL),
	CASE(fread_into_closed_page, ALL),
	CASE(setvbuf_of_closed_page, ALL),
	CASE(readlink_into_closed_page, ALL),
	CASE(process_vm_readv_into_closed_page, ALL),
	CASE(getrandom_into_closed_page, ALL),
	CASE(readv_of_many_buffers, ALL),
	CASE(recvmmsg_of_many_messages, SMALL),
	CASE(readv_into_many_files, SMALL),
	CASE(read_into_all_of_the_mapping, ALL),
	CASE(read_into_readonly_page_is_efault, ALL),
	CASE(datagram_not_lost, ALL),
	CASE(sync_while_a_read_waits, ALL),
	CASE(first_sync_while_a_read_waits, SMALL),
	CASE(read_while_protection_is_set_again, ALL),
	CASE(direct_read_while_syncing, ALL),
	CASE(cancelled_read_lets_go, ALL),
	CASE(jump_out_of_read, ALL),
	END_OF_CASES,
};
