// SPDX-License-Identifier: BSD-3-Clause
// backtrace.c: a sync misses a page (skip-flush), and the verifier says where it was called. libunwind's calls came into the
// hooks meanwhile, and waited there for what the verifier holds: here with a libunwind that reads into the very page (UNWINDER).
#ifdef UNWINDER
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

static int nr_steps;

int unw_init_local(unw_cursor_t *cursor, unw_context_t *context)
{
	(void)cursor;
	(void)context;
	return 0;
}

int unw_init_local2(unw_cursor_t *cursor, unw_context_t *context, int flags)
{
	(void)flags;
	return unw_init_local(cursor, context);
}

int unw_step(unw_cursor_t *cursor)
{
	(void)cursor;
	return ++nr_steps < 3;
}

int unw_get_reg(unw_cursor_t *cursor, int reg, unw_word_t *value)
{
	(void)cursor;
	(void)reg;
	*value = 0;
	return 0;
}

int unw_get_proc_name(unw_cursor_t *cursor, char *name, size_t size, unw_word_t *offset)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	(void)cursor;
	*offset = 0;
	strncpy(name, read(fd, (void *)strtoul(getenv("UNWOUND_INTO"), NULL, 16), 1) < 0 ? "refused" : "read", size);
	close(fd);
	return 0;
}
#else
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	char into[32], *map;

	if (fd < 0 || ftruncate(fd, 4096))
		return 1;
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED || snprintf(into, sizeof(into), "%lx", (unsigned long)map) < 0 ||
	    setenv("UNWOUND_INTO", into, 1))
		return 1;
	*map = 1;
	printf("sync %d\n", msync(map, 4096, MS_SYNC));
	return 0;
}
#endif
