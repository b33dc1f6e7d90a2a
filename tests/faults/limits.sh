#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# limits.sh BUILD: the generator's workload where a process may have little: no call of the program fails by it, and
# nothing is missed.
set -eu
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

command -v prlimit >/dev/null || {
	echo 'SKIP: prlimit is missing (package util-linux)'
	exit 77
}

limited() { # ENGINE LIMIT...
	engine=$1
	shift
	status=0
	"$build/bin/daxsync" run --emulate --engine="$engine" -- \
		"$@" "$build/bin/tests/generator" -w >"$work/out" 2>"$work/err" || status=$?
	if [ "$status" -eq 77 ]; then
		cat "$work/err"
		exit 77
	fi
	echo "$engine, ${1##*/} $2: $(cat "$work/out")"
	if [ "$status" -ne 0 ] || ! grep -q passed "$work/out"; then
		echo "FAIL (status $status)"
		head -n 20 "$work/err"
		failed=1
	fi
}

for engine in auto uffd mprotect; do
	limited "$engine" "$build/bin/tests/forbid" env
	for limit in --as=2000000000 --as=400000000 --as=100000000 --nofile=64 --nofile=16 --nofile=10 --stack=65536; do
		limited "$engine" prlimit "$limit" --
	done
done
exit $failed
