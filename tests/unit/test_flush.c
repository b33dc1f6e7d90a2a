// SPDX-License-Identifier: BSD-3-Clause
// test_flush.c: what a fault in the flush loop means (M7). The signals are sent by the thread to itself, inside the guard.
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "flush/flush.h"
#include "signal/signals.h"

struct sent {
	int sig, code;
};

static void send(void *arg)
{
	const struct sent *sent = arg;
	siginfo_t info = {.si_signo = sent->sig, .si_code = sent->code};

	info.si_addr = arg;
	syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), sent->sig, &info);
}

static int meaning(int sig, int code)
{
	struct sent sent = {sig, code};
	struct dxs_fault_at fault = {0};

	cr_assert_eq(dxs_signals_install(DXS_TRAP_SEGV), 0);
	cr_assert_eq(dxs_flush_guard(send, &sent, &fault), -1);
	cr_expect_eq(fault.addr, (uintptr_t)&sent);
	return fault.err;
}

Test(flush, bad_memory_is_an_error)
{
	cr_expect_eq(meaning(SIGBUS, BUS_MCEERR_AR), -EIO);
}

Test(flush, an_address_with_nothing_behind_it_is_told_apart)
{
	cr_expect_eq(meaning(SIGBUS, BUS_ADRERR), -ENXIO);
}

Test(flush, what_cannot_be_read_is_the_kernels)
{
	cr_expect_eq(meaning(SIGSEGV, SEGV_ACCERR), -EFAULT);
	cr_expect_eq(meaning(SIGSEGV, SEGV_MAPERR), -EFAULT);
}
