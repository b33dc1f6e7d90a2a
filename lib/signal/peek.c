// SPDX-License-Identifier: BSD-3-Clause
// peek.c: a copy that survives a fault, as the kernel's copy_from_user does: by the address of the instruction.
//
// Not by a place to jump back to (dxs_recover_set): a handler of the program's may interrupt the copy, and store to a closed
// page. Not by process_vm_readv: for a call with a list of buffers that costs as much as the call.
#include "signal/peek.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "base/sys.h"
#include "signal/signals.h"

// Returns whether it was done. The first instruction is the only one that reads from `from`.
bool dxs_peek_copy(void *to, const void *from, size_t len) __attribute__((visibility("hidden")));
extern const char dxs_peek_failed[] __attribute__((visibility("hidden")));

#if defined(__x86_64__)
#define PROGRAM_COUNTER(context) ((context)->uc_mcontext.gregs[REG_RIP])
#define COPY                                                                                                           \
	"	movl (%rsi), %eax\n"                                                                                         \
	"	movl %eax, (%rdi)\n"                                                                                         \
	"	addq $4, %rsi\n"                                                                                             \
	"	addq $4, %rdi\n"                                                                                             \
	"	subq $4, %rdx\n"                                                                                             \
	"	ja dxs_peek_copy\n"                                                                                          \
	"	movl $1, %eax\n"                                                                                             \
	"	ret\n"
#define FAIL                                                                                                           \
	"	xorl %eax, %eax\n"                                                                                           \
	"	ret\n"
#else // aarch64
#define PROGRAM_COUNTER(context) ((context)->uc_mcontext.pc)
#define COPY                                                                                                           \
	"	ldr w3, [x1], #4\n"                                                                                          \
	"	str w3, [x0], #4\n"                                                                                          \
	"	subs x2, x2, #4\n"                                                                                           \
	"	b.hi dxs_peek_copy\n"                                                                                        \
	"	mov w0, #1\n"                                                                                                \
	"	ret\n"
#define FAIL                                                                                                           \
	"	mov w0, #0\n"                                                                                                \
	"	ret\n"
#endif

__asm__(".pushsection .text\n"
	".globl dxs_peek_copy, dxs_peek_failed\n"
	".hidden dxs_peek_copy, dxs_peek_failed\n"
	"dxs_peek_copy:\n" COPY "dxs_peek_failed:\n" FAIL ".popsection\n");

bool dxs_peek_fault(ucontext_t *context)
{
	if ((uintptr_t)PROGRAM_COUNTER(context) != (uintptr_t)dxs_peek_copy)
		return false;
	PROGRAM_COUNTER(context) = (typeof(PROGRAM_COUNTER(context)))(uintptr_t)dxs_peek_failed;
	return true;
}

bool dxs_peek(void *to, const void *from, size_t len)
{
	struct iovec local = {to, len}, remote = {(void *)(uintptr_t)from, len};
	long ret;

	if (dxs_signals_own(SIGSEGV))
		return dxs_peek_copy(to, from, len);
	ret = dxs_sys6(SYS_process_vm_readv, getpid(), (long)&local, 1, (long)&remote, 1, 0);
	if (ret != -ENOSYS && ret != -EPERM)
		return ret == (long)len;
	memcpy(to, from, len); // a sandbox without that call: as libc would
	return true;
}
