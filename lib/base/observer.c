// SPDX-License-Identifier: BSD-3-Clause
// observer.c: the observer, if there is one.
#include "base/observer.h"

#include "base/sys.h"

const struct dxs_observer *dxs_observer;

void dxs_observe(const struct dxs_observer *observer)
{
	dxs_observer = observer;
	dxs_sys_planted = observer ? observer->refuses : NULL;
}
