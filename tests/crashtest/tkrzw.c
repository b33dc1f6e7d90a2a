// SPDX-License-Identifier: BSD-3-Clause
// tkrzw.c: a store of tkrzw's, `store_tkrzw FILE PARAMETERS N`: adds N records, synchronizes each and acknowledges it by its
// number. `store_tkrzw FILE PARAMETERS N check` fails if one of the first N is not there, or is not whole. PARAMETERS are
// tkrzw_dbm_open's.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tkrzw_langc.h>

#define VALUE 300

static void need(bool is_fine, const char *what)
{
	if (is_fine)
		return;
	printf("%s: %s\n", what, tkrzw_get_last_status_message());
	exit(3);
}

static void fill(char *value, long number)
{
	memset(value, 'a' + (int)(number % 26), VALUE);
}

static void add(TkrzwDBM *dbm, long number)
{
	char key[32], value[VALUE];

	snprintf(key, sizeof(key), "key %ld", number);
	fill(value, number);
	need(tkrzw_dbm_set(dbm, key, -1, value, VALUE, true), "set");
	need(tkrzw_dbm_synchronize(dbm, true, NULL, NULL, ""), "synchronize");
	printf("%ld\n", number);
	fflush(stdout);
}

static int check(TkrzwDBM *dbm, long acknowledged)
{
	char key[32], value[VALUE], *got;
	int32_t size;
	long i;

	for (i = 1; i <= acknowledged; i++) {
		fill(value, i);
		snprintf(key, sizeof(key), "key %ld", i);
		got = tkrzw_dbm_get(dbm, key, -1, &size);
		if (!got || size != VALUE || memcmp(got, value, VALUE) != 0) {
			printf("acknowledged: %ld, and %s %s\n", acknowledged, key,
			       got ? "is not whole" : "is not there");
			return 1;
		}
		free(got);
	}
	return 0;
}

int main(int argc, char **argv)
{
	long number = argc > 3 ? strtol(argv[3], NULL, 10) : 0, i;
	TkrzwDBM *dbm;

	if (argc < 4)
		return 2;
	dbm = tkrzw_dbm_open(argv[1], true, argv[2]);
	need(dbm, "open");
	if (argc > 4)
		return check(dbm, number);
	for (i = 1; i <= number; i++)
		add(dbm, i);
	return 0; // a program that closes would sync once more
}
