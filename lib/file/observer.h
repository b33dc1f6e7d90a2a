// SPDX-License-Identifier: BSD-3-Clause
// observer.h: what the core says of a file that is observed, and to whom.
//
// The core knows nobody who listens. An emulated run has an observer (emulate/session.c) that keeps a durable image of each
// file, checks it after each sync, and cuts the power. It is in a library of its own (emulator.h), which a production run
// does not load; every event below is one test of a pointer there. Calls are made by the thread to which the event happens,
// with all signals blocked.
#ifndef DXS_OBSERVER_H
#define DXS_OBSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sys.h"
#include "file/file.h"

enum dxs_event { DXS_EVENT_OPEN, DXS_EVENT_CLOSE, DXS_EVENT_FLUSH, DXS_EVENT_PUBLISH, DXS_EVENT_KERNEL };

// Which entries kernel syncs were asked for, as stretches [first, last]. Those for which there is no room become one.
#define DXS_STRETCHES 16
struct dxs_asked {
	unsigned nr;
	struct dxs_stretch {
		uint64_t first, last;
	} stretch[DXS_STRETCHES];
};

#define DXS_ASKED_ALL ((struct dxs_asked){1, {{0, DXS_TREE_PAGES - 1}}})

#pragma GCC visibility push(default) // the emulator uses it
void dxs_asked_add(struct dxs_asked *asked, uint64_t first, uint64_t last);
#pragma GCC visibility pop

struct dxs_due; // what the observer notes of a sync

struct dxs_observer {
	// Asks whether it wants to observe a file of this mode, which is being mapped from descriptor fd: sets
	// file->observed if so. 0, or -errno with the reason (static text) in *why. Context: hook or api, with the
	// registry's lock.
	int (*begin)(struct dxs_file *file, int fd, const char **why);
	void (*end)(struct dxs_file *file);

	// A new mapping of the file, not yet tracked: 0 or -errno, if what it shows cannot be read. `shows_more`: it
	// shows what the kernel has written and no sync has published.
	int (*mapped)(const struct dxs_map *map);
	bool (*shows_more)(struct dxs_file *file, uint64_t first, uint64_t last);

	// Around a sync of stretches, in ascending order. NULL: no memory to observe it. `complete`: it has succeeded,
	// covers whole entries, and was not the kernel's.
	struct dxs_due *(*sync_begin)(struct dxs_file *file, const struct dxs_stretch *stretch, unsigned nr);
	void (*sync_end)(struct dxs_file *file, struct dxs_due *due, const struct dxs_stretch *stretch, unsigned nr,
			 bool complete);

	// In a sync: bytes were flushed, or were a hole; the entries of `pages`, which stay open, were; the same thread has
	// fenced; or another thread has fenced in its place, which is wrong.
	void (*flushed)(struct dxs_file *file, uintptr_t addr, uint64_t off, size_t len);
	void (*hole)(struct dxs_file *file, uint64_t off, size_t len);
	void (*taken)(struct dxs_file *file, struct dxs_due *due, struct dxs_leaf *leaf, uint64_t pages);
	void (*fenced)(void);
	void (*unfenced)(void);

	// What happened to the entries of `mask` in the leaf that begins at `first`. Async-signal-safe.
	void (*event)(const struct dxs_file *file, enum dxs_event event, uint64_t first, uint64_t mask);

	// The kernel has written entries [first, last], by write(2) and the like.
	void (*kernel_wrote)(struct dxs_file *file, uint64_t first, uint64_t last);
	// The kernel has synced what was asked for, or everything (`all`). fd: a descriptor of the file, or -1. False:
	// what was cut off is not durable yet.
	bool (*kernel_synced)(struct dxs_file *file, int fd, const struct dxs_asked *asked, bool all);
	// The same, of all that was asked for, in a sync of a file that is handed over; the caller holds maps_lock.
	void (*synced_for_us)(struct dxs_file *file, const struct dxs_asked *asked);
	// Around an msync of [first, last] outside of mode `kernel` that has succeeded: sync_asked's result goes to
	// sync_answered.
	uint64_t (*sync_asked)(struct dxs_file *file);
	void (*sync_answered)(struct dxs_file *file, uint64_t asked, uint64_t first, uint64_t last);

	// The kernel syncs bytes [off, end) of a file, or a directory, that is none of ours, or (-1) everything. Not
	// asked of a file: whether dxs_observer is set says whether to call it.
	void (*others_synced)(int fd, uint64_t off, uint64_t end);

	// Whether who has started the program knows that nothing is made durable in emulation.
	bool (*is_told)(void);

	// In a forked child, before anything is observed there.
	void (*forked)(void);
};

#pragma GCC visibility push(default)            // the shim uses it
extern const struct dxs_observer *dxs_observer; // NULL: nobody; set once, before any file is known
#pragma GCC visibility pop

// The one that dxs_observer can be set to, if the emulator is in this process and belongs to this copy of the core; or NULL.
extern const struct dxs_observer *_Atomic dxs_observer_offered;

#pragma GCC visibility push(default) // the emulator uses it
// Context: the emulator's constructor.
void dxs_observer_offer(const struct dxs_observer *observer);
#pragma GCC visibility pop

// Calls a function of the observer's if the file is observed; `otherwise` is the value if not.
#define dxs_observe(file, function, ...)                                                                               \
	do {                                                                                                           \
		if (dxs_unlikely((file)->observed))                                                                    \
			dxs_observer->function(__VA_ARGS__);                                                           \
	} while (0)
#define dxs_observed(file, otherwise, function, ...)                                                                   \
	(dxs_unlikely((file)->observed) ? dxs_observer->function(__VA_ARGS__) : (otherwise))

#endif
