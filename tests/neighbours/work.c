// SPDX-License-Identifier: BSD-3-Clause
// work.c: work FILE [bug]: threads that store into a mapped file what they have put together on the heap, and sync it.
// Prints a sum over the file that is the same each time, in a file of an earlier run too. bug: ends with a use of memory that was freed.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NR_THREADS 4
#define PART (256 * 1024)
#define ROUNDS 100

// Taken for its addresses: a program that is not position-independent has entries of its own for these.
void *const volatile taken[] = {(void *)msync, (void *)mmap, (void *)fsync, (void *)read};

static char *volatile gone;
static char *map;
static int fd;

static void check(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void one_round(char *part, unsigned *state)
{
	size_t len = 1 + rand_r(state) % 9000, at = rand_r(state) % (PART - len);
	char *text = malloc(len), *other = calloc(1, len);

	check(text && other, "malloc");
	memset(text, 'a' + (int)(len % 26), len);
	memcpy(other, text, len);
	free(text);
	memcpy(part + at, other, len);
	free(other);
	switch (rand_r(state) % 4) {
	case 0:
		check(!fsync(fd), "fsync");
		break;
	case 1:
		check(!msync(map, NR_THREADS * PART, MS_SYNC), "msync of all");
		break;
	default:
		check(!msync(part, PART, MS_SYNC), "msync");
	}
}

static void *run(void *arg)
{
	unsigned nr = (unsigned)(size_t)arg, state = nr + 1;
	int i;

	for (i = 0; i < ROUNDS; i++)
		one_round(map + nr * PART, &state);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[NR_THREADS];
	unsigned long sum = 0;
	size_t i;

	check(argc > 1, "usage: work FILE [bug]");
	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	check(fd >= 0 && (lseek(fd, 0, SEEK_END) == NR_THREADS * PART || !ftruncate(fd, NR_THREADS * PART)), argv[1]);
	map = mmap(NULL, NR_THREADS * PART, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(map != MAP_FAILED, "mmap");
	for (i = 0; i < NR_THREADS; i++)
		check(!pthread_create(&thread[i], NULL, run, (void *)i), "pthread_create");
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < NR_THREADS * PART; i++)
		sum = sum * 31 + (unsigned char)map[i];
	check(!munmap(map, NR_THREADS * PART) && !close(fd), "munmap");
	printf("%lx\n", sum);
	fflush(stdout);
	if (argc > 2) {
		gone = malloc(10);
		free(gone);
		return gone[3] == 'x';
	}
	return 0;
}
