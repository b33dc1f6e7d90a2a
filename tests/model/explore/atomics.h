// SPDX-License-Identifier: BSD-3-Clause
// atomics.h: stands before everything else in tree.c when the explorer compiles it (-include): each atomic access, and each
// sleep, becomes a step of a thread of the explorer's.
#ifndef EXPLORE_ATOMICS_H
#define EXPLORE_ATOMICS_H

#include <stdatomic.h>

#include "base/sys.h"

uint64_t explore_load(const void *at, int order);
void explore_store(void *at, uint64_t value, int order);
// The value before. What is added, or put in the place of all but what is kept.
uint64_t explore_change(void *at, uint64_t keep, uint64_t flip, uint64_t add, int order);
// Whether it has been exchanged; else `seen` is what was there. A weak one may fail without a reason.
bool explore_exchange(void *at, uint64_t *seen, uint64_t value, bool is_weak);
void explore_wait(void *at, uint32_t seen);
void explore_wake(void *at);

#define AS_VALUE(p, of)                                                                                                \
	__extension__({                                                                                                \
		__typeof__((void)0, *(p)) explore_value = (__typeof__((void)0, *(p)))(of);                             \
		explore_value;                                                                                         \
	})

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_init
#undef atomic_fetch_or
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_weak

#define atomic_load_explicit(p, order) AS_VALUE(p, explore_load(p, order))
#define atomic_load(p) atomic_load_explicit(p, memory_order_seq_cst)
#define atomic_store(p, v) explore_store(p, (uint64_t)(v), memory_order_seq_cst)
#define atomic_init(p, v) explore_store(p, (uint64_t)(v), memory_order_relaxed)
#define atomic_fetch_or_explicit(p, v, order) AS_VALUE(p, explore_change(p, ~(uint64_t)(v), (uint64_t)(v), 0, order))
#define atomic_fetch_or(p, v) atomic_fetch_or_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_and(p, v) AS_VALUE(p, explore_change(p, (uint64_t)(v), 0, 0, memory_order_seq_cst))
#define atomic_fetch_add_explicit(p, v, order) AS_VALUE(p, explore_change(p, ~0ULL, 0, (uint64_t)(v), order))
#define atomic_fetch_add(p, v) atomic_fetch_add_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_sub(p, v) AS_VALUE(p, explore_change(p, ~0ULL, 0, -(uint64_t)(v), memory_order_seq_cst))
#define EXCHANGE(p, seen, v, is_weak)                                                                                  \
	__extension__({                                                                                                \
		uint64_t explore_seen = (uint64_t)(*(seen));                                                           \
		bool explore_done = explore_exchange(p, &explore_seen, (uint64_t)(v), is_weak);                        \
		*(seen) = (__typeof__(*(seen)))explore_seen;                                                           \
		explore_done;                                                                                          \
	})
#define atomic_compare_exchange_strong(p, seen, v) EXCHANGE(p, seen, v, false)
#define atomic_compare_exchange_weak(p, seen, v) EXCHANGE(p, seen, v, true)

#define dxs_futex_wait(p, seen) explore_wait(p, seen)
#define dxs_futex_wake(p, nr) explore_wake(p)

#endif
