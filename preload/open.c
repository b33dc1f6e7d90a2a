// SPDX-License-Identifier: BSD-3-Clause
// open.c: hooks of calls that open files: one with O_TRUNC cuts the file off like ftruncate.
#include <stdarg.h>

#include "calls.h"
#include "hooks.h"

// What is opened, and cut off by that, if it is a known file.
static struct dxs_file *cut_begin(int dir, const char *path, int flags)
{
	if (!(flags & O_TRUNC) || flags & O_PATH || !dxs_hook_enter() || !dxs_known_any())
		return NULL;
	return dxs_resize_begin_path(dir, path, !(flags & O_NOFOLLOW));
}

// A call that opens, with what O_TRUNC takes around it.
#define OPENS(dir, path, flags, call)                                                                                  \
	({                                                                                                             \
		struct dxs_file *cut_ = cut_begin(dir, path, flags);                                                   \
		int fd_ = (call);                                                                                      \
                                                                                                                       \
		dxs_resize_end(cut_, fd_ >= 0, 0);                                                                     \
		dxs_hook_given(fd_);                                                                                   \
	})

// The mode is given only where a file may be made.
#define MODE(flags)                                                                                                    \
	({                                                                                                             \
		mode_t mode_ = 0;                                                                                      \
		va_list args_;                                                                                         \
                                                                                                                       \
		if ((flags)&O_CREAT || ((flags)&O_TMPFILE) == O_TMPFILE) {                                             \
			va_start(args_, flags);                                                                        \
			mode_ = va_arg(args_, mode_t);                                                                 \
			va_end(args_);                                                                                 \
		}                                                                                                      \
		mode_;                                                                                                 \
	})

#define OPEN(name)                                                                                                     \
	DXS_EXPORT int name(const char *path, int flags, ...)                                                          \
	{                                                                                                              \
		mode_t mode = MODE(flags);                                                                             \
                                                                                                                       \
		return OPENS(AT_FDCWD, path, flags,                                                                    \
			     DXS_NEXT(name, (path, flags, mode), SYS_openat, AT_FDCWD, path, flags, mode));            \
	}

#define OPENAT(name)                                                                                                   \
	DXS_EXPORT int name(int dir, const char *path, int flags, ...)                                                 \
	{                                                                                                              \
		mode_t mode = MODE(flags);                                                                             \
                                                                                                                       \
		return OPENS(dir, path, flags,                                                                         \
			     DXS_NEXT(name, (dir, path, flags, mode), SYS_openat, dir, path, flags, mode));            \
	}

#define CREAT(name)                                                                                                    \
	DXS_EXPORT int name(const char *path, mode_t mode)                                                             \
	{                                                                                                              \
		return OPENS(                                                                                          \
			AT_FDCWD, path, O_TRUNC,                                                                       \
			DXS_NEXT(name, (path, mode), SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode)); \
	}

// The fortified ones end a program that has forgotten the mode.
#define OPEN_2(name)                                                                                                   \
	DXS_EXPORT int name(const char *path, int flags)                                                               \
	{                                                                                                              \
		return OPENS(AT_FDCWD, path, flags,                                                                    \
			     DXS_NEXT(name, (path, flags), SYS_openat, AT_FDCWD, path, flags, 0));                     \
	}

#define OPENAT_2(name)                                                                                                 \
	DXS_EXPORT int name(int dir, const char *path, int flags)                                                      \
	{                                                                                                              \
		return OPENS(dir, path, flags, DXS_NEXT(name, (dir, path, flags), SYS_openat, dir, path, flags, 0));   \
	}

OPEN(open)
OPEN(open64)
OPEN(__open)
OPEN(__open64)
OPENAT(openat)
OPENAT(openat64)
CREAT(creat)
CREAT(creat64)
OPEN_2(__open_2)
OPEN_2(__open64_2)
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)
