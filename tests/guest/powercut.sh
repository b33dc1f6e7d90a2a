#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# powercut.sh [OPTION...] BUILD KERNEL: cuts the power of a guest again and
# again while workloads run under the library on all its file systems, and has
# the next boot check what they had been told is durable (powercut_workload.c).
#
#   -c CUTS   how many (5)
#   -s SEED   of the moments of the cuts, and of what the workloads do
#   -k KINDS  only these workloads (names with blanks between; default: in turn
#             all at once, and one alone, which no other's syncs can help)
#   -f FAULT  with this fault of the library's; then something must get lost
#             within so many cuts
#   -w        with the CPU's caches: what was not written back and fenced is
#             lost as well (cache/cache.c), and each sync is judged when it has
#             returned (cache/promises.c)
#   -b NAME   with the library that cache/NAME.patch breaks; as with a fault
#   -p POLICY with this policy of the library's
#   -n        without the library, and without device DAX, for which the kernel
#             has no msync: whether the kernel keeps its promise by itself
set -eu
# shellcheck source=tests/guest/lib.sh
. "${0%/*}/lib.sh"

cuts=5 seed=$(date +%s) kinds='' fault=none policy=adaptive broken='' simulated='' native=''
while getopts c:s:k:f:p:wb:n option; do
	case $option in
	c) cuts=$OPTARG ;;
	s) seed=$OPTARG ;;
	k) kinds=$OPTARG ;;
	f) fault=$OPTARG ;;
	p) policy=$OPTARG ;;
	w) simulated=-w ;;
	b) broken=$OPTARG ;;
	n) native=1 ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -eq 2 ] || fail 'usage: powercut.sh [-c CUTS] [-s SEED] [-k KINDS] [-f FAULT] [-p POLICY] [-w] [-b NAME | -n] BUILD KERNEL'
guest_begin "$1" "$2"
workload=$build/bin/tests/powercut_workload
[ -x "$workload" ] || fail "$workload was not built"
[ -z "$broken" ] || [ -d "$build/lib/broken/$broken" ] ||
	skip "the library with $broken.patch was not built (package patch)"
is_right=1
[ "$fault$broken" = none ] || is_right=
systems='ext4 xfs ext2 dax'
[ -z "$native" ] || broken=kernel systems='ext4 xfs ext2'

scratch=$(mktemp -d "$guest/powercut.XXXXXX")
left=$guest/left.${scratch##*.}
trap 'rm -rf "$scratch"' EXIT
trap 'exit 143' HUP INT TERM
echo "seed $seed"

# Lehmer's generator. Small seeds start alike.
state=$((seed % 2147483646 + 1))
random() { # MAX: sets $random
	state=$((state * 16807 % 2147483647))
	random=$((state % $1))
}
for _ in 1 2 3 4 5; do
	random 2
done

# Which workloads of a file system run in this cut.
choose() { # FS CUT
	if [ -n "$kinds" ]; then
		wanted=$kinds
	elif [ $(($2 % 2)) -eq 1 ]; then
		wanted=$("$workload" kinds "$1")
	else
		random 1000
		wanted=$("$workload" kinds "$1" | awk -v random="$random" '{ kind[NR] = $0 } END { print kind[random % NR + 1] }')
	fi
	for kind in $("$workload" kinds "$1"); do
		for one in $wanted; do
			[ "$one" != "$kind" ] || jobs="$jobs $1:$kind"
		done
	done
}

# Boots, and shows what there is to show. Sets $status.
boot() { # [OPTION...] -- FS:KIND...
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	status=0
	[ -n "$is_right" ] || options="$options -q"
	# shellcheck disable=SC2086 # several words
	sh "$here/run.sh" -n -t 600 -i "$scratch/images" -p "$workload" $simulated $options "$build" "$kernel" \
		"$here/jobs/powercut.sh" "$seed" "$fault" "$policy" "${broken:-.}" "$@" >"$scratch/out" || status=$?
	cat "$scratch/out" >>"$scratch/all"
	if [ "$status" -eq 77 ]; then
		cat "$scratch/out"
		exit 77
	fi
	grep -v '^ok ' "$scratch/out" || true
}

# What was in the caches only. The workloads' slots are durable at once.
caches_lost() {
	(cd "$scratch/images" && "$build/bin/tests/guest_cut" "$((seed + cut))" pending 3:$((2 << 20)):8192 ext4.img xfs.img \
		ext2.img dax.img) >"$scratch/lines"
	tee -a "$scratch/all" <"$scratch/lines"
}

# What the cut has left, for who wants to know why it was not survived: the next boot repairs it.
images_kept() {
	mkdir -p "$left"
	for image in "$scratch"/images/*.img; do
		cp --sparse=always "$image" "$left/"
	done
}

# A fault must be found, and a cut must be survived.
judge() { # CUTS
	case ${is_right:-0}:$status in
	1:1) fail "a power cut was not survived (cut $1, seed $seed); what it left is in $left" ;;
	*:1)
		! grep -q fsck: "$scratch/out" || fail 'a file system was damaged'
		echo "found after $1 cuts: $(grep -c ^LOST "$scratch/out") workloads have lost what was promised"
		exit 0
		;;
	*) fail "the guest ended with $status" ;;
	esac
}

cut=0
while [ "$cut" -lt "$cuts" ]; do
	jobs=
	for fs in $systems; do
		choose "$fs" "$cut"
	done
	random 3000
	after=$((random / 1000)).$(printf %03d $((random % 1000)))
	echo "cut $((cut + 1)) of $cuts, after $after s:$jobs" | tee -a "$scratch/all"
	# shellcheck disable=SC2086 # several words
	boot -c "$after" -- $jobs
	! grep '^promises: BROKEN' "$scratch/out" || [ -z "$is_right" ] ||
		fail "a sync has returned before all of it was durable (cut $((cut + 1)), seed $seed)"
	[ "$status" -eq 137 ] || judge "$cut"
	[ -z "$simulated" ] || caches_lost
	[ -z "$is_right" ] || images_kept
	cut=$((cut + 1))
done
boot --
[ "$status" -eq 0 ] || judge "$cuts"
[ -n "$is_right" ] || fail "$cuts cuts, and nothing was lost although the library lets it"
rm -rf "$left"

# Each workload is checked after each cut, whether it was among those that ran or not.
echo "$cuts cuts of kernel $(cat "$guest/version"), seed $seed. Ran in, and records that were checked and right:"
awk '$1 == "cut" { for (i = 8; i <= NF; i++) runs[$i]++ }
	$1 == "ok" { sub(":", "", $3); records[$2 ":" $3] += $9 }
	END { for (name in records) printf "  %-14s %3d cuts %8d records\n", name, runs[name], records[name] }' \
	"$scratch/all" | sort
