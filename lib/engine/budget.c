// SPDX-License-Identifier: BSD-3-Clause
// budget.c: the budget of VMAs.
//
// The reserve is a row of pages without access of which every second one may be read: as many VMAs as pages, and no
// memory. The kernel counts them like any others, so whatever the program does, they are there to be given up.
#include "engine/budget.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/space.h"
#include "base/sys.h"

#define DEFAULT_MAX 65530 // include/linux/mm.h, DEFAULT_MAX_MAP_COUNT
#define RESERVE_PAGES 32  // VMAs in reserve
#define RELEASE_PAGES 8   // given up at a time
#define RECOUNT_STEP 1024 // VMAs that the tracker takes before the program's are counted again
#define LEAST 64          // below which the tracker opens everything

// seq_cst, the default, all: relaxed would do. The limit is not exact.
static _Atomic int64_t used, limit = LEAST, counted_at;
// seq_cst, the default: address and pages in one word, so that each page is given up once; partner: dxs_budget_release.
static _Atomic uintptr_t reserve; // its address, plus how many pages are left there
static struct dxs_mutex mutex = {.rank = DXS_RANK_BUDGET};

static int64_t max_map_count(void)
{
	char text[32] = "";
	int64_t value = 0;
	const char *s = text;
	int fd = dxs_sys_openat(AT_FDCWD, "/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return DEFAULT_MAX;
	dxs_sys6(SYS_read, fd, (long)text, sizeof(text) - 1, 0, 0, 0);
	dxs_sys_close(fd);
	while (*s >= '0' && *s <= '9')
		value = value * 10 + (*s++ - '0');
	return value;
}

// Lines of /proc/self/maps; without it, half of what there may be.
static int64_t count_vmas(int64_t max)
{
	int fd = dxs_sys_openat(AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	char buf[4096] = "";
	int64_t nr = 0;
	long i, len;

	if (fd < 0)
		return max / 2;
	while ((len = dxs_sys6(SYS_read, fd, (long)buf, sizeof(buf), 0, 0, 0)) > 0)
		for (i = 0; i < len; i++)
			nr += buf[i] == '\n';
	dxs_sys_close(fd);
	return nr;
}

static uintptr_t reserve_left(uintptr_t word)
{
	return word % DXS_PAGE_SIZE;
}

static void reserve_make(void)
{
	char *page = dxs_space_map(RESERVE_PAGES * DXS_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	unsigned i;

	if (dxs_is_err(page))
		return;
	for (i = 0; i < RESERVE_PAGES; i += 2)
		dxs_sys_mprotect(page + i * DXS_PAGE_SIZE, DXS_PAGE_SIZE, PROT_READ);
	atomic_store(&reserve, (uintptr_t)page + RESERVE_PAGES);
}

void dxs_budget_refresh(void)
{
	int64_t now = atomic_load(&used), at = atomic_load(&counted_at), max, others;

	if (reserve_left(atomic_load(&reserve)) && now - at < RECOUNT_STEP && at - now < RECOUNT_STEP)
		return;
	dxs_mutex_lock(&mutex);
	if (!reserve_left(atomic_load(&reserve)))
		reserve_make();
	max = max_map_count();
	others = count_vmas(max) - now;
	atomic_store(&limit, max - others > 2 * LEAST ? (max - others) / 2 : LEAST);
	atomic_store(&counted_at, now);
	dxs_mutex_unlock(&mutex);
	dxs_debug("VMAs: %ld of vm.max_map_count %ld are the program's; up to %ld for open pages", (long)others,
		  (long)max, (long)atomic_load(&limit));
}

void dxs_budget_add(int64_t nr)
{
	atomic_fetch_add(&used, nr);
}

int64_t dxs_budget_used(void)
{
	return atomic_load(&used);
}

int64_t dxs_budget_limit(void)
{
	return atomic_load(&limit);
}

bool dxs_budget_release(void)
{
	uintptr_t old = atomic_load(&reserve), left;

	do {
		left = reserve_left(old);
		if (!left)
			return false;
	} while (!atomic_compare_exchange_weak(&reserve, &old, old - RELEASE_PAGES));
	dxs_sys_munmap((void *)(old - left + (left - RELEASE_PAGES) * DXS_PAGE_SIZE), RELEASE_PAGES * DXS_PAGE_SIZE);
	return true;
}

void dxs_budget_reset(void)
{
	atomic_store(&used, 0);
	atomic_store(&counted_at, 0);
	atomic_store(&mutex.word, 0);
}
