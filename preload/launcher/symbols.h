// SPDX-License-Identifier: BSD-3-Clause
// symbols.h: the names of places in code.
#ifndef DXS_SYMBOLS_H
#define DXS_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// "FUNCTION at FILE:LINE (PROGRAM)" of a byte of an ELF file, as far as that is known, by addr2line(1). False: it is not.
bool dxs_symbols_find(const char *path, uint64_t offset, char *out, size_t size);

#endif
