// SPDX-License-Identifier: BSD-3-Clause
// diag.c: backtraces.
#include "report/diag.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <ucontext.h>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "base/behind.h"
#include "base/log.h"

#define DEPTH 16
#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

struct unwind {
	int (*init_local)(unw_cursor_t *cursor, unw_context_t *context);
	int (*init_local2)(unw_cursor_t *cursor, unw_context_t *context, int flags);
	int (*step)(unw_cursor_t *cursor);
	int (*get_reg)(unw_cursor_t *cursor, int reg, unw_word_t *value);
	int (*get_proc_name)(unw_cursor_t *cursor, char *name, size_t size, unw_word_t *offset);
};

// They have the same layout, where libunwind does not use the system's type itself. Its own way to fill it is a function on
// some CPUs and inline assembly on others.
union registers {
	ucontext_t os;
	unw_context_t unwind;
};

// With UNW_LOCAL_ONLY the header's names are macros for the real ones (_ULx86_64_step): their text is what to look up.
static bool load(struct unwind *api)
{
	void *lib = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);

	if (!lib)
		return false;
	api->init_local = (typeof(api->init_local))dlsym(lib, TEXT(unw_init_local));
	api->init_local2 = (typeof(api->init_local2))dlsym(lib, TEXT(unw_init_local2));
	api->step = (typeof(api->step))dlsym(lib, TEXT(unw_step));
	api->get_reg = (typeof(api->get_reg))dlsym(lib, TEXT(unw_get_reg));
	api->get_proc_name = (typeof(api->get_proc_name))dlsym(lib, TEXT(unw_get_proc_name));
	return api->init_local && api->init_local2 && api->step && api->get_reg && api->get_proc_name;
}

static struct unwind api;
static _Atomic bool loaded; // release (part of seq_cst): `api`; partners: the loads below

void dxs_diag_load(void)
{
	struct unwind found = {0};
	static atomic_flag done = ATOMIC_FLAG_INIT; // seq_cst, the default: relaxed would do, only the first one loads

	if (atomic_flag_test_and_set(&done) || !load(&found))
		return;
	api = found;
	atomic_store(&loaded, true); // release: `api`; partner: the load in backtrace_print
}

static unsigned stack_walk(void *interrupted, uintptr_t *pc, unsigned nr)
{
	union registers here;
	unw_cursor_t cursor;
	unw_word_t ip = 0;
	unsigned depth = 0;

	if (!atomic_load(&loaded) || (!interrupted && getcontext(&here.os)) ||
	    api.init_local2(&cursor, interrupted ? interrupted : &here.unwind, interrupted ? UNW_INIT_SIGNAL_FRAME : 0))
		return 0;
	if (interrupted && nr && !api.get_reg(&cursor, UNW_REG_IP, &ip))
		pc[depth++] = (uintptr_t)ip + 1;
	for (; depth < nr && api.step(&cursor) > 0; depth++) {
		api.get_reg(&cursor, UNW_REG_IP, &ip);
		pc[depth] = (uintptr_t)ip;
	}
	return depth;
}

// libunwind maps and reads files. Its calls must not wait for another thread's change: the caller may hold what that waits for.
unsigned dxs_diag_stack(void *interrupted, uintptr_t *pc, unsigned nr)
{
	unsigned depth;

	dxs_inside++;
	depth = stack_walk(interrupted, pc, nr);
	dxs_inside--;
	return depth;
}

static void backtrace_print(void)
{
	static atomic_flag done = ATOMIC_FLAG_INIT; // seq_cst, the default: relaxed would do, only the first one tells
	union registers here;
	unw_cursor_t cursor;
	int depth;

	if (!atomic_load(&loaded) || atomic_flag_test_and_set(&done) || getcontext(&here.os) ||
	    api.init_local(&cursor, &here.unwind))
		return;
	for (depth = 0; depth < DEPTH && api.step(&cursor) > 0; depth++) {
		unw_word_t ip = 0, offset = 0;
		char name[128] = "?";

		api.get_reg(&cursor, UNW_REG_IP, &ip);
		api.get_proc_name(&cursor, name, sizeof(name), &offset);
		dxs_error("  #%d %p %s+%lu", depth, (void *)ip, name, (unsigned long)offset);
	}
}

void dxs_diag_backtrace(void)
{
	dxs_inside++;
	backtrace_print();
	dxs_inside--;
}
