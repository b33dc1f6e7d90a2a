// SPDX-License-Identifier: BSD-3-Clause
// elffile.h: what the headers of an ELF file tell about how the file will be started.
#ifndef DXS_ELFFILE_H
#define DXS_ELFFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct dxs_elffile {
	bool is_native;        // this machine's architecture, word size and byte order; if not, nothing below is known
	bool is_program;       // an executable, or position-independent with an entry point
	bool is_go;            // built by the Go tool chain
	char interp[PATH_MAX]; // the dynamic linker; empty: static
	uint16_t machine;      // EM_...
};

// 0, -ENOEXEC if the file is no ELF file or a broken one, or another -errno if it cannot be read.
int dxs_elffile_read(int fd, struct dxs_elffile *out);

// The name of an EM_... value.
const char *dxs_elffile_machine_name(uint16_t machine);

#endif
