#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# bench.sh RUNS PAGES...: in a guest, bench.c and LMDB with the kernel's msync and with daxsync, in turns. Prints bench's
# lines with the file system and the way before them.
set -eu

daxsync=$BUILD/bin/daxsync
bench=$BUILD/bin/tests/bench
runs=$1 nr_ops=500 batch=10 rounds=8
shift

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

head -n "$nr_ops" UnicodeData.txt >/tmp/table
for fs in ext4 xfs; do
	"$bench" prepare "/mnt/$fs"
done
sync
run=0
while [ "$run" -lt "$runs" ]; do
	run=$((run + 1))
	for fs in ext4 xfs; do
		for way in kernel daxsync never-close; do
			{
				# shellcheck disable=SC2046 # several words
				$(prefix "$way") "$bench" cells "/mnt/$fs" "$rounds" "$@"
				lmdb "$way" "/mnt/$fs/db"
			} | sed "s/^/$fs $way /"
		done
	done
done
