// SPDX-License-Identifier: BSD-3-Clause
// preexisting.c: mappings that the library did not see being made.
//
// Identity is compared as the file itself shows it, device and inode in one piece: the device there need not be
// stat's (btrfs, overlayfs), so the mapping at a known address tells what to look for.
#include "space/preexisting.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "file/mapping.h"

enum { UNKNOWN, NONE, SOME };
// seq_cst, the default: relaxed would do. SOME stays, and UNKNOWN is answered by one exchange.
static _Atomic int untracked;

// Of a file: "dev:dev inode", which is 0 if there is none.
static bool is_of_file(const struct dxs_vma *line)
{
	return strcmp(line->identity, "00:00 0") != 0;
}

static bool any_there(uintptr_t addr)
{
	struct dxs_vma_reader reader;
	struct dxs_vma line;
	bool found = false;

	if (dxs_vma_open(&reader))
		return true;
	while (!found && dxs_vma_next(&reader, &line))
		found = line.shared && line.prot & PROT_WRITE && is_of_file(&line) && addr - line.addr >= line.len;
	dxs_vma_close(&reader);
	return found;
}

bool dxs_preexisting_possible(uintptr_t addr)
{
	int unknown = UNKNOWN;

	if (!dxs_sees_all)
		return true;
	if (atomic_load(&untracked) == UNKNOWN) // unless some are left meanwhile
		atomic_compare_exchange_strong(&untracked, &unknown, any_there(addr) ? SOME : NONE);
	return atomic_load(&untracked) == SOME;
}

void dxs_preexisting_left(void)
{
	atomic_store(&untracked, SOME);
}

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

// The file as a mapping of it shows it. 0 or -errno.
static int identity_of(int fd, size_t page, char *identity, size_t size)
{
	void *sample = dxs_sys_mmap(NULL, page, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	bool found;

	if (dxs_is_err(sample))
		return (int)(intptr_t)sample;
	found = identity_find((uintptr_t)sample, identity, size);
	dxs_sys_munmap(sample, page);
	return found ? 0 : -ENOENT;
}

int dxs_mapped_from(uintptr_t addr, size_t len, int fd, size_t page, off_t off, int *prot)
{
	char identity[sizeof(((struct dxs_vma *)0)->identity)];
	uintptr_t at = addr, end = addr + ((len + page - 1) & ~(page - 1));
	struct dxs_vma_reader reader;
	struct dxs_vma line;
	int err;

	if (addr % page || (uint64_t)off % page || end <= addr)
		return -EINVAL;
	err = identity_of(fd, page, identity, sizeof(identity));
	if (!err)
		err = dxs_vma_open(&reader);
	if (err)
		return err == -EACCES ? -EINVAL : -EOPNOTSUPP; // with such a descriptor nothing was mapped; no /proc
	while (at < end && dxs_vma_next(&reader, &line) && line.addr <= at) {
		if (at - line.addr >= line.len)
			continue;
		if (!line.shared || strcmp(line.identity, identity) ||
		    line.off + (off_t)(at - line.addr) != off + (off_t)(at - addr) || (at > addr && line.prot != *prot))
			break;
		*prot = line.prot;
		at = line.addr + line.len;
	}
	dxs_vma_close(&reader);
	return at >= end ? 0 : -EINVAL;
}

int dxs_preexisting_each(uintptr_t addr, void (*fn)(const struct dxs_vma *vma, void *arg), void *arg)
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
