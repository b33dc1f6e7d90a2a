// SPDX-License-Identifier: BSD-3-Clause
// cpu_aarch64.c: arm64 (cpu.h). No test here runs it: lint.aarch64 compiles it.
#include "base/cpu.h"

#include <elf.h>
#include <sys/auxv.h>

#define HWCAP_HAS_DCPOP (1UL << 16)

uintptr_t dxs_cpu_pc(const ucontext_t *context)
{
	return context->uc_mcontext.pc;
}

void dxs_cpu_set_pc(ucontext_t *context, uintptr_t pc)
{
	context->uc_mcontext.pc = pc;
}

uintptr_t dxs_cpu_return_slot(const ucontext_t *context)
{
	(void)context;
	return 0;
}

// The frame would tell it in a record that not every kernel writes. A load that is refused twice is the application's
// (dxs_trap_signal).
bool dxs_cpu_may_be_store(const ucontext_t *context)
{
	(void)context;
	return true;
}

const unsigned long dxs_cpu_restorer_flag = 0; // the kernel's vDSO has the place
void (*const dxs_cpu_restorer)(void) = NULL;

__asm__(".pushsection .text\n"
	".globl dxs_cpu_copy, dxs_cpu_copy_failed\n"
	".hidden dxs_cpu_copy, dxs_cpu_copy_failed\n"
	"dxs_cpu_copy:\n"
	"	ldr w3, [x1], #4\n"
	"	str w3, [x0], #4\n"
	"	subs x2, x2, #4\n"
	"	b.hi dxs_cpu_copy\n"
	"	mov w0, #1\n"
	"	ret\n"
	"dxs_cpu_copy_failed:\n"
	"	mov w0, #0\n"
	"	ret\n"
	".popsection\n");

void dxs_cpu_relax(void)
{
	__asm__ volatile("yield");
}

const char *dxs_cpu_flush_instruction(void)
{
	return getauxval(AT_HWCAP) & HWCAP_HAS_DCPOP ? "dc cvap" : "dc cvac (the CPU has no dc cvap)";
}

const uint16_t dxs_cpu_elf_machine = EM_AARCH64;
