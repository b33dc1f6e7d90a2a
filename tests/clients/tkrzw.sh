#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# tkrzw.sh [BUILD [ENGINE...]]: tkrzw, whose files grow by ftruncate and an
# mremap that moves the map while other threads wait. Its synchronisation is one
# msync when a database is closed, so many short processes run as well. Read
# back without the shim: inspection, validation, every record.
set -eu

# shellcheck source=tests/clients/lib.sh
. "${0%/*}/lib.sh"
client_begin tkrzw "$@"
need tkrzw_dbm_perf tkrzw-utils
need tkrzw_dbm_util tkrzw-utils

perf() { # MODE DBM FILE FILE_CLASS ARGS...
	mode=$1 dbm=$2 file=$3 class=$4
	shift 4
	shim tkrzw_dbm_perf "$mode" --dbm "$dbm" --path "$work/$file" --file "$class" --sync_hard \
		--alloc_init 4096 --buckets 2003 "$@"
	expect_served "$file"
	plain tkrzw_dbm_util inspect --dbm "$dbm" --validate "$work/$file"
	! grep -qi 'healthy: *false' "$scratch/out" || fail "$file is not healthy"
}

expect_count() { # DBM FILE COUNT
	plain tkrzw_dbm_util inspect --dbm "$1" "$work/$2" num_records
	[ "$(cat "$scratch/out")" = "$3" ] || fail "$2 holds $(cat "$scratch/out") records, not $3"
}

run() {
	# grows from 4 KiB by doubling: many moves of the map
	perf sequence hash set.tkh mmap-para --threads 2 --iter 2000 --set_only
	expect_count hash set.tkh 4000
	plain tkrzw_dbm_perf sequence --dbm hash --path "$work/set.tkh" --threads 2 --iter 2000 --get_only --validate
	perf sequence tree set.tkt mmap-atom --iter 2000 --set_only
	expect_count tree set.tkt 2000
	perf sequence hash all.tkh mmap-para --threads 2 --iter 1000 --validate
	perf wicked hash wicked.tkh mmap-para --threads 2 --iter 2000 --rebuild --validate
	perf wicked tree wicked.tkt mmap-para --threads 2 --iter 1000 --rebuild --iterator --validate
	perf parallel hash parallel.tkh mmap-atom --threads 2 --iter 2000 --keys 500 --random_key --random_value --validate

	# one process a record, each maps, stores, syncs and unmaps
	seq 30 | sed 's/.*/&\tthe value of &/' >"$work/want"
	# shellcheck disable=SC2016 # the inner shell's variables
	shim sh -ec '
		tkrzw_dbm_util create --dbm hash --buckets 101 --sync_hard "$1"
		while read -r key value; do
			tkrzw_dbm_util set --dbm hash --sync_hard "$1" "$key" "$value"
		done <"$2"' sh "$work/many.tkh" "$work/want"
	expect_served many.tkh
	plain tkrzw_dbm_util export --dbm hash --tsv "$work/many.tkh" "$work/got"
	sort -n "$work/got" | cmp - "$work/want" || fail 'the records of many processes differ'
	figures '7 databases'
}
each_engine run
