// SPDX-License-Identifier: BSD-3-Clause
// private_malloc.c: jemalloc kept private to this library, so that no hook enters the application's allocator.
//
// The archive is linked with its names hidden. What it would take from the process is cut off here (with the linker's
// --wrap): MALLOC_CONF and /etc/malloc.conf are meant for the application's own jemalloc, and libm is wanted only by
// the heap profiler, which nobody can switch on without them.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "private_malloc.h"

char *__wrap_secure_getenv(const char *name);
void je_jemalloc_prefork(void);
void je_jemalloc_postfork_parent(void);
void je_jemalloc_postfork_child(void);
ssize_t __wrap_readlink(const char *path, char *buf, size_t size);
double __wrap_exp(double x);
double __wrap_log(double x);
double __wrap_round(double x);

char *__wrap_secure_getenv(const char *name)
{
	(void)name;
	return NULL;
}

ssize_t __wrap_readlink(const char *path, char *buf, size_t size)
{
	(void)path;
	(void)buf;
	(void)size;
	errno = ENOENT;
	return -1;
}

double __wrap_exp(double x)
{
	(void)x;
	abort();
}

double __wrap_log(double x)
{
	(void)x;
	abort();
}

double __wrap_round(double x)
{
	(void)x;
	abort();
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
