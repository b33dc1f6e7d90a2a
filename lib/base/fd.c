// SPDX-License-Identifier: BSD-3-Clause
// fd.c: the library's own descriptors.
//
// CONCURRENCY
//   Who uses a number counts himself in one of two counters, chosen by the parity of `epoch`, before he reads it, as readers
//   of the table of mappings do (mapping.c, R.1). Who moves a descriptor makes the new number known, waits until all who may
//   have read the old one are done, and only then closes that.
#include "base/fd.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"

// fd + 1 of each; 0 is free. relaxed, or seq_cst by default: a slot says nothing about other memory.
static _Atomic int ours[DXS_FD_MAX];
// release (part of seq_cst): the number that is there; partner: move, which writes another.
static _Atomic(_Atomic int *) number[DXS_FD_MAX]; // where its number is; NULL: it cannot be moved
// seq_cst, the default: relaxed would do. Who has been given a descriptor finds it.
static _Atomic int nr_ever; // slots behind were never used
static struct dxs_mutex moving = {.rank = DXS_RANK_FD};
// seq_cst: a user counts himself and then looks at the epoch, users_wait() turns the epoch and then looks at the count;
// one of them sees the other.
static _Atomic uint32_t epoch, users[2];

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
	dxs_fd_register(fd, NULL); // what was in the slot before
	return fd;
}

void dxs_fd_register(int fd, _Atomic int *where)
{
	int i, nr = atomic_load(&nr_ever);

	for (i = 0; i < nr; i++)
		if (atomic_load(&ours[i]) == fd + 1)
			atomic_store(&number[i], where);
}

unsigned dxs_fd_enter(void)
{
	for (;;) {
		unsigned section = atomic_load(&epoch) & 1;

		atomic_fetch_add(&users[section], 1); // before the epoch is looked at again; partner: users_wait
		if ((atomic_load(&epoch) & 1) == section)
			return section;
		dxs_fd_exit(section);
	}
}

// The count goes down before the look at the epoch: the last one out wakes whoever has turned it.
void dxs_fd_exit(unsigned section)
{
	if (atomic_fetch_sub(&users[section], 1) == 1 && (atomic_load(&epoch) & 1) != section)
		dxs_futex_wake(&users[section], INT32_MAX);
}

static void users_wait(void)
{
	unsigned section = atomic_fetch_add(&epoch, 1) & 1; // after the new number; partner: dxs_fd_enter
	uint32_t nr;

	while ((nr = atomic_load(&users[section])))
		dxs_futex_wait(&users[section], nr);
}

// As high as there is room; below, where the program expects to get what it asks for, only then.
static int another_number(int fd)
{
	int from = lowest_wanted();
	long ret = -EMFILE;

	for (; ret < 0 && from >= 0; from -= 16)
		ret = dxs_sys6(SYS_fcntl, fd, F_DUPFD_CLOEXEC, from, 0, 0, 0);
	return ret < 0 ? DXS_FD_GIVEN_UP : (int)ret;
}

static void move(int slot, int fd)
{
	int to = another_number(fd);

	atomic_store(&ours[slot], to + 1 > 0 ? to + 1 : 0);
	atomic_store(atomic_load(&number[slot]), to); // before the epoch turns; partner: DXS_FD_USE
	users_wait();
	dxs_sys_close(fd);
}

bool dxs_fd_yield(int fd)
{
	dxs_sigset set = dxs_sig_block();
	bool moved = false;
	int i, nr;

	dxs_mutex_lock(&moving);
	nr = atomic_load(&nr_ever);
	for (i = 0; i < nr && !moved; i++)
		if (atomic_load(&ours[i]) == fd + 1 && atomic_load(&number[i])) {
			move(i, fd);
			moved = true;
		}
	dxs_mutex_unlock(&moving);
	dxs_sig_setmask(set);
	return moved;
}

void dxs_fd_reset(void)
{
	moving = (struct dxs_mutex){.rank = DXS_RANK_FD};
	atomic_store(&users[0], 0); // by the child's only thread
	atomic_store(&users[1], 0);
}

void dxs_fd_close(int fd)
{
	slot_swap(fd + 1, 0);
	dxs_sys_close(fd);
}

// Not while it is being moved: then `where` is written.
void dxs_fd_drop(_Atomic int *where, bool is_lost)
{
	int fd;

	dxs_mutex_lock(&moving);
	fd = atomic_exchange(where, -1);
	if (fd >= 0)
		slot_swap(fd + 1, 0);
	if (fd >= 0 && !is_lost)
		dxs_sys_close(fd);
	dxs_mutex_unlock(&moving);
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
