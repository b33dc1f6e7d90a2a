// SPDX-License-Identifier: BSD-3-Clause
// cut SEED PENDING PLAIN IMAGE...: what a power cut leaves of each NVDIMM, when QEMU with the plugin (cache.c) was killed.
//
// A line that differs from the durable copy was stored to and not made durable: it keeps what it held last, or what it
// held when it was written back and not fenced, or what is durable, by a coin that follows from the seed. The result
// is put into the image and into its durable copy. PLAIN, N:OFFSET:SIZE, are bytes of the N-th image (from 0) that are
// durable at once.
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "durable.h"

#define PAGE 4096

struct plain {
	uint64_t image, off, size;
};

struct count {
	uint64_t open, pending, kept;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static void *map(const char *path, uint64_t *size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	void *addr = MAP_FAILED;

	if (fd >= 0 && !fstat(fd, &st)) {
		*size = (uint64_t)st.st_size;
		addr = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (addr == MAP_FAILED) {
		fprintf(stderr, "cut: %s cannot be mapped\n", path);
		exit(2);
	}
	return addr;
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
};

static struct index index_make(const struct pending_file *file)
{
	struct index index = {NULL, 0};
	unsigned cpu;
	uint64_t i;

	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		index.nr += file->cpu[cpu].nr;
	index.line = malloc((index.nr + 1) * sizeof(*index.line));
	if (!index.line)
		exit(2);
	index.nr = 0;
	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		for (i = 0; i < file->cpu[cpu].nr; i++)
			index.line[index.nr++] = &file->cpu[cpu].line[i];
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

static void line_settle(const struct index *index, unsigned nvdimm, uint64_t off, uint8_t *now, uint8_t *durable,
			uint64_t seed, struct count *count)
{
	size_t first, nr = index_find(index, nvdimm, off, &first);
	uint64_t choice = mix(seed ^ mix((uint64_t)nvdimm << 48 | off)) % (nr + 2);

	count->open++;
	count->pending += nr > 0;
	count->kept += choice > 0;
	if (choice > nr)
		memcpy(durable, now, LINE);
	else if (choice)
		memcpy(durable, index->line[first + choice - 1]->data, LINE);
	memcpy(now, durable, LINE);
}

static void image_settle(const struct index *index, unsigned nvdimm, const char *path, const struct plain *plain,
			 uint64_t seed)
{
	char name[4096];
	uint64_t size, durable_size, at, off;
	uint8_t *now = map(path, &size), *durable;
	struct count count = {0};

	snprintf(name, sizeof(name), "%s.durable", path);
	durable = map(name, &durable_size);
	if (size != durable_size) {
		fprintf(stderr, "cut: %s has another size\n", name);
		exit(2);
	}
	if (plain->image == nvdimm && plain->off + plain->size <= size)
		memcpy(durable + plain->off, now + plain->off, plain->size);
	for (at = 0; at < size; at += PAGE) {
		if (!memcmp(now + at, durable + at, PAGE))
			continue;
		for (off = at; off < at + PAGE; off += LINE)
			if (memcmp(now + off, durable + off, LINE))
				line_settle(index, nvdimm, off, now + off, durable + off, seed, &count);
	}
	printf("cut: %s: %" PRIu64 " lines were not durable (%" PRIu64 " written back and not fenced), %" PRIu64
	       " stayed\n",
	       strrchr(path, '/') ? strrchr(path, '/') + 1 : path, count.open, count.pending, count.kept);
	munmap(now, size);
	munmap(durable, size);
}

int main(int argc, char **argv)
{
	struct plain plain = {0};
	struct index index;
	uint64_t size;
	int i;

	if (argc < 5 ||
	    sscanf(argv[3], "%" SCNu64 ":%" SCNu64 ":%" SCNu64, &plain.image, &plain.off, &plain.size) != 3) {
		fprintf(stderr, "usage: cut SEED PENDING N:OFFSET:SIZE IMAGE...\n");
		return 2;
	}
	index = index_make(map(argv[2], &size));
	for (i = 4; i < argc; i++)
		image_settle(&index, (unsigned)(i - 4), argv[i], &plain, mix(strtoull(argv[1], NULL, 0)));
	return 0;
}
