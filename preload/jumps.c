// SPDX-License-Identifier: BSD-3-Clause
// jumps.c: hooks of what takes a thread to another place and to the mask that was saved there.
//
// A mask that libc saved does not tell which of our two signals the program believed to be blocked: it is asked for
// inside libc. Then it is what was believed outside of handlers, from which such jumps come.
#include "fork.h"
#include "hooks.h"
#include "sigmask.h"

static void mask_restored(const struct __jmp_buf_tag *env)
{
	if (env->__mask_was_saved && dxs_hooks_spare() && dxs_fork_is_owner())
		dxs_sigmask_leave();
}

#define JUMPS(name)                                                                                                    \
	DXS_EXPORT void name(struct __jmp_buf_tag env[1], int value)                                                   \
	{                                                                                                              \
		dxs_hooks_fill();                                                                                      \
		mask_restored(env);                                                                                    \
		dxs_next.name(env, value);                                                                             \
		__builtin_unreachable();                                                                               \
	}

JUMPS(longjmp)
JUMPS(_longjmp)
JUMPS(siglongjmp)
JUMPS(__longjmp_chk)

// Goes by the mask of a context. Returns it, or a copy without our signals.
static const ucontext_t *context_spared(const ucontext_t *context, ucontext_t *copy)
{
	unsigned bits;

	if (!dxs_hooks_spare())
		return context;
	bits = dxs_sigmask_bits(&context->uc_sigmask);
	dxs_sigmask_leave();
	if (!bits)
		return context;
	dxs_sigmask_set(bits);
	*copy = *context; // its pointer to the floating point state still leads into the original
	dxs_sigmask_spare(&copy->uc_sigmask);
	return copy;
}

DXS_EXPORT int setcontext(const ucontext_t *context)
{
	ucontext_t copy;

	dxs_hooks_fill();
	return dxs_next.setcontext(context_spared(context, &copy));
}

// Comes back here, perhaps in another thread, when somebody goes to *from.
DXS_EXPORT int swapcontext(ucontext_t *from, const ucontext_t *to)
{
	unsigned before = dxs_sigmask_get();
	ucontext_t copy;
	int ret;

	dxs_hooks_fill();
	ret = dxs_next.swapcontext(from, context_spared(to, &copy));
	if (dxs_hooks_spare() && dxs_sigmask_get() != before)
		dxs_sigmask_set(before);
	return ret;
}
