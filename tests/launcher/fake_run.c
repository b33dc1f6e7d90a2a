// SPDX-License-Identifier: BSD-3-Clause
// fake_run.c FENCES MISSED FROZEN STATUS: adds to the control file in DAXSYNC_IMAGE_DIR what a verified run would have
// counted, and exits.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "emulate/run.h"

// Written, not mapped: the shim in this process would take a mapping for one to track.
int main(int argc, char **argv)
{
	const char *dir = getenv("DAXSYNC_IMAGE_DIR");
	static struct dxs_run run;
	char path[4096];
	int fd;

	if (argc != 5)
		return 99;
	snprintf(path, sizeof(path), "%s/daxsync.run", dir ? dir : "/nonexistent");
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return dir ? 98 : atoi(argv[4]);
	if (pread(fd, &run, sizeof(run), 0) < 0)
		return 97;
	run.magic = DXS_RUN_MAGIC;
	run.fences += strtoull(argv[1], NULL, 10);
	run.missed_pages += strtoull(argv[2], NULL, 10);
	run.frozen |= (uint32_t)strtoul(argv[3], NULL, 10);
	if (pwrite(fd, &run, sizeof(run), 0) != (ssize_t)sizeof(run))
		return 96;
	return atoi(argv[4]);
}
