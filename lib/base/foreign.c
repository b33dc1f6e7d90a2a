// SPDX-License-Identifier: BSD-3-Clause
// foreign.c: what is known to be none of ours.
//
// STRUCTURE
//   One word for each descriptor number: the generation in which it was found to name no tracked file, how often it was
//   forgotten, and whether it was found so at all. A word counts only in its own generation.
//
// CONCURRENCY
//   N.1 A number that names a tracked file is never taken for foreign. It would have to be found foreign first. If the
//       inode was tracked later, the generation has gone up since: it goes up when the inode is in the table of files, so
//       who was told an older generation may not have found it there, and who was told the new one has. If the number was
//       given out later, it was forgotten since: after that call. Who has asked before and answers afterwards finds the
//       count changed.
//   N.2 A number changes its meaning by being closed and given out again. Both are seen where libc does them, and each of
//       the two is enough: a close forgets before (who looks meanwhile still finds the old file) and after (who has looked
//       before). So what is wrong has passed libc by twice: closed, and opened on a tracked file, by raw system calls.
//   N.3 The child of a vfork shares the memory, but not the descriptors. It forgets, which costs its parent a question,
//       and never learns: only the process that owns the words does.
#include "base/foreign.h"

#include <stdatomic.h>

#include "base/sys.h"

#define NR_WORDS 65536U // higher numbers are asked about each time
#define IS_FOREIGN 1ULL
#define COUNT_ONE 2ULL
#define COUNT_MASK 0xfffffeULL
#define GENERATION_SHIFT 24

// seq_cst, the default, all: a question reads `generation` and the word before the kernel is asked, and is answered by
// one exchange (dxs_foreign_begin, dxs_foreign_learn). Partners: dxs_foreign_forget and dxs_foreign_forget_all.
static _Atomic uint64_t words[NR_WORDS];
static _Atomic uint64_t generation = 1;
static _Atomic uint32_t nr_used; // nobody has asked about numbers from here on
static _Atomic bool is_stopped;
static _Atomic int owner;

// Bits of inodes that were ever tracked: a few hash to one.
#define NR_INODE_WORDS 64U
// seq_cst, the default: release would do. A bit is set before the inode is in the table of files; partner:
// dxs_foreign_may_be_tracked, by who may have been told of its mappings.
static _Atomic uint64_t inodes[NR_INODE_WORDS];

bool dxs_foreign(int fd)
{
	uint64_t word;

	if ((unsigned)fd >= NR_WORDS)
		return false;
	word = atomic_load(&words[fd]);
	return word & IS_FOREIGN && word >> GENERATION_SHIFT == atomic_load(&generation);
}

uint64_t dxs_foreign_generation(void)
{
	return atomic_load(&generation);
}

void dxs_foreign_forget(int fd)
{
	uint64_t word;

	if ((unsigned)fd >= NR_WORDS)
		return;
	word = atomic_load(&words[fd]);
	// N.1, N.2: a new count; partner: the exchange in dxs_foreign_learn
	while (!atomic_compare_exchange_weak(&words[fd], &word, (word + COUNT_ONE) & COUNT_MASK))
		;
}

void dxs_foreign_forget_range(unsigned first, unsigned last)
{
	unsigned nr = atomic_load(&nr_used);

	for (; first < nr && first <= last; first++)
		dxs_foreign_forget((int)first);
}

void dxs_foreign_forget_all(void)
{
	atomic_fetch_add(&generation, 1); // N.1: after what it is for; partner: the load in dxs_foreign_begin
}

void dxs_foreign_stop(void)
{
	atomic_store(&is_stopped, true); // before the generation: who is told the new one sees it in dxs_foreign_learn
	dxs_foreign_forget_all();
}

struct dxs_foreign_question dxs_foreign_begin(int fd)
{
	uint64_t seen = atomic_load(&generation);
	uint32_t nr = atomic_load(&nr_used);

	if ((unsigned)fd >= NR_WORDS)
		return (struct dxs_foreign_question){0, seen};
	// Before the kernel is asked; partner: dxs_foreign_forget_range, which looks again after the kernel's change.
	while (nr <= (unsigned)fd && !atomic_compare_exchange_weak(&nr_used, &nr, (unsigned)fd + 1))
		;
	return (struct dxs_foreign_question){atomic_load(&words[fd]), seen};
}

void dxs_foreign_learn(int fd, struct dxs_foreign_question asked)
{
	uint64_t word = (asked.word & COUNT_MASK) | asked.generation << GENERATION_SHIFT | IS_FOREIGN;

	if ((unsigned)fd >= NR_WORDS || atomic_load(&is_stopped) ||
	    atomic_load(&owner) != dxs_sys6(SYS_getpid, 0, 0, 0, 0, 0, 0))
		return;
	atomic_compare_exchange_strong(&words[fd], &asked.word, word); // not if it was forgotten since: N.1, N.2
}

static _Atomic uint64_t *inode_word(dev_t dev, ino_t ino, uint64_t *bit)
{
	uint64_t key = (uint64_t)ino * 0x9e3779b97f4a7c15ULL + (uint64_t)dev * 0xc2b2ae3d27d4eb4fULL;

	*bit = 1ULL << (key >> 58);
	return &inodes[(key >> 32) % NR_INODE_WORDS];
}

bool dxs_foreign_may_be_tracked(dev_t dev, ino_t ino)
{
	uint64_t bit;

	return atomic_load(inode_word(dev, ino, &bit)) & bit;
}

void dxs_foreign_add(dev_t dev, ino_t ino)
{
	uint64_t bit;
	_Atomic uint64_t *word = inode_word(dev, ino, &bit);

	atomic_fetch_or(word, bit);
}

void dxs_foreign_process(void)
{
	atomic_store(&owner, (int)dxs_sys6(SYS_getpid, 0, 0, 0, 0, 0, 0));
	dxs_foreign_forget_all(); // numbers that other threads of the parent were just given
}
