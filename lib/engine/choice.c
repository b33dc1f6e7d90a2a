// SPDX-License-Identifier: BSD-3-Clause
// choice.c: the choice of the engine.
#include "engine/choice.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/config.h"
#include "base/failure.h"
#include "base/log.h"
#include "engine/mprotect.h"
#include "engine/uffd.h"
#include "file/file.h"
#include "proc/pagemap.h"

static const struct dxs_engine *uffd_try(struct dxs_map *map, const char **why)
{
	int err;

	if (dxs_uffd_open(why))
		return NULL;
	err = dxs_engine_uffd.attach(map);
	if (!err)
		return &dxs_engine_uffd;
	*why = err == -EBUSY    ? "the program tracks the mapping with a userfaultfd of its own"
	       : err == -ENOMEM ? "no memory to track the mapping"
				: "userfaultfd cannot track files of this file system";
	dxs_debug("engine uffd: attaching %p failed with %d", (void *)map->addr, -err);
	return NULL;
}

static const struct dxs_engine *mprotect_try(struct dxs_map *map, const char **why)
{
	*why = dxs_pagemap_open() ? "/proc/self/pagemap cannot be opened" : "the SIGSEGV handler cannot be installed";
	return dxs_engine_mprotect.attach(map) ? NULL : &dxs_engine_mprotect;
}

// On DAX the kernel refuses it (EINVAL on all versions up to 7.3): not tried there unless it was asked for.
static bool may_be_uffd(const struct dxs_map *map)
{
	return dxs_config.engine == DXS_ENGINE_UFFD ||
	       (dxs_config.engine == DXS_ENGINE_AUTO && dxs_file_own_mode(map->file) == DXS_MODE_EMULATED);
}

static void note(struct dxs_file *file, const struct dxs_engine *engine)
{
	file->is_mixed |= atomic_load(&file->engine) && atomic_load(&file->engine) != engine;
	atomic_store(&file->engine, file->is_mixed ? NULL : engine);
}

const struct dxs_engine *dxs_engine_attach(struct dxs_map *map, const char **why)
{
	const struct dxs_engine *engine = NULL;

	*why = "no engine can track it";
	if (dxs_injected(DXS_FAIL_NO_ATTACH))
		return NULL;
	if (may_be_uffd(map))
		engine = uffd_try(map, why);
	if (!engine && dxs_config.engine != DXS_ENGINE_UFFD)
		engine = mprotect_try(map, why);
	if (engine) {
		dxs_engine_wants_pins();
		note(map->file, engine);
	}
	return engine;
}

void dxs_engine_reset(void)
{
	dxs_uffd_reset();
}
