// SPDX-License-Identifier: BSD-3-Clause
// session.c: the observer of an emulated or verified run: the durable image, its check, and the history of pages.
#include "emulate/session.h"

#include "base/config.h"
#include "base/log.h"
#include "emulate/history.h"
#include "emulate/image.h"
#include "emulate/record.h"
#include "emulate/run.h"
#include "emulate/verify.h"

static bool needs_image(struct dxs_file *file)
{
	switch (dxs_file_own_mode(file)) {
	case DXS_MODE_EMULATED:
		return true;
	case DXS_MODE_DIRECT:
		return dxs_config.verify;
	default:
		return false;
	}
}

static int begin(struct dxs_file *file, int fd, const char **why)
{
	int err;

	if (!needs_image(file))
		return 0;
	err = dxs_run_join(why);
	if (err)
		return err;
	dxs_record_join();
	dxs_record_mapped(file);
	return dxs_image_open(file, fd, why);
}

static void end(struct dxs_file *file)
{
	dxs_image_close(dxs_image_of(file));
}

// What other mappings show, the file itself does, which was looked at when it was opened.
static int mapped(const struct dxs_map *map)
{
	return map->file->is_device ? dxs_image_cover(map) : 0;
}

static struct dxs_due *sync_begin(struct dxs_file *file, const struct dxs_stretch *stretch, unsigned nr)
{
	struct dxs_due *due = dxs_image_stage();

	if (!due)
		return NULL;
	dxs_verify_begin(due);
	for (unsigned i = 0; i < nr; i++)
		dxs_verify_due(file, due, stretch[i].first, stretch[i].last);
	return due;
}

static void sync_end(struct dxs_file *file, struct dxs_due *due, const struct dxs_stretch *stretch, unsigned nr,
		     bool complete)
{
	if (complete)
		dxs_verify_end(file, due);
	for (unsigned i = 0; i < nr; i++)
		dxs_verify_range(file, due, stretch[i].first, stretch[i].last);
	dxs_image_unstage();
}

static void flushed(struct dxs_file *file, uintptr_t addr, uint64_t off, size_t len)
{
	dxs_image_snapshot(dxs_image_of(file), addr, off, len);
}

static void hole(struct dxs_file *file, uint64_t off, size_t len)
{
	dxs_image_note_hole(dxs_image_of(file), off, len);
}

static void event(const struct dxs_file *file, enum dxs_event event, uint64_t first, uint64_t mask)
{
	dxs_history_add(file, event, first, mask);
	if (event == DXS_EVENT_OPEN)
		dxs_record_stores(file, first, mask);
}

static bool kernel_synced(struct dxs_file *file, int fd, const struct dxs_asked *asked, bool all)
{
	dxs_record_synced(file, asked);
	return dxs_image_kernel_synced(file, fd, asked, all);
}

static void synced_for_us(struct dxs_file *file, const struct dxs_asked *asked)
{
	(void)dxs_image_kernel_synced_locked(file, -1, asked, true);
}

static void sync_answered(struct dxs_file *file, uint64_t asked, uint64_t first, uint64_t last)
{
	dxs_verify_kernel(file, asked, first, last);
	dxs_record_answered(file, first, last);
}

static void forked(void)
{
	dxs_record_forked();
	dxs_image_reset_locks();
	dxs_run_forked();
}

const struct dxs_observer dxs_session = {
	.begin = begin,
	.end = end,
	.mapped = mapped,
	.shows_more = dxs_image_shows_more,
	.sync_begin = sync_begin,
	.sync_end = sync_end,
	.flushed = flushed,
	.hole = hole,
	.taken = dxs_verify_taken,
	.fenced = dxs_image_publish,
	.unfenced = dxs_image_forget,
	.event = event,
	.kernel_wrote = dxs_image_written,
	.kernel_synced = kernel_synced,
	.synced_for_us = synced_for_us,
	.others_synced = dxs_record_synced_fd,
	.sync_asked = dxs_verify_kwrites,
	.sync_answered = sync_answered,
	.is_told = dxs_record_is_on,
	.forked = forked,
};

__attribute__((constructor)) static void offer(void)
{
	dxs_observer_offer(&dxs_session);
}
