#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# bench.sh RUNS "WORKLOADS" PAGES...: in a guest, bench.c and LMDB (the workload lmdb) with the kernel's msync and with
# daxsync, in turns. Prints bench's lines with the run and the way before them, and the file system behind the cell.
set -eu

daxsync=$BUILD/bin/daxsync
bench=$BUILD/bin/tests/bench
runs=$1 workloads=$2 nr_ops=500 batch=10
shift 2

prefix() { # WAY
	case $1 in
	daxsync) echo "$daxsync run --" ;;
	never-close) echo "$daxsync run --policy=never-close --" ;;
	esac
}

# The first round stores to holes, the others to blocks that are there.
lmdb() { # WAY DIRECTORY
	mkdir "$2"
	# shellcheck disable=SC2046 # several words
	"$bench" rate $((nr_ops / batch)) $(prefix "$1") lmdb_unicode churn "$2" /tmp/table 4 "$batch" 8M
	rm -r "$2"
}

measure() { # WAY WORKLOAD FILE-SYSTEM PAGES...
	way=$1 workload=$2 fs=$3
	shift 3
	if [ "$workload" = lmdb ]; then
		lmdb "$way" "/mnt/$fs/db"
	else
		# shellcheck disable=SC2046 # several words
		$(prefix "$way") "$bench" cells "/mnt/$fs" "$workload" "$@"
	fi >/tmp/measured # not a pipe, whose status would be another one's
	sed "s/^\([^	]*\)/$run	$way	\1:$fs/" /tmp/measured
}

head -n "$nr_ops" UnicodeData.txt >/tmp/table
for fs in ext4 xfs; do
	"$bench" prepare "/mnt/$fs"
done
sync
run=1
while [ "$run" -le "$runs" ]; do
	for fs in ext4 xfs; do
		for workload in $workloads; do
			for way in kernel daxsync never-close; do
				measure "$way" "$workload" "$fs" "$@"
			done
		done
	done
	run=$((run + 1))
done
