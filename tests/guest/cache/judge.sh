#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# judge.sh BUILD KERNEL [SEED]: whether the simulation of the CPU's caches tells right programs from wrong ones: each way of
# judge.c runs in the guest, alone and then all at once, until the power goes; of the right one nothing may be lost, of

set -eu
# shellcheck source=tests/guest/lib.sh
. "${0%/*}/../lib.sh"
guest_begin "$1" "$2"
here=${here%/cache}
seed=${3:-1}
judge=$build/bin/tests/guest_judge
scratch=$(mktemp -d "$guest/judge.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 143' HUP INT TERM
cat >"$scratch/job" <<'JOB'
guest_judge run "$@" &
echo ready >/dev/ttyS2
wait
JOB
failed=0
cut_and_check() { # WAY...
	status=0
	sh "$here/run.sh" -n -w -c 2 -i "$scratch/images" -p "$judge" "$build" "$kernel" "$scratch/job" "$@" || status=$?
	[ "$status" -eq 137 ] || skip_or_fail "$status"
	(cd "$scratch/images" && "$build/bin/tests/guest_cut" "$seed" pending 3:$((2 << 20)):8192 ext4.img xfs.img ext2.img dax.img)
	for way; do
		wanted=1
		[ "$way" != right ] || wanted=0
		status=0
		"$judge" check "$scratch/images/dax.img" "$way" || status=$?
		[ "$status" -eq "$wanted" ] || {
			echo "judge.sh: $way: not seen as what it is"
			failed=1
		}
	done
}
for ways in 'no-fence right' 'fence-first right' 'other-line no-flush right'; do
	# shellcheck disable=SC2086 # several words
	cut_and_check $ways
done
[ "$failed" -eq 0 ] || exit 1
echo 'judge.sh: right and wrong programs are told apart'
