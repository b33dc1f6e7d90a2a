// SPDX-License-Identifier: BSD-3-Clause
// powercut_lmdb.c: LMDB with MDB_WRITEMAP as a workload. A cell is a key, an operation is a transaction, and what is
// there must be exactly what some number of transactions have made.
//
// A meta page of LMDB's (0.9.24) is written in place and fills three cache lines. The root of the keys and the number of the
// transaction are in one of them. The root of the free pages is in another, as is the number of keys. A cut between the
// stores and the end of their msync may keep one line and not the other: then all keys are there, but the next transactions
// use pages that are not free. That is no promise of a sync. So keys are counted one by one, and a new database is begun
// after each cut.
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "powercut_workload.h"

#define NR_KEYS 400
#define MAP_SIZE ((size_t)32 << 20) // the file is as long, and sparse

struct base {
	MDB_env *env;
	MDB_dbi dbi;
};

static int fail_mdb(const struct work *work, const char *what, int err)
{
	fprintf(stderr, "powercut_workload: %s lmdb: %s: %s\n", work->fs, what, mdb_strerror(err));
	return -1;
}

static void lmdb_remove(struct work *work)
{
	static const char *const names[] = {"data.mdb", "lock.mdb"};
	char path[160];
	unsigned i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", work->path, names[i]);
		unlink(path);
	}
	rmdir(work->path);
}

static int base_open(struct work *work, unsigned flags)
{
	struct base *base = calloc(1, sizeof(*base));
	MDB_txn *txn;
	int err;

	work->more = base;
	if (!base)
		return fail(work, "memory");
	err = mdb_env_create(&base->env);
	if (!err)
		err = mdb_env_set_mapsize(base->env, MAP_SIZE);
	if (!err)
		err = mdb_env_open(base->env, work->path, flags, 0644);
	if (!err)
		err = mdb_txn_begin(base->env, NULL, MDB_RDONLY, &txn);
	if (err)
		return fail_mdb(work, work->path, err);
	err = mdb_dbi_open(txn, NULL, 0, &base->dbi);
	mdb_txn_commit(txn);
	return err ? fail_mdb(work, "mdb_dbi_open", err) : 0;
}

static void base_close(struct work *work)
{
	struct base *base = work->more;

	mdb_env_close(base->env);
	free(base);
}

static int lmdb_begin(struct work *work)
{
	return base_open(work, MDB_WRITEMAP);
}

static int lmdb_prepare(struct work *work)
{
	char parent[32];
	int err;

	snprintf(parent, sizeof(parent), "/mnt/%s", work->fs);
	lmdb_remove(work);
	if (mkdir(work->path, 0755))
		return fail(work, work->path);
	if (lmdb_begin(work))
		return -1;
	err = mdb_env_sync(((struct base *)work->more)->env, 1);
	base_close(work);
	if (err)
		return fail_mdb(work, "mdb_env_sync", err);
	return sync_directory(work, work->path) || sync_directory(work, parent) ? -1 : 0;
}

static void lmdb_plan(const struct work *work, struct op *op)
{
	for (op->nr_cells = 0; op->nr_cells < 4; op->nr_cells++)
		op->cell[op->nr_cells] = (uint32_t)(mix(op->random + op->nr_cells) % work->kind->nr_cells);
}

// The last key of a transaction is deleted in one of four.
static bool is_deleted(const struct op *op, unsigned i)
{
	return i == op->nr_cells - 1 && op->random % 4 == 0;
}

// Most values share a page with others; some have pages of their own.
static size_t value_size(const struct op *op, unsigned i)
{
	uint64_t random = mix(op->random ^ i);

	return random % 16 ? 64 + random % 100 * 8 : 6000;
}

static int put(struct work *work, MDB_txn *txn, const struct op *op, unsigned i)
{
	MDB_val key = {sizeof(op->cell[i]), (void *)&op->cell[i]}, value = {0};
	char record[RECORD_MAX];
	int err;

	if (is_deleted(op, i)) {
		err = mdb_del(txn, ((struct base *)work->more)->dbi, &key, NULL);
		return err == MDB_NOTFOUND ? 0 : err;
	}
	value.mv_size = value_size(op, i);
	value.mv_data = record;
	record_make(work, op->cell[i], op->nr, record, value.mv_size);
	return mdb_put(txn, ((struct base *)work->more)->dbi, &key, &value, 0);
}

static int lmdb_apply(struct work *work, const struct op *op)
{
	struct base *base = work->more;
	MDB_txn *txn;
	unsigned i;
	int err = mdb_txn_begin(base->env, NULL, 0, &txn);

	if (err)
		return fail_mdb(work, "mdb_txn_begin", err);
	for (i = 0; i < op->nr_cells && !err; i++)
		err = put(work, txn, op, i);
	if (err) {
		mdb_txn_abort(txn);
		return fail_mdb(work, "mdb_put", err);
	}
	err = mdb_txn_commit(txn);
	return err ? fail_mdb(work, "mdb_txn_commit", err) : 0;
}

// What each key must have after a number of transactions.
struct content {
	uint32_t last[NR_KEYS]; // 1 + the operation, 0: none
	uint16_t size[NR_KEYS];
	unsigned nr_keys, nr_wrong;
};

static void content_make(struct work *work, uint32_t nr_ops, struct content *content)
{
	struct op op;
	uint32_t nr;
	unsigned i;

	memset(content, 0, sizeof(*content));
	for (nr = 0; nr < nr_ops; nr++) {
		op_plan(work, nr, &op);
		for (i = 0; i < op.nr_cells; i++) {
			content->last[op.cell[i]] = is_deleted(&op, i) ? 0 : nr + 1;
			content->size[op.cell[i]] = (uint16_t)value_size(&op, i);
		}
	}
	for (i = 0; i < NR_KEYS; i++)
		content->nr_keys += content->last[i] > 0;
}

static bool is_right(struct work *work, const struct content *content, uint32_t key, const MDB_val *value)
{
	char record[RECORD_MAX];

	if (!content->last[key] || !value)
		return !content->last[key] && !value;
	record_make(work, key, content->last[key] - 1, record, content->size[key]);
	return value->mv_size == content->size[key] && !memcmp(value->mv_data, record, value->mv_size);
}

// Holds each key against the acknowledged content and against the next one.
static int keys_check(struct work *work, MDB_txn *txn, struct content content[2], struct report *first)
{
	uint32_t key;
	int i;

	for (key = 0; key < NR_KEYS; key++) {
		MDB_val name = {sizeof(key), &key}, value;
		int err = mdb_get(txn, ((struct base *)work->more)->dbi, &name, &value);
		char text[128] = "missing";

		if (err && err != MDB_NOTFOUND)
			return fail_mdb(work, "mdb_get", err);
		for (i = 0; i < 2; i++)
			content[i].nr_wrong += !is_right(work, &content[i], key, err ? NULL : &value);
		if (is_right(work, &content[0], key, err ? NULL : &value) ||
		    is_right(work, &content[1], key, err ? NULL : &value))
			continue;
		if (!err)
			record_describe(work, key, value.mv_data, value.mv_size & ~(size_t)7, text, sizeof(text));
		wrong(work, first, "key %u: %s; the last acknowledged is operation %d", key, text,
		      (int)content[0].last[key] - 1);
	}
	return 0;
}

static int keys_count(struct work *work, MDB_txn *txn, unsigned *nr)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int err = mdb_cursor_open(txn, ((struct base *)work->more)->dbi, &cursor);

	if (err)
		return fail_mdb(work, "mdb_cursor_open", err);
	for (*nr = 0; !(err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT));)
		++*nr;
	mdb_cursor_close(cursor);
	return err == MDB_NOTFOUND ? 0 : fail_mdb(work, "mdb_cursor_get", err);
}

static int base_check(struct work *work, struct content content[2], struct report *report)
{
	struct report damage = {0};
	unsigned i, nr_keys;
	MDB_txn *txn;
	int err = mdb_txn_begin(((struct base *)work->more)->env, NULL, MDB_RDONLY, &txn);

	if (err)
		return fail_mdb(work, "mdb_txn_begin", err);
	err = keys_count(work, txn, &nr_keys) || keys_check(work, txn, content, &damage);
	mdb_txn_abort(txn);
	if (err)
		return -1;
	for (i = 0; i < 2; i++)
		if (!content[i].nr_wrong && nr_keys == content[i].nr_keys) {
			report->nr_right = nr_keys;
			return 0;
		}
	wrong(work, report, "%u keys; %u differ from what was acknowledged, %u from the next transaction", nr_keys,
	      content[0].nr_wrong, content[1].nr_wrong);
	return 0;
}

// A database that cannot be opened or read is a promise broken.
static int lmdb_check(struct work *work, uint32_t nr_ops, struct report *report)
{
	static struct content content[2];

	content_make(work, nr_ops, &content[0]);
	content_make(work, nr_ops + (nr_ops < work->kind->nr_ops), &content[1]);
	if (base_open(work, MDB_RDONLY | MDB_NOLOCK) || base_check(work, content, report))
		wrong(work, report, "the database cannot be read");
	return 0;
}

const struct kind kind_lmdb = {
	.name = "lmdb",
	.nr_cells = NR_KEYS,
	.nr_ops = 150,
	.begins_anew = true,
	.prepare = lmdb_prepare,
	.begin = lmdb_begin,
	.plan = lmdb_plan,
	.apply = lmdb_apply,
	.end = base_close,
	.remove = lmdb_remove,
	.check = lmdb_check,
};
