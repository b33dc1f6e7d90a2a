// SPDX-License-Identifier: BSD-3-Clause
// machine.c: tells what the kernel, the CPU and the libraries of this machine offer.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/filter.h"
#include "check.h"
#include "engine/uffd.h"
#include "proc/pagemap.h"
#include "space/mode.h"

static void say_kernel(void)
{
	struct utsname name;

	if (!uname(&name))
		dxs_check_say("kernel", "%s %s, %s", name.sysname, name.release, name.machine);
}

static void say_userfaultfd(void)
{
	const char *why = "a filter might end this process";
	uint64_t features = dxs_is_filtered() ? 0 : dxs_uffd_probe(&why);

	if (!features) {
		dxs_check_say("userfaultfd", "not to be had: %s", why);
		return;
	}
	dxs_check_say("userfaultfd", "granted");
	if (features & UFFD_FEATURE_WP_HUGETLBFS_SHMEM)
		dxs_check_say("  write-protect", "on tmpfs, memfd and hugetlbfs");
	else
		dxs_check_say("  write-protect", "not on files (Linux 5.19 and newer have it)");
}

static void say_pagemap(void)
{
	if (dxs_pagemap_open())
		dxs_check_say("/proc/self/pagemap", "cannot be opened");
	else if (dxs_pagemap_can_scan())
		dxs_check_say("PAGEMAP_SCAN", "available");
	else
		dxs_check_say("PAGEMAP_SCAN", "not available (Linux 6.7 and newer have it)");
}

static void say_library(const char *name, const char *file, const char *package)
{
	void *lib = dlopen(file, RTLD_NOW | RTLD_LOCAL);

	if (lib) {
		dxs_check_say(name, "%s can be loaded", file);
		dlclose(lib);
	} else {
		dxs_check_say(name, "%s cannot be loaded (Debian package %s)", file, package);
	}
}

// The first line of a small file.
static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool ok = file && fgets(line, (int)size, file);

	if (file)
		fclose(file);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

// One line for each file that matches `pattern`, named by the path component that follows `dir`.
static size_t say_files(const char *what, const char *dir, const char *pattern)
{
	glob_t found;
	size_t nr = 0;

	if (!glob(pattern, 0, NULL, &found)) {
		for (; nr < found.gl_pathc; nr++) {
			const char *path = found.gl_pathv[nr], *name = path + strlen(dir);
			char line[128];

			if (read_line(path, line, sizeof(line)))
				dxs_check_say(what, "%.*s: %s", (int)strcspn(name, "/"), name, line);
		}
		globfree(&found);
	}
	return nr;
}

static void say_persistence(void)
{
	size_t nr = say_files("persistence domain", "/sys/bus/nd/devices/",
			      "/sys/bus/nd/devices/region*/persistence_domain");

	nr += say_files("write cache", "/sys/block/", "/sys/block/pmem*/dax/write_cache");
	if (!nr)
		dxs_check_say("persistent memory", "none in this machine");
}

static void say_map_count(void)
{
	char line[32];

	if (read_line("/proc/sys/vm/max_map_count", line, sizeof(line)))
		dxs_check_say("vm.max_map_count", "%s mappings a process", line);
}

// Tries the whole way on a file that every machine can make.
static bool conclude(void)
{
	struct dxs_mode_verdict verdict;
	int fd = memfd_create("daxsync check", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 1 << 20)) {
		dxs_check_say("conclusion", "no file in memory can be made to try it: %s", strerrordesc_np(errno));
		return false;
	}
	dxs_mode_explain(fd, true, &verdict);
	close(fd);
	if (!strcmp(verdict.mode, "emulated")) {
		dxs_check_say("conclusion", "stores can be tracked here (tried in emulation: engine %s)",
			      verdict.engine);
		return true;
	}
	dxs_check_say("conclusion", "stores cannot be tracked here: %s", verdict.reason);
	return false;
}

bool dxs_check_machine(void)
{
	say_kernel();
	say_userfaultfd();
	say_pagemap();
	dxs_check_say("flush instruction", "%s", dxs_cpu_flush_instruction());
	say_library("libpmem2", "libpmem2.so.1", "libpmem2-1");
	say_library("libunwind", "libunwind.so.8", "libunwind8");
	say_persistence();
	say_map_count();
	dxs_check_calls();
	return conclude();
}
