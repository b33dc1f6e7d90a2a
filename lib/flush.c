// SPDX-License-Identifier: BSD-3-Clause
// flush.c: the flush loop and its way back from faults (M7).
#include "flush.h"

#include <errno.h>
#include <signal.h>

#include "flush_pmem2.h"
#include "log.h"
#include "signals.h"
#include "stats.h"
#include "sys.h"

static struct dxs_flusher flusher;

int dxs_flush_init(const char **why)
{
	int err;

	if (flusher.flush)
		return 0;
	err = dxs_flush_pmem2(&flusher, why);
	if (!err)
		dxs_info("flush: %s", flusher.name);
	return err;
}

static int fault_meaning(const struct dxs_recover *recover)
{
	if (recover->sig == SIGSEGV)
		return -EFAULT;
	return recover->code == BUS_MCEERR_AR || recover->code == BUS_MCEERR_AO ? -EIO : 0;
}

int dxs_flush_guard(void (*fn)(void *arg), void *arg, struct dxs_fault_at *fault)
{
	struct dxs_recover recover;

	if (sigsetjmp(recover.env, 0)) {
		*fault = (struct dxs_fault_at){recover.addr, fault_meaning(&recover)};
		return -1;
	}
	dxs_recover_set(&recover);
	fn(arg);
	dxs_recover_set(NULL);
	return 0;
}

struct range {
	uintptr_t addr;
	size_t len;
};

static void range_flush(void *arg)
{
	const struct range *range = arg;

	flusher.flush((const void *)range->addr, range->len);
}

size_t dxs_flush_range(uintptr_t addr, size_t len, int *err)
{
	struct range range = {addr, len};
	struct dxs_fault_at fault;
	uintptr_t page;

	*err = 0;
	if (!dxs_flush_guard(range_flush, &range, &fault)) {
		dxs_count(bytes_flushed, len);
		return len;
	}
	dxs_count(flush_faults, 1);
	*err = fault.err;
	page = fault.addr & ~(DXS_PAGE_SIZE - 1);
	return page > addr ? page - addr : 0;
}

void dxs_flush_drain(void)
{
	flusher.drain();
	dxs_count(fences, 1);
}
