// SPDX-License-Identifier: BSD-3-Clause
// failure.h: the places at which tests make something fail, to show that each defence and each check works. Who does it is
// an injector (tests/inject), which is never installed.
#ifndef DXS_FAILURE_H
#define DXS_FAILURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/injector.h"

// X(name in the injector's DAXSYNC_FAULT, enum suffix, what goes wrong)
#define DXS_FAILURES(X)                                                                                                \
	X("skip-flush", SKIP_FLUSH, "a page is closed and unmarked but not flushed")                                   \
	X("open-unmarked", OPEN_UNMARKED, "a page is opened again without a mark")                                     \
	X("flush-first", FLUSH_FIRST, "pages are flushed before they are closed")                                      \
	X("foreign-fence", FOREIGN_FENCE, "another thread fences")                                                     \
	X("flush-error", FLUSH_ERROR, "flushing a page fails with EIO")                                                \
	X("close-error", CLOSE_ERROR, "closing pages fails")                                                           \
	X("open-error", OPEN_ERROR, "opening pages fails with ENOMEM, as with no VMAs left, and all is opened")        \
	X("slow-scan", SLOW_SCAN, "a scan of what is in memory takes 5 ms longer, in which traps and syncs come")      \
	X("no-putback", NO_PUTBACK, "a failed flush does not put the mark back")                                       \
	X("no-trap-mark", NO_TRAP_MARK, "a trap opens a page without marking it")                                      \
	X("one-mapping", ONE_MAPPING, "a sync closes a page in one of its mappings only")                              \
	X("pass-over", PASS_OVER, "a sync passes over what is dirty")                                                  \
	X("not-handed", NOT_HANDED, "a sync of a file that is handed over flushes what is marked, without the kernel") \
	X("no-attach", NO_ATTACH, "no engine can track a mapping")                                                     \
	X("no-memory", NO_MEMORY, "there is no memory for a mark")                                                     \
	X("no-map-sync", NO_MAP_SYNC, "MAP_SYNC is not asked for, and the kernel is not called all the same")          \
	X("alloc", ALLOC, "an allocation fails")                                                                       \
	X("sys-mmap", SYS_MMAP, "mmap fails with ENOMEM, whether the library's own or the program's")                  \
	X("sys-munmap", SYS_MUNMAP, "munmap fails with ENOMEM")                                                        \
	X("sys-mremap", SYS_MREMAP, "mremap fails with ENOMEM")                                                        \
	X("sys-mprotect", SYS_MPROTECT, "mprotect fails with ENOMEM")                                                  \
	X("sys-mincore", SYS_MINCORE, "mincore fails with EAGAIN")                                                     \
	X("sys-openat", SYS_OPENAT, "openat fails with EMFILE")                                                        \
	X("sys-userfaultfd", SYS_USERFAULTFD, "userfaultfd fails with EPERM")                                          \
	X("sys-ioctl-again", SYS_IOCTL_AGAIN, "ioctl fails with EAGAIN")                                               \
	X("sys-ioctl-gone", SYS_IOCTL_GONE, "ioctl fails with ENOENT")                                                 \
	X("sys-fsync", SYS_FSYNC, "fsync and fdatasync fail with EIO")                                                 \
	X("sys-msync", SYS_MSYNC, "msync fails with EIO")

enum dxs_failure {
#define X(name, suffix, meaning) DXS_FAIL_##suffix,
	DXS_FAILURES(X)
#undef X
		DXS_NR_FAILURES
};

// Whether the failure is injected now. Costs a load and a branch without an injector.
static inline bool dxs_injected(enum dxs_failure failure)
{
	return __builtin_expect(dxs_injector != NULL, 0) && dxs_injector->fails(failure);
}

#endif
