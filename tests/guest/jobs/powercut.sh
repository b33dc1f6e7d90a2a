#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# powercut.sh SEED FAULT POLICY BROKEN [FS:KIND...]: the guest's part of ../powercut.sh, one
# boot. It recovers the file systems from the last cut, as a machine does that
# comes up again, checks them and what they were promised to hold, says "ready",
# and works until the power is cut. Without FS:KIND it ends after the checks.
# FAULT is one for the library, or "none"; POLICY is the library's; BROKEN the build of it below lib/broken,
# "." for the right one, or "kernel" for none: then the kernel alone keeps what it
# has promised.
#
# Exit status: 0; 1 if something is lost; 2 if something else went wrong.
set -u
seed=$1 fault=$2 policy=$3 broken=$4
shift 4
workload=powercut_workload

complain() {
	echo "powercut.sh: $*"
	exit 2
}

# Nothing is written back but what somebody asks for.
echo 0 >/proc/sys/vm/dirty_writeback_centisecs
echo 720000 >/proc/sys/fs/xfs/xfssyncd_centisecs 2>/dev/null

mount_one() { # FS
	mkdir -p "/mnt/$1"
	case $1 in
	ext4) mount -t ext4 -o dax=always,commit=300 /dev/pmem0 /mnt/ext4 ;;
	xfs) mount -t xfs -o dax=always /dev/pmem1 /mnt/xfs ;;
	ext2)
		# Debian's kernels have no ext2 driver. The ext4 driver serves the format, but as ext2 it refuses dax.
		driver=ext4
		[ ! -d /sys/module/ext2 ] || driver=ext2
		mount -t "$driver" -o dax=always /dev/pmem2 /mnt/ext2
		;;
	esac || complain "no mount of $1"
}

# A mount replays the journal; after that there is nothing to repair. Without a journal a repair comes first, of the
# kind that needs nobody's consent.
clean() { # FS COMMAND...
	fs=$1
	shift
	"$@" >/tmp/fsck 2>&1 && return
	status=$?
	sed 's/^/    /' /tmp/fsck
	echo "LOST $fs fsck: $* says $status"
	lost=1
}

lost=0
mount_one ext4
mount_one xfs
umount /mnt/ext4 /mnt/xfs || complain 'umount'
clean ext4 e2fsck -fn /dev/pmem0
clean xfs xfs_repair -n /dev/pmem1
e2fsck -p /dev/pmem2 >/tmp/fsck 2>&1
status=$?
if [ "$status" -gt 1 ]; then
	sed 's/^/    /' /tmp/fsck
	echo "LOST ext2 fsck: e2fsck -p says $status"
	lost=1
fi
clean ext2 e2fsck -fn /dev/pmem2
for fs in ext4 xfs ext2; do
	mount_one "$fs"
done

for fs in ext4 xfs ext2 dax; do
	for kind in $("$workload" kinds "$fs"); do
		"$workload" check "$kind" "$fs" "$seed"
		case $? in
		0) ;;
		1) lost=1 ;;
		*) complain "$workload check $kind $fs" ;;
		esac
	done
done
[ "$lost" -eq 0 ] || exit 1
[ $# -gt 0 ] || exit 0

# Each workload says when it has begun to work. None ends by itself.
for job; do
	"$workload" prepare "${job#*:}" "${job%:*}" "$seed" || complain "$workload prepare $job"
done
sync
set -- "$fault" "$@"
mkfifo /tmp/said
exec 3<>/tmp/said
[ "$1" = none ] || export DAXSYNC_FAULT="$1"
shift
run="$BUILD/bin/daxsync run --strict --policy=$policy --"
case $broken in
.) ;;
kernel) run= ;;
*) export LD_LIBRARY_PATH="$BUILD/lib/broken/$broken" ;;
esac
for job; do
	(
		# shellcheck disable=SC2086 # several words, or none
		$run "$workload" run "${job#*:}" "${job%:*}" "$seed"
		echo "$job ended with $?"
	) >&3 3>&- &
done
working=0
while [ "$working" -lt $# ]; do
	read -r line <&3
	[ "$line" = working ] || complain "$line"
	working=$((working + 1))
done
echo ready >/dev/ttyS2
read -r line <&3
complain "$line"
