// SPDX-License-Identifier: BSD-3-Clause
// group.c: concurrent syncs of one inode.
#include "file/group.h"

#include "base/cpu.h"
#include "report/stats.h"

#define SPINS 200 // some 10 us: most rounds are over by then, and to sleep and be woken costs more

static bool is_running(const struct dxs_lane *lane)
{
	return lane->started != lane->done;
}

// Runs one round. Caller holds the mutex, which is free while the round runs.
static int round_run(struct dxs_group *group, struct dxs_lane *lane, struct dxs_file *file, struct dxs_pages pages,
		     dxs_group_run run)
{
	uint64_t round = ++lane->started;
	int err;

	lane->running = pages;
	dxs_mutex_unlock(&group->mutex);
	err = run(file, pages.first, pages.last);
	dxs_mutex_lock(&group->mutex);
	lane->done = round;
	if (err)
		lane->failed = round;
	atomic_fetch_add(&lane->event, 1);
	if (lane->nr_asleep) // else nobody is to be woken: see event_await
		dxs_futex_wake(&lane->event, INT32_MAX);
	return err;
}

static struct dxs_pages both(struct dxs_pages a, struct dxs_pages b)
{
	return (struct dxs_pages){dxs_min64(a.first, b.first), dxs_max64(a.last, b.last)};
}

// Waits until a round may have ended, for a moment without going to sleep: one thread of each lane. Caller holds the mutex.
static void event_await(struct dxs_group *group, struct dxs_lane *lane)
{
	uint32_t event = atomic_load(&lane->event);
	unsigned i;

	if (!lane->is_watched) {
		lane->is_watched = true;
		dxs_mutex_unlock(&group->mutex);
		for (i = 0; i < SPINS && atomic_load(&lane->event) == event; i++)
			dxs_cpu_relax();
		dxs_mutex_lock(&group->mutex);
		lane->is_watched = false;
	}
	if (atomic_load(&lane->event) != event)
		return;
	// order: the mutex. Whoever ends the round takes it after this and sees the count, or has had it before this, and then
	// the event had changed above. So no caller sleeps through the end.
	lane->nr_asleep++;
	dxs_mutex_unlock(&group->mutex);
	dxs_futex_wait(&lane->event, event);
	dxs_mutex_lock(&group->mutex);
	lane->nr_asleep--;
}

// Waits until round `mine` is over, running it if nobody else does. Whether it ended well. Caller holds the mutex.
static bool round_wait(struct dxs_group *group, struct dxs_lane *lane, struct dxs_file *file, uint64_t mine,
		       dxs_group_run run)
{
	while (lane->done < mine) {
		if (!is_running(lane)) {
			lane->is_wanted = false;
			round_run(group, lane, file, lane->wanted, run);
		} else {
			event_await(group, lane);
		}
	}
	return lane->failed < mine;
}

static bool overlap(struct dxs_pages a, struct dxs_pages b)
{
	return a.first <= b.last && b.first <= a.last;
}

static bool is_busy(const struct dxs_lane *lane)
{
	return is_running(lane) || lane->is_wanted;
}

// The lane of an overlapping range; else an idle one; else the first. Caller holds the mutex.
static struct dxs_lane *lane_for(struct dxs_group *group, struct dxs_pages pages)
{
	struct dxs_lane *lane, *idle = NULL;

	for (lane = group->lane; lane < group->lane + DXS_GROUP_LANES; lane++) {
		if ((is_running(lane) && overlap(lane->running, pages)) ||
		    (lane->is_wanted && overlap(lane->wanted, pages)))
			return lane;
		if (!idle && !is_busy(lane))
			idle = lane;
	}
	return idle ? idle : group->lane;
}

int dxs_group_sync(struct dxs_group *group, struct dxs_file *file, uint64_t first, uint64_t last, dxs_group_run run)
{
	struct dxs_pages pages = {first, last};
	struct dxs_lane *lane;
	bool ok;
	int err;

	dxs_mutex_lock(&group->mutex);
	lane = lane_for(group, pages);
	if (!is_busy(lane)) {
		err = round_run(group, lane, file, pages, run);
		dxs_mutex_unlock(&group->mutex);
		return err;
	}
	lane->wanted = lane->is_wanted ? both(lane->wanted, pages) : pages;
	lane->is_wanted = true;
	ok = round_wait(group, lane, file, lane->started + 1, run);
	dxs_mutex_unlock(&group->mutex);
	dxs_count(syncs_grouped, 1);
	return ok ? 0 : run(file, first, last);
}
