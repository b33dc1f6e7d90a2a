#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# modes.sh [-p K/N] [CASE...]: in a guest whose NVDIMMs have persistent CPU caches (run.sh -e), and that has a virtio-pmem
# device (-a): the modes `byte` and `kernel`. Of the conformance suite all cases; with K/N every N-th from number K on.
set -eu

part=0/1
if [ "${1:-}" = -p ]; then
	part=$2
	shift 2
fi

daxsync=$BUILD/bin/daxsync
ledger=$BUILD/bin/examples/ledger
syncs=msync,fsync,fdatasync,sync_file_range,syncfs,sync
nr_ops=500 batch=25
status=0

command -v strace >/dev/null || {
	echo 'SKIP: guest: strace is missing (package strace)'
	exit 77
}
head -n "$nr_ops" UnicodeData.txt >/tmp/table

expect() { # WHAT CONDITION...
	what=$1
	shift
	if [ "$@" ]; then
		echo "ok: $place: $what"
	else
		echo "FAIL: $place: $what ($*)"
		status=1
	fi
}

counter() { # NAME, of /tmp/stats
	sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" /tmp/stats | head -n 1
}

mapped_as() { # MODE: that of all mappings in /tmp/stats, and no engine
	tr -d ' \n' </tmp/stats | grep -o '"mode":"[a-z]*","engine":"[a-z]*"' | sort -u >/tmp/mapped
	! grep -v "^\"mode\":\"$1\",\"engine\":\"\(none\|any\)\"" /tmp/mapped && [ -s /tmp/mapped ] && echo yes
}

check_says() { # PATH WORDS
	"$daxsync" check -v "$1" >/tmp/check 2>&1 || true
	if grep -q "$2" /tmp/check; then
		echo yes
	else
		cat /tmp/check
	fi
}

load() { # DIRECTORY COMMAND...: leaves /tmp/strace and /tmp/acknowledged
	dir=$1
	shift
	mkdir "$dir"
	strace -f -qq -o /tmp/strace -e "trace=$syncs" "$@" lmdb_unicode load "$dir" /tmp/table "$batch" 8M \
		>/tmp/acknowledged || true
	expect 'all of LMDB is acknowledged' "$(tail -n 1 /tmp/acknowledged)" = "committed $nr_ops"
}

content() { # DIRECTORY
	if lmdb_unicode check "$1" /tmp/table "$nr_ops" "$batch" >/dev/null; then
		echo right
	fi
}

byte() { # DIRECTORY
	load "$1/db" "$daxsync" run --stats=/tmp/stats --
	expect 'mode byte, no engine' "$(mapped_as byte)" = yes
	expect 'no store traps' "$(counter traps)" -eq 0
	expect 'no page is flushed' "$(counter pages_flushed)" -eq 0
	expect 'a fence for each sync' "$(counter fences)" -eq "$(counter syncs)"
	expect 'two syncs for each commit' "$(counter syncs)" -ge $((2 * nr_ops / batch))
	expect 'of all these one is the kernel'\''s, as is pending for a new mapping' "$(counter kernel_syncs)" -eq 1
	expect 'which strace saw, and no other' "$(grep -c sync /tmp/strace)" -eq 1
	expect 'the content' "$(content "$1/db")" = right

	for text in one two; do
		DAXSYNC_STRICT=1 "$daxsync" run --stats=/tmp/stats -- "$ledger" "$1/ledger" "$text" >/dev/null
	done
	expect 'the ledger, in strict mode' "$("$ledger" "$1/ledger" | tr '\n' ' ')" = 'one two '
}

for fs in ext4 xfs ext2; do
	place=$fs
	device=$(awk -v dir="/mnt/$fs" '$2 == dir { sub("/dev/", "", $1); print $1 }' /proc/mounts)
	expect 'the device has no write cache' "$(cat "/sys/block/$device/dax/write_cache")" = 0
	expect 'daxsync check: byte' "$(check_says "/mnt/$fs" '^  mode  *byte')" = yes
	byte "/mnt/$fs"
done

place='device DAX'
dax=$(readlink /dev/dax)
expect 'daxsync check: byte' "$(check_says "$dax" '^  mode  *byte')" = yes

# Without libpmem2 it is as without daxsync: the kernel, which has no msync for it, answers.
pmem2=$(find / -xdev -name libpmem2.so.1)
mv "$pmem2" /tmp/libpmem2
expect 'without libpmem2 an msync is the kernel'\''s' "$("$daxsync" run -- "$BUILD/bin/tests/conformance" -s -u -m device \
	-d "$dax" munmap_then_fsync 2>&1 | grep -c 'msync(addr, len, MS_SYNC) (errno 22,')" -eq 1
refused=$(DAXSYNC_STRICT=1 "$daxsync" run -- "$BUILD/bin/tests/conformance" -s -u -m device -d "$dax" \
	munmap_then_fsync 2>&1) || true
expect 'and its mmap refused with DAXSYNC_STRICT=1' "$(echo "$refused" | grep -c 'mmap refused')" -eq 1
mv /tmp/libpmem2 "$pmem2"

# The asynchronous device.
place=virtio-pmem device=
for block in /sys/block/pmem*; do
	case $(readlink -f "$block") in
	*virtio*) device=${block##*/} ;;
	esac
done
expect 'there is a device' -n "$device"
mke2fs -q -F -t ext4 -b 4096 "/dev/$device"
mkdir /mnt/virtio
mount -t ext4 -o dax=always "/dev/$device" /mnt/virtio
expect 'daxsync check: MAP_SYNC is refused' "$(check_says /mnt/virtio '^  MAP_SYNC  *refused')" = yes
expect 'daxsync check: kernel' "$(check_says /mnt/virtio '^  mode  *kernel')" = yes

load /mnt/virtio/native env
native=$(grep -c sync /tmp/strace)
load /mnt/virtio/db "$daxsync" run --stats=/tmp/stats --
expect 'mode kernel, no engine' "$(mapped_as kernel)" = yes
expect 'no store traps' "$(counter traps)" -eq 0
expect "as many sync calls as without daxsync, $native" "$(grep -c sync /tmp/strace)" -eq "$native"
expect 'that is two for each commit' "$native" -ge $((2 * nr_ops / batch))
"$daxsync" run -- "$ledger" /mnt/virtio/ledger one >/dev/null

# What is on the medium at this moment, as after a power cut, in the place of another file system.
place='virtio-pmem, the medium'
umount /mnt/ext2
dd if="/dev/$device" of=/dev/pmem2 bs=1M conv=notrunc 2>/dev/null
mkdir /mnt/medium
mount -t ext4 -o dax=always /dev/pmem2 /mnt/medium
expect 'LMDB'\''s content' "$(content /mnt/medium/db)" = right
expect 'the ledger' "$("$ledger" /mnt/medium/ledger)" = one
umount /mnt/medium

place=virtio-pmem
refused=$(DAXSYNC_STRICT=1 "$daxsync" run -- "$ledger" /mnt/virtio/ledger two 2>&1) && refused="not refused: $refused"
expect 'DAXSYNC_STRICT=1 fails the mmap, and says why' "$(echo "$refused" | grep -c 'mmap: Operation not supported')" -eq 1
expect 'and nothing was added' "$("$ledger" /mnt/virtio/ledger)" = one

# The conformance suite where nothing is tracked: what a program may do to a mapping works as without the library. The
# two cases that fill a file system with as many pieces as there may be VMAs are about nothing else.
cases=${*:-$("$BUILD/bin/tests/conformance" -l -m directory -d /mnt/ext4 | grep -v beyond_max_map_count |
	awk -v part="$part" 'split(part, of, "/") && (NR - 1) % of[2] == of[1] { print $2 }')}
cases_run() { # MEMORY PATH NAME
	# shellcheck disable=SC2086 # several names
	"$daxsync" run -- "$BUILD/bin/tests/conformance" -s -u -t 120 -m "$1" -d "$2" $cases >"/tmp/cases.$3" 2>&1 || true
}
cases_run directory /mnt/virtio virtio &
cases_run directory /mnt/ext4 ext4
cases_run device "$dax" device
wait
for place in ext4 virtio device; do
	grep -v '^PASS\|^SKIP' "/tmp/cases.$place" || true
	expect 'the conformance suite' "$(tail -n 1 "/tmp/cases.$place" | grep -c '^[1-9][0-9]* passed, 0 failed')" -eq 1
done
umount /mnt/virtio
exit $status
