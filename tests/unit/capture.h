// SPDX-License-Identifier: BSD-3-Clause
// capture.h: what a piece of code writes to a descriptor, as text.
#ifndef DXS_TEST_CAPTURE_H
#define DXS_TEST_CAPTURE_H

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct capture {
	int fd;    // whose output is taken
	int saved; // where it went before
	char text[65536];
};

static inline void capture_begin(struct capture *capture, int fd)
{
	int file = memfd_create("capture", MFD_CLOEXEC);

	capture->fd = fd;
	capture->saved = dup(fd);
	dup2(file, fd);
	close(file);
}

// Returns what was written since capture_begin.
static inline const char *capture_end(struct capture *capture)
{
	ssize_t len = pread(capture->fd, capture->text, sizeof(capture->text) - 1, 0);

	capture->text[len > 0 ? len : 0] = '\0';
	dup2(capture->saved, capture->fd);
	close(capture->saved);
	return capture->text;
}

static inline size_t count_lines(const char *text)
{
	size_t nr = 0;

	for (const char *s = strchr(text, '\n'); s; s = strchr(s + 1, '\n'))
		nr++;
	return nr;
}

#endif
