// SPDX-License-Identifier: BSD-3-Clause
// advise.c: madvise of tracked mappings.
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/near.h"
#include "call/calls.h"
#include "call/pin.h"
#include "space/change.h"
#include "space/track.h"

// Advice that libc's headers may not know yet.
#define POPULATE_READ 22  // Linux 5.14
#define POPULATE_WRITE 23 // 5.14
#define COLLAPSE 25       // 6.1
#define GUARD_INSTALL 102 // 6.13; for files 6.15
#define GUARD_REMOVE 103  // 6.13

static int sys_madvise(int pidfd, uintptr_t addr, uintptr_t end, int advice, unsigned flags)
{
	struct iovec range = {(void *)addr, end - addr};

	long ret = pidfd == -1 ? DXS_BEHIND(madvise, ((void *)addr, end - addr, advice), SYS_madvise, (long)addr,
					    (long)(end - addr), advice, 0, 0, 0)
			       : DXS_BEHIND(process_madvise, (pidfd, &range, 1, advice, flags), SYS_process_madvise,
					    pidfd, (long)&range, 1, advice, flags, 0);

	return ret < 0 ? (int)ret : 0;
}

// The file behind a mapping changes as by fallocate. As the kernel does it: piece by piece, up to the first error; what is
// not mapped is an error at the end.
static int remove_known(int pidfd, uintptr_t addr, uintptr_t end, unsigned flags)
{
	int hole = 0, ret = 0;

	while (addr < end && !ret) {
		struct dxs_hole known;
		uintptr_t from = addr;
		bool is_known = dxs_hole_begin(&addr, end, &known);

		if (!is_known)
			addr = end;
		ret = sys_madvise(pidfd, from, addr, MADV_REMOVE, flags);
		if (is_known)
			dxs_holes_end(known.file, known.off, ret && ret != -ENOMEM ? 0 : known.len, -1);
		if (ret == -ENOMEM) { // what is mapped is done
			hole = ret;
			ret = 0;
		}
	}
	return ret ? ret : hole;
}

static bool leaves_page_tables(int advice)
{
	return (advice >= 0 && advice <= MADV_WILLNEED) || (advice >= MADV_DONTFORK && advice <= MADV_DODUMP) ||
	       advice == MADV_COLD || advice == POPULATE_READ || advice == POPULATE_WRITE || advice == GUARD_REMOVE;
}

// From now on page tables may be emptied at any time. No sync is looking at them meanwhile.
static void traces_may_go(uintptr_t addr, uintptr_t end)
{
	struct dxs_change change;
	struct dxs_map *map;

	dxs_change_begin(&change, addr, 0);
	dxs_for_each_map (map, addr, end) {
		dxs_change_lock(map->file);
		atomic_store(&map->file->is_plain_memory, false);
	}
	dxs_change_end(&change);
}

static bool is_about_huge_pages(int advice)
{
	return advice == MADV_HUGEPAGE || advice == COLLAPSE;
}

int dxs_madvise(int pidfd, void *addr, size_t len, int advice, unsigned flags)
{
	uintptr_t at = (uintptr_t)addr, end = at + len;
	struct dxs_pin pin = {.nr = 0};
	dxs_sigset set;
	int ret;

	if (dxs_likely(!dxs_near(at, end)))
		return sys_madvise(pidfd, at, end, advice, flags);
	if (advice == MADV_REMOVE && at % DXS_PAGE_SIZE == 0 && dxs_is_known(at, len)) {
		set = dxs_sig_block();
		ret = remove_known(pidfd, at, end, flags);
		dxs_sig_setmask(set);
		return ret;
	}
	// What may empty page tables, in which the first sync of a mapping looks for what was stored to: synced before.
	if (!leaves_page_tables(advice))
		dxs_msync_bytes(at, end);
	if (is_about_huge_pages(advice) && dxs_is_known(at, len))
		traces_may_go(at, end);
	// MADV_POPULATE_WRITE makes pages writable as far as the mapping is. MADV_GUARD_INSTALL takes pages out until none is
	// left, and a write-protected one leaves a userfaultfd marker: it would go on for ever (mm/madvise.c, Linux 6.18).
	if (advice == POPULATE_WRITE || advice == GUARD_INSTALL)
		dxs_pin(&pin, addr, len);
	ret = sys_madvise(pidfd, at, end, advice, flags);
	dxs_unpin(&pin);
	return ret;
}
