// SPDX-License-Identifier: BSD-3-Clause
// promise.h: how a program of the guest's tells the plugin what a sync promises: by an instruction that does nothing,
// NOPL with this displacement and the base RAX. RAX is one of the words below, RDI a number that tells the sync from others
// of the process at that time.
#ifndef CACHE_PROMISE_H
#define CACHE_PROMISE_H

#define PROMISE_DISPLACEMENT 0x50524f4d

enum promise_word {
	PROMISE_BEGINS = 1, // a sync is about to be called
	PROMISE_RANGE,      // it covers RDX bytes at RSI
	PROMISE_KEPT,       // it has returned, and says that they are durable
	PROMISE_OFF,        // it has returned an error
};

#endif
