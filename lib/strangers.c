// SPDX-License-Identifier: BSD-3-Clause
// strangers.c: mappings that the library did not see being made.
//
// Identity is compared as the file itself shows it, device and inode in one piece: the device there need not be
// stat's (btrfs, overlayfs), so the mapping at a known address tells what to look for.
#include "strangers.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "sys.h"

static bool identity_find(uintptr_t addr, char *identity, size_t size)
{
	struct dxs_vma_reader reader;
	struct dxs_vma line;
	bool found = false;

	if (dxs_vma_open(&reader))
		return false;
	while (!found && dxs_vma_next(&reader, &line))
		found = addr - line.addr < line.len;
	dxs_vma_close(&reader);
	if (found)
		memcpy(identity, line.identity, size);
	return found;
}

int dxs_strangers(uintptr_t addr, void (*fn)(const struct dxs_vma *stranger, void *arg), void *arg)
{
	char identity[sizeof(((struct dxs_vma *)0)->identity)];
	struct dxs_vma_reader reader;
	struct dxs_vma line;
	int err;

	if (!identity_find(addr, identity, sizeof(identity)))
		return -ENOENT;
	err = dxs_vma_open(&reader);
	if (err)
		return err;
	while (dxs_vma_next(&reader, &line))
		if (line.shared && line.prot & PROT_WRITE && !strcmp(line.identity, identity))
			fn(&line, arg);
	dxs_vma_close(&reader);
	return 0;
}
