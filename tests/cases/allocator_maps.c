// SPDX-License-Identifier: BSD-3-Clause
// allocator_maps.c: An allocator whose heap is a file, which it maps with its lock held when the first block is asked
// for. The hook of mmap must not allocate: it once loaded a library there, which waited for the allocator's lock for
// ever.
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEAP ((size_t)16 << 20)
#define ALIGN(size) (((size) + 31) & ~(size_t)15)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char early[4 << 20]; // until main begins
static size_t early_used, heap_used;
static char *heap;
static const char *path; // NULL: before main

static void heap_map(void)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, HEAP))
		_exit(1);
	heap = mmap(NULL, HEAP, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (heap == MAP_FAILED)
		_exit(1);
	close(fd);
}

static void *take(size_t size)
{
	char *ret;

	pthread_mutex_lock(&lock);
	if (path && !heap)
		heap_map();
	ret = heap ? heap + heap_used : early + early_used;
	*(heap ? &heap_used : &early_used) += ALIGN(size);
	pthread_mutex_unlock(&lock);
	return ret;
}

#pragma GCC visibility push(default) // libc and the loader are to find them

void *malloc(size_t size)
{
	return take(size);
}

void free(void *ptr)
{
	(void)ptr;
}

void *calloc(size_t nr, size_t size)
{
	return take(nr * size); // never used before, and so zero
}

void *realloc(void *ptr, size_t size)
{
	void *ret = take(size); // of a block whose size is not known: what follows it can be read

	return ptr ? memcpy(ret, ptr, size) : ret;
}

#pragma GCC visibility pop

int main(int argc, char **argv)
{
	volatile char *block;

	(void)argc;
	path = argv[1];
	block = malloc(100);
	*block = 1;
	if (msync(heap, HEAP, MS_SYNC))
		return 1; // cppcheck-suppress memleak // it is in the heap's file
	*block = 2;
	// cppcheck-suppress memleak
	return write(STDOUT_FILENO, "allocated\n", 10) != 10 || msync(heap, HEAP, MS_SYNC);
}
