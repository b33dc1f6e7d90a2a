// SPDX-License-Identifier: BSD-3-Clause
// tracker.c: the plain tracker.
//
// One lock for all pages keeps "open, then note" in the handler and "close, then forget" in a sync apart: without it a page
// can end up open and not noted. The handler takes it in a store to the mapping, which nobody makes who holds it.
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define BITS 64

static char *map;
static size_t len;
static uint64_t *dirty;
static atomic_flag lock = ATOMIC_FLAG_INIT;

static void take(void)
{
	while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire)) // partner: release
		sched_yield();
}

static void release(void)
{
	atomic_flag_clear_explicit(&lock, memory_order_release);
}

static void on_store(int sig, siginfo_t *info, void *context)
{
	size_t page = ((uintptr_t)info->si_addr - (uintptr_t)map) / PAGE;
	int err;

	(void)context;
	if (page >= len / PAGE) {
		signal(sig, SIG_DFL);
		return;
	}
	take();
	err = mprotect(map + page * PAGE, PAGE, PROT_READ | PROT_WRITE);
	dirty[page / BITS] |= 1ULL << page % BITS;
	release();
	if (err) // too many mappings
		_exit(1);
}

void tracker_begin(char *addr, size_t size)
{
	struct sigaction action = {.sa_sigaction = on_store, .sa_flags = SA_SIGINFO | SA_RESTART};

	map = addr;
	len = size;
	dirty = calloc(size / PAGE / BITS + 1, sizeof(*dirty));
	if (!dirty || sigaction(SIGSEGV, &action, NULL) || mprotect(map, len, PROT_READ))
		fail("tracker");
}

static void word_sync(size_t word, uint64_t pages)
{
	while (pages) {
		unsigned from = (unsigned)__builtin_ctzll(pages);
		uint64_t gaps = ~(pages >> from);
		size_t nr = gaps ? (size_t)__builtin_ctzll(gaps) : BITS;
		char *at = map + (word * BITS + from) * PAGE;

		if (mprotect(at, nr * PAGE, PROT_READ))
			fail("mprotect");
		lines_flush(at, nr * PAGE);
		pages &= from + nr < BITS ? ~0ULL << (from + nr) : 0;
	}
}

void tracker_sync(const char *addr, size_t size)
{
	size_t first = (size_t)(addr - map) / PAGE, last = (size_t)(addr - map + (ptrdiff_t)size - 1) / PAGE, word;

	take();
	for (word = first / BITS; word <= last / BITS; word++) {
		uint64_t pages = dirty[word];

		if (word == first / BITS)
			pages &= ~0ULL << first % BITS;
		if (word == last / BITS)
			pages &= ~0ULL >> (BITS - 1 - last % BITS);
		if (!pages)
			continue;
		word_sync(word, pages);
		dirty[word] &= ~pages;
	}
	release();
	lines_drain();
}
