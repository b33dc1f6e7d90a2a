// SPDX-License-Identifier: BSD-3-Clause
// test_flush.c: what a fault in the flush loop means (M7). The signals are sent by the thread to itself, inside the guard or
// by a flush function of the test's.
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "flush/flush.h"
#include "flush/flush_pmem2.h"
#include "signal/signals.h"

struct sent {
	int sig, code;
};

static void send_at(const struct sent *sent, void *addr)
{
	siginfo_t info = {.si_signo = sent->sig, .si_code = sent->code};

	info.si_addr = addr;
	syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), sent->sig, &info);
}

static void send(void *arg)
{
	send_at(arg, arg);
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

#define PAGE 4096

static char *bad; // where the flush function meets a fault, if it comes to a range that begins at `worst`
static const char *worst;

static void flush(const void *addr, size_t len)
{
	static const struct sent sent = {SIGBUS, BUS_ADRERR};

	(void)len;
	if (addr == worst)
		send_at(&sent, bad);
}

static void drain(void)
{
}

int __wrap_dxs_flush_pmem2(struct dxs_flusher *flusher, const char **why);
int __wrap_dxs_flush_pmem2(struct dxs_flusher *flusher, const char **why)
{
	(void)why;
	*flusher = (struct dxs_flusher){.name = "of the test", .flush = flush, .drain = drain};
	return 0;
}

// Of three ranges the second meets a fault at `fault`.
static unsigned flushed(char *memory, char *fault, size_t *done, int *err)
{
	struct dxs_range range[] = {
		{(uintptr_t)memory, 64}, {(uintptr_t)memory + PAGE + 64, 3 * PAGE}, {(uintptr_t)memory + 8 * PAGE, 64}};
	const char *why;

	cr_assert_eq(dxs_flush_init(&why), 0);
	cr_assert_eq(dxs_signals_install(DXS_TRAP_SEGV), 0);
	worst = memory + PAGE + 64;
	bad = fault;
	return dxs_flush_ranges(range, 3, done, err);
}

static _Alignas(PAGE) char memory[16 * PAGE];

Test(flush, a_fault_says_what_was_flushed_before_it)
{
	size_t done = 1;
	int err = 0;

	cr_expect_eq(flushed(memory, memory + 3 * PAGE + 128, &done, &err), 1);
	cr_expect_eq(done, 2 * PAGE - 64);
	cr_expect_eq(err, -ENXIO);
	cr_expect_eq(flushed(memory, memory + PAGE, &done, &err), 1);
	cr_expect_eq(done, 0);
	cr_expect_eq(err, -ENXIO);
}

// "Nothing is there" of another address would let the page go unflushed, and a count of bytes to there is none of the range.
Test(flush, a_fault_elsewhere_says_nothing_of_the_range)
{
	char *elsewhere[] = {memory, memory + 5 * PAGE, memory + 15 * PAGE};
	size_t i;

	for (i = 0; i < 3; i++) {
		size_t done = 1;
		int err = 0;

		cr_expect_eq(flushed(memory, elsewhere[i], &done, &err), 1);
		cr_expect_eq(done, 0);
		cr_expect_eq(err, -EFAULT);
	}
}
