// SPDX-License-Identifier: BSD-3-Clause
// stdio.c: streams that write into a tracked file.
//
// libc writes them out by calls of its own that no hook sees, so an msync would not know that the kernel's part is owed.
// A file that has such a stream is left to the kernel. Streams opened after the mapping are seen here, those before are
// found in libc's list of streams (exported since glibc 2.2, not declared any more).
#include <stdio_ext.h>
#include <sys/stat.h>

#include "calls.h"
#include "hooks.h"
#include "track.h"

void *_IO_iter_begin(void);
void *_IO_iter_end(void);
void *_IO_iter_next(void *iter);
FILE *_IO_iter_file(void *iter);
void _IO_list_lock(void);
void _IO_list_unlock(void);

// A mode that begins with `w` cuts the file off. path NULL: that of a stream which is opened anew.
static struct dxs_file *cut_begin(const char *path, const char *mode, FILE *stream)
{
	if (*mode != 'w' || !dxs_hook_enter() || !dxs_known_any())
		return NULL;
	return path ? dxs_resize_begin_path(AT_FDCWD, path, true) : dxs_resize_begin(fileno(stream));
}

static FILE *opened(FILE *stream, struct dxs_file *cut)
{
	int saved = errno;

	dxs_resize_end(cut, stream, 0);
	if (stream && dxs_hook_enter() && dxs_known_any() && __fwritable(stream))
		dxs_leave_to_kernel(fileno(stream), DXS_STDIO_REASON);
	errno = saved;
	return stream;
}

DXS_EXPORT FILE *fopen(const char *path, const char *mode)
{
	struct dxs_file *cut = cut_begin(path, mode, NULL);

	dxs_hooks_fill();
	return opened(dxs_next.fopen(path, mode), cut);
}

DXS_EXPORT FILE *fopen64(const char *path, const char *mode)
{
	struct dxs_file *cut = cut_begin(path, mode, NULL);

	dxs_hooks_fill();
	return opened(dxs_next.fopen64(path, mode), cut);
}

DXS_EXPORT FILE *fdopen(int fd, const char *mode)
{
	dxs_hooks_fill();
	return opened(dxs_next.fdopen(fd, mode), NULL);
}

DXS_EXPORT FILE *freopen(const char *path, const char *mode, FILE *stream)
{
	struct dxs_file *cut = cut_begin(path, mode, stream);

	dxs_hooks_fill();
	return opened(dxs_next.freopen(path, mode, stream), cut);
}

DXS_EXPORT FILE *freopen64(const char *path, const char *mode, FILE *stream)
{
	struct dxs_file *cut = cut_begin(path, mode, stream);

	dxs_hooks_fill();
	return opened(dxs_next.freopen64(path, mode, stream), cut);
}

bool dxs_hooks_stdio_writes(dev_t dev, ino_t ino)
{
	bool found = false;
	int saved = errno;
	void *iter;

	_IO_list_lock();
	for (iter = _IO_iter_begin(); !found && iter != _IO_iter_end(); iter = _IO_iter_next(iter)) {
		FILE *stream = _IO_iter_file(iter);
		int fd = fileno_unlocked(stream);
		struct stat st;

		found = fd >= 0 && !dxs_sys6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) && st.st_dev == dev &&
			st.st_ino == ino && __fwritable(stream);
	}
	_IO_list_unlock();
	errno = saved;
	return found;
}
