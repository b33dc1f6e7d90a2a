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

static FILE *opened(FILE *stream)
{
	int saved = errno;

	if (stream && dxs_hook_enter() && dxs_known_any() && __fwritable(stream))
		dxs_stdio_opened(fileno(stream));
	errno = saved;
	return stream;
}

DXS_EXPORT FILE *fopen(const char *path, const char *mode)
{
	dxs_hooks_fill();
	return opened(dxs_next.fopen(path, mode));
}

DXS_EXPORT FILE *fopen64(const char *path, const char *mode)
{
	dxs_hooks_fill();
	return opened(dxs_next.fopen64(path, mode));
}

DXS_EXPORT FILE *fdopen(int fd, const char *mode)
{
	dxs_hooks_fill();
	return opened(dxs_next.fdopen(fd, mode));
}

DXS_EXPORT FILE *freopen(const char *path, const char *mode, FILE *stream)
{
	dxs_hooks_fill();
	return opened(dxs_next.freopen(path, mode, stream));
}

DXS_EXPORT FILE *freopen64(const char *path, const char *mode, FILE *stream)
{
	dxs_hooks_fill();
	return opened(dxs_next.freopen64(path, mode, stream));
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
