// SPDX-License-Identifier: BSD-3-Clause
// sealed.c: Mappings that are sealed with mseal, whole or in part, before and after the first sync: what is stored
// afterwards goes through, is synced, and the calls that the seal forbids are refused. The engine mprotect could not
// open a page there any more, and trapped for ever. Failure: another line than natively, or no end.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#define PAGE 4096
#define PAGES 64
#define SIZE (PAGES * PAGE)

static int seal(void *addr, size_t len) // libc's has been there since glibc 2.41
{
	int (*by_libc)(void *addr, size_t len, unsigned long flags);

	*(void **)&by_libc = dlsym(RTLD_DEFAULT, "mseal");
	return by_libc ? by_libc(addr, len, 0) : (int)syscall(SYS_mseal, addr, len, 0);
}

static void say(const char *what, long ret)
{
	printf("%s: %ld%s%s\n", what, ret, ret < 0 ? " " : "", ret < 0 ? strerror(errno) : "");
	fflush(stdout);
}

static void store_and_sync(char *map, int value)
{
	int i;

	for (i = 0; i < PAGES; i++)
		map[i * PAGE] = (char)(value + i);
	say("sync", msync(map, SIZE, MS_SYNC));
	map[PAGE] = map[PAGE * 40] = (char)value;
	say("sync of a page", msync(map + PAGE, PAGE, MS_SYNC));
}

static void sealed(int fd, int synced_before, int first, int nr)
{
	char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *at = map + first * PAGE;
	size_t len = (size_t)nr * PAGE;

	printf("pages %d to %d, %s\n", first, first + nr - 1, synced_before ? "synced before" : "new");
	map[0] = 1;
	if (synced_before)
		say("sync", msync(map, SIZE, MS_SYNC));
	say("seal", seal(at, len));
	store_and_sync(map, 10);
	say("mprotect", mprotect(at, len, PROT_READ));
	say("munmap", munmap(at, len));
	say("mremap", mremap(at, len, len + PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
	say("map over",
	    mmap(at, PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	store_and_sync(map, 20);
	say("fsync", fsync(fd));
	printf("%d %d %d\n", map[0], map[PAGE], map[63 * PAGE]);
}

int main(int argc, char **argv)
{
	int fd = open(argv[argc - 1], O_RDWR | O_CREAT, 0600);

	(void)ftruncate(fd, SIZE);
	if (syscall(SYS_mseal, 0, 0, 0) && errno == ENOSYS) {
		puts("SKIP: mseal: Linux 6.10 or newer");
		return 77;
	}
	sealed(fd, 0, 0, PAGES);
	sealed(fd, 1, 0, PAGES);
	sealed(fd, 1, 16, 8);
	sealed(fd, 0, 60, 4);
	return 0;
}
