// SPDX-License-Identifier: BSD-3-Clause
// fault.c: planted failures.
#include "fault.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "log.h"
#include "stats.h"
#include "sys.h"

static const char *const names[DXS_NR_FAULTS] = {
#define X(name, suffix, meaning) [DXS_FAULT_##suffix] = (name),
	DXS_FAULTS(X)
#undef X
};

static uint32_t one_in[DXS_NR_FAULTS];
static uint32_t nth[DXS_NR_FAULTS]; // 0: one_in decides
static _Atomic uint64_t rolls[DXS_NR_FAULTS];
uint32_t dxs_faults_active;

// splitmix64's finisher: the n-th roll of a fault has the same outcome in every run.
static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

bool dxs_fault_roll(enum dxs_fault fault)
{
	uint64_t n;

	if (!(dxs_faults_active & 1U << fault))
		return false;
	n = atomic_fetch_add(&rolls[fault], 1);
	if (nth[fault] ? n + 1 != nth[fault] : mix((n + 1) * 0x9e3779b97f4a7c15ULL + fault) % one_in[fault] != 0)
		return false;
	dxs_count(faults_injected, 1);
	return true;
}

struct refusal {
	long nr;
	enum dxs_fault fault;
	int err;
};

static const struct refusal refusals[] = {
	{SYS_mmap, DXS_FAULT_SYS_MMAP, ENOMEM},
	{SYS_munmap, DXS_FAULT_SYS_MUNMAP, ENOMEM},
	{SYS_mremap, DXS_FAULT_SYS_MREMAP, ENOMEM},
	{SYS_mprotect, DXS_FAULT_SYS_MPROTECT, ENOMEM},
	{SYS_mincore, DXS_FAULT_SYS_MINCORE, EAGAIN},
	{SYS_openat, DXS_FAULT_SYS_OPENAT, EMFILE},
	{SYS_userfaultfd, DXS_FAULT_SYS_USERFAULTFD, EPERM},
	{SYS_ioctl, DXS_FAULT_SYS_IOCTL_AGAIN, EAGAIN},
	{SYS_ioctl, DXS_FAULT_SYS_IOCTL_GONE, ENOENT},
	{SYS_fsync, DXS_FAULT_SYS_FSYNC, EIO},
	{SYS_fdatasync, DXS_FAULT_SYS_FSYNC, EIO},
	{SYS_msync, DXS_FAULT_SYS_MSYNC, EIO},
};

static long sys_planted(long nr)
{
	size_t i;

	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i].nr == nr && dxs_fault(refusals[i].fault))
			return -refusals[i].err;
	return 0;
}

static int name_find(const char *name, size_t len)
{
	int i;

	for (i = 0; i < DXS_NR_FAULTS; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], name, len))
			return i;
	return -1;
}

// One NAME[:ONE_IN] or NAME[@NTH] of `len` characters.
static bool part_parse(const char *part, size_t len)
{
	size_t at, name_len = strcspn(part, ":@,");
	int fault = name_find(part, name_len);
	uint32_t nr = 0;

	if (fault < 0)
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
	one_in[fault] = nr;
	nth[fault] = part[name_len] == '@' ? nr : 0;
	dxs_faults_active |= 1U << fault;
	return true;
}

int dxs_fault_parse(const char *spec, char *why, unsigned long size)
{
	while (*spec) {
		size_t len = strcspn(spec, ",");

		if (!part_parse(spec, len)) {
			struct dxs_text text;

			dxs_faults_active = 0; // all or nothing
			dxs_text_init(&text, why, size);
			dxs_text_add(&text, "no such fault: %s", spec);
			return -EINVAL;
		}
		spec += len + (spec[len] == ',');
	}
	if (dxs_faults_active)
		dxs_sys_planted = sys_planted;
	return 0;
}
