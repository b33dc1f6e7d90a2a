#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# postgres.sh [BUILD [ENGINE...]]: PostgreSQL, a program of many processes and
# much fsync that keeps its data by read and write: created, loaded, queried in
# parallel, killed as a whole in the middle of a load and recovered, natively,
# under the shim, and with each engine where its dynamic shared memory (files
# that are mapped shared and never synced) is taken for persistent memory. The
# data, the exit statuses and what the server complains of are the same. As
# root it runs as the user nobody. POSTGRES_KINDS='posix mmap': both kinds of
# dynamic shared memory with each engine.
set -eu

# shellcheck source=tests/clients/lib.sh
. "${0%/*}/lib.sh"
client_begin postgres "$@"
# Debian has one directory for each version
pgbin=$(find /usr/lib/postgresql -name initdb 2>/dev/null | sort -V | tail -n 1)
[ -z "$pgbin" ] || PATH=${pgbin%/*}:$PATH
for program in initdb postgres psql pgbench pg_isready pg_checksums; do
	need "$program" postgresql
done
need pkill procps
need setpriv util-linux

# The server refuses to run as root, and nobody may not be able to reach the build directory.
as_user=
place=
postmaster=
postgres_end() {
	# a test that fails leaves no server behind
	[ -z "$postmaster" ] || kill -QUIT "$postmaster" 2>/dev/null || true
	[ -z "$place" ] || rm -rf "$place"
	scratch_end
}
if [ "$(id -u)" -eq 0 ]; then
	as_user='setpriv --reuid=65534 --regid=65534 --clear-groups'
	place=$(mktemp -d)
	mkdir "$place/bin" "$place/lib"
	cp "$daxsync" "$place/bin/"
	cp -P "$build"/lib/libdaxsync*.so* "$place/lib/"
	chmod -R a+rX "$place"
	daxsync=$place/bin/daxsync
	chmod 711 "$scratch"
fi
trap postgres_end EXIT
export PGHOST="$scratch/work" PGUSER=tester PGDATABASE=postgres PGOPTIONS='--client-min-messages=warning' LC_ALL=C

as() { # COMMAND...
	# shellcheck disable=SC2086 # several words
	(cd "$work" && exec $as_user "$@")
}

query() { # SQL
	psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1" 2>"$scratch/err" || fail "psql has failed: $1"
}

server_begin() {
	echo "--- begin" >>"$work/log"
	# shellcheck disable=SC2086 # several words
	as $how postgres -D "$work/data" >>"$work/log" 2>&1 &
	server=$!
	until pg_isready -q; do
		kill -0 "$server" 2>/dev/null || fail "the server has ended: $(tail -n 5 "$work/log")"
		sleep 0.1
	done
	postmaster=$(head -n 1 "$work/data/postmaster.pid")
}

server_end() { # STATUS
	status=0
	wait "$server" || status=$?
	postmaster=
	[ "$status" -ne 121 ] || status=0 # it syncs no mapping: there was nothing to verify
	[ "$status" -eq "$1" ] || fail "the server has ended with $status instead of $1"
}

create() { # SETTING...
	# shellcheck disable=SC2086 # several words
	as $how initdb -D "$work/data" -U tester -A trust -E UTF8 --no-locale --data-checksums >"$scratch/out" \
		2>"$scratch/err" || [ $? -eq 121 ] || fail 'initdb'
	{
		printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$work'" "log_line_prefix = ''" \
			'max_connections = 20' 'shared_buffers = 16MB' 'max_wal_size = 64MB' 'autovacuum = off' \
			'parallel_setup_cost = 0' 'parallel_tuple_cost = 0' 'min_parallel_table_scan_size = 0' \
			'max_parallel_workers_per_gather = 2' 'wal_sync_method = fdatasync' "$@"
	} | as tee -a "$work/data/postgresql.conf" >"$scratch/out"
}

# The same sums whatever the order in which the clients come; parallel workers and their shared memory.
load() {
	pgbench -i -q >"$scratch/out" 2>&1 || fail 'pgbench -i'
	pgbench -n -c 4 -j 2 -t 100 --random-seed=7 >"$scratch/out" 2>&1 || fail 'pgbench'
	query 'CREATE TABLE numbers AS SELECT i, md5(i::text) AS text FROM generate_series(1, 50000) i'
	query 'CREATE INDEX ON numbers (text)'
	query 'CREATE TABLE told (client int, number int)'
	query 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT count(*) FROM numbers a JOIN numbers b ON a.text = b.text' \
		>"$scratch/plan"
	grep -q 'Workers Launched: [1-9]' "$scratch/plan" || fail 'no query was run in parallel'
	query CHECKPOINT
}

digest() {
	query "SELECT md5(string_agg(aid || ' ' || bid || ' ' || abalance, ',' ORDER BY aid)) FROM pgbench_accounts"
	query "SELECT md5(string_agg(t::text, ',' ORDER BY tid)) FROM pgbench_tellers t"
	query "SELECT md5(string_agg(h, ',' ORDER BY h)) FROM
		(SELECT concat_ws(' ', tid, bid, aid, delta) AS h FROM pgbench_history) s"
	query 'SELECT count(*), md5(min(text)), sum(i) FROM numbers'
	query 'SELECT count(*), max(a.i) FROM numbers a JOIN numbers b ON a.text = b.text'
}

# Clients that are told of each row, until the server is killed with all its processes.
kill_while_loading() {
	loading=
	for client_nr in 1 2 3; do
		awk -v client="$client_nr" 'BEGIN {
			for (i = 1; i <= 100000; i++)
				print "INSERT INTO told VALUES (" client ", " i ") RETURNING number;"
		}' | stdbuf -oL psql -X -q -A -t -v ON_ERROR_STOP=1 >"$scratch/told.$client_nr" 2>"$scratch/err" &
		loading="$loading $!"
	done
	for client_nr in 1 2 3; do
		until [ "$(wc -l <"$scratch/told.$client_nr")" -ge 50 ]; do
			kill -0 "$server" 2>/dev/null || fail 'the server has gone'
			sleep 0.05
		done
	done
	kill -STOP "$postmaster"
	pkill -KILL -P "$postmaster"
	kill -KILL "$postmaster"
	for process in $loading; do
		! wait "$process" || fail 'a client has come to its end'
	done
	server_end 137
}

expect_told() {
	for client_nr in 1 2 3; do
		told=$(wc -l <"$scratch/told.$client_nr")
		there=$(query "SELECT count(*) FROM told WHERE client = $client_nr AND number <= $told")
		[ "$there" -eq "$told" ] || fail "client $client_nr: $told rows were acknowledged, $there are there"
	done
}

# Everything a server can do in its life; what it was is in $scratch/$1.
life() { # VARIANT SETTING...
	variant=$1
	shift
	rm -rf "$work"
	mkdir -m 711 "$work"
	[ -z "$as_user" ] || chown 65534:65534 "$work" "$scratch/stats" "$scratch/images"
	: >"$work/log"
	create "$@"
	server_begin
	load
	digest >"$scratch/$variant"
	kill_while_loading
	server_begin
	digest >>"$scratch/$variant"
	expect_told
	kill -INT "$postmaster"
	server_end 0
	as pg_checksums -c -D "$work/data" >"$scratch/out" 2>&1 || fail 'checksums of pages are wrong'
	# What the server complains of. FATAL is what a client is told that comes too early or stays too long.
	sed -n '/^--- begin/p; /^\(PANIC\|ERROR\|WARNING\|daxsync\): /p; /terminated by signal/p' "$work/log" \
		>>"$scratch/$variant"
}

expect_same() { # VARIANT
	sed '/^daxsync: emulated persistent memory/d; /^daxsync: .*: the kernel keeps it: /d' "$scratch/$1" >"$scratch/out"
	diff "$scratch/native" "$scratch/out" >"$scratch/err" || fail "not the same as natively: $1"
	! find "$work/data/pg_dynshmem" -name 'mmap.*' | grep -q . || fail 'dynamic shared memory is left behind'
}

# Dynamic shared memory is in /dev/shm, or in files of the server's directory.
run() {
	how="$daxsync run --emulate --verify --engine=$engine --image-dir=$scratch/images --stats=$scratch/stats/%p.json"
	kinds=mmap
	[ "$engine" != uffd ] || kinds=posix
	for kind in ${POSTGRES_KINDS:-$kinds}; do
		life emulated "dynamic_shared_memory_type = $kind" 'shared_memory_type = sysv'
		expect_same emulated
		[ "$(sum missed_pages)" -eq 0 ] || fail "missed pages: $(sum missed_pages)"
		modes=$(jq -r -s '[.[].mappings[].mode] | group_by(.) | map("\(length) \(.[0])") | join(", ")' \
			"$scratch"/stats/*.json)
		[ -n "$modes" ] || fail 'no mapping was seen'
		figures "$kind: mappings $modes"
		rm -f "$scratch"/stats/* "$scratch"/images/*
	done
}

how=
work=$scratch/work
mkdir "$scratch/stats" "$scratch/images"
life native
how="$daxsync run --"
life shim 'dynamic_shared_memory_type = mmap'
expect_same shim
rm -rf "$work" "$scratch/stats" "$scratch/images"
each_engine run
