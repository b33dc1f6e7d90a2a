// SPDX-License-Identifier: BSD-3-Clause
// writers.h: the registry in which the processes that write one inode find each other.
#ifndef DXS_WRITERS_H
#define DXS_WRITERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DXS_NEVER UINT64_MAX

// The page that all writers of an inode share.
struct dxs_registry {
	uint64_t magic;
	uint64_t dev, ino;      // of the file
	uint64_t born, born_ns; // of the file: an inode number that is used again is another inode
	// seq_cst, between processes: a writer announces himself before he stores (W.1); partners:
	// dxs_writers_exclusive (W.2), dxs_writers_sync_end (W.3).
	_Atomic uint64_t announced; // writers ever announced << 32 | of these, not known to have left in good order
};

// This process's place in it.
struct dxs_writers {
	// seq_cst: exclusive_at is DXS_NEVER before another page comes, and a number of this one afterwards (W.3);
	// partner: dxs_writers_exclusive.
	struct dxs_registry *_Atomic page; // always readable; the same address from the first mapping to the last
	_Atomic uint64_t exclusive_at;     // while so many were announced, this process is the only writer; DXS_NEVER
	uint64_t dev, ino;                 // of the file
	uint64_t born, born_ns;
	uint64_t page_dev, page_ino; // of the registry's file
	uint64_t found_at;           // when the page was last looked for: dxs_now_ns()
	bool registered, rests, gone;
	uint64_t nr_drops; // pages that are not looked at any more; under the mutex
	// seq_cst: it may be moved (fd.c), and is written before the epoch turns; partner: DXS_FD_USE.
	_Atomic int fd; // of the page's description, after it has rested; -1
	bool doubt;     // there may be writers who cannot be found
	// seq_cst, the default: relaxed would do. Text for people.
	_Atomic(const char *) reason; // static text: why it is not exclusive
};

// Alone, and without a registry: what a file is before dxs_writers_join.
void dxs_writers_init(struct dxs_writers *writers);

// Whether this process is known to be the file's only writer: two loads. A writer that announces itself later stores
// after that only. Context: any.
static inline bool dxs_writers_exclusive(struct dxs_writers *writers)
{
	uint64_t announced = atomic_load(&atomic_load(&writers->page)->announced) >> 32; // before exclusive_at: W.3

	return announced == atomic_load(&writers->exclusive_at);
}

// Takes a place in the registry of a file, of which fd is a descriptor, making the registry if there is none. 0, or
// -errno with the reason in writers->reason: then this process is never known to be exclusive. Signals are blocked.
int dxs_writers_join(struct dxs_writers *writers, int fd, uint64_t dev, uint64_t ino);

// One more writer, who has or inherits this process's hold on the registry: from now on nobody is exclusive.
// False: there is no registry to tell it to. Context: any.
bool dxs_writers_announce(struct dxs_writers *writers);

// Around a kernel sync of the whole file. begin looks whether any other writer is left, and takes a place if there was
// no registry before; end, after the sync has succeeded, makes this process exclusive if it was so all the time.
struct dxs_ticket {
	bool exclusive;
	uint64_t announced;
	uint64_t nr_drops;
};
struct dxs_ticket dxs_writers_sync_begin(struct dxs_writers *writers);
void dxs_writers_sync_end(struct dxs_writers *writers, struct dxs_ticket ticket);

// As dxs_writers_leave with nothing left behind, to come back soon; and coming back. False: that cannot be, it has to leave,
// or to join.
bool dxs_writers_rest(struct dxs_writers *writers);
bool dxs_writers_return(struct dxs_writers *writers);

// The place is given up for good; may be called again. destroy: and nobody looks any more.
enum dxs_leaving {
	DXS_LEAVES_STORES,  // which others have to sync
	DXS_LEAVES_NOTHING, // all that this process has stored is durable
	DXS_LEAVES_NO_NAME, // of the file: nobody will open it again
};
void dxs_writers_leave(struct dxs_writers *writers, enum dxs_leaving leaving);
void dxs_writers_destroy(struct dxs_writers *writers, enum dxs_leaving leaving);

// In a forked child, of a place that rests: it is the parent's.
void dxs_writers_forsake(struct dxs_writers *writers);

// In a forked child: its hold is the parent's, of which it has a copy, and it is never exclusive.
void dxs_writers_in_child(struct dxs_writers *writers);

// Around a fork, before the announcement. The child resets the lock instead of the end.
void dxs_writers_fork_begin(void);
void dxs_writers_fork_end(void);

// Around the announcements: nobody is between two registries.
void dxs_writers_lock(void);
void dxs_writers_unlock(void);
void dxs_writers_reset_lock(void);

#endif
