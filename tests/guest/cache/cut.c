// SPDX-License-Identifier: BSD-3-Clause
// cut SEED PENDING PLAIN IMAGE...: what a power cut leaves of each NVDIMM, when QEMU with the plugin (cache.c) was killed.
//
// A line that differs from the durable copy was stored to and not made durable: it keeps what it held last, or what it
// held when it was written back and not fenced, or what is durable, by a coin that follows from the seed. The result
// is put into the image and into its durable copy.
//
// What was written by non-temporal stores and not fenced, a sector of 512 bytes keeps or loses as a whole, and the sector
// that a CPU was writing is lost. That is how file systems' logs are written, and a log takes it for granted of any disk.
// Persistent memory promises 8 bytes only: with lines drawn one by one, XFS of Linux 6.12 has lost what it had acknowledged
// before, also without the library.
//
// PLAIN, N:OFFSET:SIZE, are bytes of the N-th image (from 0) that are durable at once. An image `-` is not looked at.
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../mix.h"
#include "durable.h"

#define PAGE 4096
#define SECTOR 512

struct plain {
	uint64_t image, off, size;
};

struct count {
	uint64_t open, pending, kept;
};

struct mapped {
	int fd;
	uint64_t size;
	uint8_t *addr;
};

static struct mapped map(const char *path)
{
	struct mapped mapped = {.fd = open(path, O_RDWR | O_CLOEXEC), .addr = MAP_FAILED};
	struct stat st;

	if (mapped.fd >= 0 && !fstat(mapped.fd, &st)) {
		mapped.size = (uint64_t)st.st_size;
		mapped.addr = mmap(NULL, mapped.size, PROT_READ | PROT_WRITE, MAP_SHARED, mapped.fd, 0);
	}
	if (mapped.addr == MAP_FAILED) {
		fprintf(stderr, "cut: %s cannot be mapped\n", path);
		exit(2);
	}
	return mapped;
}

static void unmap(const struct mapped *mapped)
{
	munmap(mapped->addr, mapped->size);
	close(mapped->fd);
}

// The next page that is no hole of the file's.
static uint64_t next_data(const struct mapped *mapped, uint64_t at)
{
	off_t data = lseek(mapped->fd, (off_t)at, SEEK_DATA);

	return data < 0 ? mapped->size : (uint64_t)data & ~(uint64_t)(PAGE - 1);
}

static int by_place(const void *a, const void *b)
{
	const struct pending_line *x = *(const struct pending_line *const *)a,
				  *y = *(const struct pending_line *const *)b;

	if (x->nvdimm != y->nvdimm)
		return x->nvdimm < y->nvdimm ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

struct index {
	const struct pending_line **line;
	size_t nr;
	const struct pending_line *writing[MAX_CPUS]; // where each CPU's last non-temporal store was; NULL: nowhere
};

static struct index index_make(const struct pending_file *file)
{
	struct index index = {0};
	unsigned cpu;
	uint64_t i;

	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		index.nr += file->cpu[cpu].nr;
	index.line = malloc((index.nr + 1) * sizeof(*index.line));
	if (!index.line)
		exit(2);
	index.nr = 0;
	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		for (i = 0; i < file->cpu[cpu].nr; i++) {
			const struct pending_line *line = &file->cpu[cpu].line[i];

			if (line->copied)
				index.writing[cpu] = line;
			if (line->time > file->durable_time[line->nvdimm][line->off / LINE])
				index.line[index.nr++] = line;
		}
	qsort(index.line, index.nr, sizeof(*index.line), by_place);
	return index;
}

// The pending contents of one line: returns how many, *first the first of them.
static size_t index_find(const struct index *index, unsigned nvdimm, uint64_t off, size_t *first)
{
	struct pending_line key = {.nvdimm = nvdimm, .off = off};
	const struct pending_line *keyp = &key;
	size_t lo = 0, hi = index->nr, end;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (by_place(&index->line[mid], &keyp) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (end = lo; end < index->nr && !by_place(&index->line[end], &keyp); end++)
		;
	*first = lo;
	return end - lo;
}

static bool is_being_written(const struct index *index, unsigned nvdimm, uint64_t off)
{
	unsigned cpu;

	for (cpu = 0; cpu < MAX_CPUS; cpu++) {
		const struct pending_line *line = index->writing[cpu];

		if (line && line->nvdimm == nvdimm && line->off / SECTOR == off / SECTOR)
			return true;
	}
	return false;
}

// Of what a line may hold, which: 0, what is durable; up to nr, the pending one of this number; nr + 1, what it held last.
static uint64_t choose(const struct index *index, unsigned nvdimm, uint64_t off, size_t first, size_t nr, uint64_t seed)
{
	bool copied = nr && index->line[first]->copied;
	uint64_t what = copied ? off / SECTOR * SECTOR : off;
	uint64_t random = mix(seed ^ mix((uint64_t)nvdimm << 48 | what));

	if (copied)
		return random & 1 && !is_being_written(index, nvdimm, off) ? nr + 1 : 0;
	return random % (nr + 2);
}

static void line_settle(const struct index *index, unsigned nvdimm, uint64_t off, uint8_t *now, uint8_t *durable,
			uint64_t seed, struct count *count)
{
	size_t first, nr = index_find(index, nvdimm, off, &first);
	uint64_t choice = choose(index, nvdimm, off, first, nr, seed);

	count->open++;
	count->pending += nr > 0;
	count->kept += choice > 0;
	if (choice > nr)
		memcpy(durable, now, LINE);
	else if (choice)
		memcpy(durable, index->line[first + choice - 1]->data, LINE);
	memcpy(now, durable, LINE);
}

static void page_settle(const struct index *index, unsigned nvdimm, uint64_t at, uint8_t *now, uint8_t *durable,
			uint64_t seed, struct count *count)
{
	uint64_t off;

	for (off = at; off < at + PAGE; off += LINE)
		if (memcmp(now + off, durable + off, LINE))
			line_settle(index, nvdimm, off, now + off, durable + off, seed, count);
}

static void image_settle(const struct index *index, unsigned nvdimm, const char *path, const struct plain *plain,
			 uint64_t seed)
{
	char name[4096];
	uint64_t at = 0, data, durable_data;
	struct mapped now = map(path), durable;
	struct count count = {0};

	snprintf(name, sizeof(name), "%s.durable", path);
	durable = map(name);
	if (now.size != durable.size) {
		fprintf(stderr, "cut: %s has another size\n", name);
		exit(2);
	}
	if (plain->image == nvdimm && plain->off + plain->size <= now.size)
		memcpy(durable.addr + plain->off, now.addr + plain->off, plain->size);
	data = next_data(&now, 0);
	durable_data = next_data(&durable, 0);
	for (;; at += PAGE) {
		if (data < at)
			data = next_data(&now, at);
		if (durable_data < at)
			durable_data = next_data(&durable, at);
		at = data < durable_data ? data : durable_data;
		if (at >= now.size)
			break;
		page_settle(index, nvdimm, at, now.addr, durable.addr, seed, &count);
	}
	printf("cut: %s: %" PRIu64 " lines were not durable (%" PRIu64 " written back and not fenced), %" PRIu64
	       " stayed\n",
	       strrchr(path, '/') ? strrchr(path, '/') + 1 : path, count.open, count.pending, count.kept);
	unmap(&now);
	unmap(&durable);
}

int main(int argc, char **argv)
{
	struct plain plain = {0};
	struct index index;
	int i;

	if (argc < 5 ||
	    sscanf(argv[3], "%" SCNu64 ":%" SCNu64 ":%" SCNu64, &plain.image, &plain.off, &plain.size) != 3) {
		fprintf(stderr, "usage: cut SEED PENDING N:OFFSET:SIZE IMAGE...\n");
		return 2;
	}
	index = index_make((const struct pending_file *)(const void *)map(argv[2]).addr);
	for (i = 4; i < argc; i++)
		if (strcmp(argv[i], "-") != 0)
			image_settle(&index, (unsigned)(i - 4), argv[i], &plain, mix(strtoull(argv[1], NULL, 0)));
	return 0;
}
