// SPDX-License-Identifier: BSD-3-Clause
// pmem.c: pmem pmem|pmem2|obj FILE [TRANSACTIONS]: a program of PMDK's libraries. Prints the same each time.
#include <fcntl.h>
#include <libpmem.h>
#include <libpmem2.h>
#include <libpmemobj.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE ((size_t)2 << 20)
#define ROUNDS 200

struct list {
	PMEMoid first;
	long nr;
};

struct node {
	PMEMoid next;
	long value;
	char text[1000];
};

static void check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, *pmem_errormsg() ? pmem_errormsg() : pmemobj_errormsg());
	exit(1);
}

static void print_sum(const char *what, const char *memory)
{
	unsigned long sum = 0;
	size_t i;

	for (i = 0; i < SIZE; i++)
		sum = sum * 31 + (unsigned char)memory[i];
	printf("%s %lx\n", what, sum);
}

static size_t place(unsigned *state, size_t len)
{
	return (size_t)rand_r(state) % (SIZE - len);
}

static int by_pmem(const char *path)
{
	unsigned state = 1;
	char text[5000];
	size_t mapped;
	int is_pmem, i;
	char *map = pmem_map_file(path, SIZE, PMEM_FILE_CREATE, 0600, &mapped, &is_pmem);

	check(map && mapped == SIZE, "pmem_map_file");
	for (i = 0; i < ROUNDS; i++) {
		size_t len = 1 + (size_t)rand_r(&state) % sizeof(text), at = place(&state, len);

		memset(text, 'a' + i % 26, len);
		if (i % 3)
			memcpy(map + at, text, len);
		else
			pmem_memcpy_nodrain(map + at, text, len); // stores around the cache
		if (is_pmem)
			pmem_persist(map + at, len);
		else
			check(!pmem_msync(map + at, len), "pmem_msync");
	}
	pmem_memset_persist(map + 5000, 7, 100000);
	check(!pmem_msync(map, SIZE), "pmem_msync of all");
	print_sum("pmem", map);
	return pmem_unmap(map, mapped);
}

static int by_pmem2(const char *path)
{
	int i, fd = open(path, O_RDWR | O_CREAT, 0600);
	struct pmem2_config *config;
	struct pmem2_source *source;
	struct pmem2_map *map;
	pmem2_persist_fn persist;
	unsigned state = 2;
	char *memory;

	check(fd >= 0 && !ftruncate(fd, SIZE), "open");
	check(!pmem2_config_new(&config) && !pmem2_source_from_fd(&source, fd), "pmem2_source_from_fd");
	check(!pmem2_config_set_required_store_granularity(config, PMEM2_GRANULARITY_PAGE), "granularity");
	check(!pmem2_map_new(&map, config, source), "pmem2_map_new");
	memory = pmem2_map_get_address(map);
	persist = pmem2_get_persist_fn(map);
	for (i = 0; i < ROUNDS; i++) {
		size_t at = place(&state, 3000);

		if (i % 2)
			memset(memory + at, i, 3000);
		else
			pmem2_get_memset_fn(map)(memory + at, i, 3000, PMEM2_F_MEM_NONTEMPORAL);
		persist(memory + at, 3000);
	}
	print_sum("pmem2", memory);
	pmem2_map_delete(&map);
	pmem2_source_delete(&source);
	pmem2_config_delete(&config);
	return close(fd);
}

static void node_add(PMEMobjpool *pool, PMEMoid root, int nr)
{
	struct list *list = pmemobj_direct(root);

	TX_BEGIN(pool)
	{
		PMEMoid oid = pmemobj_tx_alloc(sizeof(struct node), 1);
		struct node *node = pmemobj_direct(oid);

		pmemobj_tx_add_range(root, 0, sizeof(*list));
		memset(node->text, nr, sizeof(node->text));
		node->value = nr;
		node->next = list->first;
		list->first = oid;
		list->nr++;
		if (nr % 10 == 9)
			pmemobj_tx_abort(1);
	}
	TX_END
}

static long nodes_sum(PMEMoid root)
{
	const struct list *list = pmemobj_direct(root);
	const struct node *node = pmemobj_direct(list->first);
	long sum = 0;

	for (; node; node = pmemobj_direct(node->next))
		sum = sum * 31 + node->value + node->text[999];
	return sum * 31 + list->nr;
}

static int by_obj(const char *path, int nr)
{
	PMEMobjpool *pool = pmemobj_create(path, "daxsync", PMEMOBJ_MIN_POOL, 0600);
	PMEMoid root;
	int i;

	check(pool != NULL, "pmemobj_create");
	root = pmemobj_root(pool, sizeof(struct list));
	for (i = 0; i < nr; i++)
		node_add(pool, root, i);
	printf("obj %lx\n", nodes_sum(root));
	pmemobj_close(pool);
	check(pmemobj_check(path, "daxsync") == 1, "pmemobj_check");
	pool = pmemobj_open(path, "daxsync");
	check(pool != NULL, "pmemobj_open");
	printf("obj again %lx\n", nodes_sum(pmemobj_root(pool, sizeof(struct list))));
	pmemobj_close(pool);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 4)
		return 2;
	if (!strcmp(argv[1], "pmem"))
		return by_pmem(argv[2]);
	if (!strcmp(argv[1], "pmem2"))
		return by_pmem2(argv[2]);
	return by_obj(argv[2], argc > 3 ? (int)strtol(argv[3], NULL, 10) : ROUNDS);
}
