// SPDX-License-Identifier: BSD-3-Clause
// fuzz_stats.c: the statistics of another process, as `daxsync stat` reads them. The input writes over any bytes of a page
// that was right, and sets the size of its file.
//
// Promised: they are refused (EINVAL) if and only if size or version are not this library's; otherwise the report is valid
// JSON of one object, gives each counter as it stands there, and reads no text beyond its field.
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/config.h"
#include "fuzz.h"
#include "report/stats.h"
#include "strict_json.h"

static struct dxs_stats page;
static struct events said;

static void page_right(void)
{
	memset(&page, 0, sizeof(page));
	page.size = sizeof(page);
	memcpy(page.version, DXS_VERSION, sizeof(DXS_VERSION));
	for (int i = 0; i < 3; i++) {
		struct dxs_stats_slot *slot = &page.slot[i * 100];

		slot->state = 2; // READY
		slot->count = 1;
		memcpy(slot->key.path, "/mnt/pmem/file", 15);
		memcpy(slot->key.mode, "direct", 7);
	}
}

// A piece of input again and again, so that few bytes make many slots.
static void write_over(struct input *input)
{
	size_t at = take_number(input, 3) % sizeof(page), len = take_byte(input), times = 1 + take_byte(input);
	size_t step = take_byte(input) & 1 ? sizeof(page.slot[0]) : 8;
	uint8_t bytes[255];

	take_bytes(input, bytes, len);
	for (; times && at + len <= sizeof(page); times--, at += step)
		memcpy((uint8_t *)&page + at, bytes, len);
}

#define COUNTER(name, unit, meaning) #name,
static const char *const counters[] = {DXS_COUNTERS(COUNTER)};

// A text ends where its field does: none has more characters than the longest field has bytes.
static void promise_short_texts(void)
{
	size_t nr = 0;
	bool is_text = false;

	for (size_t i = 0; i < said.len; i++) {
		if (!is_text && said.text[i] == 'S') {
			is_text = true;
			nr = 0;
		} else if (!said.text[i]) {
			is_text = false;
		}
		nr += (said.text[i] & 0xc0) != 0x80;
		PROMISE(!is_text || nr <= sizeof(page.slot[0].key.path));
	}
}

static void promise_report(int pid)
{
	char wanted[64];
	const char *at;

	said.len = 0;
	PROMISE(strict_json(written.text, written.len, &said));
	promise_short_texts();
	events_add(&said, '\0', NULL, 0);
	PROMISE(!memcmp(said.text, "{Kversion", 10));
	at = said.text;
	for (size_t i = 0; i < NR(counters); i++) {
		int len = snprintf(wanted, sizeof(wanted), "K%s%cN%" PRIu64, counters[i], '\0', page.counter[i]);

		at = memmem(at, said.len - (size_t)(at - said.text), wanted, (size_t)len + 1);
		PROMISE(at);
	}
	snprintf(wanted, sizeof(wanted), "\"pid\":%d,", pid);
	PROMISE(memmem(written.text, written.len, wanted, strlen(wanted)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	size_t len = sizeof(page);
	bool is_right;
	int ret, fd = memfd_create("fuzz_stats", MFD_CLOEXEC);

	page_right();
	if (take_byte(&input) % 8 == 1)
		len = take_number(&input, 3) % (2 * sizeof(page));
	while (input.left)
		write_over(&input);
	PROMISE(fd >= 0 && pwrite(fd, &page, sizeof(page), 0) == sizeof(page) && !ftruncate(fd, (off_t)len));
	is_right = len >= sizeof(page) && page.size == sizeof(page) &&
		   !memcmp(page.version, DXS_VERSION, sizeof(DXS_VERSION));
	written_begin();
	ret = dxs_stats_write_json_of(getpid(), fd, 1);
	close(fd);
	PROMISE(ret == (is_right ? 0 : -EINVAL));
	if (ret)
		PROMISE(!written.len);
	else
		promise_report(getpid());
	return 0;
}
