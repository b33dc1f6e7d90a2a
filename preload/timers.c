// SPDX-License-Identifier: BSD-3-Clause
// timers.c: hooks of timers whose expiry runs a function in a thread. libc makes that thread with all signals blocked
// and leaves it so. For its other notifications (mq_notify, aio) it unblocks all signals first.
//
// STRUCTURE
//   libc keeps one function and one word for each timer, and the thread gets a copy of both. The hook makes the word
//   name a slot, which holds the program's function and word. Slots lie in chunks, each twice as large as the one
//   before. Slots are reused and never freed.
//
// CONCURRENCY
//   A thread may be starting when its timer is deleted and the slot is reused. So the word also holds the slot's round,
//   and a thread that finds another round ends. It has come too late, just as libc's own thread would that looks for
//   its timer after the deletion. There is no lock, because a forked child could find it held.
#include "base/alloc.h"
#include "hooks.h"
#include "signal/sigmask.h"

#define NR_CHUNKS 20
#define FIRST_CHUNK 64U

struct slot {
	// seq_cst, the default: it changes before `run` and `value` do; partner: expired, which reads it after them.
	_Atomic uint32_t round; // odd: in use
	// seq_cst, the default: one exchange decides who deletes it; partner: slot_of.
	_Atomic uintptr_t timer; // its complement; 0: not known yet
	void (*run)(union sigval);
	union sigval value;
};

// release (part of seq_cst): the chunk's content; partner: slot_at.
static _Atomic(struct slot *) chunks[NR_CHUNKS];
static _Atomic uint32_t hint; // where to look for a free slot; relaxed: a guess
// seq_cst, the default: relaxed would do. Who deletes a timer was told of it after it was counted.
static _Atomic uint32_t nr_used; // 0: no timer can have one

static unsigned chunk_of(uint32_t index)
{
	return 31 - (unsigned)__builtin_clz(index / FIRST_CHUNK + 1);
}

// NULL: its chunk is not there yet.
static struct slot *slot_at(uint32_t index)
{
	unsigned chunk = chunk_of(index);
	struct slot *first = chunk < NR_CHUNKS ? atomic_load(&chunks[chunk]) : NULL;

	return first ? &first[index - FIRST_CHUNK * ((1U << chunk) - 1)] : NULL;
}

// Makes the first chunk that is not there. False: no memory.
static bool grow(void)
{
	struct slot *none = NULL, *made;
	unsigned chunk = 0;

	while (chunk < NR_CHUNKS && atomic_load(&chunks[chunk]))
		chunk++;
	made = chunk < NR_CHUNKS ? dxs_zalloc(sizeof(*made) * (FIRST_CHUNK << chunk)) : NULL;
	if (made && !atomic_compare_exchange_strong(&chunks[chunk], &none, made))
		dxs_free(made); // another thread was faster
	return made;
}

// Takes the first free slot from an index on. NULL: there is none.
static struct slot *slot_search(uint32_t index, union sigval *name)
{
	struct slot *slot;

	for (; (slot = slot_at(index)); index++) {
		uint32_t round = atomic_load(&slot->round);

		if (round & 1 || !atomic_compare_exchange_strong(&slot->round, &round, round + 1))
			continue;
		atomic_store_explicit(&hint, index + 1, memory_order_relaxed); // relaxed: a guess
		atomic_fetch_add(&nr_used, 1);
		name->sival_ptr = (void *)((uintptr_t)(round + 1) << 32 | index);
		return slot;
	}
	return NULL;
}

static struct slot *slot_take(union sigval *name)
{
	struct slot *slot;

	do {
		slot = slot_search(atomic_load_explicit(&hint, memory_order_relaxed), name);
		if (!slot)
			slot = slot_search(0, name);
	} while (!slot && grow());
	return slot;
}

static void slot_free(struct slot *slot)
{
	atomic_store(&slot->timer, 0);
	atomic_fetch_add(&slot->round, 1);
	atomic_fetch_sub(&nr_used, 1);
}

// In libc's thread.
static void expired(union sigval name)
{
	uint32_t round = (uint32_t)((uintptr_t)name.sival_ptr >> 32);
	struct slot *slot = slot_at((uint32_t)(uintptr_t)name.sival_ptr);
	void (*run)(union sigval) = slot->run;
	union sigval value = slot->value;

	// acquire: the reads above come before the next one; partner: `round` of the slot.
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load(&slot->round) != round)
		return;
	dxs_sig_setmask(dxs_sigmask_adopt(dxs_sig_block()));
	run(value);
}

DXS_EXPORT int timer_create(clockid_t clock, struct sigevent *event, timer_t *timer)
{
	struct sigevent copy;
	struct slot *slot;
	int ret;

	dxs_hooks_fill();
	if (!event || event->sigev_notify != SIGEV_THREAD || !dxs_hooks_spare())
		return dxs_next.timer_create(clock, event, timer);
	copy = *event;
	slot = slot_take(&copy.sigev_value);
	if (!slot)
		return (int)dxs_hook_return(-EAGAIN);
	slot->run = event->sigev_notify_function;
	slot->value = event->sigev_value;
	copy.sigev_notify_function = expired;
	ret = dxs_next.timer_create(clock, &copy, timer);
	if (ret)
		slot_free(slot);
	else
		atomic_store(&slot->timer, ~(uintptr_t)*timer);
	return ret;
}

static struct slot *slot_of(timer_t timer)
{
	struct slot *slot;
	uint32_t index;

	for (index = 0; atomic_load(&nr_used) && (slot = slot_at(index)); index++) {
		uintptr_t key = ~(uintptr_t)timer;

		if (atomic_compare_exchange_strong(&slot->timer, &key, 0)) {
			atomic_store_explicit(&hint, index, memory_order_relaxed);
			return slot;
		}
	}
	return NULL;
}

// The slot is taken out before: once the timer is gone, another may get its number.
DXS_EXPORT int timer_delete(timer_t timer)
{
	struct slot *slot = slot_of(timer);
	int ret;

	dxs_hooks_fill();
	ret = dxs_next.timer_delete(timer);
	if (slot && !ret)
		slot_free(slot);
	else if (slot)
		atomic_store(&slot->timer, ~(uintptr_t)timer);
	return ret;
}
