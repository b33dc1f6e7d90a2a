// SPDX-License-Identifier: BSD-3-Clause
// late_write.c: A call that writes into a file sleeps when the file is mapped and synced for the first time, and goes
// on afterwards. What it brings is the kernel's to make durable: the next msync has to call it.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <daxsync/daxsync.h>

#define SIZE 4096

static int fd, ends[2];
static _Atomic int writer;

static uint64_t nr_kernel_syncs(void)
{
	int (*get)(struct daxsync_stats *) = NULL;
	struct daxsync_stats now = {.size = sizeof(now)};
	static uint64_t native; // without the library every call is the kernel's

	*(void **)&get = dlsym(RTLD_DEFAULT, "daxsync_stats_get");
	return get && !get(&now) ? now.kernel_syncs : native++;
}

static void *write_late(void *arg)
{
	(void)arg;
	writer = (int)syscall(SYS_gettid);
	return (void *)(intptr_t)splice(ends[0], NULL, fd, NULL, 4, 0);
}

// Until the writer sleeps in its call.
static int wait_for_writer(void)
{
	char path[64], text[128];
	long nr = -1;

	while (!writer)
		usleep(1000);
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", writer);
	while (nr != SYS_splice) {
		int file = open(path, O_RDONLY);
		ssize_t len = file < 0 ? -1 : read(file, text, sizeof(text) - 1);

		close(file);
		if (len < 0)
			return -1;
		text[len] = '\0';
		if (sscanf(text, "%ld", &nr) != 1)
			nr = -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	uint64_t before;
	void *spliced;
	char *map;

	(void)argc;
	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, SIZE) || pipe(ends) || pthread_create(&thread, NULL, write_late, NULL))
		abort();
	if (wait_for_writer()) {
		printf("SKIP: /proc/self/task/TID/syscall cannot be read\n");
		return 77;
	}
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		abort();
	map[100] = 1;
	msync(map, SIZE, MS_SYNC);
	if (write(ends[1], "late", 4) != 4 || pthread_join(thread, &spliced))
		abort();
	before = nr_kernel_syncs();
	msync(map, SIZE, MS_SYNC);
	printf("%ld bytes, %.4s\n", (long)(intptr_t)spliced, map);
	printf("msync has %scalled the kernel\n", nr_kernel_syncs() > before ? "" : "not ");
	return 0;
}
