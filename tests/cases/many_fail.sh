#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# many_fail.sh BUILD ENGINE PROGRAM FILE: one flush fails, of the first, the second and the third file of a call that syncs
# several: that call says so, and no other.
set -eu
build=$1 engine=$2 program=$3 file=$4
failed=0

says() { # FAULT CALL EXPECTED
	said=$("$build/bin/daxsync" run --emulate --verify --engine="$engine" ${1:+--fault="$1"} -- "$program" "$2" "$file")
	[ "$said" = "$3 " ] && return
	echo "$2 with fault '$1': $said, not $3"
	failed=1
}

for call in syncfs msync; do
	says '' "$call" '1:0 2:0 3:0'
	says flush-error@1 "$call" '1:EIO 2:0 3:0'
done
for nr in 2 3; do
	says flush-error@$nr syncfs '1:EIO 2:0 3:0'
	says flush-error@$nr msync '1:EIO 2:0 3:0'
	says flush-error@$((nr + 3)) syncfs '1:0 2:EIO 3:0'
done
exit $failed
