// SPDX-License-Identifier: BSD-3-Clause
// stdio.c: streams that write into a tracked file.
//
// libc writes them out by calls of its own that no hook sees, so an msync would not know that the kernel's part is owed.
// A file that has such a stream is left to the kernel, whichever of the two was there first. libc's own list of streams
// cannot be asked: its lock is held by whoever waits for a stream in fflush(NULL), and that stream's by the program, which
// may be mapping a file meanwhile. So the streams that write into files are listed here, as they come and go.
#include <stdio_ext.h>
#include <sys/stat.h>

#include "alloc.h"
#include "calls.h"
#include "hooks.h"
#include "lock.h"
#include "track.h"

struct stream {
	struct stream *next;
	FILE *file; // NULL: being closed, and may still write
	dev_t dev;
	ino_t ino;
};

static struct stream *streams;    // under `mutex`
static struct dxs_mutex mutex;    // no call is made and nothing is waited for while it is held
static _Atomic bool is_uncertain; // a stream could not be listed, for want of memory, or the list was lost
static dxs_sigset fork_set;       // of the thread that forks

static dxs_sigset list_lock(void)
{
	dxs_sigset set = dxs_sig_block();

	dxs_mutex_lock(&mutex);
	return set;
}

static void list_unlock(dxs_sigset set)
{
	dxs_mutex_unlock(&mutex);
	dxs_sig_setmask(set);
}

void dxs_stdio_fork_begin(void)
{
	fork_set = list_lock();
}

void dxs_stdio_fork_end(void)
{
	list_unlock(fork_set);
}

// What another thread was about to change.
void dxs_stdio_lose(void)
{
	mutex = (struct dxs_mutex){0};
	streams = NULL;
	atomic_store(&is_uncertain, true);
}

// A stream that writes into a regular file, or NULL: no, or no memory.
static struct stream *stream_new(FILE *file)
{
	struct stream *stream;
	struct stat st;

	if (!__fwritable(file) || dxs_sys6(SYS_fstat, fileno_unlocked(file), (long)&st, 0, 0, 0, 0) ||
	    !S_ISREG(st.st_mode))
		return NULL;
	stream = dxs_zalloc(sizeof(*stream));
	if (!stream) {
		atomic_store(&is_uncertain, true);
		return NULL;
	}
	*stream = (struct stream){NULL, file, st.st_dev, st.st_ino};
	return stream;
}

static void stream_add(FILE *file)
{
	struct stream *stream = stream_new(file);
	dxs_sigset set;

	if (!stream)
		return;
	set = list_lock();
	stream->next = streams;
	streams = stream;
	list_unlock(set);
}

// From now on the address of the stream may be another one's.
static struct stream *stream_closing(FILE *file)
{
	dxs_sigset set = list_lock();
	struct stream *stream;

	for (stream = streams; stream && stream->file != file;)
		stream = stream->next;
	if (stream)
		stream->file = NULL;
	list_unlock(set);
	return stream;
}

static void stream_closed(struct stream *stream)
{
	struct stream **at;
	dxs_sigset set;

	if (!stream)
		return;
	set = list_lock();
	for (at = &streams; *at && *at != stream;)
		at = &(*at)->next;
	if (*at)
		*at = stream->next;
	list_unlock(set);
	dxs_free(stream);
}

static bool is_listed(dev_t dev, ino_t ino)
{
	dxs_sigset set = list_lock();
	const struct stream *stream;

	for (stream = streams; stream && (stream->dev != dev || stream->ino != ino);)
		stream = stream->next;
	list_unlock(set);
	return stream;
}

// The three that nobody opens; a program may have put others in their place.
static bool is_standard(dev_t dev, ino_t ino)
{
	FILE *const standard[] = {stdin, stdout, stderr};
	struct stat st;
	int i, fd;

	for (i = 0; i < 3; i++) {
		fd = standard[i] ? fileno_unlocked(standard[i]) : -1;
		if (fd >= 0 && !dxs_sys6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) && st.st_dev == dev &&
		    st.st_ino == ino && __fwritable(standard[i]))
			return true;
	}
	return false;
}

bool dxs_hooks_stdio_writes(dev_t dev, ino_t ino)
{
	int saved = errno;
	bool writes = atomic_load(&is_uncertain) || is_listed(dev, ino) || is_standard(dev, ino);

	errno = saved;
	return writes;
}

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

	bool act = dxs_hook_enter();

	dxs_resize_end(cut, stream, 0);
	if (stream && !dxs_inside)
		stream_add(stream);
	if (stream && act && dxs_known_any() && __fwritable(stream))
		dxs_leave_to_kernel(fileno(stream), DXS_STDIO_REASON);
	errno = saved;
	return stream;
}

#define FOPEN(name)                                                                                                    \
	DXS_EXPORT FILE *name(const char *path, const char *mode)                                                      \
	{                                                                                                              \
		struct dxs_file *cut = cut_begin(path, mode, NULL);                                                    \
                                                                                                                       \
		dxs_hooks_fill();                                                                                      \
		return opened(dxs_next.name(path, mode), cut);                                                         \
	}

#define FREOPEN(name)                                                                                                  \
	DXS_EXPORT FILE *name(const char *path, const char *mode, FILE *stream)                                        \
	{                                                                                                              \
		bool act = dxs_hook_enter();                                                                           \
		struct dxs_file *cut = act ? cut_begin(path, mode, stream) : NULL;                                     \
		struct stream *before = stream_closing(stream);                                                        \
		FILE *after;                                                                                           \
                                                                                                                       \
		dxs_hooks_fill();                                                                                      \
		after = opened(dxs_next.name(path, mode, stream), cut);                                                \
		stream_closed(before);                                                                                 \
		return after;                                                                                          \
	}

#define TMPFILE(name)                                                                                                  \
	DXS_EXPORT FILE *name(void)                                                                                    \
	{                                                                                                              \
		dxs_hooks_fill();                                                                                      \
		return opened(dxs_next.name(), NULL);                                                                  \
	}

FOPEN(fopen)
FOPEN(fopen64)
FREOPEN(freopen)
FREOPEN(freopen64)
TMPFILE(tmpfile)
TMPFILE(tmpfile64)

DXS_EXPORT FILE *fdopen(int fd, const char *mode)
{
	dxs_hooks_fill();
	return opened(dxs_next.fdopen(fd, mode), NULL);
}

DXS_EXPORT int fclose(FILE *stream)
{
	struct stream *listed;
	int ret;

	dxs_hook_enter(); // notices a child that was made without fork handlers
	listed = stream_closing(stream);
	dxs_hooks_fill();
	ret = dxs_next.fclose(stream);
	stream_closed(listed);
	return ret;
}
