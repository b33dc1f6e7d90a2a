// SPDX-License-Identifier: BSD-3-Clause
// cpu.h: what differs between CPUs. Each has a file of its own, cpu_NAME.c, of which a build takes one (lib/CMakeLists.txt);
// nothing else in lib/ or the launcher asks what the CPU is. The shim has one thing more, see jumps.c.
//
// Context: any; all of it is async-signal-safe.
#ifndef DXS_CPU_H
#define DXS_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "daxsync has no code for this CPU: lib/base/cpu.h"
#endif

// What mmap takes on this CPU only.
#ifdef MAP_32BIT
#define DXS_CPU_MAP_FLAGS MAP_32BIT
#else
#define DXS_CPU_MAP_FLAGS 0
#endif

// Of a signal frame: the instruction that was interrupted, and the one that comes next.
uintptr_t dxs_cpu_pc(const ucontext_t *context);
void dxs_cpu_set_pc(ucontext_t *context, uintptr_t pc);

// Where a function that has just been called has its return address, or 0 where that is in a register.
uintptr_t dxs_cpu_return_slot(const ucontext_t *context);

// Whether the SIGSEGV of this frame can come from a store. Where the frame does not tell, it can.
bool dxs_cpu_may_be_store(const ucontext_t *context);

// The flag by which an action tells the kernel what its handler returns to, and that place; 0 and NULL where the kernel
// has one of its own.
extern const unsigned long dxs_cpu_restorer_flag;
extern void (*const dxs_cpu_restorer)(void);

// Copies `len` bytes, a multiple of 4, and returns true. Only its first instruction reads from `from`: a handler of its
// fault that goes on at dxs_cpu_copy_failed makes it return false.
bool dxs_cpu_copy(void *to, const void *from, size_t len) __attribute__((visibility("hidden")));
extern const char dxs_cpu_copy_failed[] __attribute__((visibility("hidden")));

// Between two looks at a word that another thread is about to change.
void dxs_cpu_relax(void);

// For people: what libpmem2 flushes with on this machine.
const char *dxs_cpu_flush_instruction(void);

// What this program itself was built for, as ELF headers say it.
extern const uint16_t dxs_cpu_elf_machine;

#endif
