// SPDX-License-Identifier: BSD-3-Clause
// unserved.c: files that are left to the kernel, for the line at the program's end.
//
// CONCURRENCY
// Only what was first is kept, by one exchange; all else is a count or a hint. A mapping that is gone may leave its range,
// and a sync of what is there now may then be taken for one of it: if that is no file, nothing is said.
#include "report/unserved.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proc/vma.h"

#define NR_RANGES 8 // of mappings in mode pass, the first ones

_Atomic bool dxs_unserved_any_mapped; // seq_cst, the default: relaxed would do, it is a hint

static bool wanted;
static atomic_flag taken = ATOMIC_FLAG_INIT; // seq_cst, the default: relaxed would do, only the first one writes
static _Atomic bool is_there;                // release (part of seq_cst): the text; partner: dxs_unserved_say
static char first[256];
static const char *first_reason;

static struct {
	// release (part of seq_cst): the other two; partner: dxs_unserved_note.
	_Atomic uintptr_t end; // 0: not known yet
	uintptr_t start;
	const char *reason;
} range[NR_RANGES];
static _Atomic unsigned nr_ranges; // seq_cst, the default: relaxed would do. Each addition gives a place of one's own.

void dxs_unserved_begin(void)
{
	wanted = getenv(DXS_UNSERVED_VARIABLE);
}

void dxs_unserved_forget(void)
{
	wanted = false;
	atomic_store(&dxs_unserved_any_mapped, false);
}

void dxs_unserved_add(const char *path, const char *reason)
{
	struct dxs_text text;

	if (!wanted || atomic_load(&is_there) || atomic_flag_test_and_set(&taken))
		return;
	dxs_text_init(&text, first, sizeof(first));
	dxs_text_add(&text, "%s", path);
	first_reason = reason;
	atomic_store(&is_there, true); // release: the text; partner: dxs_unserved_say()
	atomic_store(&dxs_unserved_any_mapped, false);
}

void dxs_unserved_map(uintptr_t addr, size_t len, const char *reason)
{
	unsigned i;

	if (!wanted || atomic_load(&is_there) || atomic_load(&nr_ranges) >= NR_RANGES)
		return;
	i = atomic_fetch_add(&nr_ranges, 1);
	if (i >= NR_RANGES)
		return;
	range[i].start = addr;
	range[i].reason = reason;
	atomic_store(&range[i].end, addr + len); // release: the other two; partner: dxs_unserved_note()
	atomic_store(&dxs_unserved_any_mapped, true);
}

// The name is asked for once, of the mapping that is there: to ask when it was made would be a call for each mmap.
void dxs_unserved_note(uintptr_t start, uintptr_t end)
{
	char path[sizeof(first)];
	struct dxs_vma vma;

	for (unsigned i = 0; i < NR_RANGES; i++) {
		uintptr_t range_end = atomic_load(&range[i].end);

		if (start >= range_end || end <= range[i].start)
			continue;
		if (!dxs_vma_file(range[i].start, &vma, path, sizeof(path)) && vma.shared && *path == '/')
			dxs_unserved_add(path, range[i].reason);
	}
}

void dxs_unserved_say(void)
{
	if (wanted && atomic_load(&is_there))
		dxs_warn("%s was synced by the kernel: %s (\"daxsync run --report\" tells of all files)",
			 *first ? first : "a file", first_reason);
}
