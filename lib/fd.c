// SPDX-License-Identifier: BSD-3-Clause
// fd.c: the library's own descriptors.
#include "fd.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "log.h"
#include "sys.h"

// fd + 1 of each; 0 is free. relaxed everywhere: a slot says nothing about other memory.
static _Atomic int ours[DXS_FD_MAX];
static _Atomic int nr_ever; // slots behind were never used

// Below 1024, so that the kernel need not grow the descriptor table by much.
static int lowest_wanted(void)
{
	struct rlimit limit = {0};
	long ret = dxs_sys6(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit, 0, 0);
	rlim_t top = ret ? 256 : limit.rlim_cur;

	if (top > 1024)
		top = 1024;
	return (int)(top - top / 4);
}

static bool slot_swap(int from, int to)
{
	int i, limit = from ? atomic_load(&nr_ever) : DXS_FD_MAX;

	for (i = 0; i < limit; i++) {
		int old = from, ever = atomic_load(&nr_ever);

		while (i >= ever && !atomic_compare_exchange_weak(&nr_ever, &ever, i + 1))
			;

		if (atomic_compare_exchange_strong_explicit(&ours[i], &old, to, memory_order_relaxed,
							    memory_order_relaxed))
			return true;
	}
	return false;
}

int dxs_fd_hide(int fd)
{
	long high = dxs_sys6(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest_wanted(), 0, 0, 0);

	if (high >= 0) {
		dxs_sys_close(fd);
		fd = (int)high;
	} else {
		dxs_sys6(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC, 0, 0, 0);
	}
	slot_swap(0, fd + 1);
	return fd;
}

void dxs_fd_close(int fd)
{
	slot_swap(fd + 1, 0);
	dxs_sys_close(fd);
}

bool dxs_fd_is_ours(int fd)
{
	return fd >= 0 && dxs_fd_next(fd) == fd;
}

int dxs_fd_next(int fd)
{
	int i, best = -1, nr = atomic_load(&nr_ever);

	for (i = 0; i < nr; i++) {
		int mine = atomic_load_explicit(&ours[i], memory_order_relaxed) - 1;

		if (mine >= fd && (best < 0 || mine < best))
			best = mine;
	}
	return best;
}

void dxs_fd_path(int fd, char *path, size_t size)
{
	char link[32];
	struct dxs_text text;
	long len;

	dxs_text_init(&text, link, sizeof(link));
	dxs_text_add(&text, "/proc/self/fd/%d", fd);
	len = dxs_sys6(SYS_readlinkat, AT_FDCWD, (long)link, (long)path, (long)size - 1, 0, 0);
	path[len > 0 ? len : 0] = '\0';
}
