// SPDX-License-Identifier: BSD-3-Clause
// private_malloc.c: jemalloc kept private to this library, so that no hook enters the application's allocator.
//
// The archive is linked with its names hidden, and those that it would take from the process are changed to the ones
// defined here (private_malloc.names). MALLOC_CONF and /etc/malloc.conf are meant for the application's own jemalloc, libm
// is wanted only by the heap profiler, which nobody can switch on without them, and its system calls are no hook's.
#include "private_malloc.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "space.h"
#include "sys.h"

char *dxs_private_getenv(const char *name);
ssize_t dxs_private_readlink(const char *path, char *buf, size_t size);
double dxs_private_exp(double x);
double dxs_private_log(double x);
double dxs_private_round(double x);
int dxs_private_clock(clockid_t clock, struct timespec *now);
void *dxs_private_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int dxs_private_munmap(void *addr, size_t len);
int dxs_private_mprotect(void *addr, size_t len, int prot);
int dxs_private_madvise(void *addr, size_t len, int advice);
void je_jemalloc_prefork(void);
void je_jemalloc_postfork_parent(void);
void je_jemalloc_postfork_child(void);

char *dxs_private_getenv(const char *name)
{
	(void)name;
	return NULL;
}

ssize_t dxs_private_readlink(const char *path, char *buf, size_t size)
{
	(void)path;
	(void)buf;
	(void)size;
	errno = ENOENT;
	return -1;
}

double dxs_private_exp(double x)
{
	(void)x;
	abort();
}

double dxs_private_log(double x)
{
	(void)x;
	abort();
}

double dxs_private_round(double x)
{
	(void)x;
	abort();
}

int dxs_private_clock(clockid_t clock, struct timespec *now)
{
	return (int)syscall(SYS_clock_gettime, clock, now);
}

void *dxs_private_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	void *ret = addr ? dxs_sys_mmap(addr, len, prot, flags, fd, off) : dxs_space_map(len, prot, flags, fd);

	return dxs_is_err(ret) ? MAP_FAILED : ret;
}

int dxs_private_munmap(void *addr, size_t len)
{
	return (int)syscall(SYS_munmap, addr, len);
}

int dxs_private_mprotect(void *addr, size_t len, int prot)
{
	return (int)syscall(SYS_mprotect, addr, len, prot);
}

int dxs_private_madvise(void *addr, size_t len, int advice)
{
	return (int)syscall(SYS_madvise, addr, len, advice);
}

void *dxs_private_zalloc(size_t size)
{
	return calloc(1, size);
}

void dxs_private_free(void *ptr)
{
	free(ptr);
}

void dxs_private_fork_begin(void)
{
	je_jemalloc_prefork();
}

void dxs_private_fork_in_parent(void)
{
	je_jemalloc_postfork_parent();
}

void dxs_private_fork_in_child(void)
{
	je_jemalloc_postfork_child();
}
