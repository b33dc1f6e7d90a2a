// SPDX-License-Identifier: BSD-3-Clause
// record.c: what a program under a crash test tells the recorder.
#define DXS_SYS_SPARED // these calls emulate
#include "emulate/record.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/config.h"
#include "base/fd.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/space.h"
#include "base/sys.h"
#include "emulate/run.h"
#include "report/diag.h"
#include "signal/signals.h"

static int staged_fd = -1; // of whom has the ear
// release (part of seq_cst): the mapping; partners: the loads without the mutex, in traps.
static struct dxs_run_site *_Atomic sites;
static struct dxs_mutex sites_mutex = {.rank = DXS_RANK_SITES};

// The processes of a run share these words, and one may die: so nobody sleeps for long without a look.
static void word_wait(_Atomic uint32_t *word, uint32_t seen)
{
	struct timespec moment = {.tv_nsec = 100000000};

	dxs_sys6(SYS_futex, (long)word, FUTEX_WAIT, seen, (long)&moment, 0, 0);
}

static void word_wake(_Atomic uint32_t *word)
{
	dxs_sys6(SYS_futex, (long)word, FUTEX_WAKE, INT32_MAX, 0, 0, 0);
}

// NULL: nobody records.
static struct dxs_run_recorder *recorder_get(void)
{
	const char *why;
	struct dxs_run *run;
	int pid;

	if (!dxs_config.image_dir[0] || dxs_run_join(&why))
		return NULL;
	run = dxs_run();
	pid = atomic_load(&run->recorder.pid);
	return pid && dxs_sys6(SYS_kill, pid, 0, 0, 0, 0, 0) != -ESRCH ? &run->recorder : NULL;
}

bool dxs_record_is_on(void)
{
	return recorder_get() != NULL;
}

bool dxs_record_begin(void)
{
	struct dxs_run_recorder *recorder = recorder_get();
	uint32_t self = (uint32_t)dxs_sys_tid(), owner = 0;

	while (recorder && !atomic_compare_exchange_strong(&recorder->owner, &owner, self)) {
		if (owner == self)
			return false;
		word_wait(&recorder->owner, owner);
		recorder = recorder_get();
		owner = 0;
	}
	if (!recorder)
		return false;
	recorder->staged = 0;
	return true;
}

void dxs_record_end(void)
{
	struct dxs_run_recorder *recorder = &dxs_run()->recorder;

	if (staged_fd >= 0)
		dxs_sys_close(staged_fd);
	staged_fd = -1;
	atomic_store(&recorder->owner, 0);
	word_wake(&recorder->owner);
}

void dxs_record_staged(const struct dxs_file *file, uint64_t off, const void *data, size_t len)
{
	struct dxs_run_recorder *recorder = &dxs_run()->recorder;
	struct dxs_run_staged head = {file->dev, file->ino, off, len};
	struct iovec iov[] = {{&head, sizeof(head)}, {(void *)data, len}};
	long done;

	if (staged_fd < 0)
		staged_fd = dxs_sys_openat(dxs_run_dir(), DXS_RUN_STAGED, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
					   0600);
	done = dxs_sys6(SYS_pwritev, staged_fd, (long)iov, 2, (long)recorder->staged, 0, 0);
	if (done == (long)(sizeof(head) + len))
		recorder->staged += (uint64_t)done;
	else
		atomic_store(&recorder->err, done < 0 ? (int)done : -ENOSPC);
}

static void ask(enum dxs_moment moment)
{
	struct dxs_run_recorder *recorder = &dxs_run()->recorder;
	uint32_t number;

	recorder->moment = moment;
	recorder->asker = getpid();
	recorder->nr_frames = dxs_diag_stack(NULL, recorder->frame, DXS_RUN_FRAMES);
	number = atomic_fetch_add(&recorder->asked, 1) + 1; // release: the words above; partner: the recorder's load
	word_wake(&recorder->asked);
	while (atomic_load(&recorder->answered) != number && recorder_get())
		word_wait(&recorder->answered, number - 1);
}

void dxs_record_fence(uint64_t number)
{
	dxs_run()->recorder.fence = number;
	ask(DXS_MOMENT_FENCE);
}

static void bytes_add(uint64_t off, uint64_t end)
{
	struct dxs_run_recorder *recorder = &dxs_run()->recorder;

	if (recorder->nr_ranges < DXS_RUN_RANGES) {
		recorder->range[recorder->nr_ranges].off = off;
		recorder->range[recorder->nr_ranges++].end = end;
	}
}

static void range_add(const struct dxs_file *file, uint64_t first, uint64_t last)
{
	bytes_add(first << file->page_shift, (last + 1) << file->page_shift);
}

static bool about(uint64_t dev, uint64_t ino)
{
	struct dxs_run_recorder *recorder;

	if (!dxs_record_begin())
		return false;
	recorder = &dxs_run()->recorder;
	recorder->dev = dev;
	recorder->ino = ino;
	recorder->nr_ranges = 0;
	return true;
}

void dxs_record_mapped(const struct dxs_file *file)
{
	if (!about(file->dev, file->ino))
		return;
	ask(DXS_MOMENT_MAPPED);
	dxs_record_end();
}

void dxs_record_answered(const struct dxs_file *file, uint64_t first, uint64_t last)
{
	if (!about(file->dev, file->ino))
		return;
	range_add(file, first, last);
	ask(DXS_MOMENT_ANSWERED);
	dxs_record_end();
}

void dxs_record_synced(const struct dxs_file *file, const struct dxs_asked *asked)
{
	unsigned i;

	if (!about(file->dev, file->ino))
		return;
	for (i = 0; i < asked->nr; i++)
		range_add(file, asked->stretch[i].first, asked->stretch[i].last);
	ask(DXS_MOMENT_SYNCED);
	dxs_record_end();
}

// The kernel syncs whole pages.
void dxs_record_synced_fd(int fd, uint64_t off, uint64_t end)
{
	struct stat st = {0};

	if (fd >= 0 && dxs_sys6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0))
		return;
	if (!about(st.st_dev, st.st_ino))
		return;
	if (end != UINT64_MAX)
		bytes_add(off & ~(uint64_t)(DXS_PAGE_SIZE - 1),
			  (end + DXS_PAGE_SIZE - 1) & ~(uint64_t)(DXS_PAGE_SIZE - 1));
	ask(fd < 0 ? DXS_MOMENT_SYNCED_ALL : DXS_MOMENT_SYNCED);
	dxs_record_end();
}

static void sites_map(void)
{
	int fd = dxs_sys_openat(dxs_run_dir(), DXS_RUN_SITES, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
	struct dxs_run_site *mapped;

	if (fd < 0)
		return;
	mapped = dxs_space_map(sizeof(*mapped) * DXS_RUN_NR_SITES, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	dxs_sys_close(fd);
	if (!dxs_is_err(mapped))
		atomic_store(&sites, mapped);
}

// The place of a key: its own, an unused one, or that of another, whose page will have no site.
static struct dxs_run_site *site_place(uint64_t key)
{
	struct dxs_run_site *table = atomic_load(&sites), *site = NULL;
	uint64_t i, seen;

	for (i = 0; i < DXS_RUN_SITE_TRIES; i++) {
		site = &table[(key + i) % DXS_RUN_NR_SITES];
		seen = 0;
		if (atomic_compare_exchange_strong(&site->key, &seen, key) || seen == key)
			return site;
	}
	atomic_store(&site->key, key);
	return site;
}

// Two threads that store to one page at once may mix their frames: a wrong line in a report, not a wrong verdict.
void dxs_record_stores(const struct dxs_file *file, uint64_t first, uint64_t mask)
{
	uintptr_t frame[DXS_RUN_FRAMES];
	unsigned nr;

	if (!atomic_load(&sites))
		return;
	nr = dxs_diag_stack(dxs_fault_context, frame, DXS_RUN_FRAMES);
	for (; mask; mask &= mask - 1) {
		uint64_t page = first + (unsigned)__builtin_ctzll(mask);
		struct dxs_run_site *site = site_place(dxs_run_site_key(file->dev, file->ino, page));

		site->nr_frames = nr;
		memcpy(site->frame, frame, sizeof(frame));
		atomic_store(&site->pid, getpid());
	}
}

void dxs_record_join(void)
{
	dxs_mutex_lock(&sites_mutex);
	if (recorder_get() && !atomic_load(&sites))
		sites_map();
	dxs_mutex_unlock(&sites_mutex);
}

void dxs_record_forked(void)
{
	atomic_store(&sites_mutex.word, 0);
	staged_fd = -1;
}
