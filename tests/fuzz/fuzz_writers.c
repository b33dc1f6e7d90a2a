// SPDX-License-Identifier: BSD-3-Clause
// fuzz_writers.c: the registry of an inode's writers. Three of them, each as if it were a process (the locks are those of
// descriptions), come, sync, rest, go and die over a page that may be any bytes when the first comes, and whose bytes change
// under them.
//
// Promised: none finds itself exclusive by a look at the locks (dxs_writers_sync_begin) while another one holds. None
// counts as exclusive while another one holds, but where `announced` was written over while the page was in use; and none
// before a sync of the kernel's has made up for one that died, but where the page was written over while it was in use.
// So what a page holds when it is found costs syncs, and never a page of the file.
//
// The count of those who have left nothing in order is kept below 2^31 in the page that is found: no test sees so many die.
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "fuzz.h"
#include "writers/writers.h"

#define NR_WRITERS 3
#define PAGE 4096
#define MAGIC 0x31737274776e7364ULL

static struct dxs_writers writer[NR_WRITERS];
static bool is_there[NR_WRITERS];
static bool has_died;     // stores of a dead one that no sync has made up for
static bool is_spoilt;    // the page is not what the writers have made of it
static bool is_rewritten; // nor is `announced`
static int fd = -1;
static struct stat st;
static char page_path[64];

static bool others_hold(int me)
{
	for (int i = 0; i < NR_WRITERS; i++)
		if (i != me && is_there[i] && writer[i].registered)
			return true;
	return false;
}

static void promise_all(void)
{
	for (int i = 0; i < NR_WRITERS; i++)
		if (is_there[i] && dxs_writers_exclusive(&writer[i])) {
			PROMISE(is_rewritten || !others_hold(i));
			PROMISE(is_spoilt || !has_died);
		}
}

static void page_find(struct input *input, uint8_t how)
{
	struct dxs_registry *head;
	uint8_t page[PAGE + 16] = {0};
	size_t len = how & 1 ? PAGE : take_number(input, 2) % sizeof(page);
	int page_fd = open(page_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	take_bytes(input, page, sizeof(*head));
	head = (struct dxs_registry *)page;
	if (how & 2)
		head->magic = MAGIC;
	if (how & 4) {
		head->dev = st.st_dev;
		head->ino = st.st_ino;
	}
	if (how & 8) {
		head->born = writer[0].born;
		head->born_ns = writer[0].born_ns;
	}
	head->announced &= ~(1ULL << 31);
	PROMISE(page_fd >= 0 && write(page_fd, page, len) == (ssize_t)len);
	close(page_fd);
	has_died = len && (len != PAGE || head->magic != MAGIC || head->dev != st.st_dev || head->ino != st.st_ino);
	if (!has_died && len && head->born == writer[0].born && head->born_ns == writer[0].born_ns)
		has_died = head->announced & UINT32_MAX; // else it is of a file that is gone
}

static void page_spoil(struct input *input)
{
	size_t at = take_byte(input) % sizeof(struct dxs_registry);
	uint8_t value = take_byte(input);
	int page_fd = open(page_path, O_RDWR | O_CLOEXEC);

	if (page_fd < 0)
		return;
	PROMISE(pwrite(page_fd, &value, 1, (off_t)at) == 1);
	close(page_fd);
	is_spoilt = true;
	is_rewritten |= at >= offsetof(struct dxs_registry, announced);
}

static void step(struct input *input, bool is_inside);

static void come(int i)
{
	if (is_there[i])
		return;
	memset(&writer[i], 0, sizeof(writer[i]));
	dxs_writers_init(&writer[i]);
	dxs_writers_join(&writer[i], fd, st.st_dev, st.st_ino);
	is_there[i] = true;
}

static void sync_one(int i, struct input *input, bool is_inside)
{
	struct dxs_ticket ticket;

	if (!is_there[i] || writer[i].rests)
		return;
	ticket = dxs_writers_sync_begin(&writer[i]);
	PROMISE(!ticket.exclusive || !others_hold(i));
	if (!is_inside && take_byte(input) % 2)
		step(input, true);
	has_died = false; // the kernel's sync
	if (is_there[i])
		dxs_writers_sync_end(&writer[i], ticket);
}

static void go(int i, bool has_stored)
{
	if (!is_there[i])
		return;
	has_died |= has_stored && writer[i].registered;
	dxs_writers_destroy(&writer[i], has_stored ? DXS_LEAVES_STORES : DXS_LEAVES_NOTHING);
	is_there[i] = false;
}

static void die(int i)
{
	if (!is_there[i])
		return;
	has_died |= writer[i].registered;
	dxs_writers_forsake(&writer[i]);
	is_there[i] = false;
}

// A child that dies at once; what the parent announced is all that is left.
static void fork_one(struct input *input, bool is_inside)
{
	dxs_writers_fork_begin();
	for (int i = 0; i < NR_WRITERS; i++)
		if (is_there[i])
			has_died |= dxs_writers_announce(&writer[i]);
	if (!is_inside && take_byte(input) % 2)
		step(input, true);
	dxs_writers_fork_end();
}

static void step(struct input *input, bool is_inside)
{
	uint8_t what = take_byte(input);
	int i = what % NR_WRITERS;

	switch (what / NR_WRITERS % 9) {
	case 0:
	case 1:
		come(i);
		break;
	case 2:
		sync_one(i, input, is_inside);
		break;
	case 3:
		go(i, false);
		break;
	case 4:
		go(i, true);
		break;
	case 5:
		die(i);
		break;
	case 6:
		if (is_there[i] && writer[i].rests)
			dxs_writers_return(&writer[i]);
		else if (is_there[i])
			dxs_writers_rest(&writer[i]);
		break;
	case 7:
		page_spoil(input);
		break;
	default:
		fork_one(input, is_inside);
		break;
	}
	promise_all();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	PROMISE(fd >= 0 && !fstat(fd, &st) && getcwd(dxs_config.registry, sizeof(dxs_config.registry)));
	snprintf(page_path, sizeof(page_path), "daxsync-writers.%lx-%lx", (long)st.st_dev, (long)st.st_ino);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint8_t how = take_byte(&input);

	has_died = is_spoilt = is_rewritten = false;
	unlink(page_path);
	come(0); // for the time at which the file was born
	go(0, false);
	if (how & 16)
		page_find(&input, how);
	while (input.left)
		step(&input, false);
	for (int i = 0; i < NR_WRITERS; i++)
		die(i);
	return 0;
}
