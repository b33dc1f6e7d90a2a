// SPDX-License-Identifier: BSD-3-Clause
// processes.c: several processes that write one file, under the shim with the verifier on.
//
//   processes CASE FILE [TIMES]    runs a case on a new file
//   processes mode FILE            maps it and prints its mode and why, before and after an fsync
//   processes hold FILE            maps it, stores to it, says so, and waits for the end of its input
//   processes fork_and_hold FILE   the same, and a child with it
//
// Durable means: in the image that the verifier keeps for all processes of the run (DAXSYNC_IMAGE_DIR).
// Exit status: 0; 1 if a case has failed.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <daxsync/daxsync.h>

#define PAGE ((size_t)4096)
#define NR_PAGES ((size_t)64)
#define SIZE (NR_PAGES * PAGE)
#define PEER_PAGES 32 // the first pages are the cases' own, the rest is the peers'

static const char *path;
static int times = 100;
static int fd;
static char *map;

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "processes.c:%d: not so: %s (errno %d)\n", __LINE__, #condition, errno);       \
			_exit(1);                                                                                      \
		}                                                                                                      \
	} while (0)

static int mode(void)
{
	static int (*get)(const void *);

	if (!get)
		*(void **)&get = dlsym(RTLD_DEFAULT, "daxsync_mode_of");
	CHECK(get);
	return get(map);
}

static bool is_kernel(void)
{
	return mode() == DAXSYNC_MODE_KERNEL;
}

static bool is_served(void)
{
	return mode() > DAXSYNC_MODE_KERNEL;
}

static const char *reason(void)
{
	const char *(*get)(const void *);

	*(void **)&get = dlsym(RTLD_DEFAULT, "daxsync_reason_of");
	CHECK(get);
	return get(map);
}

static void file_map(void)
{
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && !ftruncate(fd, (off_t)SIZE));
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
}

static void store(size_t first, size_t nr, char value)
{
	for (; nr; nr--, first++)
		((volatile char *)map)[first * PAGE + 100] = value;
}

static void sync_all(void)
{
	CHECK(!msync(map, SIZE, MS_SYNC));
}

// Of a page, as a power cut would leave it.
static char durable(size_t page)
{
	char image[4096];
	struct stat st;
	char value = 0;
	int image_fd;

	CHECK(!stat(path, &st));
	snprintf(image, sizeof(image), "%s/%s.%lx-%lx", getenv("DAXSYNC_IMAGE_DIR"), strrchr(path, '/') + 1,
		 (long)st.st_dev, (long)st.st_ino);
	image_fd = open(image, O_RDONLY | O_CLOEXEC);
	CHECK(image_fd >= 0);
	CHECK(pread(image_fd, &value, 1, (off_t)(page * PAGE + 100)) == 1);
	close(image_fd);
	return value;
}

static bool all_durable(void)
{
	size_t i;

	for (i = 0; i < NR_PAGES; i++)
		if (durable(i) != map[i * PAGE + 100])
			return false;
	return true;
}

// The mode comes back, and then tracking is what finds the stores. Not always at once: the emulator's tasks may outlive a
// process that was killed, and a child executes some time after its fork.
static void check_comes_back(void)
{
	int i;

	CHECK(!fsync(fd));
	for (i = 0; i < 1000 && !is_served(); i++) {
		usleep(10000);
		CHECK(!fsync(fd));
	}
	CHECK(is_served());
	CHECK(all_durable());
	store(0, NR_PAGES, 'x');
	sync_all();
	store(0, NR_PAGES, 'y');
	sync_all();
	CHECK(is_served());
	CHECK(all_durable());
}

// A process that was not forked from this one's memory, and does what it is told, letter by letter.
struct peer {
	pid_t pid;
	int fd;
};

static struct peer peer_start(void)
{
	char *argv[] = {"processes", "--peer", (char *)path, NULL};
	posix_spawn_file_actions_t actions;
	struct peer peer;
	int pair[2];

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pair[1], 0);
	CHECK(!posix_spawn(&peer.pid, "/proc/self/exe", &actions, NULL, argv, environ));
	posix_spawn_file_actions_destroy(&actions);
	close(pair[1]);
	peer.fd = pair[0];
	return peer;
}

static void peer_tell(struct peer *peer, char what)
{
	CHECK(write(peer->fd, &what, 1) == 1);
}

static char peer_hear(struct peer *peer)
{
	char answer;

	CHECK(read(peer->fd, &answer, 1) == 1);
	return answer;
}

static char peer_do(struct peer *peer, char what)
{
	peer_tell(peer, what);
	return peer_hear(peer);
}

static int peer_wait(struct peer *peer)
{
	int status;

	CHECK(waitpid(peer->pid, &status, 0) == peer->pid);
	close(peer->fd);
	return status;
}

static void peer_end(struct peer *peer)
{
	peer_tell(peer, 'q');
	CHECK(peer_wait(peer) == 0);
}

static void peer_kill(struct peer *peer)
{
	CHECK(!kill(peer->pid, SIGKILL));
	CHECK(WIFSIGNALED(peer_wait(peer)));
}

static void peer_loop(void)
{
	char value = 1;

	for (;; value++) {
		store(PEER_PAGES, NR_PAGES - PEER_PAGES, value);
		sync_all();
	}
}

static void peer_cuts(void)
{
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	for (;;) {
		CHECK(!ftruncate(fd, (off_t)(PEER_PAGES * PAGE)));
		CHECK(!ftruncate(fd, (off_t)SIZE));
	}
}

static bool peer_act(char what)
{
	static char value = 'a';

	switch (what) {
	case 'm': // map
		file_map();
		break;
	case 'M': // map, and store at once
		file_map();
		store(PEER_PAGES, NR_PAGES - PEER_PAGES, value++);
		break;
	case 'u': // unmap
		CHECK(!munmap(map, SIZE));
		close(fd);
		break;
	case 's': // store
		store(PEER_PAGES, NR_PAGES - PEER_PAGES, value++);
		break;
	case 'y': // sync
		sync_all();
		break;
	case 'f':
		CHECK(!fsync(fd));
		break;
	case 'd':
		CHECK(!daemon(1, 1));
		break;
	case 'k': // tell whether its mode is `kernel`
		what = is_kernel() ? 'k' : 's';
		break;
	case 'l': // store and sync until killed
		CHECK(write(0, &what, 1) == 1);
		peer_loop();
		break;
	case 't': // cut the file off, and let it grow again, until killed
		CHECK(write(0, &what, 1) == 1);
		peer_cuts();
		break;
	case 'q':
		return false;
	}
	CHECK(write(0, &what, 1) == 1);
	return true;
}

static void peer_run(void)
{
	char what;

	while (read(0, &what, 1) == 1 && peer_act(what))
		;
}

static void second_writer_comes_and_goes(void)
{
	struct peer peer;

	file_map();
	store(0, NR_PAGES, '0');
	sync_all();
	CHECK(is_served());
	peer = peer_start();
	CHECK(is_served());
	peer_do(&peer, 'm');
	CHECK(is_kernel());
	CHECK(peer_do(&peer, 'k') == 'k');
	peer_do(&peer, 's');
	store(0, PEER_PAGES, '1');
	CHECK(!all_durable());
	sync_all(); // one syncs what both have stored
	CHECK(all_durable());
	peer_do(&peer, 's');
	store(0, PEER_PAGES, '2');
	peer_do(&peer, 'y');
	CHECK(all_durable());
	CHECK(!fsync(fd));
	CHECK(is_kernel()); // it is still there
	peer_do(&peer, 's');
	peer_do(&peer, 'u');
	CHECK(is_kernel()); // what it has stored is not known to be durable
	CHECK(!msync(map, PAGE, MS_SYNC));
	CHECK(is_kernel()); // a part is not enough
	sync_all();
	CHECK(is_served());
	CHECK(all_durable());
	peer_end(&peer);
	check_comes_back();
}

// Who has mapped first leaves; the second one stays and is alone.
static void first_writer_leaves(void)
{
	struct peer peer = peer_start();

	peer_do(&peer, 'm');
	CHECK(peer_do(&peer, 'k') == 's');
	file_map();
	CHECK(is_kernel());
	CHECK(peer_do(&peer, 'k') == 'k');
	peer_do(&peer, 's');
	peer_end(&peer);
	CHECK(is_kernel());
	check_comes_back();
}

static void writers_are_killed_while_others_sync(void)
{
	struct peer peer[3];
	int i, k;

	file_map();
	for (i = 0; i < 3; i++) {
		peer[i] = peer_start();
		peer_do(&peer[i], 'm');
		peer_do(&peer[i], 'l');
	}
	for (i = 0; i < times; i++) {
		store(0, PEER_PAGES, (char)i);
		sync_all();
		for (k = 0; k < PEER_PAGES; k++)
			CHECK(durable((size_t)k) == (char)i);
		CHECK(is_kernel());
		if (i % 10)
			continue;
		k = i / 10 % 3;
		peer_kill(&peer[k]);
		peer[k] = peer_start();
		peer_do(&peer[k], 'm');
		peer_do(&peer[k], 'l');
	}
	for (i = 0; i < 3; i++)
		peer_kill(&peer[i]);
	CHECK(is_kernel());
	check_comes_back();
}

// What somebody has stored who was killed, the next one's first sync makes durable, as the kernel's would.
static void only_writer_is_killed(void)
{
	struct peer peer = peer_start();

	peer_do(&peer, 'm');
	peer_do(&peer, 's');
	peer_kill(&peer);
	file_map();
	CHECK(is_kernel());
	CHECK(!all_durable());
	sync_all();
	CHECK(all_durable());
	check_comes_back();
}

static volatile bool stop;

static void *storing(void *arg)
{
	size_t page = (size_t)(uintptr_t)arg, i;

	for (i = 0; !stop; i++)
		store(page + i % 7, 1, (char)i);
	return NULL;
}

static void *syncing(void *arg)
{
	(void)arg;
	while (!stop)
		sync_all();
	return NULL;
}

// They come, store and go while a thread here syncs all the time.
static void many_short_lived_writers(void)
{
	struct peer peer;
	pthread_t thread;
	int i;

	file_map();
	CHECK(!pthread_create(&thread, NULL, syncing, NULL));
	for (i = 0; i < times; i++) {
		peer = peer_start();
		peer_do(&peer, 'M');
		CHECK(is_kernel());
		store(0, PEER_PAGES, (char)i);
		if (i % 3 == 0)
			peer_do(&peer, 'y');
		if (i % 5 == 0)
			peer_kill(&peer);
		else
			peer_end(&peer);
		sync_all();
		CHECK(all_durable());
	}
	stop = true;
	CHECK(!pthread_join(thread, NULL));
	check_comes_back();
}

// Another process, which does not map the file, cuts off a part that is not stored to, and lets it grow again.
static void file_is_cut_while_syncing(void)
{
	struct peer peer = peer_start();
	pthread_t thread[4];
	uintptr_t i;
	int n;

	file_map();
	peer_do(&peer, 't');
	for (i = 0; i < 3; i++)
		CHECK(!pthread_create(&thread[i], NULL, storing, (void *)(i * 7)));
	CHECK(!pthread_create(&thread[3], NULL, syncing, NULL));
	for (n = 0; n < times; n++) {
		store(PEER_PAGES - 1, 1, (char)n);
		if (n % 3 == 0)
			CHECK(!fsync(fd));
		else
			sync_all();
		CHECK(durable(PEER_PAGES - 1) == (char)n);
	}
	stop = true;
	for (i = 0; i < 4; i++)
		CHECK(!pthread_join(thread[i], NULL));
	peer_kill(&peer);
	CHECK(!ftruncate(fd, (off_t)SIZE));
	check_comes_back();
}

static void forked(char value, int how)
{
	store(NR_PAGES - 1, 1, value); // at once
	if (how == 1)
		sync_all();
	if (how == 2)
		execl("/bin/true", "true", NULL);
	if (how == 3)
		syscall(SYS_exit_group, 0);
	_exit(0);
}

// fork from a process whose threads store and sync. What the child has stored, the parent's next sync makes durable.
static void fork_while_storing_and_syncing(void)
{
	pthread_t thread[5];
	uintptr_t i;
	int n, status;

	file_map();
	for (i = 0; i < 4; i++)
		CHECK(!pthread_create(&thread[i], NULL, storing, (void *)(i * 7)));
	CHECK(!pthread_create(&thread[4], NULL, syncing, NULL));
	for (n = 0; n < times; n++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (!pid)
			forked((char)n, n % 4);
		store(NR_PAGES - 2, 1, (char)n);
		CHECK(!msync(map + (NR_PAGES - 2) * PAGE, PAGE, MS_SYNC));
		CHECK(durable(NR_PAGES - 2) == (char)n);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		if (n % 2)
			CHECK(!fsync(fd));
		else
			sync_all();
		CHECK(durable(NR_PAGES - 1) == (char)n);
	}
	stop = true;
	for (i = 0; i < 5; i++)
		CHECK(!pthread_join(thread[i], NULL));
	check_comes_back();
}

static void children_that_only_execute(void)
{
	char *argv[] = {"true", NULL}, line[8] = "";
	FILE *pipe;
	pid_t pid;
	int status;

	file_map();
	store(0, NR_PAGES, '0');
	CHECK(!system("exit 0"));
	CHECK(is_served());
	pipe = popen("echo hi", "r");
	CHECK(pipe && fgets(line, sizeof(line), pipe) && !strcmp(line, "hi\n"));
	CHECK(is_served());
	CHECK(!pclose(pipe));
	CHECK(!posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) && waitpid(pid, &status, 0) == pid);
	CHECK(is_served());
	check_comes_back();
}

// fork and exec: the child is a writer until it executes, whatever it is that it executes.
static void forked_child_executes(void)
{
	int status;
	pid_t pid;

	file_map();
	pid = fork();
	if (!pid)
		execl("/bin/sleep", "sleep", "100", NULL);
	CHECK(is_kernel());
	check_comes_back();
	CHECK(!kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid);
	CHECK(is_served());
}

static void forked_child_stays(void)
{
	int status;
	pid_t pid;

	file_map();
	pid = fork();
	if (!pid) {
		store(PEER_PAGES, 1, 'c');
		pause();
	}
	while (((volatile char *)map)[PEER_PAGES * PAGE + 100] != 'c')
		usleep(1000);
	CHECK(is_kernel());
	sync_all();
	CHECK(durable(PEER_PAGES) == 'c');
	CHECK(!fsync(fd));
	CHECK(is_kernel());
	CHECK(!kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid);
	CHECK(is_kernel());
	check_comes_back();
}

// A child that no fork handler knows of tells the parent at its first call.
static void raw_clone_child_tells_the_parent(void)
{
	int told[2], status;
	char c;
	pid_t pid;

	file_map();
	CHECK(!pipe(told));
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (!pid) {
		CHECK(!msync(map, PAGE, MS_SYNC));
		store(PEER_PAGES, 1, 'r');
		CHECK(write(told[1], "", 1) == 1);
		pause();
	}
	CHECK(read(told[0], &c, 1) == 1);
	CHECK(is_kernel());
	sync_all();
	CHECK(durable(PEER_PAGES) == 'r');
	CHECK(is_kernel());
	CHECK(!kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid);
	check_comes_back();
}

// daemon(): the parent ends, the child goes on with what was mapped before.
static void daemon_goes_on(void)
{
	struct peer peer = peer_start();
	int status;

	peer_do(&peer, 'm');
	peer_do(&peer, 's');
	peer_do(&peer, 'd');
	CHECK(waitpid(peer.pid, &status, 0) == peer.pid && status == 0);
	file_map();
	CHECK(is_kernel());
	peer_do(&peer, 's');
	peer_do(&peer, 'f');
	CHECK(all_durable());
	peer_do(&peer, 's');
	sync_all();
	CHECK(all_durable());
	CHECK(is_kernel());
	peer_tell(&peer, 'q');
	CHECK(read(peer.fd, &status, 1) == 0); // it has ended
	check_comes_back();
}

static void show(const char *when)
{
	printf("%s: %s: %s\n", when, is_served() ? "served" : is_kernel() ? "kernel" : "pass", reason());
}

static void print_mode(void)
{
	file_map();
	show("mapped");
	store(0, 1, 'm');
	sync_all();
	CHECK(!fsync(fd));
	show("synced");
}

static void hold(void)
{
	char c;

	file_map();
	show("mapped");
	store(0, NR_PAGES, 'h');
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	CHECK(!fsync(fd));
	show("synced");
}

// Three syncs, and two in a child; the parent waits for the end of its input, the child for the parent's.
static void fork_and_hold(void)
{
	int ready[2], i;
	pid_t pid;
	char c;

	file_map();
	CHECK(!pipe(ready));
	sync_all();
	pid = fork();
	if (!pid) {
		for (i = 0; i < 2; i++)
			sync_all();
		close(ready[0]);
		CHECK(write(ready[1], "", 1) == 1);
		while (read(0, &c, 1) > 0)
			;
		_exit(0);
	}
	CHECK(read(ready[0], &c, 1) == 1);
	sync_all();
	sync_all();
	printf("child: %d\nmapped: served\n", pid);
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"second_writer_comes_and_goes", second_writer_comes_and_goes},
	{"first_writer_leaves", first_writer_leaves},
	{"writers_are_killed_while_others_sync", writers_are_killed_while_others_sync},
	{"only_writer_is_killed", only_writer_is_killed},
	{"many_short_lived_writers", many_short_lived_writers},
	{"file_is_cut_while_syncing", file_is_cut_while_syncing},
	{"fork_while_storing_and_syncing", fork_while_storing_and_syncing},
	{"children_that_only_execute", children_that_only_execute},
	{"forked_child_executes", forked_child_executes},
	{"forked_child_stays", forked_child_stays},
	{"raw_clone_child_tells_the_parent", raw_clone_child_tells_the_parent},
	{"daemon_goes_on", daemon_goes_on},
	{"mode", print_mode},
	{"hold", hold},
	{"fork_and_hold", fork_and_hold},
	{"--peer", peer_run},
};
#define NR_CASES (sizeof(cases) / sizeof(cases[0]))

int main(int argc, char **argv)
{
	size_t i;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (i = 0; strcmp(cases[i].name, "mode"); i++)
			puts(cases[i].name);
		return 0;
	}
	path = argc > 2 ? argv[2] : "";
	times = argc > 3 ? atoi(argv[3]) : times;
	for (i = 0; i < NR_CASES; i++)
		if (argc > 2 && !strcmp(argv[1], cases[i].name)) {
			cases[i].run();
			return 0;
		}
	fputs("Usage: processes --list | CASE FILE [TIMES]\n", stderr);
	return 2;
}
