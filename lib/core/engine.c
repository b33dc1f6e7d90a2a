// SPDX-License-Identifier: BSD-3-Clause
// engine.c: what the core asks of every engine.
#include "core/engine.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/failure.h"
#include "file/file.h"

static _Atomic bool pins_wanted; // relaxed: set before the mapping is known, for good

void dxs_engine_wants_pins(void)
{
	atomic_store(&pins_wanted, true);
}

bool dxs_engine_pins_wanted(void)
{
	return atomic_load_explicit(&pins_wanted, memory_order_relaxed);
}

int dxs_engine_make_writable(struct dxs_map *map, uintptr_t addr, size_t len)
{
	return dxs_injected(DXS_FAIL_OPEN_ERROR) ? -ENOMEM : map->engine->make_writable(map, addr, len);
}
