// SPDX-License-Identifier: BSD-3-Clause
// paged_out.c: a mapping that is mostly beyond the end of its file; another process has the kernel take its pages out of the
// page tables (MADV_PAGEOUT) between a store and the sync. A mapping of which nothing was write-protected yet had no trace of
// the store then, and the verifier knows as little.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <daxsync/daxsync.h>

#define LEN ((size_t)16 << 20)
#define NR_STORED 2U

static uint64_t nr_flushed(void)
{
	int (*get)(struct daxsync_stats *) = NULL;
	struct daxsync_stats now = {.size = sizeof(now)};
	static uint64_t native;

	*(void **)&get = dlsym(RTLD_DEFAULT, "daxsync_stats_get");
	return get && !get(&now) ? now.pages_flushed : (native += NR_STORED);
}

// By a child, as by any other process that may.
static int page_out(char *map)
{
	pid_t self = getpid(), child = fork();
	int status = -1;

	if (!child) {
		struct iovec range = {map, NR_STORED * 4096};
		long pidfd = syscall(SYS_pidfd_open, self, 0);

		_exit(syscall(SYS_process_madvise, pidfd, &range, 1, MADV_PAGEOUT, 0) < 0);
	}
	return child < 0 || waitpid(child, &status, 0) != child || status;
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	uint64_t before;
	char *map;

	if (fd < 0 || ftruncate(fd, 100 << 10))
		return 1;
	map = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 1;
	for (unsigned i = 0; i < NR_STORED; i++)
		map[(size_t)i * 4096] = 1;
	if (page_out(map)) {
		puts("SKIP: process_madvise(MADV_PAGEOUT) is not permitted, or this kernel has none");
		return 77;
	}
	before = nr_flushed();
	if (msync(map, LEN, MS_SYNC))
		return 1;
	puts(nr_flushed() - before >= NR_STORED ? "flushed" : "NOT FLUSHED: what was stored");
	return 0;
}
