// SPDX-License-Identifier: BSD-3-Clause
// rows_file.c: files and descriptors under a mapping: writes, names, copies of descriptors, seals, mounts.
#include "corpus.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR(array) (sizeof(array) / sizeof((array)[0]))
#define RW (PROT_READ | PROT_WRITE)

static char text[3 * 4096];
static void *volatile nowhere = (void *)8; // unknown to the compiler, which warns
static volatile int minus_one = -1;

static const char *letters(char letter)
{
	memset(text, letter, sizeof(text));
	return text;
}

// The write family.

static void writes(const void *arg)
{
	int flags = *(const int *)arg, to;
	struct iovec iov[2] = {{text, 100}, {text + 200, 5000}};

	memory_make();
	memory_store();
	to = open("file", O_RDWR | O_CLOEXEC | flags);
	MUST(to >= 0);
	letters('w');
	TELL("write", write(to, text, 5000));
	TELL("position", lseek(to, 0, SEEK_CUR));
	memory_store();
	letters('v');
	TELL("writev", writev(to, iov, 2));
	letters('p');
	TELL("pwrite", pwrite(to, text, 300, 3 * PAGE + 50));
	memory_store();
	TELL("pwrite64", pwrite64(to, text, 300, 4 * PAGE - 50));
	letters('q');
	TELL("pwritev", pwritev(to, iov, 2, 5 * PAGE - 1));
	TELL("pwritev64", pwritev64(to, iov, 1, 7 * PAGE));
	TELL("position", lseek(to, 0, SEEK_CUR));
	after();
	letters('l');
	TELL("last", pwrite(to, text, 5000, SIZE - 100));
	store(map + 3, 's');
	after();
}

static void writes_with_flags(const void *arg)
{
	int flags = *(const int *)arg;
	struct iovec iov[2] = {{text, 100}, {text + 200, 5000}};

	memory_make();
	memory_store();
	letters('w');
	TELL("at", pwritev2(fd, iov, 2, 2 * PAGE + 10, flags));
	memory_store();
	letters('x');
	TELL("seek", lseek(fd, 4 * PAGE, SEEK_SET));
	TELL("position", pwritev2(fd, iov, 1, -1, flags));
	TELL("position", lseek(fd, 0, SEEK_CUR));
	TELL("64", pwritev64v2(fd, iov, 1, 6 * PAGE, flags));
	after();
}

static void write_errors(const void *arg)
{
	struct iovec bad[2] = {{text, 100}, {nowhere, 100}};

	(void)arg;
	memory_make();
	memory_store();
	letters('e');
	TELL("read only", write(open("file", O_RDONLY | O_CLOEXEC), text, 10));
	TELL("bad", write(999, text, 10));
	TELL("path", write(open("file", O_PATH | O_CLOEXEC), text, 10));
	TELL("nowhere", write(fd, nowhere, 10));
	TELL("half", writev(fd, bad, 2));
	TELL("position", lseek(fd, 0, SEEK_CUR));
	TELL("nothing", write(fd, text, 0));
	TELL("negative", pwrite(fd, text, 10, -5));
	TELL("vectors", pwritev(fd, bad, minus_one, 0));
	TELL("beyond", pwrite(fd, text, 10, 9 * PAGE));
	after();
}

// The program's own mapping as the buffer, and a buffer that ends in a hole.
static void write_from_the_mapping(const void *arg)
{
	(void)arg;
	memory_make();
	memory_store();
	TELL("shifted", pwrite(fd, map, 2 * PAGE, 100));
	TELL("append", pwrite(fd, map + 5 * PAGE, 3 * PAGE, SIZE));
	MUST(!munmap(map + 4 * PAGE, PAGE));
	TELL("hole", pwrite(fd, map + 3 * PAGE, 2 * PAGE, 6 * PAGE));
	TELL("mapping", pwrite(fd, map + 4 * PAGE, 10, 6 * PAGE));
	after();
}

static void write_limited(const void *arg)
{
	struct rlimit limit = {SIZE + 100, SIZE + 100};

	(void)arg;
	memory_make();
	memory_store();
	MUST(!setrlimit(RLIMIT_FSIZE, &limit) && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	letters('f');
	TELL("to the limit", pwrite(fd, text, 1000, SIZE));
	TELL("beyond", pwrite(fd, text, 1000, SIZE + 200));
	TELL("ftruncate", ftruncate(fd, 2 * SIZE));
	TELL("fallocate", fallocate(fd, 0, 0, 2 * SIZE));
	tell_errno("posix_fallocate", posix_fallocate(fd, 0, 2 * SIZE));
	after();
	signal(SIGXFSZ, SIG_DFL);
	TELL("beyond", pwrite(fd, text, 1000, SIZE + 200));
}

static void write_direct(const void *arg)
{
	char *buf;
	int direct;

	(void)arg;
	memory_make();
	memory_store();
	direct = open("file", O_RDWR | O_DIRECT | O_CLOEXEC);
	if (direct < 0) {
		TELL("open", open("file", O_RDWR | O_DIRECT | O_CLOEXEC));
		return;
	}
	MUST(!posix_memalign((void **)&buf, PAGE, PAGE));
	memset(buf, 'd', PAGE);
	TELL("write", pwrite(direct, buf, PAGE, 3 * PAGE));
	TELL("from the mapping", pwrite(direct, map + PAGE, PAGE, 5 * PAGE));
	TELL("into the mapping", pread(direct, map + 6 * PAGE, PAGE, 3 * PAGE));
	after();
}

static void streams(const void *arg)
{
	FILE *file;

	memory_make();
	memory_store();
	file = fopen("file", arg);
	MUST(file);
	letters('f');
	TELL("fseek", fseek(file, 2 * PAGE + 5, SEEK_SET));
	TELL("fwrite", (long)fwrite(text, 1, 6000, file));
	memory_store();
	TELL("fprintf", fprintf(file, "%s", "printed"));
	TELL("fflush", fflush(file));
	TELL("fsync", fsync(fileno(file)));
	memory_store();
	TELL("fputs", fputs("put", file) >= 0);
	TELL("fclose", fclose(file));
	after();
}

// Copies inside the kernel.

static int source_new(void)
{
	int source = file_new("source", 0);
	size_t i;

	for (i = 0; i < 4; i++)
		MUST(pwrite(source, letters((char)('A' + i)), PAGE, (off_t)(i * PAGE)) == (ssize_t)PAGE);
	return source;
}

static void copy_range(const void *arg)
{
	off64_t in = PAGE + 10, out = 3 * PAGE + 20;
	int source = source_new(), append;

	(void)arg;
	memory_make();
	memory_store();
	append = open("file", O_WRONLY | O_APPEND | O_CLOEXEC);
	TELL("offsets", copy_file_range(source, &in, fd, &out, 5000, 0));
	TELL("in", in);
	TELL("out", out);
	TELL("seek", lseek(fd, 6 * PAGE, SEEK_SET));
	TELL("positions", copy_file_range(source, NULL, fd, NULL, 3000, 0));
	TELL("position", lseek(fd, 0, SEEK_CUR));
	memory_store();
	in = 0, out = 4 * PAGE;
	TELL("itself", copy_file_range(fd, &in, fd, &out, 2 * PAGE, 0));
	in = 0, out = PAGE;
	TELL("overlap", copy_file_range(fd, &in, fd, &out, 2 * PAGE, 0));
	TELL("flags", copy_file_range(source, NULL, fd, NULL, 10, 1));
	TELL("append", copy_file_range(source, NULL, append, NULL, 10, 0));
	TELL("bad", copy_file_range(source, NULL, 999, NULL, 10, 0));
	TELL("none", copy_file_range(source, NULL, fd, NULL, 0, 0));
	in = 0;
	TELL("out of it", copy_file_range(fd, &in, source, NULL, 3 * PAGE, 0));
	after();
	say_file("source", source);
}

static void send_file(const void *arg)
{
	int source = source_new(), append;
	off_t off = 100;

	(void)arg;
	memory_make();
	memory_store();
	append = open("file", O_WRONLY | O_APPEND | O_CLOEXEC);
	MUST(lseek(fd, 2 * PAGE, SEEK_SET) == 2 * PAGE);
	TELL("sendfile", sendfile(fd, source, &off, 5000));
	TELL("offset", off);
	TELL("position", lseek(fd, 0, SEEK_CUR));
	memory_store();
	TELL("sendfile64", sendfile64(fd, source, NULL, 300));
	TELL("append", sendfile(append, source, NULL, 10));
	TELL("bad", sendfile(fd, 999, NULL, 10));
	TELL("read only", sendfile(open("file", O_RDONLY | O_CLOEXEC), source, NULL, 10));
	off = PAGE;
	TELL("out of it", sendfile(source, fd, &off, 2 * PAGE));
	after();
	say_file("source", source);
}

static void splices(const void *arg)
{
	int pipes[2], more[2];
	off64_t off = 2 * PAGE + 7;
	struct iovec iov = {NULL, 300};
	char buf[8192];

	(void)arg;
	memory_make();
	memory_store();
	MUST(!pipe(pipes) && !pipe(more) && write(pipes[1], letters('s'), 6000) == 6000);
	TELL("into it", splice(pipes[0], NULL, fd, &off, 5000, 0));
	TELL("offset", off);
	MUST(lseek(fd, 6 * PAGE, SEEK_SET) == 6 * PAGE);
	TELL("at position", splice(pipes[0], NULL, fd, NULL, 1000, 0));
	TELL("position", lseek(fd, 0, SEEK_CUR));
	memory_store();
	off = PAGE;
	TELL("out of it", splice(fd, &off, pipes[1], NULL, 3000, 0));
	TELL("tee", tee(pipes[0], more[1], 3000, 0));
	iov.iov_base = map + 5 * PAGE;
	TELL("vmsplice", vmsplice(more[1], &iov, 1, 0));
	TELL("read", read(more[0], map + 3 * PAGE + 100, 3300));
	TELL("read", read(pipes[0], buf, sizeof(buf)));
	TELL("two files", splice(fd, NULL, fd, NULL, 10, 0));
	after();
}

// Names.

static void names(const void *arg)
{
	const char *how = arg;
	int other = source_new();

	memory_make();
	memory_store();
	if (!strcmp(how, "rename_over_it"))
		TELL("rename", rename("source", "file"));
	else if (!strcmp(how, "rename_it"))
		TELL("rename", rename("file", "moved"));
	else if (!strcmp(how, "rename_it_over"))
		TELL("rename", rename("file", "source"));
	else if (!strcmp(how, "exchange"))
		TELL("exchange", renameat2(AT_FDCWD, "file", AT_FDCWD, "source", RENAME_EXCHANGE));
	else if (!strcmp(how, "unlink"))
		TELL("unlink", unlink("file"));
	else if (!strcmp(how, "link"))
		TELL("link", link("file", "second") || unlink("file"));
	else if (!strcmp(how, "chmod"))
		TELL("chmod", chmod("file", 0000));
	after();
	memory_store();
	TELL("truncate", truncate("file", 2 * PAGE));
	TELL("open", open("file", O_RDWR | O_CREAT, 0644) < 0 ? -1 : 0);
	TELL("msync", msync(map, SIZE, MS_SYNC));
	say_file("other", other);
	after();
}

static void new_file_of_the_name(const void *arg)
{
	char *second;
	int again;

	(void)arg;
	memory_make();
	memory_store();
	MUST(!unlink("file"));
	again = file_new("file", SIZE);
	second = map_new("second", again, 0, SIZE);
	fill(second, NR_PAGES, 4, 'n');
	TELL("msync", msync(second, SIZE, MS_SYNC));
	fill(second, 4, 5, 'N');
	after();
	TELL("fsync", fsync(again));
	say_file("second", again);
}

// File systems that give a number to the next file at once.
static void numbers_used_again(const void *arg)
{
	char *addr;
	int i, each;

	(void)arg;
	for (i = 0; i < 30; i++) {
		each = file_new("each", (size_t)(1 + i % 5) * PAGE);
		addr = map_new("each", each, 0, (size_t)(1 + i % 5) * PAGE);
		say_memory("fresh", addr, (size_t)(1 + i % 5) * PAGE);
		fill(addr, (size_t)(1 + i % 5), 3, (char)('A' + i));
		if (i % 3)
			MUST(!msync(addr, PAGE, MS_SYNC));
		if (i % 2)
			fill(addr, 1, 4, 'z');
		MUST(i % 4 || !munmap(addr, PAGE));
		MUST(i % 4 == 1 || !close(each));
		MUST(!unlink("each"));
		if (i % 4)
			say_memory("last", addr, (size_t)(1 + i % 5) * PAGE);
	}
}

// Descriptors.

static int copied(const char *how)
{
	if (!strcmp(how, "dup"))
		return dup(fd);
	if (!strcmp(how, "dup2"))
		return dup2(fd, 77);
	if (!strcmp(how, "dup3"))
		return dup3(fd, 77, O_CLOEXEC);
	if (!strcmp(how, "f_dupfd"))
		return fcntl(fd, F_DUPFD, 50);
	if (!strcmp(how, "f_dupfd_cloexec"))
		return fcntl(fd, F_DUPFD_CLOEXEC, 50);
	if (!strcmp(how, "pidfd_getfd"))
		return (int)syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, getpid(), 0), fd, 0);
	if (!strcmp(how, "again"))
		return open("file", O_RDWR);
	MUST(!strcmp(how, "read_only"));
	return open("file", O_RDONLY);
}

static void copies(const void *arg)
{
	int copy;

	memory_make();
	memory_store();
	copy = copied(arg);
	TELL("copy", copy);
	MUST(copy >= 0 && !close(fd));
	TELL("closed", fsync(fd));
	TELL("fsync", fsync(copy));
	fd = copy;
	memory_store();
	TELL("fdatasync", fdatasync(copy));
	after();
}

static int by_path(const char *format)
{
	char path[64];

	snprintf(path, sizeof(path), format, fd);
	return open(path, O_RDWR | O_CLOEXEC);
}

static void descriptor_paths(const void *arg)
{
	char path[64], *second;
	int again;

	memory_make();
	memory_store();
	again = by_path(arg);
	MUST(again >= 0);
	second = map_new("second", again, 2 * PAGE, 4 * PAGE);
	fill(second, 4, 6, 'f');
	TELL("msync", msync(second, 4 * PAGE, MS_SYNC));
	fill(second, 2, 7, 'g');
	snprintf(path, sizeof(path), arg, again);
	TELL("truncate", truncate(path, 5 * PAGE));
	TELL("close", close(fd));
	fd = again;
	after();
	TELL("o_trunc", close(open(path, O_WRONLY | O_TRUNC)));
	after();
}

static void closed_before(const void *arg)
{
	int other;

	(void)arg;
	memory_make();
	memory_store();
	MUST(!close(fd));
	TELL("msync", msync(map, SIZE, MS_SYNC));
	memory_store();
	fill(map, 2, 8, 'x');
	other = open("other", O_RDWR | O_CREAT | O_CLOEXEC, 0644); // the number again
	TELL("number", other == fd);
	TELL("fsync", fsync(other));
	say_file("other", other);
	fd = open("file", O_RDWR | O_CLOEXEC);
	after();
}

// What a program sees of the numbers of descriptors, except for the highest, which are the library's.
static void say_descriptors(void)
{
	int i, nr = 0;

	for (i = 0; i < 256; i++)
		nr += fcntl(i, F_GETFD) >= 0;
	TELL("open", nr);
	TELL("next", dup(fcntl(0, F_GETFD) >= 0 ? 0 : fd));
}

static void close_many(const void *arg)
{
	const char *how = arg;
	int i, nr = 0;

	memory_make();
	memory_store();
	for (i = 0; i < 10; i++)
		MUST(dup(fd) >= 0);
	say_descriptors();
	if (!strcmp(how, "close_range"))
		TELL("close_range", close_range(3, ~0U, 0));
	else if (!strcmp(how, "close_range_cloexec"))
		TELL("close_range", close_range(3, ~0U, CLOSE_RANGE_CLOEXEC));
	else if (!strcmp(how, "close_range_unshare"))
		TELL("close_range", close_range(3, ~0U, CLOSE_RANGE_UNSHARE));
	else if (!strcmp(how, "close_range_errors"))
		TELL("close_range", close_range(9, 3, 0) + close_range(3, 9, 128));
	else if (!strcmp(how, "closefrom"))
		closefrom(3);
	else
		for (i = 3; i < 1024; i++)
			nr += !close(i);
	TELL("closed", nr);
	say_descriptors();
	fill(map, 3, 9, 'k');
	TELL("msync", msync(map, SIZE, MS_SYNC));
	fd = open("file", O_RDWR);
	TELL("number", fd);
	after();
}

// Descriptors on their way to another process.

static void send_descriptor(int socket, int what)
{
	char byte = 'x', room[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);

	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(control), &what, sizeof(int));
	MUST(sendmsg(socket, &message, 0) == 1);
}

// Receives into the mapping: the byte, and the control data.
static int receive_descriptor(int socket, char *where)
{
	struct iovec iov = {where, 1};
	char *room = where + 64;
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = 64};
	int what;

	MUST(recvmsg(socket, &message, 0) == 1 && message.msg_controllen);
	memcpy(&what, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	memset(room, 0, 64); // the number is not the row's to say
	return what;
}

static int sockets[2];

static void receive_and_store(void)
{
	char *own = mmap(NULL, PAGE, RW, MAP_SHARED, file_new("own", PAGE), 0);
	int received = receive_descriptor(sockets[1], own);
	char *second = mmap(NULL, SIZE, RW, MAP_SHARED, received, 0);

	MUST(second != MAP_FAILED);
	fill(second, 4, 10, 'r');
	TELL("msync", msync(second, SIZE, MS_SYNC));
	fill(second, 2, 11, 's');
	TELL("fsync", fsync(received));
	say_memory("own", own, PAGE);
}

static void passed_to_a_child(const void *arg)
{
	(void)arg;
	memory_make();
	memory_store();
	MUST(!socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	send_descriptor(sockets[0], fd);
	in_child("child", receive_and_store);
	after();
}

static void passed_to_itself(const void *arg)
{
	int received;

	(void)arg;
	memory_make();
	memory_store();
	MUST(!socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	send_descriptor(sockets[0], fd);
	MUST(!close(fd));
	received = receive_descriptor(sockets[1], map + 4 * PAGE + 1000);
	fd = received;
	memory_store();
	after();
}

// memfd, and its seals.

static void seals(const void *arg)
{
	int seal = *(const int *)arg;
	char *second;

	fd = memfd_create("corpus", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	MUST(fd >= 0 && !ftruncate(fd, SIZE));
	map = map_new("map", fd, 0, SIZE);
	fill(map, NR_PAGES, 1, 'a');
	MUST(!msync(map, SIZE, MS_SYNC));
	memory_store();
	TELL("seal", fcntl(fd, F_ADD_SEALS, seal));
	TELL("seals", fcntl(fd, F_GET_SEALS));
	TELL("write", pwrite(fd, letters('w'), 10, 3 * PAGE));
	TELL("shrink", ftruncate(fd, 6 * PAGE));
	TELL("grow", ftruncate(fd, 10 * PAGE));
	TELL("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE));
	after();
	second = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	tell_mmap("second", second == MAP_FAILED ? second : map);
	TELL("munmap", second != MAP_FAILED && munmap(second, SIZE));
	second = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	tell_mmap("read only", second == MAP_FAILED ? second : map);
	if (second != MAP_FAILED)
		TELL("mprotect", mprotect(second, SIZE, RW));
	TELL("munmap", second != MAP_FAILED && munmap(second, SIZE));
	TELL("munmap", munmap(map, SIZE));
	TELL("seal", fcntl(fd, F_ADD_SEALS, seal));
	TELL("seals", fcntl(fd, F_GET_SEALS));
	TELL("write", pwrite(fd, letters('W'), 10, 3 * PAGE));
	say_file("file", fd);
}

// Who else has a file open: locks, leases, a program that cannot be executed, a file system that cannot be unmounted.

static void say_lock(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};

	MUST(!fcntl(open("file", O_RDWR), F_GETLK, &lock));
	TELL("lock", lock.l_type);
	TELL("flock", flock(open("file", O_RDWR), LOCK_EX | LOCK_NB));
}

static void locks(const void *arg)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 100};
	int locked = file_new("other", SIZE);

	(void)arg;
	memory_make();
	TELL("lock", fcntl(fd, F_SETLK, &lock));
	TELL("flock", flock(fd, LOCK_EX));
	memory_store();
	after();
	in_child("child", say_lock);
	TELL("lock", fcntl(locked, F_SETLK, &lock));
	map_new("other", locked, 0, SIZE);
	TELL("fsync", fsync(locked));
	TELL("munmap", munmap(map, SIZE));
	in_child("child", say_lock);
	TELL("close", close(fd));
	in_child("child", say_lock);
	TELL("lock", fcntl(locked, F_SETLK, &lock));
}

// No syncs meanwhile: behind them the verifier opens the file to read it.
static void leases(const void *arg)
{
	(void)arg;
	memory_make();
	after();
	TELL("lease", fcntl(fd, F_SETLEASE, F_WRLCK));
	TELL("lease", fcntl(fd, F_GETLEASE));
	memory_store();
	TELL("unlock", fcntl(fd, F_SETLEASE, F_UNLCK));
	TELL("read", fcntl(open("file", O_RDONLY), F_SETLEASE, F_RDLCK));
	TELL("munmap", munmap(map, SIZE));
	TELL("close", close(fd));
	TELL("read", fcntl(open("file", O_RDONLY), F_SETLEASE, F_RDLCK));
}

static void program_new(const char *name)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0755);
	char buf[4096], *addr;
	ssize_t nr;

	MUST(from >= 0 && to >= 0);
	while ((nr = read(from, buf, sizeof(buf))) > 0)
		MUST(write(to, buf, (size_t)nr) == nr);
	addr = map_new("program", to, 0, PAGE);
	((volatile char *)addr)[0] = 0x7f;
	TELL("msync", msync(addr, PAGE, MS_SYNC));
	((volatile char *)addr)[1] = 'E';
	MUST(!munmap(addr, PAGE) && !close(to));
}

static void execute_program(void)
{
	execl("./program", "program", (char *)NULL);
	TELL("execl", -1);
}

static void mapped_program(const void *arg)
{
	int again;

	(void)arg;
	program_new("program");
	close(2);
	in_child("usage", execute_program);
	again = open("program", O_RDWR | O_CLOEXEC);
	in_child("busy", execute_program);
	map_new("program", again, 0, PAGE);
	MUST(!close(again));
	in_child("mapped", execute_program);
}

// Mounts, in a namespace of the row's own.

static void mounts_own(void)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		skip("needs to be root, for mounts");
	MUST(!mkdir("mounted", 0755) && !mkdir("bound", 0755));
	if (mount("tmpfs", "mounted", "tmpfs", 0, "size=16m"))
		skip("no file system can be mounted");
}

static void unmounts(const void *arg)
{
	(void)arg;
	mounts_own();
	MUST(!chdir("mounted"));
	fd = file_new("file", SIZE);
	map = map_new("map", fd, 0, SIZE);
	memory_store();
	after();
	MUST(!chdir(".."));
	TELL("mapped", umount("mounted"));
	TELL("munmap", munmap(map, SIZE));
	TELL("open", umount("mounted"));
	TELL("close", close(fd));
	TELL("closed", umount("mounted"));
}

static void bind_mount(const void *arg)
{
	char *second;
	int bound;

	(void)arg;
	mounts_own();
	memory_make();
	memory_store();
	TELL("bind", mount(".", "bound", NULL, MS_BIND, NULL));
	bound = open("bound/file", O_RDWR | O_CLOEXEC);
	second = map_new("second", bound, 0, SIZE);
	fill(second, NR_PAGES, 12, 'B');
	TELL("msync", msync(second, SIZE, MS_SYNC));
	memory_store();
	fill(second, 2, 13, 'C');
	TELL("fsync", fsync(bound));
	TELL("truncate", truncate("bound/file", 6 * PAGE));
	after();
}

static void overlay(const void *arg)
{
	char *lower, *second;

	(void)arg;
	mounts_own();
	MUST(!chdir("mounted") && !mkdir("lower", 0755) && !mkdir("upper", 0755) && !mkdir("work", 0755));
	MUST(!mkdir("over", 0755));
	lower = map_new("lower", file_new("lower/file", SIZE), 0, SIZE);
	fill(lower, NR_PAGES, 1, 'l');
	TELL("msync", msync(lower, SIZE, MS_SYNC));
	if (mount("overlay", "over", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work"))
		skip("no overlay can be mounted");
	second = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, open("over/file", O_RDONLY | O_CLOEXEC), 0);
	region("second", second, SIZE);
	say_memory("second", second, SIZE);
	fd = open("over/file", O_RDWR | O_CLOEXEC); // copies it up
	map = map_new("map", fd, 0, SIZE);
	memory_store();
	TELL("msync", msync(map, SIZE, MS_SYNC));
	memory_store();
	fill(map, 4, 14, 'o');
	after();
	TELL("truncate", truncate("over/file", 6 * PAGE));
	after();
	say_memory("second", second, SIZE);
	say_memory("lower", lower, SIZE);
	TELL("rename", rename("over/file", "over/moved"));
	TELL("write", pwrite(fd, letters('O'), 100, 2 * PAGE));
	after();
}

static void rows_write(void)
{
	static const int open_flags[] = {0, O_APPEND, O_DSYNC, O_SYNC, O_NOATIME};
	static const int flags[] = {0,    RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_NOWAIT, RWF_APPEND, RWF_APPEND | RWF_SYNC,
				    0x20, 0x40,      0x80,      1 << 30};
	static const char *const modes[] = {"r+", "a", "r+e", "a+"};
	char name[64];
	size_t i;

	for (i = 0; i < NR(open_flags); i++) {
		snprintf(name, sizeof(name), "file/write/%x", (unsigned)open_flags[i]);
		row(name, writes, &open_flags[i]);
	}
	for (i = 0; i < NR(flags); i++) {
		snprintf(name, sizeof(name), "file/pwritev2/%x", (unsigned)flags[i]);
		row(name, writes_with_flags, &flags[i]);
	}
	row("file/write/errors", write_errors, NULL);
	row("file/write/from_the_mapping", write_from_the_mapping, NULL);
	row("file/write/limited", write_limited, NULL);
	row("file/write/direct", write_direct, NULL);
	for (i = 0; i < NR(modes); i++) {
		snprintf(name, sizeof(name), "file/stream/%s", modes[i]);
		row(name, streams, modes[i]);
	}
	row("file/copy_file_range", copy_range, NULL);
	row("file/sendfile", send_file, NULL);
	row("file/splice", splices, NULL);
}

static void rows_name(void)
{
	static const char *const ways[] = {"rename_over_it", "rename_it", "rename_it_over", "exchange",
					   "unlink",         "link",      "chmod"};
	char name[64];
	size_t i;

	for (i = 0; i < NR(ways); i++) {
		snprintf(name, sizeof(name), "file/name/%s", ways[i]);
		row(name, names, ways[i]);
	}
	row("file/name/new_file", new_file_of_the_name, NULL);
	row("file/numbers_used_again", numbers_used_again, NULL);
}

static void rows_descriptor(void)
{
	static const char *const ways[] = {"dup",         "dup2",  "dup3",     "f_dupfd", "f_dupfd_cloexec",
					   "pidfd_getfd", "again", "read_only"};
	static const char *const closes[] = {"close_range",        "close_range_cloexec", "close_range_unshare",
					     "close_range_errors", "closefrom",           "loop"};
	static const char *const paths[] = {"/proc/self/fd/%d", "/dev/fd/%d", "/proc/thread-self/fd/%d"};
	char name[64];
	size_t i;

	for (i = 0; i < NR(ways); i++) {
		snprintf(name, sizeof(name), "file/descriptor/%s", ways[i]);
		row(name, copies, ways[i]);
	}
	for (i = 0; i < NR(closes); i++) {
		snprintf(name, sizeof(name), "file/close/%s", closes[i]);
		row(name, close_many, closes[i]);
	}
	for (i = 0; i < NR(paths); i++) {
		snprintf(name, sizeof(name), "file/path/%zu", i);
		row(name, descriptor_paths, paths[i]);
	}
	row("file/close/before_the_sync", closed_before, NULL);
	row("file/passed/to_a_child", passed_to_a_child, NULL);
	row("file/passed/to_itself", passed_to_itself, NULL);
}

void rows_file(void)
{
	static const int all_seals[] = {F_SEAL_WRITE,
					F_SEAL_FUTURE_WRITE,
					F_SEAL_GROW,
					F_SEAL_SHRINK,
					F_SEAL_SEAL,
					F_SEAL_GROW | F_SEAL_SHRINK,
					0x20,
					0,
					F_SEAL_WRITE | F_SEAL_SEAL};
	char name[64];
	size_t i;

	rows_write();
	rows_name();
	rows_descriptor();
	for (i = 0; i < NR(all_seals); i++) {
		snprintf(name, sizeof(name), "file/seal/%x", (unsigned)all_seals[i]);
		row(name, seals, &all_seals[i]);
	}
	row("file/locks", locks, NULL);
	row("file/leases", leases, NULL);
	row("file/program", mapped_program, NULL);
	row("file/unmounts", unmounts, NULL);
	row("file/bind_mount", bind_mount, NULL);
	row("file/overlay", overlay, NULL);
}
