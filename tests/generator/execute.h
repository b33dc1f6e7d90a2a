// SPDX-License-Identifier: BSD-3-Clause
// execute.h: a sequence carried out twice at once, through libc (and so the shim) on one file, and by raw system calls
// on another.
#ifndef EXECUTE_H
#define EXECUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "sequence.h"

// A run of a sequence, and what has come of it. Lies in memory that the driver shares.
struct run {
	struct sequence sequence;
	unsigned step;   // where it is, or has failed
	bool failed;     //
	char what[400];  // then: why
	uint64_t caught; // stores beyond the end of the file, and the like
	uint64_t judged; // comparisons with the durable image
	int tolerated;   // an errno with which a call through libc may fail once; then it is made again
	uint64_t failed_calls, injected;
};

enum memory { TMPFS, MEMFD };

#define FILES "/dev/shm/daxsync-generator." // then the worker's process id

// To be called once.
void execute_init(enum memory memory);

// Carries out run->sequence. With `drop`, operations that make no sense where they stand are taken out of it; without,
// the first of them ends it: returns false then, and run->step is its place.
bool execute(struct run *run, bool drop);

// How often DAXSYNC_FAULT has made something fail in this process.
uint64_t faults_injected(void);

#endif
