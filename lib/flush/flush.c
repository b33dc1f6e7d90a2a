// SPDX-License-Identifier: BSD-3-Clause
// flush.c: the flush loop and its way back from faults (M7).
#include "flush/flush.h"

#include <errno.h>
#include <signal.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"
#include "flush/flush_pmem2.h"
#include "report/stats.h"
#include "signal/signals.h"

static struct dxs_flusher flusher; // written once, under `mutex`, before `ready`
static struct dxs_mutex mutex = {.rank = DXS_RANK_FLUSHER};
static _Atomic bool ready; // release (part of seq_cst): `flusher`; partner: dxs_flush_ready
// seq_cst, the default: relaxed would do. Text for people.
static _Atomic(const char *) reason = "libpmem2 was not loaded: there was no persistent memory when the program began";

bool dxs_flush_ready(const char **why)
{
	*why = atomic_load(&reason);
	return atomic_load(&ready);
}

int dxs_flush_init(const char **why)
{
	struct dxs_flusher loaded;
	int err;

	if (atomic_load(&ready))
		return 0;
	err = dxs_flush_pmem2(&loaded, why); // no lock: threads that come at once load it twice
	if (err) {
		atomic_store(&reason, *why);
		return err;
	}
	dxs_mutex_lock(&mutex);
	if (!atomic_load(&ready))
		flusher = loaded;
	atomic_store(&ready, true);
	dxs_mutex_unlock(&mutex);
	dxs_info("flush: %s", loaded.name);
	return 0;
}

static int fault_meaning(const struct dxs_recover *recover)
{
	if (recover->sig == SIGSEGV)
		return -EFAULT;
	return recover->code == BUS_MCEERR_AR || recover->code == BUS_MCEERR_AO ? -EIO : -ENXIO;
}

int dxs_flush_guard(void (*fn)(void *arg), void *arg, struct dxs_fault_at *fault)
{
	struct dxs_recover recover = {.addr = 0};

	if (sigsetjmp(recover.env, 0)) {
		*fault = (struct dxs_fault_at){recover.addr, fault_meaning(&recover)};
		return -1;
	}
	dxs_recover_set(&recover);
	fn(arg);
	dxs_recover_set(NULL);
	return 0;
}

struct job {
	const struct dxs_range *range;
	unsigned nr;
	volatile unsigned at; // read after the jump back from a fault
};

static void job_run(void *arg)
{
	struct job *job = arg;
	unsigned at;

	for (at = 0; at < job->nr; at++) {
		job->at = at;
		flusher.flush((const void *)job->range[at].addr, job->range[at].len);
	}
}

// What a fault in the flush of a range says: how many bytes were flushed before it, and *err. One that is not in the range is
// about something else (the thread has no stack left, say): then nothing is known to be flushed, and the kernel has to.
static size_t flushed_before(const struct dxs_range *range, const struct dxs_fault_at *fault, int *err)
{
	uintptr_t page = fault->addr & ~(DXS_PAGE_SIZE - 1);

	if (page < (range->addr & ~(DXS_PAGE_SIZE - 1)) || page >= range->addr + range->len) {
		*err = -EFAULT;
		return 0;
	}
	*err = fault->err;
	return page > range->addr ? page - range->addr : 0;
}

unsigned dxs_flush_ranges(const struct dxs_range *range, unsigned nr, size_t *done, int *err)
{
	struct job job = {range, nr, 0};
	struct dxs_fault_at fault;

	if (!dxs_flush_guard(job_run, &job, &fault))
		return nr;
	dxs_count(flush_faults, 1);
	*done = flushed_before(&range[job.at], &fault, err);
	return job.at;
}

void dxs_flush_drain(void)
{
	flusher.drain();
	dxs_count(fences, 1);
}
