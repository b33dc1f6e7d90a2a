// SPDX-License-Identifier: BSD-3-Clause
// lmdb_unicode: a small database program that can prove what it has committed.
//
// It keeps Unicode's character table (UnicodeData.txt) in an LMDB environment
// opened with MDB_WRITEMAP: LMDB stores into a shared mapping of its file and
// makes each commit durable with msync(2). Nothing here knows about daxsync.
//
//   lmdb_unicode load  DIR FILE [BATCH [MAPSIZE]]
//   lmdb_unicode churn DIR FILE ROUNDS [BATCH [MAPSIZE]]
//   lmdb_unicode check DIR FILE N [BATCH]
//
// The work is a fixed sequence of operations, one per line and round, so the
// content after the first N operations is known without any record of it:
//
//   round 0   (all that "load" does) inserts the lines in file order;
//             key: the code point field, value: the whole line;
//   round r   takes the lines in a scattered order, deletes one in five and
//             writes the others anew, with the value "r|line".
//
// BATCH operations make one transaction; a round ends its last one early. When
// mdb_txn_commit() has returned 0, one line "committed N" goes to stdout with
// write(2). Whatever happens then, power cuts included, the operations before
// N are promised. "committed 0" says that the new environment is durable.
//
// "check" takes the last N that was seen and accepts exactly two contents: that
// of N operations, or that of the one transaction more whose acknowledgement
// may have been lost. It reads every key, walks the whole tree, and needs
// nothing but the data file.
//
// One blemish is accepted, and named, in a commit that was not acknowledged: a
// torn meta page. LMDB expects a disk's sectors, 512 bytes written whole or not
// at all; persistent memory promises cache lines of 64. The new root can arrive
// without the entry count (and the free list) two lines before it. The keys are
// right all the same; mdb_dump and mdb_load make it fit for writing again.

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lmdb.h>

#define DEFAULT_BATCH 100
#define DEFAULT_MAPSIZE ((size_t)64 << 20)
#define NEVER UINT32_MAX // no operation has touched this line yet

struct line {
	const char *text;
	size_t len;
	size_t key_len; // the key is the text up to the first ';'
};

struct table {
	char *text;
	struct line *lines;
	size_t nr;
	size_t stride; // coprime to nr: walks all lines in a scattered order
	size_t longest;
};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "lmdb_unicode: %s: %s\n", what, why);
	return -1;
}

static int fail_mdb(const char *what, int rc)
{
	return fail(what, mdb_strerror(rc));
}

// One write(2) a line: what was acknowledged is known even if we are killed.
static int acknowledge(uint64_t nr_ops)
{
	char text[48];
	int len = snprintf(text, sizeof(text), "committed %" PRIu64 "\n", nr_ops);

	if (write(STDOUT_FILENO, text, (size_t)len) != len)
		return fail("standard output", strerror(errno));
	return 0;
}

static int read_text(const char *path, char **text, size_t *len)
{
	FILE *file = fopen(path, "rb");
	long size;

	if (!file)
		return fail(path, strerror(errno));
	if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0)
		goto failed;
	rewind(file);
	*len = (size_t)size;
	*text = malloc(*len + 1);
	if (!*text)
		goto failed;
	if (fread(*text, 1, *len, file) != *len) {
		free(*text);
		goto failed;
	}
	(*text)[*len] = '\0';
	fclose(file);
	return 0;

failed:
	fclose(file);
	return fail(path, "cannot read it");
}

static size_t gcd(size_t a, size_t b)
{
	while (b != 0) {
		size_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

// Cuts one line off the text at *at; false at the end or at a line without key.
static bool next_line(char **at, struct line *line)
{
	char *end = strchr(*at, '\n');
	const char *semicolon;

	line->text = *at;
	line->len = end ? (size_t)(end - *at) : strlen(*at);
	semicolon = memchr(line->text, ';', line->len);
	if (!semicolon)
		return false;
	line->key_len = (size_t)(semicolon - line->text);
	*at += line->len + (end ? 1 : 0);
	return line->key_len > 0;
}

static void table_free(struct table *table)
{
	free(table->lines);
	free(table->text);
}

static int table_read(struct table *table, const char *path)
{
	size_t len = 0;
	size_t nr_max = 1;
	char *at;

	memset(table, 0, sizeof(*table));
	if (read_text(path, &table->text, &len))
		return -1;
	for (size_t i = 0; i < len; i++)
		nr_max += table->text[i] == '\n';
	table->lines = calloc(nr_max, sizeof(*table->lines));
	if (!table->lines) {
		table_free(table);
		return fail(path, strerror(ENOMEM));
	}

	at = table->text;
	while (*at != '\0' && next_line(&at, &table->lines[table->nr])) {
		if (table->lines[table->nr].len > table->longest)
			table->longest = table->lines[table->nr].len;
		table->nr++;
	}
	if (table->nr == 0 || *at != '\0') {
		table_free(table);
		return fail(path, "not a table of KEY;... lines");
	}
	for (table->stride = 7919; gcd(table->stride, table->nr) != 1;)
		table->stride++;
	return 0;
}

// Which line is operated on at this position of a round.
static size_t line_at(const struct table *table, uint32_t round, size_t pos)
{
	if (round == 0)
		return pos;
	return (pos * table->stride + round) % table->nr;
}

static bool is_deleted(size_t index, uint32_t round)
{
	return round == NEVER || (round > 0 && (index + round) % 5 == 0);
}

// Where the transaction ends that follows the first nr_ops operations.
static uint64_t commit_after(const struct table *table, uint64_t nr_ops, size_t batch)
{
	uint64_t round_end = (nr_ops / table->nr + 1) * table->nr;

	return batch < round_end - nr_ops ? nr_ops + batch : round_end;
}

static MDB_val key_of(const struct line *line)
{
	return (MDB_val){.mv_size = line->key_len, .mv_data = (void *)(uintptr_t)line->text};
}

// The value that a round writes; buf holds it unless it is the line itself.
static MDB_val value_of(const struct line *line, uint32_t round, char *buf, size_t size)
{
	int len;

	if (round == 0)
		return (MDB_val){.mv_size = line->len, .mv_data = (void *)(uintptr_t)line->text};
	len = snprintf(buf, size, "%" PRIu32 "|%.*s", round, (int)line->len, line->text);
	return (MDB_val){.mv_size = (size_t)len, .mv_data = buf};
}

static size_t value_size_max(const struct table *table)
{
	return table->longest + sizeof("4294967295|");
}

static int apply(MDB_txn *txn, MDB_dbi dbi, const struct table *table, uint64_t op, char *buf)
{
	uint32_t round = (uint32_t)(op / table->nr);
	size_t index = line_at(table, round, (size_t)(op % table->nr));
	const struct line *line = &table->lines[index];
	MDB_val key = key_of(line);
	MDB_val value;

	if (is_deleted(index, round)) {
		int rc = mdb_del(txn, dbi, &key, NULL);

		return rc == MDB_NOTFOUND ? 0 : rc;
	}
	value = value_of(line, round, buf, value_size_max(table));
	return mdb_put(txn, dbi, &key, &value, round == 0 ? MDB_NOOVERWRITE : 0);
}

static int commit_range(MDB_env *env, const struct table *table, uint64_t from, uint64_t to, char *buf)
{
	MDB_txn *txn;
	MDB_dbi dbi;
	int rc = mdb_txn_begin(env, NULL, 0, &txn);

	if (rc)
		return fail_mdb("mdb_txn_begin", rc);
	rc = mdb_dbi_open(txn, NULL, 0, &dbi);
	for (uint64_t op = from; rc == 0 && op < to; op++)
		rc = apply(txn, dbi, table, op, buf);
	if (rc) {
		mdb_txn_abort(txn);
		return fail_mdb("writing", rc);
	}
	rc = mdb_txn_commit(txn);
	if (rc)
		return fail_mdb("mdb_txn_commit", rc);
	return acknowledge(to);
}

static int write_rounds(MDB_env *env, const struct table *table, uint64_t nr_ops, size_t batch)
{
	char *buf = malloc(value_size_max(table));
	int ret = 0;

	if (!buf)
		return fail("memory", strerror(ENOMEM));
	for (uint64_t done = 0; ret == 0 && done < nr_ops;) {
		uint64_t next = commit_after(table, done, batch);

		ret = commit_range(env, table, done, next, buf);
		done = next;
	}
	free(buf);
	return ret;
}

static int churn(const char *dir, const struct table *table, uint32_t rounds, size_t batch, size_t mapsize)
{
	MDB_env *env;
	int ret = -1;
	int rc = mdb_env_create(&env);

	if (rc)
		return fail_mdb("mdb_env_create", rc);
	rc = mdb_env_set_mapsize(env, mapsize);
	if (rc == 0)
		rc = mdb_env_open(env, dir, MDB_WRITEMAP, 0644);
	if (rc == 0)
		rc = mdb_env_sync(env, 1);
	if (rc)
		fail_mdb(dir, rc);
	else if (acknowledge(0) == 0)
		ret = write_rounds(env, table, (uint64_t)rounds * table->nr, batch);
	mdb_env_close(env);
	return ret;
}

// A content that the check accepts: the last round of each line after nr_ops.
struct candidate {
	uint64_t nr_ops;
	uint32_t *last;
	size_t nr_keys;
	size_t nr_wrong;
};

static int candidate_init(struct candidate *cand, const struct table *table, uint64_t nr_ops)
{
	uint32_t round = (uint32_t)(nr_ops / table->nr);
	size_t nr_done = (size_t)(nr_ops % table->nr);

	*cand = (struct candidate){.nr_ops = nr_ops};
	cand->last = malloc(table->nr * sizeof(*cand->last));
	if (!cand->last)
		return fail("memory", strerror(ENOMEM));
	for (size_t i = 0; i < table->nr; i++)
		cand->last[i] = round > 0 ? round - 1 : NEVER;
	for (size_t pos = 0; pos < nr_done; pos++)
		cand->last[line_at(table, round, pos)] = round;
	for (size_t i = 0; i < table->nr; i++)
		cand->nr_keys += !is_deleted(i, cand->last[i]);
	return 0;
}

// value is NULL when the key is not in the database.
static bool is_expected(const struct candidate *cand, const struct table *table, size_t index, const MDB_val *value,
			char *buf)
{
	MDB_val want;

	if (is_deleted(index, cand->last[index]))
		return value == NULL;
	if (!value)
		return false;
	want = value_of(&table->lines[index], cand->last[index], buf, value_size_max(table));
	return value->mv_size == want.mv_size && memcmp(value->mv_data, want.mv_data, want.mv_size) == 0;
}

static void report_wrong(const struct line *line, const MDB_val *value)
{
	if (value)
		fprintf(stderr, "lmdb_unicode: wrong value for %.*s: '%.*s'\n", (int)line->key_len, line->text,
			(int)(value->mv_size < 80 ? value->mv_size : 80), (const char *)value->mv_data);
	else
		fprintf(stderr, "lmdb_unicode: %.*s is missing\n", (int)line->key_len, line->text);
}

// Looks every key up from the root and holds it against both candidates.
static int compare_keys(MDB_txn *txn, MDB_dbi dbi, const struct table *table, struct candidate cand[2])
{
	char *buf = malloc(value_size_max(table));
	size_t nr_reported = 0;

	if (!buf)
		return fail("memory", strerror(ENOMEM));
	for (size_t i = 0; i < table->nr; i++) {
		MDB_val key = key_of(&table->lines[i]);
		MDB_val value;
		int rc = mdb_get(txn, dbi, &key, &value);
		bool ok[2];

		if (rc && rc != MDB_NOTFOUND) {
			free(buf);
			return fail_mdb("mdb_get", rc);
		}
		for (int c = 0; c < 2; c++) {
			ok[c] = is_expected(&cand[c], table, i, rc ? NULL : &value, buf);
			cand[c].nr_wrong += !ok[c];
		}
		if (!ok[0] && !ok[1] && nr_reported++ < 5)
			report_wrong(&table->lines[i], rc ? NULL : &value);
	}
	free(buf);
	return 0;
}

// Walks every leaf in order: a key too many, lost or out of order is found.
static int walk(MDB_txn *txn, MDB_dbi dbi, size_t *nr_keys)
{
	MDB_cursor *cursor;
	MDB_val previous = {0};
	MDB_val key;
	MDB_val value;
	int rc = mdb_cursor_open(txn, dbi, &cursor);

	*nr_keys = 0;
	if (rc)
		return fail_mdb("mdb_cursor_open", rc);
	while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (*nr_keys > 0 && mdb_cmp(txn, dbi, &previous, &key) >= 0) {
			mdb_cursor_close(cursor);
			return fail("walk", "keys are out of order");
		}
		previous = key;
		++*nr_keys;
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : fail_mdb("walk", rc);
}

// Prints what was found; an accepted content is 0.
static int judge(const struct candidate cand[2], size_t nr_keys, size_t nr_recorded)
{
	for (int c = 0; c < 2; c++) {
		bool is_torn = nr_recorded != cand[c].nr_keys;

		if (cand[c].nr_wrong > 0 || nr_keys != cand[c].nr_keys || (is_torn && c == 0))
			continue;
		printf("ok: %zu keys, the content of %" PRIu64 " operations%s%s\n", nr_keys, cand[c].nr_ops,
		       c == 0 ? "" : " (the last commit was not acknowledged)", is_torn ? " (torn meta page)" : "");
		return 0;
	}
	printf("WRONG: %zu keys (%zu recorded); %zu lines differ from the content of %" PRIu64
	       " operations, %zu from that of %" PRIu64 "\n",
	       nr_keys, nr_recorded, cand[0].nr_wrong, cand[0].nr_ops, cand[1].nr_wrong, cand[1].nr_ops);
	return -1;
}

static int compare(MDB_txn *txn, const struct table *table, struct candidate cand[2])
{
	MDB_stat stat;
	MDB_dbi dbi;
	size_t nr_keys;
	int rc = mdb_dbi_open(txn, NULL, 0, &dbi);

	if (rc == 0)
		rc = mdb_stat(txn, dbi, &stat);
	if (rc)
		return fail_mdb("the main database", rc);
	if (compare_keys(txn, dbi, table, cand) || walk(txn, dbi, &nr_keys))
		return -1;
	return judge(cand, nr_keys, stat.ms_entries);
}

static int check(const char *dir, const struct table *table, uint64_t nr_ops, size_t batch)
{
	struct candidate cand[2] = {{0}};
	MDB_env *env;
	MDB_txn *txn;
	int ret = -1;
	int rc = mdb_env_create(&env);

	if (rc)
		return fail_mdb("mdb_env_create", rc);
	rc = mdb_env_open(env, dir, MDB_RDONLY | MDB_NOLOCK, 0);
	if (rc == 0)
		rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (rc) {
		fail_mdb(dir, rc);
		goto close_env;
	}
	if (candidate_init(&cand[0], table, nr_ops) == 0 &&
	    candidate_init(&cand[1], table, commit_after(table, nr_ops, batch)) == 0)
		ret = compare(txn, table, cand);
	mdb_txn_abort(txn);
close_env:
	mdb_env_close(env);
	free(cand[0].last);
	free(cand[1].last);
	return ret;
}

// A number, with K, M, G or T behind it if need be.
static bool parse(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
	static const char suffixes[] = "KMGT";
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end != '\0') {
		const char *suffix = strchr(suffixes, *end);
		unsigned int shift;

		if (!suffix || end[1] != '\0')
			return false;
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
		if (*number > UINT64_MAX >> shift)
			return false;
		*number <<= shift;
	}
	return *number >= min && *number <= max;
}

static int usage(void)
{
	fputs("usage: lmdb_unicode load  DIR FILE [BATCH [MAPSIZE]]\n"
	      "       lmdb_unicode churn DIR FILE ROUNDS [BATCH [MAPSIZE]]\n"
	      "       lmdb_unicode check DIR FILE N [BATCH]\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	bool is_load = strcmp(mode, "load") == 0;
	bool is_churn = strcmp(mode, "churn") == 0;
	bool is_check = strcmp(mode, "check") == 0;
	int next = is_load ? 4 : 5; // the first optional argument
	int last = is_check ? next + 1 : next + 2;
	uint64_t number = 1; // ROUNDS or N
	uint64_t batch = DEFAULT_BATCH;
	uint64_t mapsize = DEFAULT_MAPSIZE;
	struct table table;
	int ret;

	if (!(is_load || is_churn || is_check) || argc < next || argc > last)
		return usage();
	if (!is_load && !parse(argv[4], is_churn ? 1 : 0, UINT32_MAX, &number))
		return usage();
	if (argc > next && !parse(argv[next], 1, UINT32_MAX, &batch))
		return usage();
	if (argc > next + 1 && !parse(argv[next + 1], 1, SIZE_MAX, &mapsize))
		return usage();
	if (table_read(&table, argv[3]))
		return 1;
	if (is_check)
		ret = check(argv[2], &table, number, (size_t)batch);
	else
		ret = churn(argv[2], &table, (uint32_t)number, (size_t)batch, (size_t)mapsize);
	table_free(&table);
	return ret ? 1 : 0;
}
