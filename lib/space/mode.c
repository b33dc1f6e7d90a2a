// SPDX-License-Identifier: BSD-3-Clause
// mode.c: the choice of the mode.
#include "space/mode.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "base/config.h"
#include "base/cpu.h"
#include "base/failure.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sys.h"
#include "core/engine.h"
#include "engine/choice.h"
#include "writers/directory.h"

#ifndef STATX_ATTR_DAX
#define STATX_ATTR_DAX 0x00200000
#endif

// What MAP_SHARED_VALIDATE takes besides MAP_SYNC (include/linux/mman.h, LEGACY_MAP_MASK, Linux 6.12); under MAP_SHARED the
// kernel ignores other bits, under MAP_SHARED_VALIDATE it refuses them.
#define VALID_FLAGS                                                                                                    \
	(MAP_FIXED | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE |      \
	 MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | DXS_CPU_MAP_FLAGS)

struct sys_statx { // struct statx, which <sys/stat.h> and <linux/stat.h> cannot both give
	uint32_t mask, blksize;
	uint64_t attributes;
	char rest[64];
	int64_t born;
	uint32_t born_ns;
	char more[164];
};

// The kernel says of the inode itself whether its pages are persistent memory (Linux 5.8).
static bool is_dax(int fd, struct dxs_candidate *out)
{
	struct sys_statx stx = {0};

	if (dxs_sys6(SYS_statx, fd, (long)"", AT_EMPTY_PATH, STATX_BTIME, (long)&stx, 0))
		return false;
	if (stx.mask & STATX_BTIME) {
		out->born = (uint64_t)stx.born;
		out->born_ns = stx.born_ns;
	}
	return stx.attributes & STATX_ATTR_DAX;
}

// An attribute of a device, or of the nearest device above it that has it: -1, or its length in `to`.
static long attribute_read(char kind, dev_t dev, const char *name, char *to, size_t size)
{
	static const char above[] = "../../../../../";
	char path[128];
	int up, fd = -1;
	long len;

	for (up = 0; fd < 0 && up < 6; up++) {
		struct dxs_text text;

		dxs_text_init(&text, path, sizeof(path));
		dxs_text_add(&text, "/sys/dev/%s/%u:%u/%s%s", kind == 'c' ? "char" : "block", major(dev), minor(dev),
			     &above[(5 - up) * 3], name);
		fd = dxs_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	}
	if (fd < 0)
		return -1;
	len = dxs_sys6(SYS_read, fd, (long)to, (long)size - 1, 0, 0, 0);
	dxs_sys_close(fd);
	to[len > 0 ? len : 0] = '\0';
	return len;
}

static uint64_t attribute_number(char kind, dev_t dev, const char *name)
{
	char text[32];
	uint64_t value = 0;
	size_t i;

	if (attribute_read(kind, dev, name, text, sizeof(text)) <= 0)
		return 0;
	for (i = 0; text[i] >= '0' && text[i] <= '9'; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	return value;
}

// Whether the device itself says that CPU caches are persistent (eADR). What is not said means: flush.
//   dax/write_cache: 0 where the kernel flushes nothing either (drivers/nvdimm/pmem.c, nvdimm_has_cache, Linux 6.12)
//   persistence_domain: of the region a device-DAX device lies in (drivers/nvdimm/region_devs.c)
static bool caches_are_persistent(char kind, dev_t dev)
{
	char text[32];

	if (kind == 'b')
		return attribute_read(kind, dev, "dax/write_cache", text, sizeof(text)) > 0 && text[0] == '0';
	return attribute_read(kind, dev, "persistence_domain", text, sizeof(text)) > 0 &&
	       !strncmp(text, "cpu_cache", 9);
}

// A character device of class dax.
static bool is_device_dax(const struct stat *st)
{
	char link[64], target[256];
	struct dxs_text text;
	long len;

	if (!S_ISCHR(st->st_mode))
		return false;
	dxs_text_init(&text, link, sizeof(link));
	dxs_text_add(&text, "/sys/dev/char/%u:%u/subsystem", major(st->st_rdev), minor(st->st_rdev));
	len = dxs_sys6(SYS_readlinkat, AT_FDCWD, (long)link, (long)target, sizeof(target) - 1, 0, 0);
	target[len > 0 ? len : 0] = '\0';
	return len > 4 && !strcmp(target + len - 4, "/dax");
}

static bool has_entries(const char *path)
{
	char buf[512] = {0};
	long len, at, nr = 0;
	int fd = dxs_sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	if (fd < 0)
		return false;
	len = dxs_sys6(SYS_getdents64, fd, (long)buf, sizeof(buf), 0, 0, 0);
	for (at = 0; at < len; at += *(uint16_t *)(buf + at + 16)) // struct linux_dirent64: d_reclen
		nr++;
	dxs_sys_close(fd);
	return nr > 2;
}

// Below the size of its pages the kernel protects nothing (arm64 with 16 or 64 KiB).
static bool pages_fit(void)
{
	return getauxval(AT_PAGESZ) == DXS_PAGE_SIZE;
}

static bool is_wanted(void)
{
	return dxs_config.emulate || has_entries("/sys/bus/nd/devices") || has_entries("/sys/bus/dax/devices");
}

bool dxs_mode_is_possible(void)
{
	static _Atomic int answer; // 1: no, 2: yes; seq_cst, the default: relaxed would do, all find the same

	if (!atomic_load(&answer))
		atomic_store(&answer, pages_fit() && is_wanted() ? 2 : 1);
	return atomic_load(&answer) == 2;
}

// Once, and only where something would have been tracked.
static void say_pages_do_not_fit(void)
{
	static atomic_flag said = ATOMIC_FLAG_INIT; // seq_cst, the default: relaxed would do, only the first one tells

	if (!atomic_flag_test_and_set(&said) && is_wanted())
		dxs_warn("the kernel's pages are of %lu bytes, not of 4096: nothing is tracked", getauxval(AT_PAGESZ));
}

static void probe_file_system(struct dxs_candidate *out, int fd)
{
	struct statfs fs;

	out->page_shift = DXS_PAGE_SHIFT;
	out->is_plain_memory = out->in_memory = false;
	if (dxs_sys6(SYS_fstatfs, fd, (long)&fs, 0, 0, 0, 0))
		return;
	out->in_memory = fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC;
	if (fs.f_type == HUGETLBFS_MAGIC)
		out->page_shift = (unsigned)__builtin_ctzl((unsigned long)fs.f_bsize);
	// st_blksize is a huge page where tmpfs makes them unasked (mm/shmem.c, shmem_getattr, Linux 6.18).
	out->is_plain_memory = fs.f_type == TMPFS_MAGIC && out->st.st_blksize == (blksize_t)DXS_PAGE_SIZE;
}

static void verdict(struct dxs_candidate *out, enum dxs_mode mode, const char *reason)
{
	out->mode = mode;
	out->reason = reason;
}

static void durable_verdict(struct dxs_candidate *out, char kind, dev_t dev)
{
	if (caches_are_persistent(kind, dev))
		verdict(out, DXS_MODE_BYTE, "persistent memory, and the CPU caches are persistent too");
	else
		verdict(out, DXS_MODE_DIRECT, "persistent memory");
}

// Device DAX has no inode of its own: one device may have several nodes, so it is known by its number. Its entries are
// as large as its alignment, below which nothing can be protected (drivers/dax/device.c, dev_dax_may_split, Linux 6.12).
static void probe_device(struct dxs_candidate *out)
{
	dev_t dev = out->st.st_rdev;
	uint64_t align = attribute_number('c', dev, "align");

	out->is_device = true;
	if (!align || align & (align - 1)) {
		verdict(out, DXS_MODE_PASS, "a DAX device of unknown alignment");
		return;
	}
	out->page_shift = (unsigned)__builtin_ctzll(align);
	out->st.st_size = (off_t)attribute_number('c', dev, "size");
	durable_verdict(out, 'c', dev);
}

void dxs_mode_probe(int fd, bool emulate, struct dxs_candidate *out)
{
	bool is_device;

	if (dxs_sys6(SYS_fstat, fd, (long)&out->st, 0, 0, 0, 0)) {
		verdict(out, DXS_MODE_PASS, "no file");
		return;
	}
	is_device = is_device_dax(&out->st);
	if (!S_ISREG(out->st.st_mode) && !is_device) {
		verdict(out, DXS_MODE_PASS, "not a regular file");
		return;
	}
	if (is_device || *dxs_config.include || *dxs_config.exclude)
		dxs_fd_path(fd, out->path, sizeof(out->path));
	if (!pages_fit()) {
		say_pages_do_not_fit();
		verdict(out, DXS_MODE_PASS, "the kernel's pages are not of 4 KiB");
		return;
	}
	if (!dxs_config_wants(out->path)) {
		verdict(out, DXS_MODE_PASS, "excluded by configuration");
		return;
	}
	probe_file_system(out, fd);
	if (is_device)
		probe_device(out);
	else if (is_dax(fd, out))
		durable_verdict(out, 'b', out->st.st_dev);
	else if (emulate)
		verdict(out, DXS_MODE_EMULATED, "emulation was asked for");
	else
		verdict(out, DXS_MODE_PASS, "not on persistent memory");
}

bool dxs_mode_wants_sync(const struct dxs_candidate *candidate)
{
	return candidate->mode >= DXS_MODE_DIRECT && !candidate->is_device && !dxs_injected(DXS_FAIL_NO_MAP_SYNC);
}

// EOPNOTSUPP: the device or the file system cannot. EINVAL: a kernel before 4.15.
static bool sync_is_refused(const void *ret)
{
	return ret == (void *)-EOPNOTSUPP || ret == (void *)-EINVAL;
}

// Tried elsewhere: an mmap over something that the file system refuses takes that away all the same (measured on 6.12).
static bool sync_is_possible(const struct dxs_candidate *candidate, int prot, int fd, off_t off)
{
	size_t page = (size_t)1 << candidate->page_shift;
	void *ret = dxs_sys_mmap(NULL, page, prot, MAP_SHARED_VALIDATE | MAP_SYNC, fd, off);

	if (!dxs_is_err(ret))
		dxs_sys_munmap(ret, page);
	return !sync_is_refused(ret);
}

static void *sys_mmap(const struct dxs_candidate *candidate, void *addr, size_t len, int prot, int flags, int fd,
		      off_t off)
{
	if (dxs_likely(!candidate->next))
		return dxs_sys_mmap(addr, len, prot, flags, fd, off);
	return (void *)DXS_BEHIND_CALL(candidate->next(addr, len, prot, flags, fd, off));
}

static void *map_without_sync(struct dxs_candidate *candidate, void *addr, size_t len, int prot, int flags, int fd,
			      off_t off)
{
	verdict(candidate, DXS_MODE_KERNEL, "MAP_SYNC is refused: the blocks may still be in the journal");
	return sys_mmap(candidate, addr, len, prot, flags, fd, off);
}

static int flags_with_sync(int flags)
{
	bool validated = (flags & MAP_TYPE) == MAP_SHARED_VALIDATE;

	return (validated ? flags : flags & VALID_FLAGS) | MAP_SHARED_VALIDATE | MAP_SYNC;
}

void *dxs_mode_map(struct dxs_candidate *candidate, void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	void *ret;

	if (!dxs_mode_wants_sync(candidate))
		return sys_mmap(candidate, addr, len, prot, flags, fd, off);
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) && !sync_is_possible(candidate, prot, fd, off))
		return map_without_sync(candidate, addr, len, prot, flags, fd, off);
	if (flags & MAP_FIXED_NOREPLACE) { // not with MAP_SHARED_VALIDATE: first the place, then a mapping over it
		ret = dxs_sys_mmap(addr, len, prot, flags, fd, off);
		if (dxs_is_err(ret))
			return ret;
		addr = ret;
		flags = (flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
	}
	ret = sys_mmap(candidate, addr, len, prot, flags_with_sync(flags), fd, off);
	if (!sync_is_refused(ret))
		return ret;
	return map_without_sync(candidate, addr, len, prot, flags, fd, off);
}

static void engine_try(int fd, struct dxs_candidate *candidate, struct dxs_mode_verdict *out)
{
	struct dxs_file file = {.page_shift = candidate->page_shift};
	struct dxs_map map = {.len = (size_t)1 << candidate->page_shift, .prot = PROT_READ | PROT_WRITE, .file = &file};
	void *addr = dxs_mode_map(candidate, NULL, map.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bool needs_engine = candidate->mode == DXS_MODE_EMULATED || candidate->mode == DXS_MODE_DIRECT;
	const char *why = "it cannot be mapped shared and writable";

	out->mode = dxs_mode_name(candidate->mode);
	out->reason = candidate->reason;
	map.addr = (uintptr_t)addr;
	dxs_writers_init(&file.writers);
	file.mode = candidate->mode;
	if (!dxs_is_err(addr) && needs_engine && !dxs_registry_dir_try(dxs_config.registry, &why))
		map.engine = dxs_engine_attach(&map, &why);
	if (map.engine) {
		out->engine = map.engine->name;
		map.engine->detach(&map, false);
	} else if (dxs_is_err(addr) || needs_engine) {
		out->mode = dxs_mode_name(DXS_MODE_KERNEL);
		out->reason = why;
	}
	if (!dxs_is_err(addr))
		dxs_sys_munmap(addr, map.len);
}

void dxs_mode_explain(int fd, bool emulate, struct dxs_mode_verdict *out)
{
	struct dxs_candidate candidate = {0};

	dxs_mode_probe(fd, emulate, &candidate);
	*out = (struct dxs_mode_verdict){dxs_mode_name(candidate.mode), "none", candidate.reason};
	if (candidate.mode > DXS_MODE_KERNEL)
		engine_try(fd, &candidate, out);
}
