// SPDX-License-Identifier: BSD-3-Clause
// kyoto.c: a store of Kyoto Cabinet's, `store_kyoto FILE MODE N`: adds N records and acknowledges each by its number. `store_kyoto
// FILE check N` fails if one of the first N is not there, or is not whole.
//
//     hard   each record in a transaction that is hard: "physical synchronization with the device"
//     auto   the same, made by OAUTOTRAN and OAUTOSYNC
//     sync   no transaction, and a hard synchronize() behind each record
//     soft   each record in a transaction that is not hard: "logical synchronization with the file system"
//
// FILE has its kind and its options in it, such as "store.kch#bnum=101".
#include <kclangc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE 300

static KCDB *db;

static void need(bool is_fine, const char *what)
{
	if (is_fine)
		return;
	printf("%s: %s\n", what, kcecodename(kcdbecode(db)));
	exit(3);
}

static void fill(char *value, long number)
{
	memset(value, 'a' + (int)(number % 26), VALUE);
}

static void add(const char *mode, long number)
{
	char key[32], value[VALUE];
	bool is_hard = !strcmp(mode, "hard"), has_tran = is_hard || !strcmp(mode, "soft");
	size_t len = (size_t)snprintf(key, sizeof(key), "key %ld", number);

	fill(value, number);
	if (has_tran)
		need(kcdbbegintran(db, is_hard), "begin_transaction");
	need(kcdbset(db, key, len, value, VALUE), "set");
	if (has_tran)
		need(kcdbendtran(db, 1), "end_transaction");
	if (!strcmp(mode, "sync"))
		need(kcdbsync(db, 1, NULL, NULL), "synchronize");
	printf("%ld\n", number);
	fflush(stdout);
}

static int check(long acknowledged)
{
	char key[32], value[VALUE], *got;
	size_t size;
	long i;

	for (i = 1; i <= acknowledged; i++) {
		fill(value, i);
		got = kcdbget(db, key, (size_t)snprintf(key, sizeof(key), "key %ld", i), &size);
		if (!got || size != VALUE || memcmp(got, value, VALUE) != 0) {
			printf("acknowledged: %ld, and %s %s\n", acknowledged, key,
			       got ? "is not whole" : "is not there");
			return 1;
		}
		kcfree(got);
	}
	return 0;
}

int main(int argc, char **argv)
{
	long number = argc > 3 ? strtol(argv[3], NULL, 10) : 0, i;
	uint32_t mode = KCOWRITER | KCOCREATE;

	if (argc < 3)
		return 2;
	if (!strcmp(argv[2], "auto"))
		mode |= KCOAUTOTRAN | KCOAUTOSYNC;
	db = kcdbnew();
	need(kcdbopen(db, argv[1], mode), "open");
	if (!strcmp(argv[2], "check"))
		return check(number);
	for (i = 1; i <= number; i++)
		add(argv[2], i);
	return 0; // a program that closes would sync once more
}
