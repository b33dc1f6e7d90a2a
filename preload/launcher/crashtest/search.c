// SPDX-License-Identifier: BSD-3-Clause
// search.c: the search for a power cut that breaks the program.
#include "search.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "emulate/coin.h"
#include "interrupt.h"
#include "memory.h"

#define SHRINK_TRIALS 500

// What the workers share.
struct shared {
	// seq_cst, the default, all: relaxed would do. What else they share is read when the workers have ended.
	_Atomic uint64_t next; // outcome to work on
	_Atomic uint64_t moments, tried, failed;
	_Atomic int err;
	_Atomic bool stop;
	struct dxs_outcome outcome[];
};

static struct shared *shared;

uint64_t dxs_draw_seed(const struct dxs_search *search, uint64_t moment, unsigned draw)
{
	return search->seed + (moment - 1) * search->coins + (draw - DXS_DRAW_COINS);
}

void dxs_draw_fates(const struct dxs_search *search, const struct dxs_state *state, unsigned draw, unsigned char *fate)
{
	if (draw == DXS_DRAW_LOST)
		memset(fate, DXS_FATE_LOST, state->nr_units);
	else if (draw == DXS_DRAW_KEPT)
		memset(fate, DXS_FATE_STORED, state->nr_units);
	else
		dxs_state_toss(state, dxs_draw_seed(search, state->moment, draw), fate);
}

static uint32_t lost_count(const struct dxs_state *state, const unsigned char *fate)
{
	uint32_t nr = 0;
	size_t i;

	for (i = 0; i < state->nr_units; i++)
		nr += dxs_state_is_lost(state, i, fate[i]);
	return nr;
}

// The one of the fates that leave the same of a unit which stands for them.
static enum dxs_fate effect_of(const struct dxs_state *state, size_t i, enum dxs_fate fate)
{
	const struct dxs_unit *unit = &state->unit[i];
	bool by_flush = fate == DXS_FATE_FLUSHED || fate == DXS_FATE_STORED_OVER;

	if (dxs_state_is_lost(state, i, fate))
		return fate;
	return by_flush && unit->off + state->line > state->file[unit->file].durable.size ? DXS_FATE_STORED_OVER
											  : DXS_FATE_STORED;
}

// Draws that leave the same as an earlier one are not tried again.
static bool is_new(const struct dxs_state *state, const unsigned char *fate, uint64_t *seen, unsigned *nr)
{
	uint64_t hash = 1;
	size_t i;

	for (i = 0; i < state->nr_units; i++)
		hash = dxs_mix64(hash * 4 + effect_of(state, i, fate[i]) + 1);
	for (i = 0; i < *nr; i++)
		if (seen[i] == hash)
			return false;
	seen[(*nr)++] = hash;
	return true;
}

static void draw_try(const struct dxs_search *search, const struct dxs_state *state, unsigned draw,
		     const unsigned char *fate, const char *dir, struct dxs_outcome *outcome)
{
	struct dxs_trial trial = dxs_trial_run(search->checker, state, fate, dir);

	outcome->tried++;
	atomic_fetch_add(&shared->tried, 1);
	outcome->lost[draw] = lost_count(state, fate);
	if (trial.verdict == DXS_VERDICT_FINE)
		return;
	if (trial.verdict == DXS_VERDICT_ERROR) {
		atomic_store(&shared->err, trial.status);
		atomic_store(&shared->stop, true);
		return;
	}
	if (!outcome->failed)
		outcome->trial = trial;
	outcome->failed |= 1ULL << draw;
	atomic_fetch_add(&shared->failed, 1);
}

static void moment_try(const struct dxs_search *search, struct dxs_state *state, const char *dir,
		       struct dxs_outcome *outcome)
{
	unsigned first = search->draw < 0 ? 0 : (unsigned)search->draw, draw, nr = 0;
	unsigned end = search->draw < 0 ? DXS_DRAW_COINS + search->coins : first + 1;
	uint64_t seen[DXS_MAX_DRAWS];
	unsigned char *fate;

	dxs_state_units(state);
	outcome->fence = state->data.fence;
	outcome->units = (uint32_t)state->nr_units;
	fate = dxs_need(NULL, state->nr_units);
	for (draw = first; draw < end && !atomic_load(&shared->stop); draw++) {
		dxs_draw_fates(search, state, draw, fate);
		if (is_new(state, fate, seen, &nr))
			draw_try(search, state, draw, fate, dir, outcome);
	}
	free(fate);
	atomic_fetch_add(&shared->moments, 1);
}

static void worker_dir(const struct dxs_search *search, unsigned worker, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/worker%u", search->work, worker);
}

// Each worker reads the record from the beginning to the end, and takes a moment that no other has taken.
static void work(const struct dxs_search *search, const struct dxs_findings *findings, unsigned worker)
{
	struct dxs_state state;
	char dir[PATH_MAX];
	uint64_t i;

	worker_dir(search, worker, dir);
	mkdir(dir, 0700);
	dxs_state_begin(&state, search->record, search->line);
	while (!atomic_load(&shared->stop) && (i = atomic_fetch_add(&shared->next, 1)) < findings->nr) {
		while (state.moment < shared->outcome[i].moment && dxs_state_next(&state))
			;
		moment_try(search, &state, dir, &shared->outcome[i]);
	}
}

static uint64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void progress_print(const struct dxs_findings *findings, uint64_t since)
{
	uint64_t done = atomic_load(&shared->moments), left = findings->nr - done;
	uint64_t failed = atomic_load(&shared->failed), spent = milliseconds() - since;

	if (!done)
		return;
	fprintf(stderr, "\r%lu of %lu cuts, %lu failure%s, %lu s left \033[K", (unsigned long)done,
		(unsigned long)findings->nr, (unsigned long)failed, failed == 1 ? "" : "s",
		(unsigned long)((spent * left / done + 999) / 1000));
}

static pid_t *workers;

static void workers_end(const struct dxs_search *search)
{
	for (unsigned i = 0; i < search->jobs; i++)
		if (workers[i] > 0)
			kill(workers[i], SIGTERM);
}

// Whether any is left. One that has died unasked has not tried its moment, and without it no answer would be true.
static bool workers_reap(const struct dxs_search *search)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned i = 0; i < search->jobs; i++)
			if (workers[i] == pid)
				workers[i] = 0;
		if (status && !dxs_interrupted()) {
			atomic_store(&shared->err, WIFEXITED(status) ? -ENOMEM : -EINTR);
			atomic_store(&shared->stop, true);
		}
	}
	return !pid || errno != ECHILD;
}

static void workers_wait(const struct dxs_search *search, const struct dxs_findings *findings)
{
	struct timespec moment = {.tv_nsec = 100000000};
	uint64_t since = milliseconds();
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while (workers_reap(search)) {
		if (dxs_interrupted())
			workers_end(search);
		if (search->shows_progress)
			progress_print(findings, since);
		sigtimedwait(&child, NULL, &moment);
	}
	if (search->shows_progress)
		fputs("\r\033[K", stderr);
}

// Which moments: one, all, or so many that a seed picks.
static void moments_choose(const struct dxs_search *search, struct dxs_findings *findings)
{
	uint64_t all = search->record->nr_moments, left = search->moment ? 1 : search->moments, moment, nr = 0;

	if (!search->moment && (!left || left > all))
		left = all;
	findings->nr = left;
	for (moment = 1; moment <= all && left; moment++) {
		bool is_meant = search->moment ? moment == search->moment
					       : dxs_mix64(search->seed ^ moment << 20) % (all - moment + 1) < left;

		if (!is_meant)
			continue;
		shared->outcome[nr++].moment = moment;
		left--;
	}
}

static void findings_take(struct dxs_findings *findings)
{
	findings->outcome = shared->outcome;
	findings->tried = atomic_load(&shared->tried);
	findings->failed = atomic_load(&shared->failed);
	findings->err = atomic_load(&shared->err);
	findings->is_interrupted = dxs_interrupted();
}

void dxs_search_run(const struct dxs_search *search, struct dxs_findings *findings)
{
	size_t size = sizeof(*shared) + search->record->nr_moments * sizeof(struct dxs_outcome);
	sigset_t child, mask;
	unsigned i;

	*findings = (struct dxs_findings){0};
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (shared == MAP_FAILED) {
		findings->err = -errno;
		return;
	}
	moments_choose(search, findings);
	dxs_interrupt_catch();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &mask);
	workers = dxs_need(NULL, search->jobs * sizeof(*workers));
	for (i = 0; i < search->jobs; i++) {
		workers[i] = fork();
		if (!workers[i]) {
			dxs_interrupt_ignore();
			dxs_trial_abandon_on(SIGTERM);
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			sigprocmask(SIG_SETMASK, &mask, NULL);
			work(search, findings, i);
			_exit(0);
		}
		if (workers[i] < 0 && !i)
			atomic_store(&shared->err, -errno);
	}
	workers_wait(search, findings);
	for (i = 0; i < search->jobs; i++) {
		char dir[PATH_MAX];

		worker_dir(search, i, dir);
		dxs_remove_tree(dir);
	}
	free(workers);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	findings_take(findings);
}

bool dxs_search_smallest(const struct dxs_findings *findings, size_t *outcome, unsigned *draw)
{
	uint32_t least = UINT32_MAX;
	unsigned d;
	size_t i;

	for (i = 0; i < findings->nr; i++)
		for (d = 0; d < DXS_MAX_DRAWS; d++) {
			const struct dxs_outcome *seen = &findings->outcome[i];

			if (!(seen->failed & 1ULL << d) || seen->lost[d] >= least)
				continue;
			least = seen->lost[d];
			*outcome = i;
			*draw = d;
		}
	return least != UINT32_MAX;
}

// Tries with units [from, to) of the lost ones arrived. Whether the check still fails.
static bool still_fails(const struct dxs_search *search, const struct dxs_state *state, unsigned char *fate,
			const size_t *lost, size_t from, size_t to, const char *dir)
{
	unsigned char *before = dxs_need(NULL, to - from);
	struct dxs_trial trial;
	bool fails;
	size_t i;

	for (i = from; i < to; i++) {
		before[i - from] = fate[lost[i]];
		fate[lost[i]] = fate[lost[i]] == DXS_FATE_FLUSHED ? DXS_FATE_STORED_OVER : DXS_FATE_STORED;
	}
	trial = dxs_trial_run(search->checker, state, fate, dir);
	fails = trial.verdict == DXS_VERDICT_BROKE || trial.verdict == DXS_VERDICT_HUNG;
	for (i = from; i < to && !fails; i++)
		fate[lost[i]] = before[i - from];
	free(before);
	return fails;
}

static size_t lost_list(const struct dxs_state *state, const unsigned char *fate, size_t *lost)
{
	size_t i, nr = 0;

	for (i = 0; i < state->nr_units; i++)
		if (dxs_state_is_lost(state, i, fate[i]))
			lost[nr++] = i;
	return nr;
}

// Halves, quarters, ..., single units: each is given back if the check fails without its loss too.
unsigned dxs_search_shrink(const struct dxs_search *search, const struct dxs_state *state, unsigned char *fate,
			   const char *dir, struct dxs_trial *trial)
{
	size_t *lost = dxs_need(NULL, state->nr_units * sizeof(*lost)), from;
	size_t nr = lost_list(state, fate, lost), part = nr;
	unsigned trials = 1;

	*trial = dxs_trial_run(search->checker, state, fate, dir);
	if (trial->verdict == DXS_VERDICT_FINE) // it says one thing now, and another then
		part = 0;
	while (part && trials < SHRINK_TRIALS && !dxs_interrupted()) {
		bool any = false;

		for (from = 0; from < nr && trials < SHRINK_TRIALS && !dxs_interrupted(); from += part, trials++)
			any |= still_fails(search, state, fate, lost, from, dxs_min64(from + part, nr), dir);
		if (any)
			nr = lost_list(state, fate, lost);
		if (part > nr)
			part = nr;
		else if (part > 1 || !any)
			part /= 2;
	}
	free(lost);
	if (trials == 1)
		return trials;
	*trial = dxs_trial_run(search->checker, state, fate, dir);
	return trials + 1;
}
