// SPDX-License-Identifier: BSD-3-Clause
// hooks.c: filling the table of hooks, and the self-test.
#include "hooks.h"

#include <dlfcn.h>

#include "alloc.h"
#include "calls.h"
#include "exit.h"
#include "fork.h"
#include "log.h"
#include "private_malloc.h"
#include "results.h"
#include "sigmask.h"
#include "signals.h"
#include "stats.h"
#include "track.h"

struct dxs_next dxs_next;
bool dxs_hooks_active;

struct hook {
	const char *name;
	void *replacement;
	void **next;
};

static const struct hook hooks[] = {
#define X(name) {#name, (void *)(name), (void **)&dxs_next.name},
	DXS_HOOKS(X)
#undef X
#if defined(__x86_64__)
		{"__sigsetjmp", (void *)(__sigsetjmp), &dxs_next_sigsetjmp},
#endif
};

#define NR_HOOKS (sizeof(hooks) / sizeof(hooks[0]))

bool dxs_hook_enter(void)
{
	if (!dxs_hooks_active || dxs_inside)
		return false;
	if (dxs_unlikely(dxs_fork_check()))
		dxs_stdio_lose();
	return true;
}

static const char *object_of(void *function)
{
	Dl_info info;

	return function && dladdr(function, &info) && info.dli_fname ? info.dli_fname : "nowhere";
}

// A hook that the program's calls do not reach, because another library stands in front, or that has nothing to go on
// to: stores or changes would go unseen, so the library must not promise anything.
static bool self_test(void)
{
	bool ok = true;
	size_t i;

	for (i = 0; i < NR_HOOKS; i++) {
		void *seen = dlsym(RTLD_DEFAULT, hooks[i].name);

		if (seen != hooks[i].replacement && *hooks[i].next) {
			dxs_warn("hook %s is shadowed by %s", hooks[i].name, object_of(seen));
			ok = false;
		}
	}
	if (!ok)
		dxs_warn("hooks are missing: nothing is tracked, the kernel does every sync");
	return ok;
}

void dxs_hooks_fill(void)
{
	static bool filled;
	size_t i;

	if (filled)
		return;
	filled = true;
	for (i = 0; i < NR_HOOKS; i++)
		if (!*hooks[i].next)
			*hooks[i].next = dlsym(RTLD_NEXT, hooks[i].name);
	for (i = 0; i < dxs_nr_results; i++)
		*dxs_results[i].next = dlsym(RTLD_NEXT, dxs_results[i].name);
}

__attribute__((constructor(101))) static void begin(void)
{
	dxs_hooks_fill();
	dxs_allocator.zalloc = dxs_private_zalloc;
	dxs_allocator.free = dxs_private_free;
	// The allocator sets up its fork handlers with its first allocation, before dxs_init() does: so a fork takes the
	// registry's lock first and the allocator's then, as all others do.
	dxs_private_free(dxs_private_zalloc(1));
	pthread_atfork(dxs_stdio_fork_begin, dxs_stdio_fork_end, dxs_stdio_fork_end);
	dxs_real_sigaction = dxs_next.sigaction;
	dxs_stdio_writes = dxs_hooks_stdio_writes;
	dxs_init();
	(void)at_quick_exit(dxs_finish); // quick_exit runs no destructors, and ends by a call inside libc
	dxs_hooks_active = self_test();
	dxs_sigmask_followed = dxs_hooks_active;
	if (dxs_hooks_spare())
		dxs_sig_setmask(dxs_sigmask_adopt(dxs_sig_block())); // a program may be started with them blocked
}

__attribute__((destructor)) static void end(void)
{
	dxs_finish();
}
