// SPDX-License-Identifier: BSD-3-Clause
// inject.c: makes the library fail where DAXSYNC_FAULT says so. libdaxsync-faults.so, loaded beside the shim.
#include "inject.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../mix.h"
#include "base/config.h"
#include "base/failure.h"
#include "base/log.h"
#include "base/sys.h"

#define VARIABLE "DAXSYNC_FAULT"

static const char *const names[DXS_NR_FAILURES] = {
#define X(name, suffix, meaning) [DXS_FAIL_##suffix] = (name),
	DXS_FAILURES(X)
#undef X
};

static uint32_t one_in[DXS_NR_FAILURES];
static uint32_t nth[DXS_NR_FAILURES]; // 0: one_in decides
static _Atomic uint64_t rolls[DXS_NR_FAILURES];
static _Atomic uint64_t nr_injected;
static uint32_t active; // bit 1 << enum dxs_failure

// Between a flush that comes too early and the close: long enough for another thread's store, on any machine.
static void linger(void)
{
	static const struct timespec while_others_store = {.tv_nsec = 200000};

	dxs_sys6(SYS_nanosleep, (long)&while_others_store, 0, 0, 0, 0, 0);
}

// The n-th roll of a failure has the same outcome in every run.
static bool roll(enum dxs_failure failure)
{
	uint64_t n;

	if (failure == DXS_FAIL_CLOSE_ERROR && active & 1U << DXS_FAIL_FLUSH_FIRST) // asked before each close
		linger();
	if (!(active & 1U << failure))
		return false;
	n = atomic_fetch_add(&rolls[failure], 1);
	if (nth[failure] ? n + 1 != nth[failure] : mix((n + 1) * DXS_MIX_STEP + failure) % one_in[failure] != 0)
		return false;
	atomic_fetch_add(&nr_injected, 1);
	return true;
}

struct refusal {
	long nr;
	enum dxs_failure failure;
	int err;
};

static const struct refusal refusals[] = {
	{SYS_mmap, DXS_FAIL_SYS_MMAP, ENOMEM},
	{SYS_munmap, DXS_FAIL_SYS_MUNMAP, ENOMEM},
	{SYS_mremap, DXS_FAIL_SYS_MREMAP, ENOMEM},
	{SYS_mprotect, DXS_FAIL_SYS_MPROTECT, ENOMEM},
	{SYS_mincore, DXS_FAIL_SYS_MINCORE, EAGAIN},
	{SYS_openat, DXS_FAIL_SYS_OPENAT, EMFILE},
	{SYS_userfaultfd, DXS_FAIL_SYS_USERFAULTFD, EPERM},
	{SYS_ioctl, DXS_FAIL_SYS_IOCTL_AGAIN, EAGAIN},
	{SYS_ioctl, DXS_FAIL_SYS_IOCTL_GONE, ENOENT},
	{SYS_fsync, DXS_FAIL_SYS_FSYNC, EIO},
	{SYS_fdatasync, DXS_FAIL_SYS_FSYNC, EIO},
	{SYS_msync, DXS_FAIL_SYS_MSYNC, EIO},
};

static long refuse(long nr)
{
	size_t i;

	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i].nr == nr && dxs_injected(refusals[i].failure))
			return -refusals[i].err;
	return 0;
}

static int name_find(const char *name, size_t len)
{
	int i;

	for (i = 0; i < DXS_NR_FAILURES; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], name, len))
			return i;
	return -1;
}

// One NAME[:ONE_IN] or NAME[@NTH] of `len` characters.
static bool part_parse(const char *part, size_t len)
{
	size_t at, name_len = strcspn(part, ":@,");
	int failure = name_find(part, name_len);
	uint32_t nr = 0;

	if (failure < 0)
		return false;
	if (name_len == len)
		nr = 1;
	for (at = name_len + 1; at < len; at++) {
		if (part[at] < '0' || part[at] > '9' || nr > 100000000)
			return false;
		nr = nr * 10 + (uint32_t)(part[at] - '0');
	}
	if (!nr)
		return false;
	one_in[failure] = nr;
	nth[failure] = part[name_len] == '@' ? nr : 0;
	active |= 1U << failure;
	return true;
}

static void begin(void);
static const struct dxs_injector injector = {VARIABLE, begin, roll, refuse};

int inject_parse(const char *spec, char *why, size_t size)
{
	struct dxs_text text;
	int err = 0;

	active = 0;
	while (*spec && !err) {
		size_t len = strcspn(spec, ",");

		if (!part_parse(spec, len)) {
			dxs_text_init(&text, why, size);
			dxs_text_add(&text, "no such fault: %s", spec);
			active = 0; // all or nothing
			err = -EINVAL;
		}
		spec += len + (spec[len] == ',');
	}
	dxs_injector_set(active ? &injector : NULL);
	return err;
}

uint64_t inject_count(void)
{
	return atomic_load(&nr_injected);
}

static void forget(void)
{
	atomic_store(&nr_injected, 0);
}

// A test whose failure has a slip of the pen in its name must not pass.
static void begin(void)
{
	const char *spec = getenv(VARIABLE);
	char why[128];

	if (inject_parse(spec, why, sizeof(why))) {
		dxs_error(VARIABLE "=%s: %s", spec, why);
		_exit(125);
	}
	if (!dxs_config.emulate)
		dxs_error(VARIABLE "=%s: data will be lost, as was asked for", spec);
	pthread_atfork(NULL, NULL, forget);
}

__attribute__((constructor)) static void offer(void)
{
	const char *spec = getenv(VARIABLE);

	if (spec && *spec)
		dxs_injector_set(&injector);
}
