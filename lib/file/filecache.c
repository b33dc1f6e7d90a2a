// SPDX-License-Identifier: BSD-3-Clause
// filecache.c: files that are mapped no more, cached for when they are mapped again.
//
// RULES
//   K.1 Nothing is due: no mark is set, no flush has failed, this process was the only writer, and it has left the registry
//       in good order (W.9): others are exclusive meanwhile, and are seen when it comes back.
//   K.2 While a file is cached nobody looks at what happens to it: it may be written to, cut off or removed. What is
//       pending for a new mapping is pending as for the first one, the size is looked at again, and an inode number that was
//       given to another file shows in the birth time. Without one a file is not cached.
//   K.3 Only where the end of the process is seen (the shim), and not when it is observed, which takes every change.
#include "file/filecache.h"

#include "file/file.h"

#define NR_CACHED 8
#define TREE_MAX ((uint64_t)256 << 10) // bytes of a tree that are worth keeping

static struct dxs_mutex mutex = {.rank = DXS_RANK_FILECACHE};
static struct dxs_file *cached[NR_CACHED]; // the one that came last is first

static bool has_marks(struct dxs_file *file)
{
	return dxs_tree_next(&file->tree, 0, DXS_TREE_PAGES - 1, (1U << DXS_NR_MARKS) - 1);
}

static bool can_be_cached(struct dxs_file *file)
{
	return dxs_sees_all && dxs_file_own_mode(file) > DXS_MODE_KERNEL && !file->observed && !file->is_device &&
	       file->writers.born && dxs_writers_exclusive(&file->writers) && !atomic_load(&file->nr_failed) &&
	       !file->nr_pins && !atomic_load(&file->kwriters) && dxs_tree_bytes(&file->tree) <= TREE_MAX &&
	       !has_marks(file);
}

bool dxs_filecache_add(struct dxs_file *file)
{
	struct dxs_file *last;
	unsigned i;

	if (!can_be_cached(file) || !dxs_writers_rest(&file->writers))
		return false;
	file->handover = (struct dxs_handover){0}; // of the mappings that are gone
	dxs_mutex_lock(&mutex);
	last = cached[NR_CACHED - 1];
	for (i = NR_CACHED - 1; i; i--)
		cached[i] = cached[i - 1];
	cached[0] = file;
	dxs_mutex_unlock(&mutex);
	if (last)
		dxs_file_destroy(last);
	return true;
}

// The one with this identity, or any; NULL: none.
static struct dxs_file *take(const struct dxs_file_state *state)
{
	struct dxs_file *file = NULL;
	unsigned i, to = 0;

	dxs_mutex_lock(&mutex);
	for (i = 0; i < NR_CACHED; i++) {
		if (cached[i] && !file && (!state || (cached[i]->dev == state->dev && cached[i]->ino == state->ino)))
			file = cached[i];
		else
			cached[to++] = cached[i];
	}
	if (file)
		cached[NR_CACHED - 1] = NULL;
	dxs_mutex_unlock(&mutex);
	return file;
}

static bool is_same(struct dxs_file *file, const struct dxs_file_state *state)
{
	return file->writers.born == state->born && file->writers.born_ns == state->born_ns &&
	       file->page_shift == state->page_shift && (int)dxs_file_own_mode(file) == state->mode;
}

struct dxs_file *dxs_filecache_take(const struct dxs_file_state *state)
{
	struct dxs_file *file = take(state);

	if (!file)
		return NULL;
	if (!is_same(file, state) || !dxs_writers_return(&file->writers)) {
		dxs_file_destroy(file);
		return NULL;
	}
	atomic_store(&file->refs, 1);
	atomic_store(&file->size, state->size);
	dxs_file_tell(file);
	return file;
}

void dxs_filecache_drop(void)
{
	struct dxs_file *file;

	while ((file = take(NULL)))
		dxs_file_destroy(file);
}

// The memory of the objects stays: the allocator may be another thread's at this moment.
void dxs_filecache_in_child(void)
{
	unsigned i;

	mutex = (struct dxs_mutex){.rank = DXS_RANK_FILECACHE};
	for (i = 0; i < NR_CACHED; i++) {
		if (cached[i]) {
			dxs_tree_destroy(&cached[i]->tree);
			dxs_writers_forsake(&cached[i]->writers);
		}
		cached[i] = NULL;
	}
}
