// SPDX-License-Identifier: BSD-3-Clause
// engine.h: what makes stores to closed pages trap. Several implementations behind one table of functions.
//
// CONTRACT (the conformance tests cite these numbers)
//   E.1 attach() returns 0 only if from then on every store, by any thread, to a page that write_protect() has closed traps
//       before it completes, for as long as the mapping exists. A new mapping is all open.
//   E.2 After write_protect() has returned 0, no CPU can store to the pages without a trap, and every store that completed
//       before is visible to a flush that starts now. An error leaves any part of the range open or closed.
//   E.3 make_writable() makes pages writable, as far as the application's own protection goes. It may be called for pages
//       that are open.
//   E.4 discover() marks, in the file's tree, every entry of the range that can have been stored to in a part of the
//       mapping that is not known: never closed, or opened by make_all_writable() since. It closes that part, but for pinned
//       leaves: close first, then scan, then mark, then say that it is known, unless all was opened meanwhile.
//   E.5 A trap is a signal in the storing thread, and reaches dxs_trap_signal(). A load is never a trap. The library has no
//       thread of its own.
//   E.6 make_writable(), write_protect() and writable() may be called with page locks held: they neither allocate nor
//       wait for another thread of the process, but for one that is inside make_writable() or write_protect() itself.
//   E.7 is_alive() is false from the moment on at which the engine may have lost the protection of any mapping.
//   E.8 is_short() says that open pages use up something that the engine has little of, so that no further page is to be
//       left open. Any context.
//   E.9 is_small() says that the kernel maps no part of the mapping by an entry of more than 4 KiB, and never will.
#ifndef DXS_ENGINE_H
#define DXS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dxs_map;

#define DXS_EXTENT_MAX 520 // entries that extent() says at most: 2 MiB, and gaps of 4 at both ends

struct dxs_engine {
	const char *name;                   // as DAXSYNC_ENGINE names it
	int (*attach)(struct dxs_map *map); // 0 or -errno: this engine cannot track it
	// Lets go of a mapping, which the kernel has taken away already if `gone`.
	void (*detach)(struct dxs_map *map, bool gone);
	// `made` is a part of `map`, which it replaces: it takes over what is known of its pages. 0 or -ENOMEM.
	int (*inherit)(struct dxs_map *made, const struct dxs_map *map);
	int (*write_protect)(struct dxs_map *map, uintptr_t addr, size_t len); // 0 or -errno
	int (*make_writable)(struct dxs_map *map, uintptr_t addr, size_t len); // 0 or -errno
	// M5: opens all of the mapping, of which nothing is known clean from then on. Returns 0 or -errno.
	int (*make_all_writable)(struct dxs_map *map);
	// What a trap at addr, an entry's address, should open: [*start, *end), around addr, DXS_EXTENT_MAX entries at
	// most. It marks all of that before.
	// False: all of the mapping. Async-signal-safe.
	bool (*extent)(struct dxs_map *map, uintptr_t addr, uintptr_t *start, uintptr_t *end);
	int (*discover)(struct dxs_map *map, uint64_t first, uint64_t last);
	// The kernel has given all of the mapping its full protection: what depends on that is open now. Called before.
	void (*unprotected)(struct dxs_map *map);
	// The file now ends before addr, up to which the mapping reaches: closes again what was closed behind.
	void (*truncated)(struct dxs_map *map, uintptr_t addr);
	// In a forked child: gives the mapping back its full protection, if the child has inherited less.
	void (*in_child)(struct dxs_map *map);
	// What the page tables say, not our own tables: to which of nr (at most 64) entries from addr on can a store
	// complete without a trap? 0 or -errno. For the verifier and M8.
	int (*writable)(struct dxs_map *map, uintptr_t addr, unsigned nr, uint64_t *mask);
	// The first stretch of [*start, end) that was closed at least once: sets *start, returns its end (*start: none).
	uintptr_t (*known)(const struct dxs_map *map, uintptr_t *start, uintptr_t end);
	bool (*is_alive)(void);
	bool (*is_short)(void);
	bool (*is_small)(const struct dxs_map *map);
};

// E.3, for traps and pins.
int dxs_engine_make_writable(struct dxs_map *map, uintptr_t addr, size_t len);

// Whether a mapping was ever attached to an engine, so that kernel writes have to be pinned: one load.
bool dxs_engine_pins_wanted(void);

// One was: from now on.
void dxs_engine_wants_pins(void);

#endif
