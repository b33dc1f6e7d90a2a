// SPDX-License-Identifier: BSD-3-Clause
// private_malloc.c: jemalloc, private to this library, so that no hook enters the program's allocator.
//
// The archive is linked with its names hidden. The names that it would take from the process are redirected to the
// functions defined here (private_malloc.names): MALLOC_CONF and /etc/malloc.conf are meant for the program's own
// jemalloc, only the heap profiler needs libm and nobody can enable it without them, and its system calls must not pass
// through hooks.
#include "private_malloc.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "base/space.h"
#include "base/sys.h"

extern const char *dxs_private_conf; // jemalloc's malloc_conf
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
int dxs_private_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int dxs_private_key(pthread_key_t *key, void (*at_end)(void *));

// One arena, which is there from the beginning, and no caches of threads: where there is no memory for a thread's arena or
// cache, the first allocation of that thread crashes (tcache_arena_associate, jemalloc 5.3.0). The library allocates when
// mappings change, not when pages do, so this costs nothing that can be noticed.
const char *dxs_private_conf = "narenas:1,tcache:false";

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

// No fork waits for the allocator's locks, and none is held while libc forks (fork.c). A child in which the parent's other
// threads have left the heap half changed does without it: each block is a mapping of its own from then on.
// acquire and release, parts of seq_cst: up before the heap changes, down after; partner: dxs_private_forked, by the
// memory that fork has copied.
static _Atomic uint32_t inside; // threads
static bool is_left;            // the heap

struct block {
	size_t len;
	const struct block *self; // what is the heap's does not have its own address there
};

#define HEADER 64

static void *block_new(size_t size)
{
	size_t len = size + HEADER;
	struct block *block = dxs_space_map(len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (len < size || dxs_is_err(block))
		return NULL;
	*block = (struct block){len, block};
	return (char *)block + HEADER;
}

// What was inherited stays.
static void block_free(void *ptr)
{
	struct block *block = (struct block *)((uintptr_t)ptr & ~(DXS_PAGE_SIZE - 1));

	if (ptr && (char *)block + HEADER == (char *)ptr && block->self == block)
		dxs_sys_munmap(block, block->len);
}

void *dxs_private_zalloc(size_t size)
{
	void *ptr;

	if (is_left)
		return block_new(size);
	atomic_fetch_add(&inside, 1);
	ptr = calloc(1, size);
	atomic_fetch_sub(&inside, 1);
	return ptr;
}

void dxs_private_free(void *ptr)
{
	if (is_left) {
		block_free(ptr);
		return;
	}
	atomic_fetch_add(&inside, 1);
	free(ptr);
	atomic_fetch_sub(&inside, 1);
}

void dxs_private_forked(void)
{
	is_left |= atomic_exchange(&inside, 0) > 0;
}

// The allocator's own fork handlers are not wanted; what it does at the end of a thread is counted.
int dxs_private_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	(void)prepare;
	(void)parent;
	(void)child;
	return 0;
}

static void (*thread_ends)(void *);

static void end_of_thread(void *data)
{
	if (is_left)
		return;
	atomic_fetch_add(&inside, 1);
	thread_ends(data);
	atomic_fetch_sub(&inside, 1);
}

int dxs_private_key(pthread_key_t *key, void (*at_end)(void *))
{
	thread_ends = at_end;
	return pthread_key_create(key, at_end ? end_of_thread : NULL);
}
