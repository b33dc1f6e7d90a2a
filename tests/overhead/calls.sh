#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# calls.sh BUILD ENGINE: calls that have nothing to do with any mapping make as many system calls under the shim as without.
set -eu
build=$(cd "$1" && pwd)
engine=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=$build/bin/tests/overhead_calls

status=0
"$program" >"$work/native" || status=$?
if [ "$status" -eq 77 ]; then
	cat "$work/native"
	exit 77
fi
[ "$status" -eq 0 ]
"$build/bin/daxsync" run --emulate --engine="$engine" --stats="$work/stats" -- "$program" >"$work/shim" 2>"$work/err" || {
	cat "$work/shim" "$work/err"
	exit 1
}
diff "$work/native" "$work/shim" || {
	echo "FAIL ($engine): another number of system calls (<: without the shim)"
	exit 1
}
