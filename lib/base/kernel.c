// SPDX-License-Identifier: BSD-3-Clause
// kernel.c: which Linux this is.
#include "base/kernel.h"

#include <sys/utsname.h>

#include "base/sys.h"

// Above what any kernel is called, until it is known. The oldest that daxsync works with is 5.7 (userfaultfd); 2.6 is what a
// newer one says to a program with the personality UNAME26 (kernel/sys.c, override_release, Linux 6.12).
#define UNKNOWN (1U << 31)
#define VERSION(major, minor) ((major) << 16 | (minor))
#define OLDEST VERSION(3U, 0U)

static unsigned version = UNKNOWN;

// The number at *at, which moves behind it and a dot. Up to 4 digits.
static unsigned number(const char **at)
{
	unsigned value = 0, digits;

	for (digits = 0; **at >= '0' && **at <= '9' && digits < 4; (*at)++, digits++)
		value = 10 * value + (unsigned)(**at - '0');
	if (**at == '.')
		++*at;
	return value;
}

void dxs_kernel_init(void)
{
	struct utsname name;
	const char *at = name.release;
	unsigned major, found;

	if (dxs_sys6(SYS_uname, (long)&name, 0, 0, 0, 0, 0))
		return;
	major = number(&at);
	found = VERSION(major, number(&at));
	if (found >= OLDEST)
		version = found;
}

bool dxs_kernel_is_before(unsigned major, unsigned minor)
{
	return version < VERSION(major, minor);
}

bool dxs_kernel_is_from(unsigned major, unsigned minor)
{
	return version != UNKNOWN && version >= VERSION(major, minor);
}
