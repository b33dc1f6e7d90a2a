#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# sealed_unseen.sh BUILD ENGINE PROGRAM FILE: what cannot be opened any more ends in a fault and one true line.
set -eu
build=$1 engine=$2 program=$3 file=$4

for how in seal filter; do
	rm -f "$file"
	status=0
	timeout 30 "$build/bin/daxsync" run --emulate --verify --engine="$engine" -- "$program" $how "$file" \
		>"$file.out" 2>"$file.err" || status=$?
	cat "$file.out" "$file.err"
	[ $status -ne 77 ] || exit 77
	[ $status -eq 0 ] || exit 1
	! grep 'MISSED PAGE' "$file.err" || exit 1
	! grep 'sync -1' "$file.out" || exit 1
	lines=$(grep -c 'a page cannot be made writable again: Operation not permitted (by mseal, or a seccomp filter)' \
		"$file.err") || true
	faults=$(grep -c 'a closed page: a fault' "$file.out") || true
	[ "$(grep -c 'the open page: stored' "$file.out")" -eq 4 ] || exit 1
	if [ "$engine" = mprotect ]; then # uffd protects by other means
		[ "$lines" -eq 1 ] && [ "$faults" -eq 3 ] || exit 1
	else
		[ "$lines" -eq 0 ] && [ "$faults" -eq 0 ] || exit 1
	fi
done
