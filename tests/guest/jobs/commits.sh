#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# commits.sh: in a guest, what LMDB's commits ask of the kernel, natively and under the shim, on each file system. Two
# witnesses: strace for the sync calls; and the kernel's tracepoints, which tell in one sequence the sync calls, the
# acknowledgements ("committed N", written to a pipe), and what fs/dax.c writes back of the data file:
#   dax_writeback_range   a call to write back a range of the file
#   dax_writeback_one     an entry that was dirty there, and was flushed
# The file is either sparse, as LMDB makes it, or has all of its blocks before. In a hole, a first store allocates a
# block, and MAP_SYNC makes that fault wait for the file system's journal, by vfs_fsync_range() for the new page
# (dax_finish_sync_fault() in fs/dax.c, Linux 6.12): a range of one page, in which nothing is dirty yet, and no sync of
# the program's.
set -eu

daxsync=$BUILD/bin/daxsync
tracing=/sys/kernel/tracing/instances/commits
syncs='msync fsync fdatasync sync_file_range syncfs sync'
nr_ops=1000 batch=50 mapsize=$((8 << 20))
nr_commits=$((nr_ops / batch))
status=0

if ! command -v strace >/dev/null; then
	echo 'SKIP: guest: strace is missing (package strace)'
	exit 77
fi
head -n "$nr_ops" UnicodeData.txt >/tmp/table

mkdir "$tracing"
echo nop >"$tracing/current_tracer"
echo 16384 >"$tracing/buffer_size_kb"
for call in $syncs write; do
	echo 1 >"$tracing/events/syscalls/sys_enter_$call/enable"
done
for event in dax_writeback_range dax_writeback_one; do
	echo 1 >"$tracing/events/fs_dax/$event/enable"
done

# An environment of LMDB whose data file has all of its blocks.
prepare_written() { # DIRECTORY
	printf '%s\n' VERSION=3 format=bytevalue type=btree "mapsize=$mapsize" HEADER=END DATA=END |
		mdb_load "$1" || return 1
	used=$(stat -c %s "$1/data.mdb")
	dd if=/dev/zero of="$1/data.mdb" bs=4096 seek=$((used / 4096)) count=$(((mapsize - used) / 4096)) conv=notrunc \
		2>/dev/null
	sync
}

run() { # DIRECTORY COMMAND...: leaves /tmp/strace, /tmp/trace, /tmp/acknowledged
	dir=$1
	shift
	echo >"$tracing/trace"
	echo 1 >"$tracing/tracing_on"
	strace -f -qq -o /tmp/strace -e "trace=$(echo "$syncs" | tr ' ' ,)" "$@" lmdb_unicode load "$dir" /tmp/table \
		"$batch" "$mapsize" >/tmp/acknowledged
	echo 0 >"$tracing/tracing_on"
	cp "$tracing/trace" /tmp/trace
}

# What the tracepoints tell of a run, in numbers: sync calls, ranges and entries written back, before the new
# environment was acknowledged and after.
tell() { # DIRECTORY
	awk -v "ino=$(printf '0x%x' "$(stat -c %i "$1/data.mdb")")" '
		/ sys_write\(fd: 1,/ && /lmdb_unicode-/ { acknowledged++ }
		/ sys_(msync|fsync|fdatasync|sync_file_range|syncfs|sync)\(/ && /lmdb_unicode-/ { calls[acknowledged > 0]++ }
		/ dax_writeback_range: / && $0 ~ "ino " ino " " {
			ranges[acknowledged > 0]++
			split($0, pages, /pgoff |-/)
			if (pages[length(pages) - 1] != pages[length(pages)])
				wide[acknowledged > 0]++
		}
		/ dax_writeback_one: / && $0 ~ "ino " ino " " { entries[acknowledged > 0]++ }
		END {
			printf "acknowledged=%d ", acknowledged
			printf "calls_before=%d ranges_before=%d entries_before=%d ", calls[0], ranges[0], entries[0]
			printf "calls=%d ranges=%d wide=%d entries=%d\n", calls[1], ranges[1], wide[1], entries[1]
		}' /tmp/trace
}

expect() { # WHAT CONDITION...
	what=$1
	shift
	[ "$@" ] || {
		echo "FAIL: $fs, $kind, $way: $what"
		status=1
	}
}

judge() { # DIRECTORY
	told=$(tell "$1")
	acknowledged=0 calls_before=0 ranges_before=0 entries_before=0 calls=0 ranges=0 wide=0 entries=0
	eval "$told"
	straced=$(grep -c 'sync' /tmp/strace || true)
	echo "$fs, $kind, $way: strace: $straced sync calls; the kernel: until LMDB was ready $calls_before sync calls," \
		"$ranges_before ranges and $entries_before entries written back; then, in $((acknowledged - 1)) commits," \
		"$calls, $ranges and $entries"
	expect 'all is acknowledged' "$(tail -n 1 /tmp/acknowledged)" = "committed $nr_ops"
	expect 'each acknowledgement is in the trace' "$acknowledged" -eq $((nr_commits + 1))
	expect 'strace and the kernel agree' "$straced" -eq $((calls_before + calls))
	expect 'the content' "$(lmdb_unicode check "$1" /tmp/table "$nr_ops" "$batch" >/dev/null && echo right)" = right
	if [ "$way" = natively ]; then # so that what follows can fail
		expect 'each commit is a sync call at least' "$calls" -ge "$nr_commits"
		expect 'the kernel writes back in each commit' "$entries" -ge "$nr_commits"
		return
	fi
	expect 'mode direct' "$(grep -c '"mode": *"direct"' /tmp/stats)" -ge 1
	expect 'no sync call but the one that is pending for a new mapping' "$calls_before" -eq 1
	expect 'that one is an msync' "$(grep -c 'msync(' /tmp/strace)" -eq 1
	expect 'no sync call in any commit' "$calls" -eq 0
	expect 'nothing is written back in any commit' "$entries" -eq 0
	expect 'no range of more than a page' "$wide" -eq 0
	[ "$kind" = sparse ] || expect 'no range at all' "$ranges" -eq 0
}

for fs in ext4 xfs ext2; do
	for kind in sparse written; do
		for way in natively 'under daxsync'; do
			dir=/mnt/$fs/db
			mkdir "$dir"
			if [ $kind = written ] && ! prepare_written "$dir" 2>/dev/null; then
				echo "$fs, $kind: left out, mdb_load is missing (package lmdb-utils)"
			elif [ "$way" = natively ]; then
				run "$dir" env
				judge "$dir"
			else
				run "$dir" "$daxsync" run --stats=/tmp/stats --
				judge "$dir"
			fi
			rm -r "$dir"
		done
	done
done
exit $status
