// SPDX-License-Identifier: BSD-3-Clause
// recorder.c: answers what the program's processes say (lib/emulate/record.c), until the program has ended.
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "base/utf8.h"
#include "emulate/run.h"
#include "interrupt.h"
#include "launcher.h"
#include "library.h"
#include "record.h"
#include "stack.h"
#include "supervise.h"
#include "watch.h"

static struct dxs_run *run;
static struct dxs_run_site *sites;
static const char *work;

struct recorder {
	struct dxs_recording *recording;
	struct dxs_record_writer writer;
	struct dxs_watch watch;
	int output;
	uint32_t answered;
};

static struct recorder recorder; // one; the watch's functions have no argument for it

static void path_of(char path[PATH_MAX], const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s", work, name);
}

// A file of `size` bytes, mapped; all of it is there, or a store would be a fault.
static void *file_map(const char *name, size_t size)
{
	char path[PATH_MAX];
	void *data = MAP_FAILED;
	int fd;

	path_of(path, name);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		errno = posix_fallocate(fd, 0, (off_t)size);
	if (fd >= 0 && !errno)
		data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	return data == MAP_FAILED ? NULL : data;
}

// Stacks that are in the record already: their numbers by a hash of their addresses.
#define STACKS 4096

static struct {
	uint64_t hash;
	uint32_t number;
} stacks[STACKS];

static uint32_t nr_stacks;

static uint32_t stack_number(pid_t pid, const uintptr_t *frame, uint32_t nr)
{
	uint64_t hash = (uint64_t)pid | 1;
	struct dxs_item item = {.kind = DXS_ITEM_SITE};
	uint32_t i, at;
	char *text;

	nr = nr > DXS_RUN_FRAMES ? DXS_RUN_FRAMES : nr;
	for (i = 0; i < nr; i++)
		hash = dxs_mix64(hash ^ frame[i]);
	for (at = (uint32_t)(hash % STACKS); stacks[at].hash; at = (at + 1) % STACKS)
		if (stacks[at].hash == hash)
			return stacks[at].number;
	if (!nr || nr_stacks == STACKS / 2)
		return 0;
	text = dxs_stack_text(pid, frame, nr);
	stacks[at].hash = hash;
	if (!text)
		return 0;
	stacks[at].number = item.file = ++nr_stacks;
	item.len = strlen(text) + 1;
	dxs_record_add(&recorder.writer, &item, text);
	free(text);
	return item.file;
}

static uint32_t site_of(struct dxs_watch *watch, dev_t dev, ino_t ino, uint64_t page)
{
	uint64_t key = dxs_run_site_key(dev, ino, page), i;
	struct dxs_run_site *site;

	(void)watch;
	for (i = 0; i < DXS_RUN_SITE_TRIES; i++) {
		site = &sites[(key + i) % DXS_RUN_NR_SITES];
		if (atomic_load(&site->key) == key)
			return stack_number(atomic_load(&site->pid), site->frame, site->nr_frames);
	}
	return 0;
}

// What the fence of the next moment publishes.
static void staged_add(uint32_t site)
{
	const unsigned char *data, *at, *end;
	size_t size = run->recorder.staged;
	char path[PATH_MAX];
	int fd;

	path_of(path, DXS_RUN_STAGED);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	data = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		recorder.watch.err = -errno;
	if (fd >= 0)
		close(fd);
	if (data == MAP_FAILED)
		return;
	for (at = data, end = data + size; at < end;) {
		const struct dxs_run_staged *staged = (const void *)at;

		dxs_watch_staged(&recorder.watch, staged->dev, staged->ino, staged->off, staged + 1, staged->len, site);
		at += sizeof(*staged) + staged->len;
	}
	munmap((void *)data, size);
}

static void moment_add(uint64_t fence)
{
	struct dxs_item item = {.kind = DXS_ITEM_MOMENT, .len = sizeof(struct dxs_moment_data)};
	struct dxs_moment_data data = {.fence = fence};
	struct stat st;

	if (!fstat(recorder.output, &st))
		data.output = (uint64_t)st.st_size;
	dxs_record_add(&recorder.writer, &item, &data);
}

static void ranges_settle(void)
{
	struct dxs_run_recorder *asked = &run->recorder;
	uint32_t i;

	if (!asked->nr_ranges)
		dxs_watch_synced(&recorder.watch, asked->dev, asked->ino, 0, UINT64_MAX);
	for (i = 0; i < asked->nr_ranges && i < DXS_RUN_RANGES; i++) {
		uint64_t off = asked->range[i].off, end = asked->range[i].end;

		if (asked->moment == DXS_MOMENT_ANSWERED)
			dxs_watch_answered(&recorder.watch, asked->dev, asked->ino, off, end);
		else
			dxs_watch_synced(&recorder.watch, asked->dev, asked->ino, off, end);
	}
}

// Before an answer nothing has become durable since the last fence, and a mapping makes nothing durable: these are no
// moments for a cut.
static void answer(void)
{
	struct dxs_run_recorder *asked = &run->recorder;
	bool is_moment = asked->moment != DXS_MOMENT_ANSWERED && asked->moment != DXS_MOMENT_MAPPED;

	if (asked->moment != DXS_MOMENT_ANSWERED)
		dxs_watch_scan(&recorder.watch);
	if (asked->moment == DXS_MOMENT_FENCE && asked->staged)
		staged_add(stack_number(asked->asker, asked->frame, asked->nr_frames));
	if (is_moment)
		moment_add(asked->moment == DXS_MOMENT_FENCE ? asked->fence : 0);
	if (asked->moment == DXS_MOMENT_MAPPED)
		dxs_watch_mapped(&recorder.watch, asked->dev, asked->ino);
	else if (asked->moment == DXS_MOMENT_SYNCED_ALL)
		dxs_watch_synced_all(&recorder.watch);
	else if (asked->moment != DXS_MOMENT_FENCE)
		ranges_settle();
}

static void word_wait(_Atomic uint32_t *word, uint32_t seen)
{
	struct timespec moment = {.tv_nsec = 20000000};

	syscall(SYS_futex, word, FUTEX_WAIT, seen, &moment, NULL, 0);
}

static void word_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static bool is_dead(uint32_t tid)
{
	char path[64], text[256] = "";
	const char *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/stat", tid);
	file = fopen(path, "re");
	if (!file)
		return true;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	state = strrchr(text, ')');
	return state && (state[2] == 'Z' || state[2] == 'X');
}

// Who had the recorder's ear may have been killed.
static void dead_owner_release(void)
{
	uint32_t owner = atomic_load(&run->recorder.owner);

	if (owner && is_dead(owner) && atomic_compare_exchange_strong(&run->recorder.owner, &owner, 0))
		word_wake(&run->recorder.owner);
}

// Answers until the program has ended, which a signal that is to end the launcher asks it to do.
static int serve(pid_t pid)
{
	bool has_told = false;
	int status;

	for (;;) {
		uint32_t asked = atomic_load(&run->recorder.asked);

		if (dxs_interrupted() && !has_told)
			has_told = !kill(pid, SIGTERM);

		if (asked != recorder.answered) {
			answer();
			recorder.answered = asked;
			atomic_store(&run->recorder.answered, asked); // release: the record; partner: `ask` in record.c
			word_wake(&run->recorder.answered);
			continue;
		}
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		dead_owner_release();
		word_wait(&run->recorder.asked, asked);
	}
}

static int child(char **argv, pid_t parent)
{
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(recorder.output, STDOUT_FILENO) < 0)
		return DXS_EXIT_ERROR;
	dxs_interrupt_default();
	if (setenv("DAXSYNC_EMULATE", "1", 1) || setenv("DAXSYNC_IMAGE_DIR", work, 1) ||
	    setenv("DAXSYNC_POLICY", "always-close", 1) || dxs_library_preload())
		return DXS_EXIT_ERROR;
	status = dxs_supervise_exec(argv);
	atomic_store(&run->recorder.err, -ENOEXEC); // it has said why
	return status;
}

static int prepare(void)
{
	char path[PATH_MAX];
	struct stat st;
	int err;

	run = file_map(DXS_RUN_CONTROL, sizeof(*run));
	sites = file_map(DXS_RUN_SITES, sizeof(*sites) * DXS_RUN_NR_SITES);
	path_of(path, DXS_OUTPUT_FILE);
	recorder.output = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (!run || !sites || recorder.output < 0 || stat(work, &st))
		return -errno;
	run->magic = DXS_RUN_MAGIC;
	atomic_store(&run->recorder.pid, getpid());
	path_of(path, DXS_RECORD_FILE);
	err = dxs_record_create(&recorder.writer, path);
	if (err)
		return err;
	recorder.watch = (struct dxs_watch){.writer = &recorder.writer, .site = site_of};
	return dxs_watch_begin(&recorder.watch, recorder.recording->dir, &st, recorder.recording->max);
}

static void outside_note(struct dxs_recording *recording)
{
	uint32_t i, nr = atomic_load(&run->nr_images);

	for (i = 0; i < nr; i++) {
		if (dxs_watch_find(&recorder.watch, run->image[i].dev, run->image[i].ino) != DXS_NO_FILE)
			continue;
		if (!recording->nr_outside++)
			snprintf(recording->outside, sizeof(recording->outside), "%s", run->image[i].path);
	}
}

static int finish(int err)
{
	int closed;

	dxs_watch_scan(&recorder.watch);
	moment_add(0);
	recorder.recording->nr_moments = recorder.writer.nr_moments;
	outside_note(recorder.recording);
	closed = dxs_record_close(&recorder.writer);
	err = err ? err : recorder.watch.err ? recorder.watch.err : closed;
	err = err ? err : atomic_load(&run->recorder.err);
	dxs_watch_end(&recorder.watch);
	return err;
}

static const char *reason(int err)
{
	static char text[sizeof(recorder.watch.unread) + 64];
	const char *unread = recorder.watch.err == err ? recorder.watch.unread : "";

	dxs_utf8_plain(recorder.watch.unread);
	snprintf(text, sizeof(text), "%s%s%s", unread, *unread ? ": " : "",
		 err == -ELOOP ? "directories lie in each other too deep" : strerrordesc_np(-err));
	return text;
}

int dxs_recorder_run(struct dxs_recording *recording, int *failed)
{
	pid_t parent = getpid(), pid;
	int status, err;

	work = recording->work;
	recorder.recording = recording;
	*failed = 1;
	err = prepare();
	if (err == -EFBIG) {
		dxs_error("%s holds more than %lu MiB: give the directory of the files under test with --dir",
			  recording->dir, (unsigned long)(recording->max >> 20));
		return DXS_EXIT_ERROR;
	}
	if (err) {
		dxs_error("no record can be made of %s in %s: %s", recording->dir, work, reason(err));
		return DXS_EXIT_ERROR;
	}
	dxs_interrupt_catch();
	signal(SIGINT, SIG_IGN); // ^C ends the program; what it did until then is a record too
	pid = fork();
	if (!pid)
		_exit(child(recording->argv, parent));
	status = pid < 0 ? DXS_EXIT_ERROR : serve(pid);
	err = finish(pid < 0 ? -errno : 0);
	atomic_store(&run->recorder.pid, 0);
	*failed = err != 0;
	if (err && err != -ENOEXEC)
		dxs_error("the record in %s is not complete: %s", work, reason(err));
	return err ? DXS_EXIT_ERROR : status;
}
