// SPDX-License-Identifier: BSD-3-Clause
// asleep.h: waiting until another thread sleeps where a test wants it, however long that takes on a busy machine.
#ifndef ASLEEP_H
#define ASLEEP_H

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

// Returns when a thread of this process sleeps in system call `nr` with the first argument `first`, as proc(5) tells it in
// /proc/self/task/TID/syscall. Who waits for what never comes is ended by the test's own time-out.
static inline void until_asleep(pid_t tid, long nr, unsigned long first)
{
	char path[64], line[256], *end;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)tid);
	for (;;) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		len = read(fd, line, sizeof(line) - 1);
		close(fd);
		line[len > 0 ? len : 0] = '\0';
		if (strtol(line, &end, 10) == nr && end != line && strtoul(end, NULL, 16) == first)
			return;
		sched_yield();
	}
}

#endif
