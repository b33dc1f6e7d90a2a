// SPDX-License-Identifier: BSD-3-Clause
// vma.h: the process's mappings as the kernel has them (/proc/self/maps).
#ifndef DXS_VMA_H
#define DXS_VMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct dxs_vma {
	uintptr_t addr;
	size_t len;
	int prot;
	bool shared;
	off_t off;
	char identity[48]; // "dev:dev inode", as the kernel prints them
};

// Reads all of them, one after the other, without malloc.
struct dxs_vma_reader {
	int fd;
	size_t len, at;
	char buf[1024]; // small: in a trap the stack may be too
};
int dxs_vma_open(struct dxs_vma_reader *reader); // 0 or -errno
bool dxs_vma_next(struct dxs_vma_reader *reader, struct dxs_vma *vma);
void dxs_vma_close(struct dxs_vma_reader *reader);

// The mapping at an address, and its file's path (NULL: not wanted), of which the end is kept; empty: none. 0; -ENOENT:
// nothing is mapped there; or another -errno. Context: any.
int dxs_vma_file(uintptr_t addr, struct dxs_vma *vma, char *path, size_t size);

// Which of nr (at most 64) pages of `size` bytes from addr on can be written. 0 or -errno. Async-signal-safe.
int dxs_vma_writable(uintptr_t addr, size_t size, unsigned nr, uint64_t *mask);

// Whether all of [addr, addr + len) is mapped with MAP_SYNC ("sf" in the VmFlags of /proc/self/smaps, Linux 4.15). False
// also when that cannot be found out. Slow: it reads page tables.
bool dxs_vma_is_sync(uintptr_t addr, size_t len);

// In a forked child: the descriptor is of the parent.
void dxs_vma_reset(void);

#endif
