// SPDX-License-Identifier: BSD-3-Clause
// observer.h: what tests put beside the library in order to look at it, or to make something fail.
//
// The library that is installed asks nobody: there is no name of a failure in it, and no setting that loads an observer. A
// library of its own, which is built with the tests only, names itself in its constructor.
#ifndef DXS_OBSERVER_H
#define DXS_OBSERVER_H

#include <stdbool.h>

enum dxs_fault;

struct dxs_observer {
	const char *variable;                // the setting that it reads for itself
	void (*begin)(void);                 // the settings are known now; init
	bool (*fails)(enum dxs_fault fault); // whether this goes wrong now; every context
	long (*refuses)(long nr);            // -errno in the place of a system call, or 0; every context
};

#pragma GCC visibility push(default) // observers use these

extern const struct dxs_observer *dxs_observer; // NULL: nobody

// Context: init, before dxs_init().
void dxs_observe(const struct dxs_observer *observer);

#pragma GCC visibility pop

#endif
