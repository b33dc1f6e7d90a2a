// SPDX-License-Identifier: BSD-3-Clause
// api.c: the C API. `api FILE [TEXT]` keeps a greeting in a mapped file and makes changes of it durable.
//
//   cc api.c -ldaxsync -o api
//
// On a file that is not on persistent memory it asks for emulation, so that it can be tried anywhere: the mode that is
// printed says so.
#include <daxsync/daxsync.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LEN ((size_t)1 << 20)

static const char *const mode_name[] = {"pass", "kernel", "emulated", "direct", "byte"};

static int fail(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, daxsync_strerror(err));
	return 1;
}

int main(int argc, char **argv)
{
	struct daxsync_opts opts = {.size = sizeof(opts), .flags = DAXSYNC_OPT_EMULATE};
	struct daxsync_stats stats = {.size = sizeof(stats)};
	unsigned char dirty[3];
	struct iovec range[2];
	void *addr;
	char *text;
	int fd, err;

	if (argc < 2) {
		fprintf(stderr, "usage: api FILE [TEXT]\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, LEN) || fsync(fd)) {
		perror(argv[1]);
		return 1;
	}
	err = daxsync_map(fd, LEN, 0, &opts, &addr);
	if (err)
		return fail("daxsync_map", err);
	text = addr;
	printf("mode %s (%s)\n", mode_name[daxsync_mode_of(addr)], daxsync_reason_of(addr));
	printf("the file says: %s\n", *text ? text : "(nothing yet)");
	if (argc > 2) {
		snprintf(text, LEN, "%s", argv[2]);
		err = daxsync_sync(text, strlen(text) + 1); // only these bytes are promised, and only they are flushed
		if (err)
			return fail("daxsync_sync", err);
	}
	memset(text + LEN / 2, 1, 3 * 4096);
	range[0] = (struct iovec){text + LEN / 2, 4096};
	range[1] = (struct iovec){text + LEN / 2 + 2 * 4096, 4096};
	err = daxsync_syncv(range, 2); // two of the three pages, with one fence
	if (err)
		return fail("daxsync_syncv", err);
	daxsync_dirty(text + LEN / 2, sizeof(dirty) * 4096, dirty);
	printf("to be flushed: %d %d %d\n", dirty[0], dirty[1], dirty[2]);
	err = daxsync_sync_file(fd); // all of the file, size and all
	if (err)
		return fail("daxsync_sync_file", err);
	daxsync_stats_get(&stats);
	printf("%llu traps, %llu pages and %llu bytes flushed, %llu fences\n", (unsigned long long)stats.traps,
	       (unsigned long long)stats.pages_flushed, (unsigned long long)stats.bytes_flushed,
	       (unsigned long long)stats.fences);
	err = daxsync_unmap(addr, LEN);
	if (err)
		return fail("daxsync_unmap", err);
	return close(fd);
}
