// SPDX-License-Identifier: BSD-3-Clause
// hooks.c: fills the table of hooks and runs the self-test.
#include "hooks.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "base/alloc.h"
#include "base/behind.h"
#include "base/log.h"
#include "base/space.h"
#include "call/calls.h"
#include "exit.h"
#include "file/mapping.h"
#include "init.h"
#include "private_malloc.h"
#include "process/fork.h"
#include "report/stats.h"
#include "results.h"
#include "signal/sigmask.h"
#include "signal/signals.h"
#include "space/mode.h"
#include "space/track.h"

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
	{"setjmp", (void *)(setjmp), &dxs_next_setjmp},
#endif
};

#define NR_HOOKS (sizeof(hooks) / sizeof(hooks[0]))

bool dxs_hook_enter(void)
{
	if (!dxs_hooks_active || dxs_inside)
		return false;
	dxs_fork_check();
	return true;
}

// A program that is not position-independent and takes a function's address has an entry of its own for it, which leads
// to the first library that defines it.
static bool is_import(void *function)
{
	const ElfW(Sym) *sym = NULL;
	Dl_info info;

	return dladdr1(function, &info, (void **)&sym, RTLD_DL_SYMENT) && sym && sym->st_shndx == SHN_UNDEF;
}

static bool is_defined_by(const struct link_map *object, const char *name)
{
	void *handle = dlopen(object->l_name, RTLD_LAZY | RTLD_NOLOAD);
	void *function = handle ? dlsym(handle, name) : NULL; // by the object, or by what it needs
	struct link_map *owner;
	Dl_info info;

	if (handle)
		dlclose(handle);
	return function && dladdr1(function, &info, (void **)&owner, RTLD_DL_LINKMAP) && owner == object;
}

// The library between the program and us that defines the name.
static const char *front_of_us(const char *name)
{
	const struct link_map *us, *object;
	Dl_info info;

	if (!dladdr1((void *)dxs_hooks_fill, &info, (void **)&us, RTLD_DL_LINKMAP))
		return "nothing known";
	for (object = us->l_prev; object && object->l_prev; object = object->l_prev)
		if (is_defined_by(object, name))
			return object->l_name;
	return NULL;
}

// A sanitizer's runtime looks at a call and then makes it to the next library, which is us.
static bool passes_on(const char *name, const Dl_info *seen)
{
	char other[64];
	struct dxs_text text;
	Dl_info info;
	void *function;

	dxs_text_init(&text, other, sizeof(other));
	dxs_text_add(&text, "__interceptor_%s", name);
	function = dlsym(RTLD_DEFAULT, other);
	return function && dladdr(function, &info) && info.dli_fbase == seen->dli_fbase;
}

// The library that stands in front of a hook, or NULL if the program's calls reach us.
static const char *shadow_of(const struct hook *hook)
{
	void *seen = dlsym(RTLD_DEFAULT, hook->name);
	Dl_info info;

	if (seen == hook->replacement || !*hook->next)
		return NULL;
	if (!seen || !dladdr(seen, &info) || !info.dli_fname)
		return "nothing known";
	if (is_import(seen))
		return front_of_us(hook->name);
	return passes_on(hook->name, &info) ? NULL : info.dli_fname;
}

// A hook that the program's calls do not reach, because another library stands in front: stores or changes would go
// unseen, so the library must not promise anything.
static bool self_test(void)
{
	const char *by = NULL, *first = NULL, *shadow;
	unsigned nr = 0;
	size_t i;

	for (i = 0; i < NR_HOOKS; i++) {
		shadow = shadow_of(&hooks[i]);
		if (!shadow)
			continue;
		nr++;
		if (by)
			continue;
		by = shadow;
		first = hooks[i].name;
	}
	if (nr)
		dxs_warn("%d hooks are shadowed, %s by %s: nothing is tracked, the kernel does every sync", nr, first,
			 by);
	return !nr;
}

// The only hook that the C library need not have. A look for a name that is not there allocates.
static bool may_be_missing(const struct hook *hook)
{
	return (void *)hook->next == (void *)&dxs_next.mseal;
}

// May run inside the program's allocator, with its lock held.
void dxs_hooks_fill(void)
{
	static bool filled;
	size_t i;

	if (filled)
		return;
	filled = true;
	for (i = 0; i < dxs_nr_results; i++)
		*dxs_results[i].next = dlsym(RTLD_NEXT, dxs_results[i].name);
	for (i = 0; i < NR_HOOKS; i++)
		if (!*hooks[i].next && !may_be_missing(&hooks[i]))
			*hooks[i].next = dlsym(RTLD_NEXT, hooks[i].name);
}

// Whether a function is another library's, and not libc's.
static bool is_behind(void *function)
{
	Dl_info libc = {0}, info;

	dladdr((void *)strsignal, &libc); // not hooked
	return function && dladdr(function, &info) && info.dli_fbase != libc.dli_fbase;
}

static void behind_fill(void)
{
#define X(name)                                                                                                        \
	if (is_behind((void *)dxs_next.name))                                                                          \
		dxs_behind.name = dxs_next.name;
	DXS_BEHIND_CALLS(X)
#undef X
}

__attribute__((constructor(101))) static void begin(void)
{
	dxs_hooks_fill();
	dxs_next.mseal = (__typeof__(dxs_next.mseal))dlsym(RTLD_NEXT, "mseal"); // NULL: the hook makes the system call
	behind_fill();
	dxs_space_init();
	dxs_allocator.zalloc = dxs_private_zalloc;
	dxs_allocator.free = dxs_private_free;
	dxs_allocator.forked = dxs_private_forked;
	dxs_private_free(dxs_private_zalloc(1)); // it sets itself up with its first allocation
	dxs_real_sigaction = dxs_next.sigaction;
	dxs_stdio_writes = dxs_hooks_stdio_writes;
	dxs_init();
	(void)at_quick_exit(dxs_finish); // quick_exit runs no destructors, and ends by a call inside libc
	dxs_hooks_active = self_test();
	dxs_sigmask_followed = dxs_sees_all = dxs_hooks_active;
	if (dxs_hooks_active && dxs_mode_is_possible())
		dxs_load();
	if (dxs_hooks_spare())
		dxs_sig_setmask(dxs_sigmask_adopt(dxs_sig_block())); // a program may be started with them blocked
}

__attribute__((destructor)) static void end(void)
{
	dxs_finish();
}
