#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# lmdb_c.sh [BUILD [ENGINE...]]: LMDB from C with MDB_WRITEMAP. Loads Unicode's
# character table and overwrites it in two more rounds; then every key is
# checked without the shim, in the file and in its durable image, LMDB's own
# tools read it, and the dump equals that of a run that never met the shim.
set -eu

# shellcheck source=tests/clients/lib.sh
. "${0%/*}/lib.sh"
client_begin lmdb_c "$@"
lmdb_unicode=$build/bin/examples/lmdb_unicode
need_built "$lmdb_unicode"
need mdb_stat lmdb-utils
need mdb_dump lmdb-utils
need_file "$unicode_table" unicode-data

# The first lines are enough for a tree of three levels and hundreds of commits.
table=$scratch/table
head -n 8000 "$unicode_table" >"$table"
nr_lines=$(wc -l <"$table")
rounds=3
batch=100
nr_ops=$((nr_lines * rounds))

mkdir "$scratch/native"
plain "$lmdb_unicode" churn "$scratch/native" "$table" "$rounds" "$batch"
mdb_dump -p "$scratch/native" >"$scratch/native.dump"

run() {
	mkdir "$work/db" "$work/survived"
	shim "$lmdb_unicode" churn "$work/db" "$table" "$rounds" "$batch"
	[ "$(tail -n 1 "$scratch/out")" = "committed $nr_ops" ] || fail 'not all commits were acknowledged'
	nr_commits=$(grep -c '^committed [1-9]' "$scratch/out")
	expect_served data.mdb

	plain "$lmdb_unicode" check "$work/db" "$table" "$nr_ops" "$batch"
	plain mdb_stat -e -f "$work/db"
	mdb_dump -p "$work/db" >"$work/dump" || fail 'mdb_dump'
	cmp "$scratch/native.dump" "$work/dump" || fail 'the dump differs from that of a run without the shim'

	find_image data.mdb
	cp --sparse=always "$image" "$work/survived/data.mdb"
	plain "$lmdb_unicode" check "$work/survived" "$table" "$nr_ops" "$batch"
	figures "$nr_commits commits"
}
each_engine run
