// SPDX-License-Identifier: BSD-3-Clause
// debugged.c: debugged FILE [crash|loop]: what gdb looks at in gdb.sh: a store to a closed page, a crash, and a program that
// stores and syncs until its input ends.
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NR_RECORDS 20
#define PER_PAGE 512
#define SIZE (NR_RECORDS * PER_PAGE * sizeof(long))

static volatile long *map;

__attribute__((noinline)) static void store(int nr)
{
	map[nr * PER_PAGE] = nr;
	map[nr * PER_PAGE + 1] = -nr;
}

__attribute__((noinline)) static void stored(void)
{
	msync((void *)map, SIZE, MS_SYNC);
}

__attribute__((noinline)) static void crash(volatile long *where)
{
	*where = 1;
}

static void loop(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	long rounds = 0;

	while (!poll(&input, 1, 0)) {
		store((int)(rounds++ % NR_RECORDS));
		stored();
	}
	printf("%s\n", rounds > 100 ? "many rounds" : "few rounds");
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600) : -1;
	int i;

	if (fd < 0 || ftruncate(fd, SIZE))
		return 2;
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 2;
	stored();
	store(3); // the first after a sync: it traps, whatever a trap opens
	for (i = 0; i < NR_RECORDS; i++)
		store(i);
	stored();
	stored();
	printf("%ld %ld\n", map[PER_PAGE], map[7 * PER_PAGE]);
	fflush(stdout);
	if (argc > 2 && !strcmp(argv[2], "crash"))
		crash((long *)8);
	if (argc > 2 && !strcmp(argv[2], "loop"))
		loop();
	return 0;
}
