// SPDX-License-Identifier: BSD-3-Clause
// run.c: the control file of a verified run.
#define DXS_SYS_SPARED // these calls emulate
#include "emulate/run.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "base/config.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/space.h"
#include "base/sys.h"

static struct dxs_run *run;
static int dir_fd = -1, lock_fd = -1;

struct dxs_run *dxs_run(void)
{
	return run;
}

int dxs_run_dir(void)
{
	return dir_fd;
}

void dxs_run_lock(void)
{
	if (lock_fd >= 0)
		while (dxs_sys6(SYS_flock, lock_fd, LOCK_EX, 0, 0, 0, 0) == -EINTR)
			;
}

void dxs_run_unlock(void)
{
	if (lock_fd >= 0)
		dxs_sys6(SYS_flock, lock_fd, LOCK_UN, 0, 0, 0, 0);
}

// What /proc/PID/stat says, from behind the name in parentheses on, ended by '\0'. Empty: there is no such task.
static const char *stat_of(int pid, char *stat, size_t size)
{
	char path[64];
	struct dxs_text text;
	long len;
	int fd;

	dxs_text_init(&text, path, sizeof(path));
	dxs_text_add(&text, "/proc/%d/stat", pid);
	fd = dxs_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return "";
	len = dxs_sys_pread(fd, stat, size - 1, 0);
	dxs_sys_close(fd);
	stat[len > 0 ? len : 0] = '\0';
	return strrchr(stat, ')') ? strrchr(stat, ')') + 1 : "";
}

// The 22nd field: the process's start time. The name is the second.
static uint64_t start_time(int pid)
{
	char stat[512];
	const char *at = stat_of(pid, stat, sizeof(stat));
	uint64_t value = 0;
	int field = 2;

	for (; *at && field <= 22; at++) {
		if (*at == ' ')
			field++;
		else if (field == 22)
			value = value * 10 + (uint64_t)(*at - '0');
	}
	return value;
}

// Not dead or stopped, as far as one can see.
static bool is_running(uint32_t task)
{
	char stat[512];
	const char *state = stat_of((int)task, stat, sizeof(stat));

	return *state && memchr("RSD", state[1], 3);
}

#define PATIENCE 10        // tenths of a second
#define GREAT_PATIENCE 300 // with a holder that runs. Not for ever: by ways of the program's it may be waiting for us

void dxs_run_publish_begin(void)
{
	uint32_t self = (uint32_t)dxs_sys_tid(), owner = 0, last = 0;
	struct timespec moment = {.tv_nsec = 100000000};
	unsigned waited = 0;

	while (!atomic_compare_exchange_strong(&run->publisher, &owner, self)) {
		waited = owner == last ? waited : 0;
		last = owner;
		if (waited < PATIENCE || (waited < GREAT_PATIENCE && is_running(owner))) {
			waited += dxs_sys6(SYS_futex, (long)&run->publisher, FUTEX_WAIT, owner, (long)&moment, 0, 0) ==
				  -ETIMEDOUT;
			owner = 0;
		} // else it is taken away from the owner, if it still has it
	}
}

// Unless it was taken away.
void dxs_run_publish_end(void)
{
	uint32_t self = (uint32_t)dxs_sys_tid();

	// release (part of seq_cst): what was written; partner: the next one's exchange.
	if (atomic_compare_exchange_strong(&run->publisher, &self, 0))
		dxs_sys6(SYS_futex, (long)&run->publisher, FUTEX_WAKE, 1, 0, 0, 0);
}

bool dxs_run_is_same(const struct dxs_run_process *process, int pid)
{
	return start_time(pid) == process->start;
}

void dxs_run_forked(void)
{
	int i, pid = getpid();

	for (i = 0; run && i < DXS_RUN_PROCESSES; i++) {
		int old = atomic_load(&run->process[i].pid);

		if (old && old != pid && start_time(old))
			continue; // taken by a live process
		if (atomic_compare_exchange_strong(&run->process[i].pid, &old, pid)) {
			run->process[i].start = start_time(pid);
			return;
		}
	}
}

static int control_map(int fd)
{
	off_t size = (off_t)dxs_sys6(SYS_lseek, fd, 0, SEEK_END, 0, 0, 0);
	bool fresh = !size;

	if (fresh && dxs_sys_grow(SYS_ftruncate, fd, sizeof(*run), 0, 0))
		return -ENOSPC;
	if (!fresh && size != (off_t)sizeof(*run))
		return -EINVAL;
	run = dxs_space_map(sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	if (dxs_is_err(run)) {
		run = NULL;
		return -ENOMEM;
	}
	if (fresh)
		run->magic = DXS_RUN_MAGIC;
	if (run->magic == DXS_RUN_MAGIC)
		return 0;
	run = NULL;
	return -EINVAL;
}

static int join_dir(const char **why)
{
	int err;

	dir_fd = dxs_run_open_dir(dxs_config.image_dir, why);
	if (dir_fd < 0)
		return dir_fd;
	*why = "no files can be made in DAXSYNC_IMAGE_DIR";
	lock_fd = dxs_sys_openat(dir_fd, DXS_RUN_CONTROL, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock_fd < 0)
		return lock_fd;
	dir_fd = dxs_fd_hide(dir_fd);
	lock_fd = dxs_fd_hide(lock_fd);
	dxs_run_lock();
	err = control_map(lock_fd);
	dxs_run_unlock();
	*why = err == -EINVAL ? "daxsync.run in DAXSYNC_IMAGE_DIR is not of this version"
			      : "no room for daxsync.run in DAXSYNC_IMAGE_DIR";
	if (!err && atomic_load(&run->frozen)) {
		*why = "DAXSYNC_IMAGE_DIR holds what survived a power cut: use an empty directory";
		run = NULL;
		return -EBUSY;
	}
	return err;
}

int dxs_run_join(const char **why)
{
	int err = 0;

	if (run)
		return 0;
	if (dxs_config.image_dir[0]) {
		err = join_dir(why);
	} else {
		run = dxs_space_map(sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
		*why = "no memory for the run";
		if (dxs_is_err(run)) {
			run = NULL;
			err = -ENOMEM;
		}
	}
	if (!err)
		dxs_run_forked();
	return err;
}

void dxs_run_halt(void)
{
	_Atomic uint32_t never = 0; // relaxed: only the kernel reads it

	for (;;)
		dxs_futex_wait(&never, 0);
}
