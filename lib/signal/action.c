// SPDX-License-Identifier: BSD-3-Clause
// action.c: the system call behind sigaction().
#include "signal/action.h"

#include <string.h>

#include "base/cpu.h"
#include "base/sys.h"

struct kernel_action { // the kernel's struct sigaction, x86-64 and arm64
	void (*handler)(int sig, siginfo_t *info, void *context);
	unsigned long flags;
	void (*restorer)(void);
	dxs_sigset mask;
};

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
	if (!(kernel.flags & dxs_cpu_restorer_flag)) {
		kernel.flags |= dxs_cpu_restorer_flag;
		kernel.restorer = dxs_cpu_restorer;
	}
	return (int)dxs_sys6(SYS_rt_sigaction, sig, (long)&kernel, 0, sizeof(kernel.mask), 0, 0);
}
