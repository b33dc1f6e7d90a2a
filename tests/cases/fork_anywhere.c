// SPDX-License-Identifier: BSD-3-Clause
// fork_anywhere.c: fork() while other threads map, store, sync and unmap, and while libc's list of streams is held by
// one that waits for a stream, whose owner is in a hook. fork() once held the library's locks while it waited for
// libc's, and the three waited for each other for ever. And the child must come up with whatever the others had half
// done: it goes on with what it has inherited, and maps, syncs and unmaps for itself.
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define NR_PAGES 64
#define NR_FORKS 60
#define NR_MAPPERS 3

static const char *path;
static FILE *stream;
static char *inherited;
static atomic_bool stop;
static atomic_int nr_rounds[NR_MAPPERS], nr_flushes;

static int file_open(int nr)
{
	char name[256];
	int fd;

	snprintf(name, sizeof(name), "%s.%d", path, nr);
	fd = open(name, O_RDWR | O_CREAT, 0600);
	if (fd >= 0 && ftruncate(fd, NR_PAGES * PAGE))
		return -1;
	return fd;
}

// Maps a file, moves a part of it, protects another, and takes all away. False: a call has failed.
static bool map_round(int fd)
{
	char *map = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *moved;
	bool good;

	if (map == MAP_FAILED)
		return false;
	map[0] = 1;
	map[20 * PAGE] = 1;
	good = !msync(map, NR_PAGES * PAGE, MS_SYNC);
	map[20 * PAGE] = 2;
	good = good && !mprotect(map, 8 * PAGE, PROT_READ) && !mprotect(map, 8 * PAGE, PROT_READ | PROT_WRITE);
	map[1] = 2;
	moved = mremap(map + 32 * PAGE, 32 * PAGE, 32 * PAGE, MREMAP_MAYMOVE);
	good = good && moved != MAP_FAILED;
	moved[0] = 1;
	good = good && mmap(map + 16 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
	map[16 * PAGE] = 3;
	good = good && !msync(map, 32 * PAGE, MS_SYNC);
	return !munmap(map, 32 * PAGE) && !munmap(moved, 32 * PAGE) && good;
}

static void *mapper(void *arg)
{
	int nr = (int)(long)arg, fd = file_open(nr);

	while (!atomic_load(&stop) && fd >= 0) {
		flockfile(stream);
		if (!map_round(fd))
			fd = -1;
		funlockfile(stream);
		atomic_fetch_add(&nr_rounds[nr], 1);
	}
	if (fd < 0)
		puts("a thread's call has failed");
	return NULL;
}

static void *flusher(void *arg)
{
	while (!atomic_load(&stop)) {
		fflush(NULL);
		atomic_fetch_add(&nr_flushes, 1);
	}
	return arg;
}

// As what is inherited, what other threads had mapped is there or not; nothing of it may trap for ever.
static int in_child(int nr)
{
	int fd, i;

	alarm(40);
	for (i = 0; i < NR_PAGES; i++)
		inherited[i * PAGE]++;
	if (msync(inherited, NR_PAGES * PAGE, MS_SYNC))
		return 1;
	for (i = 0; i < 2; i++) { // a file of its own, and one that a thread of the parent's maps all the time
		fd = file_open(i ? nr % NR_MAPPERS : NR_MAPPERS + 1);
		if (fd < 0 || !map_round(fd))
			return 2;
		close(fd);
	}
	return munmap(inherited, NR_PAGES * PAGE) ? 3 : 0;
}

static bool forks(void)
{
	int i, status = 0;

	for (i = 0; i < NR_FORKS && !status; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(in_child(i));
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return false;
		inherited[0]++;
		if (msync(inherited, PAGE, MS_SYNC))
			return false;
	}
	if (status)
		printf("a child ended with %#x\n", status);
	return !status;
}

int main(int argc, char **argv)
{
	pthread_t thread[NR_MAPPERS + 1];
	bool good;
	long i;
	int fd;

	(void)argc;
	path = argv[1];
	stream = fopen("/dev/null", "w");
	fd = file_open(NR_MAPPERS);
	inherited = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!stream || inherited == MAP_FAILED)
		return 1;
	memset(inherited, 1, NR_PAGES * PAGE);
	msync(inherited, NR_PAGES * PAGE, MS_SYNC);
	for (i = 0; i < NR_MAPPERS; i++)
		pthread_create(&thread[i], NULL, mapper, (void *)i);
	pthread_create(&thread[NR_MAPPERS], NULL, flusher, NULL);
	good = forks();
	while (!atomic_load(&nr_flushes) || !atomic_load(&nr_rounds[0]))
		sched_yield();
	atomic_store(&stop, true);
	for (i = 0; i < NR_MAPPERS + 1; i++)
		pthread_join(thread[i], NULL);
	puts(good ? "forked" : "failed");
	return !good;
}
