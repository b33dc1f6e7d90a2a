#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# own_uffd.sh [BUILD [ENGINE...]]: a program with a userfaultfd of its own, beside ours: for memory of its own, and for the
# file that is tracked.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/neighbours/lib.sh
. "${0%/*}/lib.sh"
neighbours_begin own_uffd "$@"
program=$scratch/own_uffd
compile "$source/tests/neighbours/own_uffd.c" "$program" -O2 -pthread
status=0
"$program" "$file" take >"$scratch/native" 2>"$scratch/err" || status=$?
[ "$status" -ne 77 ] || skip "userfaultfd is not to be had here ($(cat "$scratch/err"))"
equals 'the exit status' "$status" 0
grep -q '^320 missing, 320 protected' "$scratch/native" || fail 'not every fault is seen'

own_uffd() {
	for how in '' take; do
		# shellcheck disable=SC2086 # nothing, or a word
		"$program" "$file" $how >"$scratch/native" 2>"$scratch/err"
		# shellcheck disable=SC2086
		shim 0 "$program" "$file" $how
		diff "$scratch/native" "$scratch/out" >"$scratch/diff" || fail "$engine $how: not the same"
		tracked "$engine $how"
	done
	echo "$name $engine: the same"
}
each_engine own_uffd
passed
