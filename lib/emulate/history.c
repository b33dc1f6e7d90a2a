// SPDX-License-Identifier: BSD-3-Clause
// history.c: a ring of the last events.
#include "emulate/history.h"

#define RING 8192
#define SHOWN 6

struct event {
	const struct dxs_file *file;
	uint64_t first, mask, number;
	int tid;
	enum dxs_event event;
};

// Written without a lock: an entry that is being overwritten while it is printed makes a wrong word in a report, not
// a wrong verdict.
static struct event ring[RING];
static _Atomic uint64_t next; // seq_cst, the default: it counts; an entry may be half written

void dxs_history_add(const struct dxs_file *file, enum dxs_event event, uint64_t first, uint64_t mask)
{
	uint64_t number = atomic_fetch_add(&next, 1);

	ring[number % RING] = (struct event){file, first, mask, number, dxs_sys_tid(), event};
}

uint64_t dxs_history_next(void)
{
	return atomic_load(&next);
}

bool dxs_history_each(const struct dxs_file *file, enum dxs_event event, uint64_t from,
		      void (*fn)(uint64_t first, uint64_t mask, void *arg), void *arg)
{
	uint64_t i, end = atomic_load(&next);

	for (i = from; i < end && end - from <= RING / 2; i++) {
		const struct event *seen = &ring[i % RING];

		if (seen->file == file && seen->event == event)
			fn(seen->first, seen->mask, arg);
	}
	return end - from <= RING / 2 && atomic_load(&next) - from <= RING / 2;
}

static bool is_about(const struct event *event, const struct dxs_file *file, uint64_t pgoff)
{
	return event->file == file && pgoff - event->first < DXS_LEAF_PAGES &&
	       event->mask & 1ULL << (pgoff - event->first);
}

void dxs_history_print(const struct dxs_file *file, uint64_t pgoff, struct dxs_text *text)
{
	static const char *const name[] = {
		[DXS_EVENT_OPEN] = "opened",
		[DXS_EVENT_CLOSE] = "closed",
		[DXS_EVENT_FLUSH] = "flushed",
		[DXS_EVENT_PUBLISH] = "published",
		[DXS_EVENT_KERNEL] = "written by the kernel",
	};
	uint64_t end = atomic_load(&next), start = end > RING ? end - RING : 0, i, from = start;
	unsigned nr = 0;

	for (i = end; i > start && nr < SHOWN; i--) {
		if (is_about(&ring[(i - 1) % RING], file, pgoff)) {
			nr++;
			from = i - 1;
		}
	}
	for (i = from; i < end && nr; i++) {
		const struct event *event = &ring[i % RING];

		if (is_about(event, file, pgoff))
			dxs_text_add(text, " #%lu %s by thread %d;", event->number, name[event->event], event->tid);
	}
}
