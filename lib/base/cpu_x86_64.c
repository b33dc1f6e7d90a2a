// SPDX-License-Identifier: BSD-3-Clause
// cpu_x86_64.c: x86-64 (cpu.h).
#include "base/cpu.h"

#include <cpuid.h>
#include <elf.h>

#define PAGE_FAULT 14
#define ERROR_WRITE 2 // of a page fault's error code

uintptr_t dxs_cpu_pc(const ucontext_t *context)
{
	return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}

void dxs_cpu_set_pc(ucontext_t *context, uintptr_t pc)
{
	context->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
}

uintptr_t dxs_cpu_return_slot(const ucontext_t *context)
{
	return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
}

bool dxs_cpu_may_be_store(const ucontext_t *context)
{
	return context->uc_mcontext.gregs[REG_TRAPNO] == PAGE_FAULT &&
	       context->uc_mcontext.gregs[REG_ERR] & ERROR_WRITE;
}

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

const unsigned long dxs_cpu_restorer_flag = 0x04000000; // SA_RESTORER
void (*const dxs_cpu_restorer)(void) = restorer;

__asm__(".pushsection .text\n"
	".globl dxs_cpu_copy, dxs_cpu_copy_failed\n"
	".hidden dxs_cpu_copy, dxs_cpu_copy_failed\n"
	"dxs_cpu_copy:\n"
	"	movl (%rsi), %eax\n"
	"	movl %eax, (%rdi)\n"
	"	addq $4, %rsi\n"
	"	addq $4, %rdi\n"
	"	subq $4, %rdx\n"
	"	ja dxs_cpu_copy\n"
	"	movl $1, %eax\n"
	"	ret\n"
	"dxs_cpu_copy_failed:\n"
	"	xorl %eax, %eax\n"
	"	ret\n"
	".popsection\n");

void dxs_cpu_relax(void)
{
	__builtin_ia32_pause();
}

const char *dxs_cpu_flush_instruction(void)
{
	unsigned int a = 0, b = 0, c = 0, d = 0;

	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_CLWB))
		return "clwb";
	return b & bit_CLFLUSHOPT ? "clflushopt (the CPU has no clwb)"
				  : "clflush (the CPU has neither clwb nor clflushopt)";
}

const uint16_t dxs_cpu_elf_machine = EM_X86_64;
