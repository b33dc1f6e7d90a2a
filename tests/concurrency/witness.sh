#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# witness.sh BUILD: programs that take every lock, under a library that checks their order (lib/base/witness.h). It ends the
# process where a lock is taken out of order.
set -eu
build=$1
tests=${0%/*}/..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LD_LIBRARY_PATH="$build/lib/witness"

"$build/bin/daxsync" run --emulate -- cat /proc/self/maps | grep -q /lib/witness/libdaxsync || {
	echo 'witness.sh: another library was loaded'
	exit 1
}

writers() { # ENGINE POLICY ARGUMENT...
	engine=$1 policy=$2
	shift 2
	echo "writers: $engine $policy $*"
	"$build/bin/daxsync" run --emulate --verify --engine="$engine" --policy="$policy" -- "$build/bin/tests/writers" "$@" \
		2>"$work/err" && return
	cat "$work/err"
	exit 1
}

for engine in uffd mprotect; do
	writers "$engine" always-close -s 1 -a
	writers "$engine" adaptive -s 1 -p 64
	sh "$tests/processes/processes.sh" "$build" "$engine" 1 second_writer_comes_and_goes fork_while_storing_and_syncing
	sh "$tests/cases/cases.sh" "$build" "$engine" fork_anywhere
	sh "$tests/generator/run.sh" "$build" "$engine" 1 0 5
done
