// SPDX-License-Identifier: BSD-3-Clause
// peek.h: reading what the program points to, which may be nowhere.
#ifndef DXS_PEEK_H
#define DXS_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <ucontext.h>

// Copies len bytes, a multiple of 4. False: they cannot be read, and the kernel's call will say so. Context: any.
__attribute__((visibility("default"))) bool dxs_peek(void *to, const void *from, size_t len);

// In a handler of SIGSEGV or SIGBUS: whether the fault is one of dxs_peek's, which returns false then.
bool dxs_peek_fault(ucontext_t *context);

#endif
