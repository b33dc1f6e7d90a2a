// SPDX-License-Identifier: BSD-3-Clause
// witness.h: the order of all locks, and who checks it.
//
// Whoever holds a lock takes only locks of a higher rank, so no two threads ever wait for each other's. Builds with
// DXS_WITNESS check it: each thread counts what it holds of each rank, and one that takes a lock out of order names both
// and ends the process. Other builds contain nothing of this. The idea is that of FreeBSD's witness(4) and jemalloc's.
#ifndef DXS_WITNESS_H
#define DXS_WITNESS_H

#include <stdbool.h>

// From the outermost lock to the innermost. A thread holds two locks of one rank in two cases: page locks, which a write
// fault takes in the order of the pages (tree.h), and the maps_locks of several files, all under the registry's mutex
// (change.c).
#define DXS_RANKS(X)                                                                                                   \
	X(REGISTRY, "the registry of mappings")                                                                        \
	X(MAPS, "a file's maps_lock")                                                                                  \
	X(EXCLUSIVE_MUTEX, "a file's exclusive_mutex")                                                                 \
	X(SYNC_LOCK, "a file's sync_lock")                                                                             \
	X(GROUP, "a group of syncs")                                                                                   \
	X(PIN, "a file's pin_mutex")                                                                                   \
	X(PAGE, "a page lock")                                                                                         \
	X(MAP, "a mapping's mutex")                                                                                    \
	X(KWRITE, "a file's kwrite_mutex")                                                                             \
	X(WRITERS, "the table of writers")                                                                             \
	X(FILECACHE, "the cache of files")                                                                             \
	X(BUDGET, "the budget of VMAs")                                                                                \
	X(UFFD, "opening the userfaultfd")                                                                             \
	X(FLUSHER, "loading the flusher")                                                                              \
	X(SIGNALS, "the handlers")                                                                                     \
	X(SIGMASK, "the shadow masks")                                                                                 \
	X(STAGES, "the image's stages")                                                                                \
	X(SITES, "the record's call sites")                                                                            \
	X(FD, "moving a descriptor")

enum dxs_rank {
	DXS_RANK_NONE, // not checked
#define X(name, what) DXS_RANK_##name,
	DXS_RANKS(X)
#undef X
		DXS_NR_RANKS
};

#ifdef DXS_WITNESS
#pragma GCC visibility push(default) // the emulator uses these
void dxs_witness_take(enum dxs_rank rank, bool may_wait);
void dxs_witness_release(enum dxs_rank rank);
#pragma GCC visibility pop
#else
static inline void dxs_witness_take(enum dxs_rank rank, bool may_wait)
{
	(void)rank, (void)may_wait;
}

static inline void dxs_witness_release(enum dxs_rank rank)
{
	(void)rank;
}
#endif

#endif
