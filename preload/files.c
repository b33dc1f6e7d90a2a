// SPDX-License-Identifier: BSD-3-Clause
// files.c: hooks of calls that change files: their data, their size, their blocks.
//
// Data from write(2) and similar calls is the kernel's to make durable, so a kernel sync of a known file is pending
// afterwards. Before a call changes the size or the blocks of a known file, the file is flushed.
#include <stdarg.h>

#include "call/calls.h"
#include "hooks.h"
#include "pins.h"

// The kernel moves on the positions that these calls are given (M9).
static void pin_positions(struct dxs_pin *pin, off64_t *one, off64_t *other)
{
	if (!dxs_hook_pins(pin))
		return;
	dxs_pin(pin, one, sizeof(*one));
	dxs_pin(pin, other, sizeof(*other));
}

static struct dxs_kwrite kwrite_begin(int fd)
{
	return dxs_hook_enter() ? dxs_kwrite_begin(fd) : (struct dxs_kwrite){NULL, 0};
}

// Writes at the descriptor's position. Other threads may write there at the same time, so it is somewhere between the
// position before and the one afterwards.
struct at_position {
	struct dxs_kwrite kwrite;
	off_t before;
};

static struct at_position position_begin(int fd)
{
	struct at_position at = {kwrite_begin(fd), INT64_MAX};

	if (at.kwrite.file)
		at.before = dxs_write_position(fd);
	return at;
}

static ssize_t position_end(struct at_position at, int fd, ssize_t ret)
{
	off_t after;

	if (dxs_likely(!dxs_kwrite_is_known(&at.kwrite, fd))) {
		dxs_wrote(fd, -1, ret);
		return ret;
	}
	after = dxs_position(fd);
	if (ret > 0 && after - ret < at.before)
		at.before = after - ret;
	dxs_kwrite_end(at.kwrite.file, at.before, ret > 0 ? after - at.before : ret);
	dxs_wrote(fd, -1, ret);
	return ret;
}

static ssize_t at_offset(struct dxs_kwrite kwrite, int fd, off_t off, ssize_t ret)
{
	if (dxs_unlikely(dxs_kwrite_is_known(&kwrite, fd)))
		dxs_kwrite_end(kwrite.file, off, ret);
	dxs_wrote(fd, off, ret);
	return ret;
}

#define WRITE(name)                                                                                                    \
	DXS_EXPORT ssize_t name(int fd, const void *buf, size_t len)                                                   \
	{                                                                                                              \
		struct at_position at = position_begin(fd);                                                            \
                                                                                                                       \
		return position_end(at, fd, DXS_NEXT(name, (fd, buf, len), SYS_write, fd, buf, len));                  \
	}

WRITE(write)
WRITE(__write)

DXS_EXPORT ssize_t writev(int fd, const struct iovec *iov, int nr)
{
	struct at_position at = position_begin(fd);

	return position_end(at, fd, DXS_NEXT(writev, (fd, iov, nr), SYS_writev, fd, iov, nr));
}

// A stream of libc's own, for one call.
#define PRINTS(fd, call)                                                                                               \
	({                                                                                                             \
		struct at_position at_ = position_begin(fd);                                                           \
                                                                                                                       \
		dxs_hooks_fill();                                                                                      \
		(int)position_end(at_, fd, (call));                                                                    \
	})

DXS_EXPORT int vdprintf(int fd, const char *format, va_list args)
{
	return PRINTS(fd, dxs_next.vdprintf(fd, format, args));
}

DXS_EXPORT int __vdprintf_chk(int fd, int flag, const char *format, va_list args)
{
	return PRINTS(fd, dxs_next.__vdprintf_chk(fd, flag, format, args));
}

DXS_EXPORT int dprintf(int fd, const char *format, ...)
{
	va_list args;
	int ret;

	va_start(args, format);
	ret = vdprintf(fd, format, args);
	va_end(args);
	return ret;
}

DXS_EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...)
{
	va_list args;
	int ret;

	va_start(args, format);
	ret = __vdprintf_chk(fd, flag, format, args);
	va_end(args);
	return ret;
}

// Defines a positional write and its 64-bit twin.
#define POSITIONAL(name, params, args, ...)                                                                            \
	DXS_EXPORT ssize_t name params                                                                                 \
	{                                                                                                              \
		struct dxs_kwrite kwrite = kwrite_begin(fd);                                                           \
                                                                                                                       \
		return at_offset(kwrite, fd, off, DXS_NEXT(name, args, __VA_ARGS__));                                  \
	}

POSITIONAL(pwrite, (int fd, const void *buf, size_t len, off_t off), (fd, buf, len, off), SYS_pwrite64, fd, buf, len,
	   off)
POSITIONAL(pwrite64, (int fd, const void *buf, size_t len, off64_t off), (fd, buf, len, off), SYS_pwrite64, fd, buf,
	   len, off)
POSITIONAL(__pwrite64, (int fd, const void *buf, size_t len, off64_t off), (fd, buf, len, off), SYS_pwrite64, fd, buf,
	   len, off)
POSITIONAL(pwritev, (int fd, const struct iovec *iov, int nr, off_t off), (fd, iov, nr, off), SYS_pwritev, fd, iov, nr,
	   off, 0)
POSITIONAL(pwritev64, (int fd, const struct iovec *iov, int nr, off64_t off), (fd, iov, nr, off), SYS_pwritev, fd, iov,
	   nr, off, 0)

// Offset -1 is the position; RWF_APPEND writes at the end and moves nothing that could be asked later.
static ssize_t pwritev2_end(struct at_position at, int fd, off_t off, int flags, ssize_t ret)
{
	if (off == -1)
		return position_end(at, fd, ret);
	return at_offset(at.kwrite, fd, flags & RWF_APPEND ? dxs_end_of(fd) - (ret > 0 ? ret : 0) : off, ret);
}

#define PWRITEV2(name, offset)                                                                                         \
	DXS_EXPORT ssize_t name(int fd, const struct iovec *iov, int nr, offset off, int flags)                        \
	{                                                                                                              \
		struct at_position at = position_begin(fd);                                                            \
                                                                                                                       \
		return pwritev2_end(                                                                                   \
			at, fd, off, flags,                                                                            \
			DXS_NEXT(name, (fd, iov, nr, off, flags), SYS_pwritev2, fd, iov, nr, off, 0, flags));          \
	}

PWRITEV2(pwritev2, off_t)
PWRITEV2(pwritev64v2, off64_t)

DXS_EXPORT ssize_t copy_file_range(int in, off64_t *in_off, int out, off64_t *out_off, size_t len, unsigned flags)
{
	struct at_position at = position_begin(out);
	struct dxs_pin pin;
	ssize_t ret;

	pin_positions(&pin, in_off, out_off);
	ret = DXS_NEXT(copy_file_range, (in, in_off, out, out_off, len, flags), SYS_copy_file_range, in, in_off, out,
		       out_off, len, flags);
	dxs_unpin(&pin);
	if (out_off)
		return at_offset(at.kwrite, out, ret > 0 ? *out_off - ret : 0, ret);
	return position_end(at, out, ret);
}

#define SENDFILE(name, offset)                                                                                         \
	DXS_EXPORT ssize_t name(int out, int in, offset *off, size_t len)                                              \
	{                                                                                                              \
		struct at_position at = position_begin(out);                                                           \
		struct dxs_pin pin;                                                                                    \
		ssize_t ret;                                                                                           \
                                                                                                                       \
		pin_positions(&pin, off, NULL);                                                                        \
		ret = DXS_NEXT(name, (out, in, off, len), SYS_sendfile, out, in, off, len);                            \
		dxs_unpin(&pin);                                                                                       \
		return position_end(at, out, ret);                                                                     \
	}

SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)

DXS_EXPORT ssize_t splice(int in, off64_t *in_off, int out, off64_t *out_off, size_t len, unsigned flags)
{
	struct at_position at = position_begin(out);
	struct dxs_pin pin;
	ssize_t ret;

	pin_positions(&pin, in_off, out_off);
	ret = DXS_NEXT(splice, (in, in_off, out, out_off, len, flags), SYS_splice, in, in_off, out, out_off, len,
		       flags);
	dxs_unpin(&pin);
	if (out_off)
		return at_offset(at.kwrite, out, ret > 0 ? *out_off - ret : 0, ret);
	return position_end(at, out, ret);
}

#define FTRUNCATE(name, offset)                                                                                        \
	DXS_EXPORT int name(int fd, offset size)                                                                       \
	{                                                                                                              \
		struct dxs_file *file = dxs_hook_enter() ? dxs_resize_begin(fd) : NULL;                                \
		int ret = DXS_NEXT(name, (fd, size), SYS_ftruncate, fd, size);                                         \
                                                                                                                       \
		dxs_resize_end(file, !ret, size);                                                                      \
		return ret;                                                                                            \
	}

#define TRUNCATE(name, offset)                                                                                         \
	DXS_EXPORT int name(const char *path, offset size)                                                             \
	{                                                                                                              \
		struct dxs_file *file = dxs_hook_enter() ? dxs_resize_begin_path(AT_FDCWD, path, true) : NULL;         \
		int ret = DXS_NEXT(name, (path, size), SYS_truncate, path, size);                                      \
                                                                                                                       \
		dxs_resize_end(file, !ret, size);                                                                      \
		return ret;                                                                                            \
	}

// Shifting modes move everything behind the range.
static off_t changed_len(int mode, off_t off, off_t len)
{
	return mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE) ? INT64_MAX - off : len;
}

#define FALLOCATE(name, offset)                                                                                        \
	DXS_EXPORT int name(int fd, int mode, offset off, offset len)                                                  \
	{                                                                                                              \
		struct dxs_file *file = dxs_hook_enter() ? dxs_resize_begin(fd) : NULL;                                \
		int ret = DXS_NEXT(name, (fd, mode, off, len), SYS_fallocate, fd, mode, off, len);                     \
                                                                                                                       \
		dxs_holes_end(file, off, ret ? 0 : changed_len(mode, off, len), file ? dxs_end_of(fd) : -1);           \
		return ret;                                                                                            \
	}

#define POSIX_FALLOCATE(name, offset)                                                                                  \
	DXS_EXPORT int name(int fd, offset off, offset len)                                                            \
	{                                                                                                              \
		struct dxs_file *file = dxs_hook_enter() ? dxs_resize_begin(fd) : NULL;                                \
		int ret;                                                                                               \
                                                                                                                       \
		dxs_hooks_fill();                                                                                      \
		ret = dxs_next.name(fd, off, len);                                                                     \
		dxs_holes_end(file, off, 0, file ? dxs_end_of(fd) : -1);                                               \
		return ret;                                                                                            \
	}

FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)
TRUNCATE(truncate, off_t)
TRUNCATE(truncate64, off64_t)
FALLOCATE(fallocate, off_t)
FALLOCATE(fallocate64, off64_t)
POSIX_FALLOCATE(posix_fallocate, off_t)
POSIX_FALLOCATE(posix_fallocate64, off64_t)
