// SPDX-License-Identifier: BSD-3-Clause
// injector.h: what tests put beside the library to make something fail.
//
// The library that is installed asks nobody: there is no name of a failure in it, and no setting that loads an injector. A
// library of its own, which is built with the tests only, names itself in its constructor.
#ifndef DXS_INJECTOR_H
#define DXS_INJECTOR_H

#include <stdbool.h>

enum dxs_failure;

struct dxs_injector {
	const char *variable;                    // the setting that it reads for itself
	void (*begin)(void);                     // the settings are known now; init
	bool (*fails)(enum dxs_failure failure); // whether this goes wrong now; every context
	long (*refuses)(long nr);                // -errno in the place of a system call, or 0; every context
};

#pragma GCC visibility push(default) // injectors use these

extern const struct dxs_injector *dxs_injector; // NULL: nobody

// Context: init, before dxs_init(); later while the process has one thread.
void dxs_injector_set(const struct dxs_injector *injector);

#pragma GCC visibility pop

#endif
