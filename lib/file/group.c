// SPDX-License-Identifier: BSD-3-Clause
// group.c: concurrent syncs of one inode.
#include "file/group.h"

#include "report/stats.h"

// Runs one round. Caller holds the mutex, which is free while the round runs.
static int round_run(struct dxs_group *group, struct dxs_file *file, uint64_t first, uint64_t last, dxs_group_run run)
{
	uint64_t round = ++group->started;
	int err;

	group->running = true;
	dxs_mutex_unlock(&group->mutex);
	err = run(file, first, last);
	dxs_mutex_lock(&group->mutex);
	group->running = false;
	group->done = round;
	if (err)
		group->failed = round;
	atomic_fetch_add(&group->event, 1);
	if (group->nr_asleep) // else nobody is to be woken: see round_wait
		dxs_futex_wake(&group->event, INT32_MAX);
	return err;
}

static void range_join(struct dxs_group *group, uint64_t first, uint64_t last)
{
	group->first = group->waiting ? dxs_min64(group->first, first) : first;
	group->last = group->waiting ? dxs_max64(group->last, last) : last;
	group->waiting = true;
}

// Waits until round `mine` is over, running it if nobody else does. Whether it ended well. Caller holds the mutex.
static bool round_wait(struct dxs_group *group, struct dxs_file *file, uint64_t mine, dxs_group_run run)
{
	while (group->done < mine) {
		if (!group->running) {
			group->waiting = false;
			round_run(group, file, group->first, group->last, run);
		} else {
			uint32_t event = atomic_load(&group->event);

			// order: the mutex. Whoever ends the round takes it after this and sees the count, or has had it
			// before this, and then `running` was false above. So no caller sleeps through the end.
			group->nr_asleep++;
			dxs_mutex_unlock(&group->mutex);
			dxs_futex_wait(&group->event, event);
			dxs_mutex_lock(&group->mutex);
			group->nr_asleep--;
		}
	}
	return group->failed < mine;
}

int dxs_group_sync(struct dxs_group *group, struct dxs_file *file, uint64_t first, uint64_t last, dxs_group_run run)
{
	bool ok;
	int err;

	dxs_mutex_lock(&group->mutex);
	if (!group->running && !group->waiting) {
		err = round_run(group, file, first, last, run);
		dxs_mutex_unlock(&group->mutex);
		return err;
	}
	range_join(group, first, last);
	ok = round_wait(group, file, group->started + 1, run);
	dxs_mutex_unlock(&group->mutex);
	dxs_count(syncs_grouped, 1);
	return ok ? 0 : run(file, first, last);
}
