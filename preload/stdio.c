// SPDX-License-Identifier: BSD-3-Clause
// stdio.c: streams that can write to a tracked file.
//
// libc writes a stream's data with calls that no hook sees, so an msync would not know that a kernel sync is pending. A
// file that has such a stream is left to the kernel, whether the stream or the mapping came first.
//
// libc's own list of streams cannot be used. A thread that waits for a stream in fflush(NULL) holds the list's lock,
// and the stream's lock may be held by a thread of the program's that is mapping a file. So the shim lists the streams
// that can write as they are opened and closed. It does so without a lock and without the allocator, because streams
// are also opened and closed in fork handlers and before any constructor has run.
#include <stdint.h>
#include <stdio_ext.h>
#include <sys/stat.h>

#include "base/behind.h"
#include "call/calls.h"
#include "hooks.h"

#define MAX_STREAMS 4096
#define HELD ((uintptr_t)1) // being listed, or being closed: it may still write

struct slot {
	// seq_cst: HELD before anything else, the address after the descriptor; partner: is_listed. A stream is listed
	// before its file is looked for (opened).
	_Atomic uintptr_t stream; // 0: free; the FILE's address; HELD
	_Atomic int fd;
};

static struct slot slots[MAX_STREAMS];
// seq_cst, the default: up before the slot has a stream; partner: is_listed.
static _Atomic unsigned nr_slots; // that were ever in use
static _Atomic bool is_uncertain; // there were more streams than slots

static struct slot *slot_take(void)
{
	unsigned i, nr;

	for (i = 0; i < MAX_STREAMS; i++) {
		uintptr_t is_free = 0;

		if (!atomic_compare_exchange_strong(&slots[i].stream, &is_free, HELD))
			continue;
		nr = atomic_load(&nr_slots);
		while (nr <= i && !atomic_compare_exchange_weak(&nr_slots, &nr, i + 1))
			;
		return &slots[i];
	}
	atomic_store(&is_uncertain, true);
	return NULL;
}

static void stream_add(FILE *stream)
{
	int fd = fileno_unlocked(stream);
	struct slot *slot = __fwritable(stream) && fd >= 0 ? slot_take() : NULL;

	if (!slot)
		return;
	atomic_store(&slot->fd, fd);
	atomic_store(&slot->stream, (uintptr_t)stream);
}

// From now on the address of the stream may be another one's. NULL: it is not listed.
static struct slot *stream_closing(FILE *stream)
{
	unsigned i, nr = atomic_load(&nr_slots);

	for (i = 0; i < nr; i++) {
		uintptr_t it = (uintptr_t)stream;

		if (atomic_load(&slots[i].stream) == it && atomic_compare_exchange_strong(&slots[i].stream, &it, HELD))
			return &slots[i];
	}
	return NULL;
}

static void stream_closed(struct slot *slot)
{
	if (slot)
		atomic_store(&slot->stream, 0);
}

static bool is_file(int fd, dev_t dev, ino_t ino)
{
	struct stat st;

	return !dxs_sys6(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) && st.st_dev == dev && st.st_ino == ino;
}

// Descriptors are asked now: a program may have put another file behind one.
static bool is_listed(dev_t dev, ino_t ino)
{
	unsigned i, nr = atomic_load(&nr_slots);

	for (i = 0; i < nr; i++)
		if (atomic_load(&slots[i].stream) && is_file(atomic_load(&slots[i].fd), dev, ino))
			return true;
	return false;
}

// The three that nobody opens; a program may have put others in their place.
static bool is_standard(dev_t dev, ino_t ino)
{
	FILE *const standard[] = {stdin, stdout, stderr};
	int i, fd;

	for (i = 0; i < 3; i++) {
		fd = standard[i] && __fwritable(standard[i]) ? fileno_unlocked(standard[i]) : -1;
		if (fd >= 0 && is_file(fd, dev, ino))
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

// A mode that begins with `w` cuts the file off: the one of that path, or of a stream which is opened anew.
static struct dxs_file *cut_begin(const char *path, const char *mode, FILE *stream)
{
	if (*mode != 'w' || !dxs_hook_enter() || !dxs_known_any())
		return NULL;
	return path || !stream ? dxs_resize_begin_path(AT_FDCWD, path, true) : dxs_resize_begin(fileno(stream));
}

static FILE *opened(FILE *stream, struct dxs_file *cut)
{
	bool act = dxs_hook_enter();
	int saved = errno;

	if (stream)
		dxs_hook_given(fileno_unlocked(stream));
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
		struct dxs_file *cut = cut_begin(path, mode, stream);                                                  \
		struct slot *before = stream_closing(stream);                                                          \
		int fd = fileno_unlocked(stream);                                                                      \
		FILE *after;                                                                                           \
                                                                                                                       \
		dxs_hooks_fill();                                                                                      \
		after = opened(dxs_next.name(path, mode, stream), cut);                                                \
		stream_closed(before);                                                                                 \
		dxs_hook_given(fd);                                                                                    \
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

// A call that closes a stream, and its descriptor.
#define CLOSES(name)                                                                                                   \
	DXS_EXPORT int name(FILE *stream)                                                                              \
	{                                                                                                              \
		struct slot *listed = stream_closing(stream);                                                          \
		int fd = dxs_hook_given(fileno_unlocked(stream)), ret;                                                 \
                                                                                                                       \
		dxs_hooks_fill();                                                                                      \
		ret = dxs_next.name(stream);                                                                           \
		stream_closed(listed);                                                                                 \
		dxs_hook_given(fd);                                                                                    \
		return ret;                                                                                            \
	}

CLOSES(fclose)
CLOSES(pclose)
