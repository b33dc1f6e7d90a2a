#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# conformance.sh [-t ENGINE:PLACE[:K/N]]... [CASE...]: in a guest, the conformance suite on each engine and kind of memory,
# two at a time, or on some of them (-t); with K/N every N-th case from number K on. Each line of what it says begins with
# the two. What says nothing of a case is about the whole run.
set -eu

conformance=$BUILD/bin/tests/conformance

if [ "${1:-}" != --table ]; then
	tables='mprotect:device mprotect:hugetlbfs uffd:hugetlbfs mprotect:ext4 mprotect:xfs mprotect:ext2 mprotect:tmpfs
		uffd:tmpfs mprotect:memfd uffd:memfd'
	only=
	while [ "${1:-}" = -t ]; do
		only="$only $2"
		shift 2
	done
	[ -z "$only" ] || tables=$only
	printf '%s\n' "$@" >/tmp/cases
	mount -o remount,size=80% /dev/shm
	echo 64 >/proc/sys/vm/nr_hugepages
	# The cases that use up all the mappings a process may have would take minutes.
	echo 2048 >/proc/sys/vm/max_map_count
	# shellcheck disable=SC2086 # several names
	echo columns $tables | sed 's,:[0-9]*/[0-9]*,,g'
	# shellcheck disable=SC2086 # several names
	printf '%s\n' $tables | xargs -P 2 -n 1 sh "$0" --table
	exit
fi

engine=${2%%:*} place=${2#*:}
part=${place#*:} place=${place%%:*}
[ "$part" != "$place" ] || part=0/1
out=/tmp/$engine.$place
: >"$out"

run() { # OPTION-OF-DAXSYNC... -- OPTION-OF-CONFORMANCE... [CASE...]
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	status=0
	# shellcheck disable=SC2086 # several options
	"$BUILD/bin/daxsync" run --engine="$engine" --policy=always-close $options -- "$conformance" -s "$@" \
		>>"$out" 2>&1 || status=$?
	case $status in
	0 | 1 | 77) ;; # said by the cells
	*) echo "FAIL the run: exit status $status" >>"$out" ;;
	esac
}

# What is on persistent memory must be served as such.
check_direct() { # PATH
	"$BUILD/bin/daxsync" check -v "$1" >"/tmp/check.$place" 2>&1 || true
	grep -q '^  mode  *direct' "/tmp/check.$place" || {
		echo 'FAIL the run: the mode is not direct'
		sed 's/^/    /' "/tmp/check.$place"
	} >>"$out"
}

cases=$(cat /tmp/cases)
[ -n "$cases" ] || cases=$("$conformance" -l -m tmpfs | awk '{ print $2 }')
cases=$(echo "$cases" | awk -v part="$part" 'split(part, of, "/") && (NR - 1) % of[2] == of[1]')
[ -n "$cases" ] || exit 0 # fewer than N
# shellcheck disable=SC2086 # one name a line
case $place in
tmpfs | memfd) run --emulate --verify -- -m "$place" $cases ;;
hugetlbfs)
	# The durable images of a run are in memory until it ends, and they are large.
	echo "$cases" | xargs -n 20 echo >"/tmp/chunks.$engine"
	while read -r cases; do
		# shellcheck disable=SC2086 # several names
		run --emulate --verify -- -m hugetlbfs $cases
	done <"/tmp/chunks.$engine"
	;;
device)
	device=$(readlink /dev/dax)
	check_direct "$device"
	run --verify -- -m device -d "$device" $cases
	;;
*)
	check_direct "/mnt/$place"
	run --verify -- -m directory -d "/mnt/$place" $cases
	;;
esac
sed "s/^/$engine:$place /" "$out"
