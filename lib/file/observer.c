// SPDX-License-Identifier: BSD-3-Clause
// observer.c: the observer, if there is one.
#include "file/observer.h"

const struct dxs_observer *dxs_observer;
// seq_cst, the default: release would do. The emulator's constructor sets it; partner: who has loaded it (emulator.c).
const struct dxs_observer *_Atomic dxs_observer_offered;

void dxs_observer_offer(const struct dxs_observer *observer)
{
	atomic_store(&dxs_observer_offered, observer);
}

void dxs_asked_add(struct dxs_asked *asked, uint64_t first, uint64_t last)
{
	struct dxs_stretch *stretch = asked->stretch, *end = stretch + asked->nr;

	while (stretch < end && (first > stretch->last + 1 || stretch->first > last + 1))
		stretch++;
	if (stretch == end && asked->nr < DXS_STRETCHES) {
		asked->nr++;
		*stretch = (struct dxs_stretch){first, last};
		return;
	}
	if (stretch == end)
		stretch--;
	stretch->first = dxs_min64(stretch->first, first);
	stretch->last = dxs_max64(stretch->last, last);
}
