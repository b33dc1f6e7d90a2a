// SPDX-License-Identifier: BSD-3-Clause
// fuzz_elf.c: the launcher's reader of ELF headers, with any file.
//
// Promised: a file is read or refused as broken (ENOEXEC), nothing else, and always the same; the linker's name that is taken
// from it ends inside its buffer; of a file for another machine nothing but that is said.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elffile.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dxs_elffile elf[2];
	static int fd = -1;
	int ret[2];

	if (fd < 0)
		fd = memfd_create("fuzz_elf", MFD_CLOEXEC);
	PROMISE(fd >= 0 && !ftruncate(fd, 0) && pwrite(fd, data, size, 0) == (ssize_t)size);
	for (int i = 0; i < 2; i++) {
		memset(&elf[i], i ? 0 : 0xff, sizeof(elf[i])); // what is not set would differ
		ret[i] = dxs_elffile_read(fd, &elf[i]);
	}
	PROMISE(ret[0] == ret[1] && (ret[0] == 0 || ret[0] == -ENOEXEC));
	if (ret[0])
		return 0;
	PROMISE(memchr(elf[0].interp, '\0', sizeof(elf[0].interp)));
	PROMISE(!memcmp(&elf[0], &elf[1], sizeof(elf[0])));
	PROMISE(elf[0].is_native || (!elf[0].is_program && !elf[0].is_go && !*elf[0].interp));
	PROMISE(*dxs_elffile_machine_name(elf[0].machine));
	return 0;
}
