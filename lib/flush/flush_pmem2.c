// SPDX-License-Identifier: BSD-3-Clause
// flush_pmem2.c: libpmem2, loaded on demand.
//
// dlopen(RTLD_LOCAL), because linked it would bring nine libraries into every program. It picks CLWB, CLFLUSHOPT or
// CLFLUSH (x86-64), DC CVAP or DC CVAC (aarch64) and so on for this CPU, and obeys PMEM_NO_CLWB and
// PMEM_NO_CLFLUSHOPT. A mapping of one page of anonymous memory at cache-line granularity is enough to get the two
// functions, which hold for any address; page granularity is never asked for (its flush calls msync and can loop for
// ever: PMDK 1.12.1, libpmem2/persist.c).
#include "flush/flush_pmem2.h"

#include <dlfcn.h>
#include <errno.h>
#include <libpmem2.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "base/space.h"
#include "base/sys.h"

struct pmem2 {
	int (*source_from_anon)(struct pmem2_source **src, size_t size);
	int (*source_delete)(struct pmem2_source **src);
	int (*map_from_existing)(struct pmem2_map **map, const struct pmem2_source *src, void *addr, size_t len,
				 enum pmem2_granularity granularity);
	pmem2_flush_fn (*get_flush_fn)(struct pmem2_map *map);
	pmem2_drain_fn (*get_drain_fn)(struct pmem2_map *map);
};

static bool resolve(void *lib, struct pmem2 *api)
{
	api->source_from_anon = (typeof(api->source_from_anon))dlsym(lib, "pmem2_source_from_anon");
	api->source_delete = (typeof(api->source_delete))dlsym(lib, "pmem2_source_delete");
	api->map_from_existing = (typeof(api->map_from_existing))dlsym(lib, "pmem2_map_from_existing");
	api->get_flush_fn = (typeof(api->get_flush_fn))dlsym(lib, "pmem2_get_flush_fn");
	api->get_drain_fn = (typeof(api->get_drain_fn))dlsym(lib, "pmem2_get_drain_fn");
	return api->source_from_anon && api->source_delete && api->map_from_existing && api->get_flush_fn &&
	       api->get_drain_fn;
}

// The map stays for the life of the process: the functions are asked from it.
static int functions_get(const struct pmem2 *api, struct dxs_flusher *flusher)
{
	struct pmem2_source *source;
	struct pmem2_map *map;
	int ret;
	void *page = dxs_space_map(DXS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (dxs_is_err(page) || api->source_from_anon(&source, DXS_PAGE_SIZE))
		return -ENOMEM;
	ret = api->map_from_existing(&map, source, page, DXS_PAGE_SIZE, PMEM2_GRANULARITY_CACHE_LINE);
	api->source_delete(&source);
	if (ret)
		return -ENOTSUP;
	flusher->flush = api->get_flush_fn(map);
	flusher->drain = api->get_drain_fn(map);
	flusher->name = "libpmem2, cache lines";
	return 0;
}

int dxs_flush_pmem2(struct dxs_flusher *flusher, const char **why)
{
	struct pmem2 api;
	void *lib = dlopen("libpmem2.so.1", RTLD_NOW | RTLD_LOCAL);

	*why = "libpmem2.so.1 cannot be loaded (Debian package libpmem2-1)";
	if (!lib || !resolve(lib, &api))
		return -ENOENT;
	*why = "libpmem2 gives no flush function for this machine";
	return functions_get(&api, flusher);
}
