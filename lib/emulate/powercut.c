// SPDX-License-Identifier: BSD-3-Clause
// powercut.c: the emulated power cut.
#define DXS_SYS_SPARED // these calls emulate
#include "emulate/powercut.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/config.h"
#include "base/log.h"
#include "base/sys.h"
#include "emulate/image_walk.h"
#include "emulate/run.h"

#define LINE 64

bool dxs_powercut_coin(enum dxs_coin coin, uint64_t line)
{
	return dxs_coin(dxs_config.powercut_seed, coin, line);
}

static bool is_gone(int pid)
{
	return dxs_sys6(SYS_kill, pid, 0, 0, 0, 0, 0) == -ESRCH;
}

static void others_kill(struct dxs_run *run)
{
	struct timespec tick = {.tv_nsec = 1000000};
	int i, pid, tries;

	for (i = 0; i < DXS_RUN_PROCESSES; i++) {
		pid = atomic_load(&run->process[i].pid);
		if (!pid || pid == getpid() || !dxs_run_is_same(&run->process[i], pid))
			continue;
		dxs_sys6(SYS_kill, pid, SIGKILL, 0, 0, 0, 0);
		for (tries = 0; tries < 200 && !is_gone(pid); tries++)
			dxs_sys6(SYS_nanosleep, (long)&tick, 0, 0, 0, 0, 0);
	}
}

// Caches write lines back whenever they like: each line that differs may have reached the medium, or not.
static void page_toss(const struct dxs_walk *walk, uint64_t off, const unsigned char *now, const unsigned char *durable)
{
	unsigned at;

	for (at = 0; at < DXS_PAGE_SIZE; at += LINE)
		if (memcmp(now + at, durable + at, LINE) && dxs_powercut_coin(DXS_COIN_STORED, (off + at) / LINE))
			dxs_sys6(SYS_pwrite64, walk->image_fd, (long)(now + at), LINE, (long)(off + at), 0, 0);
}

static int size_get(int dir, const char *path, off_t *size)
{
	struct stat st;
	long err = dxs_sys6(SYS_newfstatat, dir, (long)path, (long)&st, 0, 0, 0);

	*size = st.st_size;
	return (int)err;
}

static void image_toss(const struct dxs_run_image *note)
{
	struct dxs_walk walk = {.path = note->path, .dev = note->dev, .ino = note->ino, .fn = page_toss};
	off_t durable, now;

	walk.image_fd = dxs_sys_openat(dxs_run_dir(), note->name, O_RDWR | O_CLOEXEC, 0);
	if (walk.image_fd < 0 || size_get(dxs_run_dir(), note->name, &durable))
		return;
	if (dxs_image_walk(&walk) || size_get(AT_FDCWD, note->path, &now))
		dxs_warn("%s: has no name any more: its image is as of the last sync", note->path);
	else
		dxs_sys6(SYS_ftruncate, walk.image_fd, dxs_powercut_coin(DXS_COIN_SIZE, note->ino) ? now : durable, 0,
			 0, 0, 0);
	dxs_sys_close(walk.image_fd);
}

void dxs_powercut(void)
{
	struct dxs_run *run = dxs_run();
	uint32_t i;

	atomic_store(&run->frozen, 1); // I.1: before any image is spoilt; partner: the end of dxs_image_publish
	others_kill(run);
	for (i = 0; i < atomic_load(&run->nr_images); i++)
		image_toss(&run->image[i]);
	dxs_sys6(SYS_kill, getpid(), SIGKILL, 0, 0, 0, 0);
	dxs_run_halt();
}
