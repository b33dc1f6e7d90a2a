// SPDX-License-Identifier: BSD-3-Clause
// lock.h: a mutex and a shared lock on one futex word each.
//
// Whoever takes one has all signals blocked (dxs_sig_block), so that no signal handler ever finds its own thread
// holding it. In which order they are taken: witness.h.
#ifndef DXS_LOCK_H
#define DXS_LOCK_H

#include "base/sys.h"
#include "base/witness.h"

struct dxs_mutex {
	// acquire: to take it, release: to give it back; each is the other's partner. relaxed where a try fails.
	_Atomic uint32_t word; // 0 free, 1 held, 2 held and waited for
	enum dxs_rank rank;
};

static inline void dxs_mutex_lock(struct dxs_mutex *mutex)
{
	uint32_t old = 0;

	dxs_witness_take(mutex->rank, true);
	if (atomic_compare_exchange_strong_explicit(&mutex->word, &old, 1, memory_order_acquire, memory_order_relaxed))
		return;
	while (atomic_exchange_explicit(&mutex->word, 2, memory_order_acquire)) // partner: the release in unlock
		dxs_futex_wait(&mutex->word, 2);
}

static inline bool dxs_mutex_trylock(struct dxs_mutex *mutex)
{
	uint32_t old = 0;

	if (!atomic_compare_exchange_strong_explicit(&mutex->word, &old, 1, memory_order_acquire, memory_order_relaxed))
		return false;
	dxs_witness_take(mutex->rank, false);
	return true;
}

static inline void dxs_mutex_unlock(struct dxs_mutex *mutex)
{
	dxs_witness_release(mutex->rank);
	if (atomic_exchange_explicit(&mutex->word, 0, memory_order_release) == 2) // partner: the acquires in lock
		dxs_futex_wake(&mutex->word, 1);
}

// Shared by many, or exclusive to one. A waiting exclusive owner keeps new sharers out. Exclusive owners are
// serialised by another lock.
struct dxs_shared {
	// seq_cst, the default: acquire in the two locks and release in the two unlocks would do. The kernel compares
	// the word before anybody sleeps, so no wake-up is missed.
	_Atomic uint32_t word; // EXCLUSIVE | WAITED | number of sharers
	enum dxs_rank rank;
};

#define DXS_EXCLUSIVE (1U << 31)
#define DXS_WAITED (1U << 30) // somebody sleeps until it is exclusive no more

static inline void dxs_shared_lock(struct dxs_shared *lock)
{
	uint32_t old = atomic_load(&lock->word);

	dxs_witness_take(lock->rank, true);
	for (;;) {
		uint32_t new = old &DXS_EXCLUSIVE ? old | DXS_WAITED : old + 1;

		if (new != old && !atomic_compare_exchange_weak(&lock->word, &old, new))
			continue;
		if (!(old & DXS_EXCLUSIVE))
			return;
		dxs_futex_wait(&lock->word, new);
		old = atomic_load(&lock->word);
	}
}

static inline void dxs_shared_unlock(struct dxs_shared *lock)
{
	dxs_witness_release(lock->rank);
	if ((atomic_fetch_sub(&lock->word, 1) & ~DXS_WAITED) == (DXS_EXCLUSIVE | 1))
		dxs_futex_wake(&lock->word, INT32_MAX);
}

static inline void dxs_exclusive_lock(struct dxs_shared *lock)
{
	uint32_t now = atomic_fetch_or(&lock->word, DXS_EXCLUSIVE) | DXS_EXCLUSIVE;

	dxs_witness_take(lock->rank, true);
	while ((now & ~DXS_WAITED) != DXS_EXCLUSIVE) {
		dxs_futex_wait(&lock->word, now);
		now = atomic_load(&lock->word);
	}
}

static inline void dxs_exclusive_unlock(struct dxs_shared *lock)
{
	dxs_witness_release(lock->rank);
	if (atomic_exchange(&lock->word, 0) & DXS_WAITED)
		dxs_futex_wake(&lock->word, INT32_MAX);
}

#endif
