// SPDX-License-Identifier: BSD-3-Clause
// injector.c: the injector, if there is one.
#include "base/injector.h"

#include "base/sys.h"

const struct dxs_injector *dxs_injector;

void dxs_injector_set(const struct dxs_injector *injector)
{
	dxs_injector = injector;
	dxs_sys_injected = injector ? injector->refuses : NULL;
}
