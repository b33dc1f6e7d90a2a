// SPDX-License-Identifier: BSD-3-Clause
// emulator.c: loads the emulator.
#include "emulator.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/behind.h"
#include "base/log.h"
#include "file/observer.h"

// The emulator in the directory of the file that holds this function. A relative path leads to wherever the program is now,
// which a set-uid program may not have chosen.
static bool find_beside(char path[PATH_MAX])
{
	struct dxs_text text;
	const char *end;
	Dl_info info;

	if (!dladdr((void *)dxs_emulator_load, &info) || !info.dli_fname)
		return false;
	end = strrchr(info.dli_fname, '/');
	if (!end || (info.dli_fname[0] != '/' && getauxval(AT_SECURE)))
		return false;
	dxs_text_init(&text, path, PATH_MAX);
	dxs_text_add(&text, "%s", info.dli_fname);
	text.len = dxs_min64(text.len, (size_t)(end + 1 - info.dli_fname));
	dxs_text_add(&text, "%s", DXS_EMULATOR);
	return !text.cut && !access(path, F_OK);
}

// What is wrong is text of the loader's, valid until its next call; NULL: nothing.
static const char *load(void)
{
	char path[PATH_MAX];

	if (!dlopen(find_beside(path) ? path : DXS_EMULATOR, RTLD_NOW | RTLD_LOCAL))
		return dlerror();
	return atomic_load(&dxs_observer_offered) ? NULL : DXS_EMULATOR " belongs to another libdaxsync than this one";
}

bool dxs_emulator_load(void)
{
	static atomic_flag said = ATOMIC_FLAG_INIT; // seq_cst, the default: relaxed would do, only the first one tells
	int saved = errno;
	dxs_sigset set;
	const char *why;

	if (atomic_load(&dxs_observer_offered))
		return true;
	set = dxs_sig_block();
	dxs_inside++;
	why = load();
	if (why && !atomic_flag_test_and_set(&said))
		dxs_error("nothing is emulated or verified: %s", why);
	dxs_inside--;
	errno = saved;
	dxs_sig_setmask(set);
	return !why;
}

void dxs_emulator_init(void)
{
	bool observes = dxs_config.verify || dxs_config.powercut_at || dxs_config.image_dir[0];

	if (!dxs_config.emulate && !observes)
		return;
	if (!dxs_emulator_load()) {
		dxs_config.emulate = dxs_config.verify = false;
		dxs_config.powercut_at = 0;
		dxs_config.image_dir[0] = '\0';
	} else if (observes) {
		dxs_observer = atomic_load(&dxs_observer_offered);
	}
}
