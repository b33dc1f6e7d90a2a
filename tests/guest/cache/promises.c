// SPDX-License-Identifier: BSD-3-Clause
// promises.c: see promises.h. When a sync begins, what the process has of NVDIMMs in its page tables in that range is kept,
// page by page. When it has returned, each line must be durable as it was then, or as it was later.
//
// LIMITS
//   A page that is dirty but not in the page tables of the process that syncs (its child has stored to it) is not looked at,
//   nor is one that is mapped nowhere or elsewhere when the sync returns.
//   A CLWB of an address that is in no page table takes a page fault, and then writes back what is there; TCG takes none. To
//   split a huge page of a DAX file takes it out of the page tables, so the library does this. Such lines are not complained
//   of, and counted.
#include "promises.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "durable.h"
#include "promise.h"
#include "simulation.h"

#define PAGE 4096
#define MOST_SAID 20
#define MOST_UNMAPPED 1024 // pages; of those beyond lines are complained of

struct page {
	struct page *next;
	uint64_t vaddr;
	struct place place;
	uint8_t data[PAGE];
};

struct promise {
	struct promise *next;
	uint64_t process, id;
	uint64_t since; // simulation_time()
	struct page *pages;
};

struct unmapped {
	uint64_t process, vaddr; // of a page of 4 KiB
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of all below
static struct promise *promises;
static struct unmapped unmapped[MOST_UNMAPPED];
static unsigned nr_unmapped;
static uint64_t nr_kept, nr_pages, nr_broken; // syncs and pages that were judged; lines that were not durable
static uint64_t nr_excused;

static void *allocated(size_t size)
{
	void *memory = malloc(size);

	if (!memory) {
		fputs("promises: no memory\n", stderr);
		exit(1);
	}
	return memory;
}

static struct promise **find(uint64_t process, uint64_t id)
{
	struct promise **at = &promises;

	while (*at && ((*at)->process != process || (*at)->id != id))
		at = &(*at)->next;
	return at;
}

static void forget(struct promise **at)
{
	struct promise *promise = *at;
	struct page *page;

	if (!promise)
		return;
	*at = promise->next;
	while ((page = promise->pages)) {
		promise->pages = page->next;
		free(page);
	}
	free(promise);
}

static void begin(uint64_t process, uint64_t id)
{
	struct promise *promise = allocated(sizeof(*promise));

	*promise = (struct promise){.next = promises, .process = process, .id = id, .since = simulation_time()};
	promises = promise;
}

static void page_keep(struct promise *promise, uint64_t vaddr, const struct place *place)
{
	struct page *page = allocated(sizeof(*page));

	page->next = promise->pages;
	page->vaddr = vaddr;
	page->place = *place;
	memcpy(page->data, simulation_image(place), PAGE);
	promise->pages = page;
}

static void range_keep(struct promise *promise, uint64_t start, uint64_t len)
{
	uint64_t vaddr = start & ~(uint64_t)(PAGE - 1);
	struct place place;

	for (; vaddr < start + len; vaddr += PAGE)
		if (simulation_place(vaddr, &place))
			page_keep(promise, vaddr, &place);
}

static bool was_unmapped(uint64_t process, uint64_t page)
{
	unsigned i;

	for (i = 0; i < nr_unmapped; i++)
		if (unmapped[i].process == process && unmapped[i].vaddr == page)
			return true;
	return false;
}

void promises_unmapped(uint64_t vaddr)
{
	uint64_t process = simulation_process(), page = vaddr & ~(uint64_t)(PAGE - 1);

	pthread_mutex_lock(&lock);
	if (nr_unmapped < MOST_UNMAPPED && !was_unmapped(process, page))
		unmapped[nr_unmapped++] = (struct unmapped){process, page};
	pthread_mutex_unlock(&lock);
}

static void page_judge(const struct promise *promise, const struct page *page)
{
	struct place now;
	unsigned line;

	if (!simulation_place(page->vaddr, &now) || now.nvdimm != page->place.nvdimm || now.off != page->place.off)
		return;
	nr_pages++;
	for (line = 0; line < PAGE / LINE; line++) {
		if (simulation_is_durable(&now, line, page->data + (size_t)line * LINE, promise->since))
			continue;
		if (was_unmapped(promise->process, page->vaddr)) {
			nr_excused++;
			continue;
		}
		if (nr_broken++ < MOST_SAID)
			fprintf(stderr, "promises: BROKEN: the line at %" PRIx64 ", NVDIMM %u offset %" PRIx64 "\n",
				page->vaddr + line * LINE, now.nvdimm, now.off + line * LINE);
	}
}

static void judge(const struct promise *promise)
{
	const struct page *page;

	nr_kept++;
	for (page = promise->pages; page; page = page->next)
		page_judge(promise, page);
}

void promises_told(void)
{
	uint64_t process = simulation_process(), id = simulation_register(RDI);
	struct promise **at;

	pthread_mutex_lock(&lock);
	at = find(process, id);
	switch (simulation_register(RAX)) {
	case PROMISE_BEGINS:
		forget(at); // of one that did not return
		begin(process, id);
		break;
	case PROMISE_RANGE:
		if (*at)
			range_keep(*at, simulation_register(RSI), simulation_register(RDX));
		break;
	case PROMISE_KEPT:
		if (*at)
			judge(*at);
		forget(at);
		break;
	case PROMISE_OFF:
		forget(at);
		break;
	default:
		fputs("promises: a word that there is not\n", stderr);
	}
	pthread_mutex_unlock(&lock);
}

void promises_sum_up(void)
{
	if (nr_excused)
		fprintf(stderr, "promises: %" PRIu64 " lines excused, whose page fault TCG has not taken\n",
			nr_excused);
	if (nr_kept)
		fprintf(stderr, "promises: %" PRIu64 " syncs, %" PRIu64 " pages, %" PRIu64 " lines BROKEN\n", nr_kept,
			nr_pages, nr_broken);
}
