// SPDX-License-Identifier: BSD-3-Clause
// policy.c: the fixed policies, and the adaptive one.
//
// THE PROBLEM
//   A page that is left open costs a flush (F) at every sync that covers it, stored to or not: a sync cannot tell. A page
//   that is closed costs its write fault and the close (T) when it is stored to again. T is worth some 20 to 50 flushes;
//   DXS_POLICY_WORTH (K) says 32. Whoever always closes pays K times too much for a page that is stored to between any two
//   syncs; whoever never closes pays for pages that are stored to no more, without end.
//
// THE ANSWER
//   Ski rental, for each page: it stays open for a number of flushes, its stay, and is then closed. Closing is also the
//   only way to learn something: if the page is stored to again soon (in less than about K syncs that cover it), leaving
//   it open would have cost less than the fault.
//   - A page that nothing is known of has a stay of 0: the sync that flushes it first closes it.
//   - If it comes back soon, its stay goes up: K, 4 K, 8 K flushes. If it comes back late, the stay is 0 again.
//   - A stay begins with an age by chance, below half K: pages that come back at intervals that divide their stay would
//     all be closed right before they are stored to.
//   What that costs, against whoever knows the future of each page:
//   - A page that never comes back, or always late: nothing more than always closing, which is best for it.
//   - A page stored to between any two syncs: three faults until it has its longest stay, then one in 8 K flushes: 1/8
//     more than never closing, which is best for it.
//   - A page with a stay of 8 K that is stored to no more costs 8 K flushes, once. It had paid for 5 K that were
//     useful before. Where pages change their ways again and again, each at the worst moment, the factor is at most 9
//     (8 K flushes and a fault, where one fault would do); random pages cost 1.25 times the better of the fixed policies
//     at most (tests/unit/test_policy.c).
//   A page that is beyond the end of the file now, or a hole, has a stay of 0 as well: each flush of it would be a fault.
//   Pages that a trap opens besides the one that is stored to (gaps, sequences) have a stay of 0, and where a sequence goes on
//   into such pages, that is no return. Where it opens K of them or more, closing them together costs less than flushing
//   them once: none is left open. So it is with entries larger than 4 KiB.
//   In runs: a page that is due is closed together with the neighbours that are more than half way there.
//
// SOON
//   Syncs cover different parts of a file. Its clock counts them as the part of its mapped pages that they cover: the
//   number of syncs that a page would have been flushed by, on average. Half K of these are an epoch. A leaf knows which
//   of its pages were closed in this epoch and in the one before; what comes back from there is soon. For a page that is
//   covered by more syncs than others are, the clock is slow, and what comes back late is taken for soon; the factor of 9
//   holds there, too.
//
// LIMITS
//   At most 2^18 pages (1 GiB) are left open in the process, and fewer where the engine is short of something (E.8). Then
//   no further page is left open; those that are have their stay.
//
// REPRESENTATION
//   15 bits for each page, one in each of 15 words of its leaf (a counter of 64 pages is incremented in as many steps as
//   its carries go). Words are read and written without a lock. Of one page only a trap or a sync does so at a time: a trap
//   that opens it while it is not DIRTY, or a sync that has it DIRTY and FLUSHING. An update of other pages' bits that is
//   lost costs time only. Only `left_open`, of which there is a sum, changes by locked instructions.
#include "core/policy.h"

#include "base/config.h"
#include "base/mix.h"
#include "base/sys.h"
#include "core/engine.h"
#include "core/handover.h"
#include "file/file.h"
#include "report/stats.h"

#define EPOCH_SHIFT 4 // half of WORTH
#define CHANCE_BITS 4 // of the age that a stay begins with
#define LEFT_OPEN_MAX ((uint64_t)1 << 18)

_Static_assert(DXS_POLICY_WORTH == 2 << EPOCH_SHIFT, "two epochs");
// The stays, 1 << 5, 1 << 7 and 1 << 8 flushes, are read from the bits of the ages: see aged() and is_half_aged().
_Static_assert(DXS_POLICY_WORTH == 1 << 5 && DXS_AGE_BITS == 8, "stays of 1, 4 and 8 times WORTH");

// relaxed, both: see REPRESENTATION.
static uint64_t get(_Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void set(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static uint64_t count(uint64_t pages)
{
	return (uint64_t)__builtin_popcountll(pages);
}

void dxs_policy_sync(struct dxs_file *file, uint64_t first, uint64_t last)
{
	uint64_t all = file->nr_mapped, nr = dxs_min64(last - first + 1, all);

	if (all)
		atomic_fetch_add_explicit(&file->clock, (nr << DXS_CLOCK_SHIFT) / all, memory_order_relaxed);
}

// Forgets what was closed two epochs ago.
static void epochs_turn(struct dxs_file *file, struct dxs_leaf *leaf)
{
	uint32_t now = (uint32_t)(get(&file->clock) >> (DXS_CLOCK_SHIFT + EPOCH_SHIFT));
	uint32_t then = atomic_load_explicit(&leaf->epoch, memory_order_relaxed);

	if (now == then)
		return;
	set(&leaf->closed_before, now == then + 1 ? get(&leaf->closed) : 0);
	set(&leaf->closed, 0);
	atomic_store_explicit(&leaf->epoch, now, memory_order_relaxed);
}

// The stays of some pages together: so many flushes at most.
static uint64_t stays(struct dxs_leaf *leaf, uint64_t pages)
{
	uint64_t lo = get(&leaf->stay[0]), hi = get(&leaf->stay[1]);

	return (count(pages & lo & ~hi) << 5) + (count(pages & hi & ~lo) << 7) + (count(pages & lo & hi) << 8);
}

// The pages that were closed by the last sync.
static uint64_t closed_last(struct dxs_file *file, struct dxs_leaf *leaf)
{
	return get(&file->clock) - get(&leaf->last_closed_at) < 1ULL << DXS_CLOCK_SHIFT ? get(&leaf->last_closed) : 0;
}

// A bit for each page of a leaf, another one as the clock goes on. Nothing but ages depends on it.
static uint64_t by_chance(struct dxs_file *file, const struct dxs_leaf *leaf, unsigned nr)
{
	return dxs_mix64(((get(&file->clock) >> DXS_CLOCK_SHIFT) + leaf->first) * CHANCE_BITS + nr);
}

void dxs_policy_opened(struct dxs_file *file, struct dxs_leaf *leaf, uint64_t pages, uint64_t hit, uint64_t nr)
{
	uint64_t lo = get(&leaf->stay[0]), hi = get(&leaf->stay[1]);
	uint64_t soon = 0, at_once, in_vain, chance;
	unsigned i;

	if (!pages || dxs_config.policy != DXS_POLICY_ADAPTIVE)
		return;
	epochs_turn(file, leaf);
	// A page that was opened beside another one, and is stored to right after it was closed, while the page before it has not
	// come back, is where a sequence goes on: it had been opened in vain.
	at_once = pages & hit & closed_last(file, leaf);
	in_vain = at_once & ~get(&leaf->stored) & ((get(&leaf->last_closed) | ~(lo | hi)) << 1);
	if (nr < DXS_POLICY_WORTH)
		soon = pages & hit & ~in_vain & (get(&leaf->closed) | get(&leaf->closed_before));
	if (at_once)
		dxs_handover_in_time(file, stays(leaf, at_once));
	// One more, up to 3, for those that are back soon; 0 for the others.
	set(&leaf->stay[0], (lo & ~pages) | (soon & (~lo | hi)));
	set(&leaf->stay[1], (hi & ~pages) | (soon & (lo | hi)));
	for (i = 0; i < DXS_AGE_BITS; i++) {
		chance = i < CHANCE_BITS ? by_chance(file, leaf, i) : 0;
		set(&leaf->age[i], (get(&leaf->age[i]) & ~pages) | (soon & chance));
	}
	set(&leaf->closed, get(&leaf->closed) & ~pages);
	set(&leaf->closed_before, get(&leaf->closed_before) & ~pages);
	set(&leaf->last_closed, get(&leaf->last_closed) & ~pages);
	if (pages & hit)
		dxs_handover_trapped(file, nr);
	set(&leaf->stored, (get(&leaf->stored) & ~pages) | (pages & hit));
	if (soon)
		dxs_count(pages_back_soon, count(soon));
}

// Counts a flush of each of the pages. Returns those whose age is that of the end of their stay.
static uint64_t aged(struct dxs_leaf *leaf, uint64_t pages)
{
	uint64_t lo = get(&leaf->stay[0]), hi = get(&leaf->stay[1]);
	uint64_t carry = pages, due = 0;
	unsigned i;

	for (i = 0; carry && i < DXS_AGE_BITS; i++) {
		uint64_t old = get(&leaf->age[i]), risen = carry & ~old; // their ages are multiples of 1 << i now

		set(&leaf->age[i], old ^ carry);
		due |= i == 5 ? risen & lo & ~hi : i == 7 ? risen & hi & ~lo : 0;
		carry &= old;
	}
	return due | (carry & lo & hi);
}

// Of pages that are not due, those that have had half as many, or more.
static uint64_t half_aged(struct dxs_leaf *leaf)
{
	uint64_t lo = get(&leaf->stay[0]), hi = get(&leaf->stay[1]);

	return (lo & ~hi & get(&leaf->age[4])) | (hi & ~lo & get(&leaf->age[6])) | (lo & hi & get(&leaf->age[7]));
}

// The pages of `near` that are next to one of `pages`, or next to such a one.
static uint64_t neighbours(uint64_t pages, uint64_t near)
{
	uint64_t all = pages, more;

	while ((more = near & (all << 1 | all >> 1) & ~all))
		all |= more;
	return all & ~pages;
}

// Whether no further page is to be left open.
static bool is_full(struct dxs_file *file)
{
	const struct dxs_engine *engine = atomic_load(&file->engine);

	return get(&dxs_files_left_open) >= LEFT_OPEN_MAX || (engine && engine->is_short());
}

// Takes note of pages that are left open from now on.
static void keep(struct dxs_file *file, struct dxs_leaf *leaf, uint64_t pages)
{
	uint64_t more = count(pages & ~atomic_fetch_or(&leaf->left_open, pages));

	atomic_fetch_add_explicit(&file->nr_left_open, more, memory_order_relaxed); // relaxed, both: a limit, not exact
	atomic_fetch_add_explicit(&dxs_files_left_open, more, memory_order_relaxed);
}

static uint64_t adaptive(struct dxs_file *file, struct dxs_leaf *leaf, uint64_t pages)
{
	uint64_t stays = file->page_shift == DXS_PAGE_SHIFT ? get(&leaf->stay[0]) | get(&leaf->stay[1]) : 0;
	uint64_t cold = pages & ~stays, due = aged(leaf, pages & stays), early = 0, more;

	if (due)
		early = neighbours(due, pages & stays & half_aged(leaf));
	more = pages & stays & ~due & ~early & ~get(&leaf->left_open);
	if (more && is_full(file))
		early |= more;
	else if (more)
		keep(file, leaf, more);
	if (cold)
		dxs_count(pages_closed_cold, count(cold));
	if (due)
		dxs_count(pages_closed_aged, count(due));
	if (early)
		dxs_count(pages_closed_early, count(early));
	return cold | due | early;
}

uint64_t dxs_policy_close(struct dxs_file *file, struct dxs_leaf *leaf, uint64_t pages)
{
	if (dxs_config.policy == DXS_POLICY_NEVER_CLOSE || !pages)
		return 0;
	return dxs_config.policy == DXS_POLICY_ALWAYS_CLOSE ? pages : adaptive(file, leaf, pages);
}

void dxs_policy_closed(struct dxs_file *file, struct dxs_leaf *leaf, uint64_t pages)
{
	uint64_t gone;

	if (dxs_config.policy != DXS_POLICY_ADAPTIVE)
		return;
	epochs_turn(file, leaf);
	set(&leaf->closed, get(&leaf->closed) | pages);
	set(&leaf->last_closed, pages);
	set(&leaf->last_closed_at, get(&file->clock));
	if (!(get(&leaf->left_open) & pages))
		return;
	gone = atomic_fetch_and(&leaf->left_open, ~pages) & pages;
	// relaxed, both: as in keep.
	atomic_fetch_sub_explicit(&file->nr_left_open, count(gone), memory_order_relaxed);
	atomic_fetch_sub_explicit(&dxs_files_left_open, count(gone), memory_order_relaxed);
	dxs_handover_aged(file, stays(leaf, gone));
}

void dxs_policy_empty(struct dxs_leaf *leaf, uint64_t pages)
{
	unsigned i;

	for (i = 0; i < 2; i++)
		if (get(&leaf->stay[i]) & pages)
			set(&leaf->stay[i], get(&leaf->stay[i]) & ~pages);
}
