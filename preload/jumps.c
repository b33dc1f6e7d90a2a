// SPDX-License-Identifier: BSD-3-Clause
// jumps.c: hooks of jumps, which restore the signal mask that was saved at their target.
//
// A mask that libc saves comes from the kernel and does not tell which of the library's two signals the shadow mask
// blocks. So sigsetjmp leaves the two bits in the last word of the buffer's mask: the kernel writes the first word, and
// the second belongs to the shadow stack. On other architectures a jump restores the shadow mask that was in force
// outside of handlers, because the targets of such jumps are usually set there.
#include <string.h>

#include "hooks.h"
#include "process/fork.h"
#include "signal/sigmask.h"

#define SAVED 0x64787373UL // above the two bits
#define LAST_WORD (sizeof(sigset_t) / sizeof(unsigned long) - 1)

__attribute__((visibility("hidden"))) void *dxs_next_sigsetjmp, *dxs_next_setjmp;

#if defined(__x86_64__)
_Static_assert(sizeof(struct __jmp_buf_tag) == 200, "the last word of the buffer");
// It returns twice, so it must not have a frame: it goes on to libc's with the arguments that it got.
#define RETURNS_TWICE(name, next, has_mask, no_mask)                                                                   \
	__asm__(".text\n"                                                                                              \
		".globl " name "\n"                                                                                    \
		".type " name ", @function\n" name ":\n"                                                               \
		"	.cfi_startproc\n"                                                                                    \
		"	endbr64\n" has_mask "	movq dxs_sigmask_blocked@gottpoff(%rip), %rax\n"                         \
		"	movl %fs:(%rax), %eax\n"                                                                             \
		"	movl %eax, 192(%rdi)\n"                                                                              \
		"	movl $0x64787373, 196(%rdi)\n" no_mask "	movq " next "(%rip), %rax\n"                   \
		"	testq %rax, %rax\n"                                                                                  \
		"	je 3f\n"                                                                                             \
		"	jmp *%rax\n"                                                                                         \
		"3:	pushq %rdi\n" /* before the constructor */                                                     \
		"	.cfi_adjust_cfa_offset 8\n"                                                                          \
		"	pushq %rsi\n"                                                                                        \
		"	.cfi_adjust_cfa_offset 8\n"                                                                          \
		"	subq $8, %rsp\n"                                                                                     \
		"	.cfi_adjust_cfa_offset 8\n"                                                                          \
		"	call dxs_hooks_fill\n"                                                                               \
		"	addq $8, %rsp\n"                                                                                     \
		"	.cfi_adjust_cfa_offset -8\n"                                                                         \
		"	popq %rsi\n"                                                                                         \
		"	.cfi_adjust_cfa_offset -8\n"                                                                         \
		"	popq %rdi\n"                                                                                         \
		"	.cfi_adjust_cfa_offset -8\n"                                                                         \
		"	jmp *" next "(%rip)\n"                                                                         \
		"	.cfi_endproc\n"                                                                                      \
		".size " name ", .-" name "\n"                                                                         \
		".section .note.GNU-stack, \"\", @progbits\n"                                                          \
		".text\n")

// No room for a mask is needed where none is wanted: there may be none.
RETURNS_TWICE("__sigsetjmp", "dxs_next_sigsetjmp", "	testl %esi, %esi\n	je 2f\n", "2:");
RETURNS_TWICE("setjmp", "dxs_next_setjmp", "", "");
#endif

static void mask_restored(const struct __jmp_buf_tag *env)
{
	unsigned long word;

	if (!env->__mask_was_saved || !dxs_hooks_spare() || !dxs_fork_is_owner())
		return;
	memcpy(&word, (const unsigned long *)&env->__saved_mask + LAST_WORD, sizeof(word));
	if (word >> 32 == SAVED)
		dxs_sigmask_jump(word & (DXS_MASK_BUS | DXS_MASK_SEGV));
	else
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
