// SPDX-License-Identifier: BSD-3-Clause
// watch.h: the files under test, looked at from outside while the program runs: what has changed since the last look goes
// into the record.
#ifndef DXS_WATCH_H
#define DXS_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "content.h"
#include "names.h"
#include "record.h"

struct dxs_watched {
	dev_t dev;
	ino_t ino;                  // 0: of a file that is gone, whose number another has now
	uint64_t incarnation;       // tells it from that one
	struct dxs_content shown;   // as of the last look
	struct dxs_content durable; // for the program: a sync has returned
	struct dxs_content flushed; // and what was flushed otherwise, where a line is
	struct dxs_content pending; // a byte for each line: 1
};

struct dxs_watch {
	int dir;
	struct stat skip; // a directory that is passed over
	struct dxs_record_writer *writer;
	struct dxs_watched *file;
	uint32_t nr;
	struct dxs_names names, durable_names;
	// Which number a page's site has in the record, 0: none.
	uint32_t (*site)(struct dxs_watch *watch, dev_t dev, ino_t ino, uint64_t page);
	int err;
	char unread[512]; // the file or directory that could not be read, "": another error
};

// Begins with what the directory holds now, all of it durable. Symbolic links and special files are passed over, and so is
// the directory `skip` (NULL: none). 0 or -errno; -EFBIG: there are more than `max` bytes.
int dxs_watch_begin(struct dxs_watch *watch, const char *dir, const struct stat *skip, uint64_t max);

// Looks at all files.
void dxs_watch_scan(struct dxs_watch *watch);

// The number of a file in the record, or DXS_NO_FILE.
uint32_t dxs_watch_find(const struct dxs_watch *watch, dev_t dev, ino_t ino);

// A fence is about to make data durable; `off` and `len` are of whole lines.
void dxs_watch_staged(struct dxs_watch *watch, dev_t dev, ino_t ino, uint64_t off, const void *data, size_t len,
		      uint32_t site);

// A file is about to be mapped: the next msync makes durable what it shows now.
void dxs_watch_mapped(struct dxs_watch *watch, dev_t dev, ino_t ino);

// An msync of bytes [off, end) returns: what was flushed there is durable, and so is the file's name.
void dxs_watch_answered(struct dxs_watch *watch, dev_t dev, ino_t ino, uint64_t off, uint64_t end);

// The kernel has synced bytes [off, end) of a file, with its name; a directory, with all names in it; or everything.
void dxs_watch_synced(struct dxs_watch *watch, dev_t dev, ino_t ino, uint64_t off, uint64_t end);
void dxs_watch_synced_all(struct dxs_watch *watch);

void dxs_watch_end(struct dxs_watch *watch);

#endif
