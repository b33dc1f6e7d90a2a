// SPDX-License-Identifier: BSD-3-Clause
// library.c: finds the libraries and puts them into LD_PRELOAD.
#include "library.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/log.h"
#include "emulator.h"

#define FAULTS "libdaxsync-faults.so"

// The launcher's own path: without /proc, as it was given to execve(2).
static bool find_self(char path[PATH_MAX])
{
	const char *given = (const char *)getauxval(AT_EXECFN);

	return realpath("/proc/self/exe", path) || (given && realpath(given, path));
}

static bool is_there(const char *dir, const char *name, char path[PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/%s", dir, name) < PATH_MAX && !access(path, R_OK);
}

// In a directory beside the launcher's.
static bool is_beside(const char *self, const char *libdir, const char *name, char path[PATH_MAX])
{
	char dir[2 * PATH_MAX];

	return snprintf(dir, sizeof(dir), "%s/%s", self, libdir) < (int)sizeof(dir) && is_there(dir, name, path);
}

// In ../lib as seen from the launcher, or what this is called on the machine, or where the build system says that the shim
// was installed.
static bool find(const char *name, char path[PATH_MAX])
{
	char self[PATH_MAX];
	bool found = find_self(self);

	for (int i = 0; i < 2 && found && strrchr(self, '/'); i++)
		*strrchr(self, '/') = '\0';
	if (found && is_beside(self, "lib", name, path))
		return true;
#ifdef DXS_PRELOAD_DIR
	return (found && is_beside(self, DXS_PRELOAD_SUBDIR, name, path)) || is_there(DXS_PRELOAD_DIR, name, path);
#else
	return false;
#endif
}

bool dxs_library_has_faults(void)
{
	char path[PATH_MAX];

	return find(FAULTS, path);
}

bool dxs_library_has_emulator(void)
{
	char path[PATH_MAX];

	return find(DXS_EMULATOR, path);
}

// Puts a library before what is in LD_PRELOAD.
static int put_first(const char *path)
{
	const char *before = getenv("LD_PRELOAD");
	char *value;
	int err;

	if (strpbrk(path, " :")) {
		dxs_error("%s cannot be preloaded: a space or a colon in its path would end it", path);
		return -EINVAL;
	}
	if (!before || !*before)
		return setenv("LD_PRELOAD", path, 1) ? -ENOMEM : 0;
	if (asprintf(&value, "%s:%s", path, before) < 0)
		return -ENOMEM;
	err = setenv("LD_PRELOAD", value, 1) ? -ENOMEM : 0;
	free(value);
	return err;
}

int dxs_library_preload(void)
{
	const char *fault = getenv("DAXSYNC_FAULT");
	char path[PATH_MAX];
	int err = 0;

	if (fault && *fault && find(FAULTS, path))
		err = put_first(path);
	if (!err && find(DXS_PRELOAD, path))
		return put_first(path);
	if (!err)
		dxs_error(DXS_PRELOAD
			  " is not found: neither in ../lib beside the launcher nor where it was installed");
	return err ? err : -ENOENT;
}
