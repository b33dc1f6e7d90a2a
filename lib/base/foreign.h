// SPDX-License-Identifier: BSD-3-Clause
// foreign.h: descriptors and inodes of which it is certain that they have nothing to do with a tracked file.
//
// To ask the kernel what a descriptor names costs as much as a short write. So that a number names no tracked file is
// remembered, until it may name something else.
#ifndef DXS_FOREIGN_H
#define DXS_FOREIGN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#pragma GCC visibility push(default) // the shim uses these

// Whether a descriptor certainly names no tracked file: two loads. Context: any.
bool dxs_foreign(int fd);

// Goes up when another inode is tracked.
uint64_t dxs_foreign_generation(void);

// A number is given up or given out: before its end and after it, and after it got a new meaning. Context: any.
void dxs_foreign_forget(int fd);
void dxs_foreign_forget_range(unsigned first, unsigned last);
void dxs_foreign_forget_all(void);

// From now on for good: numbers change their meaning in ways that nobody sees, or mean different things to threads.
void dxs_foreign_stop(void);

#pragma GCC visibility pop

// Around the question: begin before the kernel is asked, learn when the answer is that no tracked file is named.
struct dxs_foreign_question {
	uint64_t word, generation;
};
struct dxs_foreign_question dxs_foreign_begin(int fd);
void dxs_foreign_learn(int fd, struct dxs_foreign_question asked);

// An inode: false only if it is not tracked, nor about to be. add: before it is in the table of files.
bool dxs_foreign_may_be_tracked(dev_t dev, ino_t ino);
void dxs_foreign_add(dev_t dev, ino_t ino);

// At the start, and in a child of a fork.
void dxs_foreign_process(void);

#endif
