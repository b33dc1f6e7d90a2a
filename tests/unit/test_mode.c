// SPDX-License-Identifier: BSD-3-Clause
// test_mode.c: the kernel's page size decides before the file does.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/config.h"
#include "capture.h"
#include "space/mode.h"

static unsigned long page_size = 4096;

unsigned long __real_getauxval(unsigned long type);
unsigned long __wrap_getauxval(unsigned long type);

unsigned long __wrap_getauxval(unsigned long type)
{
	return type == AT_PAGESZ ? page_size : __real_getauxval(type);
}

static struct dxs_candidate probe(bool emulate)
{
	struct dxs_candidate candidate = {.mode = DXS_MODE_BYTE};
	int fd = memfd_create("file", MFD_CLOEXEC);

	dxs_config.emulate = emulate;
	dxs_mode_probe(fd, emulate, &candidate);
	close(fd);
	return candidate;
}

Test(mode, emulation_is_asked_for_and_pages_fit)
{
	cr_expect_eq(probe(true).mode, DXS_MODE_EMULATED);
	cr_expect(dxs_mode_is_possible());
}

Test(mode, with_larger_pages_nothing_is_tracked)
{
	page_size = 16384;
	cr_expect_eq(probe(true).mode, DXS_MODE_PASS);
	cr_expect(strstr(probe(true).reason, "not of 4 KiB"));
	cr_expect_not(dxs_mode_is_possible());
}

Test(mode, larger_pages_are_said_once)
{
	struct capture capture;
	const char *said;
	int i;

	page_size = 65536;
	capture_begin(&capture, STDERR_FILENO);
	for (i = 0; i < 3; i++)
		probe(true);
	said = capture_end(&capture);
	cr_expect_eq(count_lines(said), 1, "%s", said);
	cr_expect(strstr(said, "65536"), "%s", said);
}
