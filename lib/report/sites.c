// SPDX-License-Identifier: BSD-3-Clause
// sites.c: the tables of call sites, in the shared statistics.
//
// CONCURRENCY
// As the table of mappings (stats.c): a slot is claimed, filled, and READY; two threads that add the same new site at once
// may fill a slot each, and whoever reads the table adds them up. The name of the file is looked for once for each slot: a
// site keeps it when its library is gone, and nobody needs the process to read it.
#include "report/sites.h"

#include <string.h>

#include "proc/vma.h"
#include "report/stats.h"

enum slot_state { EMPTY, BUSY, READY };

bool dxs_sites_wanted;

static uintptr_t libc_begin, libc_end; // its code

void dxs_sites_begin(void)
{
	struct dxs_vma vma;

	if (!dxs_vma_file((uintptr_t)memcpy, &vma, NULL, 0)) {
		libc_begin = vma.addr;
		libc_end = vma.addr + vma.len;
	}
	dxs_sites_wanted = true;
}

static void fill(struct dxs_site *site, uintptr_t addr)
{
	struct dxs_vma vma;

	site->addr = addr;
	if (!dxs_vma_file(addr, &vma, site->path, sizeof(site->path)))
		site->offset = (uint64_t)vma.off + (addr - vma.addr);
	else
		site->path[0] = '\0';
	atomic_store_explicit(&site->state, READY, memory_order_release); // partner: the acquire in find_or_make()
}

static struct dxs_site *find_or_make(struct dxs_site *sites, uintptr_t addr)
{
	uint64_t hash = addr * 0x9e3779b97f4a7c15ULL >> 32;

	for (unsigned i = 0; i < DXS_SITES; i++) {
		struct dxs_site *site = &sites[(hash + i) % DXS_SITES];
		int state = atomic_load_explicit(&site->state, memory_order_acquire);

		if (state == READY && site->addr == addr)
			return site;
		// relaxed: nobody reads the slot before it is READY.
		if (state == EMPTY && atomic_compare_exchange_strong_explicit(
					      &site->state, &state, BUSY, memory_order_relaxed, memory_order_relaxed)) {
			fill(site, addr);
			return site;
		}
	}
	return NULL;
}

void dxs_sites_add(enum dxs_site_kind kind, uintptr_t addr)
{
	struct dxs_site *site = find_or_make(dxs_stats.site[kind], addr);

	// relaxed: a statistic
	atomic_fetch_add_explicit(site ? &site->count : &dxs_stats.sites_dropped[kind], 1, memory_order_relaxed);
}

void dxs_sites_store(uintptr_t pc, uintptr_t stack)
{
	uintptr_t caller = 0;
	struct {
		void *base;
		size_t len;
	} to = {&caller, sizeof(caller)}, from = {(void *)stack, sizeof(caller)};

	// By the kernel: where the stack is no stack, it says so.
	if (pc >= libc_begin && pc < libc_end &&
	    dxs_sys6(SYS_process_vm_readv, dxs_sys6(SYS_getpid, 0, 0, 0, 0, 0, 0), (long)&to, 1, (long)&from, 1, 0) ==
		    sizeof(caller) &&
	    caller)
		pc = caller - 1;
	dxs_sites_add(DXS_SITE_STORE, pc);
}
