// SPDX-License-Identifier: BSD-3-Clause
// open.c: hooks of calls that open files. An open with O_TRUNC is handled like ftruncate.
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "call/calls.h"
#include "hooks.h"

static bool cuts(int flags)
{
	return flags & O_TRUNC && !(flags & O_PATH) && dxs_hook_enter() && dxs_known_any();
}

// What is opened, and cut off by that, if it is a known file.
static struct dxs_file *cut_begin(int dir, const char *path, int flags)
{
	return cuts(flags) ? dxs_resize_begin_path(dir, path, !(flags & O_NOFOLLOW)) : NULL;
}

// Where libc has them; it follows no link.
static struct dxs_file *shm_cut_begin(const char *name, int flags)
{
	char path[sizeof("/dev/shm/") + NAME_MAX];
	struct dxs_text text;

	if (!cuts(flags))
		return NULL;
	dxs_text_init(&text, path, sizeof(path));
	dxs_text_add(&text, "/dev/shm/%s", name + strspn(name, "/"));
	return dxs_resize_begin_path(AT_FDCWD, path, false);
}

// What a handle leads to, only the kernel knows.
static struct dxs_file *handle_cut_begin(int mount, struct file_handle *handle, int flags)
{
	struct dxs_file *file;
	int fd;

	if (!cuts(flags))
		return NULL;
	fd = (int)dxs_sys6(SYS_open_by_handle_at, mount, (long)handle, O_PATH | O_CLOEXEC, 0, 0, 0);
	if (fd < 0)
		return NULL;
	file = dxs_resize_begin(dxs_hook_given(fd));
	dxs_sys_close(fd);
	dxs_hook_given(fd);
	return file;
}

// A call that opens, with what O_TRUNC takes around it.
#define CUTS(begun, call)                                                                                              \
	({                                                                                                             \
		struct dxs_file *cut_ = (begun);                                                                       \
		int fd_ = (call);                                                                                      \
                                                                                                                       \
		dxs_resize_end(cut_, fd_ >= 0, 0);                                                                     \
		dxs_hook_given(fd_);                                                                                   \
	})

#define OPENS(dir, path, flags, call) CUTS(cut_begin(dir, path, flags), call)

// The mode is given only where a file may be made.
#define MODE(flags)                                                                                                    \
	({                                                                                                             \
		mode_t mode_ = 0;                                                                                      \
		va_list args_;                                                                                         \
                                                                                                                       \
		if (O_CREAT & (flags) || (O_TMPFILE & (flags)) == O_TMPFILE) {                                         \
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

DXS_EXPORT int shm_open(const char *name, int flags, mode_t mode)
{
	dxs_hooks_fill();
	return CUTS(shm_cut_begin(name, flags), dxs_next.shm_open(name, flags, mode));
}

DXS_EXPORT int open_by_handle_at(int mount, struct file_handle *handle, int flags)
{
	return CUTS(handle_cut_begin(mount, handle, flags),
		    DXS_NEXT(open_by_handle_at, (mount, handle, flags), SYS_open_by_handle_at, mount, handle, flags));
}
