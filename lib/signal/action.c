// SPDX-License-Identifier: BSD-3-Clause
// action.c: the system call behind sigaction().
#include "signal/action.h"

#include <string.h>

#include "base/sys.h"

struct kernel_action { // the kernel's struct sigaction, x86-64 and arm64
	void (*handler)(int sig, siginfo_t *info, void *context);
	unsigned long flags;
	void (*restorer)(void);
	dxs_sigset mask;
};

#if defined(__x86_64__)
#define RESTORER 0x04000000UL
// What a handler returns to. gdb knows it by its name, unwinders by these two instructions; so nothing else describes it,
// and the byte before, where an unwinder looks for the caller of a return address, belongs to nothing.
__attribute__((visibility("hidden"))) void restorer(void) __asm__("__restore_rt");
__asm__(".text\n"
	"	nop\n"
	".type __restore_rt, @function\n"
	"__restore_rt:\n"
	"	movq $15, %rax\n" // rt_sigreturn
	"	syscall\n"
	".size __restore_rt, .-__restore_rt\n");
#endif

int dxs_action_get(int sig, struct sigaction *act)
{
	struct kernel_action kernel = {0};
	int err = (int)dxs_sys6(SYS_rt_sigaction, sig, 0, (long)&kernel, sizeof(kernel.mask), 0, 0);

	*act = (struct sigaction){.sa_flags = (int)kernel.flags, .sa_restorer = kernel.restorer};
	act->sa_sigaction = kernel.handler;
	memcpy(&act->sa_mask, &kernel.mask, sizeof(kernel.mask));
	return err;
}

int dxs_action_set(int sig, const struct sigaction *act)
{
	struct kernel_action kernel = {act->sa_sigaction, (unsigned)act->sa_flags, act->sa_restorer, 0};

	memcpy(&kernel.mask, &act->sa_mask, sizeof(kernel.mask));
#ifdef RESTORER
	if (!(kernel.flags & RESTORER)) {
		kernel.flags |= RESTORER;
		kernel.restorer = restorer;
	}
#endif
	return (int)dxs_sys6(SYS_rt_sigaction, sig, (long)&kernel, 0, sizeof(kernel.mask), 0, 0);
}
