#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# many_mappings.sh BUILD ENGINE PROGRAM FILE: the CPU time of many_mappings.c grows with what it does, not with its square,
# and mapping a file again costs a few times what it costs without the library. The bars are wide: what was wrong was
# beyond them by factors.
set -eu
build=$1 engine=$2 program=$3 file=$4
status=0

under() { # KIND N: microseconds
	"$build/bin/daxsync" run --emulate --log=error --engine="$engine" -- "$program" "$file" "$1" "$2" 2>"$file.err" || {
		echo "FAIL: $1 $2: exit status $?" >&2
		cat "$file.err" >&2
		exit 1
	}
}

grows() { # KIND N: eight times as many take less than 24 times as long
	few=$(under "$1" "$2")
	many=$(under "$1" $((8 * $2)))
	echo "$1: $2: $few us; $((8 * $2)): $many us"
	[ "$many" -lt $((24 * few)) ] || {
		echo "FAIL: $1: not linear"
		status=1
	}
}

grows one 500
grows files 250
native=$("$program" "$file" again 20000)
tracked=$(under again 20000)
echo "again: $native us, under the shim $tracked us"
[ "$tracked" -lt $((40 * native)) ] || {
	echo 'FAIL: again: costs more than 40 times what it does without the library'
	status=1
}
rm -f "$file".*
exit $status
