// SPDX-License-Identifier: BSD-3-Clause
// filter.c: system calls under a filter.
#define DXS_SYS_SPARED // an injected failure would only hide what is called
#include "base/filter.h"

#include <fcntl.h>

// Not prctl(PR_GET_SECCOMP), which is a call more that a filter may not know.
bool dxs_is_filtered(void)
{
	static const char key[] = "\nSeccomp:\t";
	int fd = dxs_sys_openat(AT_FDCWD, "/proc/thread-self/status", O_RDONLY | O_CLOEXEC, 0);
	size_t matched = 0;
	bool filtered = true;
	char buf[512];
	long i, len = 0;

	if (fd < 0)
		return true;
	do {
		for (i = 0; i < len && matched < sizeof(key) - 1; i++)
			matched = buf[i] == key[matched] ? matched + 1 : buf[i] == '\n';
		if (i < len) {
			filtered = buf[i] != '0';
			break;
		}
		len = dxs_sys6(SYS_read, fd, (long)buf, sizeof(buf), 0, 0, 0);
	} while (len > 0);
	dxs_sys_close(fd);
	return filtered;
}
