// SPDX-License-Identifier: BSD-3-Clause
// handover.c: whether a file is left to the kernel for a time.
//
// THE PROBLEM
//   A page that is stored to once costs a trap and a close (DXS_POLICY_WORTH flushes) with us. The kernel's own write fault
//   and the writeback of an entry of 4 KiB cost some 10. Where pages come back soon we win, as they stay open and cost a
//   flush each; where they do not, the kernel does. What it maps with an entry of 2 MiB it flushes as a whole: there it
//   never wins (doc/measurements.md).
//
// THE ANSWER
//   Traps and flushes are counted for a window of syncs, and what the kernel would have paid for the same stores. If that is
//   less by a tenth, and all mappings have small entries, the file is handed over: all is opened, and a sync is the kernel's.
//   A flush of an open page does not tell whether the page was stored to. A page that is closed because its stay is over does:
//   it traps before the next sync as often as it would have been stored to while it was open. So the part of such pages is
//   taken for the part of flushes that the kernel would have had a write fault for. Before any was closed that is all.
//   Of a file of which nothing is known the first window says nothing: each page that will come back traps once then, and
//   once more.
//   Then nothing is seen of what comes back. So it is taken back from time to time, as a trial. It costs a flush of
//   each page that is mapped, which is not known clean, and two windows of traps. The stay at the kernel is as long as makes
//   that a tenth of what the kernel costs meanwhile, and each vain trial doubles it, up to 8 times.
//   How soon is soon, and the clock by which syncs are counted, are the policy's (policy.c).
//
// What it costs to be wrong: time only. Why it is correct: sync.c, kernels_part().
#include "core/handover.h"

#include "base/config.h"
#include "base/kernel.h"
#include "base/log.h"
#include "core/engine.h"
#include "core/policy.h"
#include "file/file.h"
#include "file/observer.h"
#include "report/stats.h"

#define SYNCS(nr) ((uint64_t)(nr) << DXS_CLOCK_SHIFT)
#define WINDOW 32   // as long as a page that comes back soon may be away
#define TRAPS_MIN 8 // that say anything
#define ASSUMED 64  // flushes, each of them needed, that are assumed besides those of pages whose stay was over
#define KERNEL 10   // flushes that the kernel's write fault and writeback of a page cost
#define FEW 4       // pages: of more, one trap is cheaper than the kernel's write fault for each
#define STAY 1536   // syncs of cold pages at the kernel: ten times what two windows of their traps cost more
#define STAY_MAX ((uint64_t)1 << 20)
#define MOST_DOUBLED 3

// relaxed, everywhere: statistics and guesses, but for is_over, which syncs read with sync_lock held.
static uint64_t get(_Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void set(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static uint64_t now(struct dxs_file *file)
{
	return get(&file->clock) + get(&file->handover.fsyncs);
}

// In emulation the kernel wins nothing, so the adaptive policy never does it there. A record of crash tests knows what a
// program was promised by flushes only.
static bool may_be_over(struct dxs_file *file)
{
	enum dxs_mode mode = dxs_file_mode(file);

	if (atomic_load(&file->handover.nr_barred) || file->is_device)
		return false;
	if (mode == DXS_MODE_DIRECT)
		return dxs_kernel_tags_are_kept();
	return (mode == DXS_MODE_EMULATED && dxs_config.policy == DXS_POLICY_KERNEL &&
		!dxs_observed(file, false, is_told));
}

bool dxs_handover_is_due(struct dxs_file *file)
{
	bool is_over = atomic_load(&file->handover.is_over);

	if (dxs_config.policy != DXS_POLICY_ADAPTIVE && dxs_config.policy != DXS_POLICY_KERNEL)
		return false;
	if (!may_be_over(file))
		return is_over;
	if (dxs_config.policy == DXS_POLICY_KERNEL)
		return !is_over;
	return now(file) >= get(&file->handover.next);
}

static bool has_small_entries(struct dxs_file *file)
{
	struct dxs_map *map;

	dxs_for_each_map_of (map, file, 0, UINT64_MAX)
		if (!map->engine || !map->engine->is_small(map))
			return false;
	return true;
}

// Of the flushes of open pages, those for which there was a store.
static uint64_t flushes_needed(struct dxs_file *file)
{
	uint64_t aged = get(&file->handover.aged), in_time = dxs_min64(get(&file->handover.in_time), aged);

	return (uint64_t)((double)get(&file->handover.flushes) * (double)(in_time + ASSUMED) /
			  (double)(aged + ASSUMED));
}

static bool is_cheaper_there(struct dxs_file *file)
{
	uint64_t here = get(&file->handover.traps) + get(&file->handover.flushes);
	uint64_t there = get(&file->handover.traps_there) + KERNEL * flushes_needed(file);

	return get(&file->handover.nr_traps) >= TRAPS_MIN && 10 * here > 11 * there && has_small_entries(file);
}

static uint64_t stay(struct dxs_file *file)
{
	uint64_t nr_traps = get(&file->handover.nr_traps);
	uint64_t look = nr_traps ? file->nr_mapped * WINDOW / nr_traps : 0;

	return STAY + dxs_min64(look, STAY_MAX);
}

static bool decide_adaptive(struct dxs_file *file)
{
	struct dxs_handover *handover = &file->handover;
	bool was_over = atomic_load(&handover->is_over);
	bool says_anything = !was_over && handover->nr_windows > 1, over = says_anything && is_cheaper_there(file);
	uint64_t syncs = WINDOW;

	handover->nr_windows += !was_over && handover->nr_windows < 2;
	if (over) {
		syncs = stay(file) << handover->nr_vain;
		handover->nr_vain += handover->nr_vain < MOST_DOUBLED;
	} else if (says_anything) {
		handover->nr_vain = 0;
	}
	set(&handover->next, now(file) + SYNCS(syncs));
	return over;
}

bool dxs_handover_decide(struct dxs_file *file)
{
	bool over = false;

	if (may_be_over(file))
		over = dxs_config.policy == DXS_POLICY_KERNEL || decide_adaptive(file);
	else
		set(&file->handover.next, now(file) + SYNCS(WINDOW));
	set(&file->handover.traps, 0);
	set(&file->handover.traps_there, 0);
	set(&file->handover.flushes, 0);
	set(&file->handover.nr_traps, 0);
	set(&file->handover.aged, get(&file->handover.aged) / 2); // few in a window
	set(&file->handover.in_time, get(&file->handover.in_time) / 2);
	return over;
}

void dxs_handover_set(struct dxs_file *file, bool is_over)
{
	const struct dxs_engine *engine = atomic_load(&file->engine);
	const char *mode = dxs_mode_name(is_over ? DXS_MODE_KERNEL : dxs_file_mode(file));
	const char *reason = is_over ? dxs_handover_reason() : dxs_file_reason(file);

	// order: sync_lock, which is held exclusively; partner: sync_run, with it held.
	if (atomic_exchange(&file->handover.is_over, is_over) == is_over)
		return;
	if (is_over) {
		dxs_count(handed_over, 1);
	} else {
		dxs_count(taken_back, 1);
		file->handover.nr_windows = 1; // it begins now, and says nothing
	}
	dxs_stats_map_add(file->path, mode, engine ? engine->name : "any", reason, 0);
	dxs_info("%s: mode %s: %s", file->path, mode, reason);
}

static void add(_Atomic uint64_t *word, uint64_t value)
{
	atomic_fetch_add_explicit(word, value, memory_order_relaxed);
}

void dxs_handover_trapped(struct dxs_file *file, uint64_t nr)
{
	bool is_sequence = nr >= FEW; // its pages are taken for stored to

	add(&file->handover.traps, DXS_POLICY_WORTH);
	add(&file->handover.traps_there, is_sequence ? KERNEL * nr : KERNEL);
	add(&file->handover.nr_traps, !is_sequence);
}

void dxs_handover_fsynced(struct dxs_file *file)
{
	add(&file->handover.fsyncs, SYNCS(1));
}

void dxs_handover_left_open(struct dxs_file *file, uint64_t nr)
{
	add(&file->handover.flushes, nr);
}

void dxs_handover_aged(struct dxs_file *file, uint64_t nr_flushes)
{
	add(&file->handover.aged, nr_flushes);
}

void dxs_handover_in_time(struct dxs_file *file, uint64_t nr_flushes)
{
	add(&file->handover.in_time, nr_flushes);
}

// order: seq_cst. Whoever decides with sync_lock held before this takes it sees no bar, and has done so when this has it;
// whoever does after it sees the bar.
void dxs_handover_bar(struct dxs_file *file)
{
	atomic_fetch_add(&file->handover.nr_barred, 1);
	if (!atomic_load(&file->handover.is_over) && dxs_config.policy != DXS_POLICY_KERNEL &&
	    dxs_config.policy != DXS_POLICY_ADAPTIVE)
		return;
	dxs_mutex_lock(&file->exclusive_mutex);
	dxs_exclusive_lock(&file->sync_lock);
	dxs_handover_set(file, false);
	dxs_exclusive_unlock(&file->sync_lock);
	dxs_mutex_unlock(&file->exclusive_mutex);
}

void dxs_handover_unbar(struct dxs_file *file)
{
	atomic_fetch_sub(&file->handover.nr_barred, 1); // after the call; partner: may_be_over
}

const char *dxs_handover_reason(void)
{
	return dxs_config.policy == DXS_POLICY_KERNEL ? "policy kernel"
						      : "pages do not come back: the kernel is cheaper";
}
