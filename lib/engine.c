// SPDX-License-Identifier: BSD-3-Clause
// engine.c: the choice of the engine.
#include "engine.h"

#include <errno.h>
#include <stdatomic.h>

#include "config.h"
#include "engine_uffd.h"
#include "fault.h"
#include "log.h"
#include "mapping.h"

static _Atomic bool pins_wanted;

bool dxs_engine_pins_wanted(void)
{
	return atomic_load_explicit(&pins_wanted, memory_order_relaxed); // relaxed: set before the mapping is known
}

const struct dxs_engine *dxs_engine_attach(struct dxs_map *map, const char **why)
{
	int err;

	if (dxs_config.engine == DXS_ENGINE_MPROTECT) {
		*why = "this version has no mprotect engine";
		return NULL;
	}
	if (dxs_uffd_open(why))
		return NULL;
	err = dxs_fault(DXS_FAULT_NO_ATTACH) ? -EINVAL : dxs_engine_uffd.attach(map);
	if (!err) {
		if (!dxs_engine_uffd.serves_kernel())
			atomic_store(&pins_wanted, true);
		return &dxs_engine_uffd;
	}
	*why = err == -EBUSY    ? "the program tracks the mapping with a userfaultfd of its own"
	       : err == -ENOMEM ? "no memory to track the mapping"
				: "userfaultfd cannot track files of this file system";
	dxs_debug("engine uffd: attaching %p failed with %d", (void *)map->addr, -err);
	return NULL;
}

void dxs_engine_reset(void)
{
	dxs_uffd_reset();
}
