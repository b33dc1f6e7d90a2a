#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# ways.sh BUILD: the three ways in, by the example programs: each tracks, and what it wrote is there without it.
set -eu
build=$1
work=$(mktemp -d /dev/shm/daxsync-ways.XXXXXX)
trap 'rm -rf "$work"' EXIT

tracked() { # WAY
	jq -e '.mappings[0].mode == "emulated" and .syncs > 0 and .traps > 0 and .pages_flushed > 0' "$work/stats" \
		>/dev/null || {
		echo "$1: not tracked:"
		cat "$work/stats"
		exit 1
	}
	rm "$work/stats"
	echo "$1: tracked"
}

"$build/bin/daxsync" run --emulate --verify --stats="$work/stats" -- "$build/bin/examples/ledger" "$work/ledger" one
tracked LD_PRELOAD

DAXSYNC_EMULATE=1 DAXSYNC_STATS=$work/stats "$build/bin/examples/ledger_linked" "$work/ledger" two
tracked linked

[ "$("$build/bin/examples/ledger" "$work/ledger")" = "one
two" ]

"$build/bin/examples/api" "$work/api" 'hello' | tee "$work/out"
grep -q '^mode emulated' "$work/out"
grep -q '^4 traps, 5 pages' "$work/out"
[ "$(head -c 5 "$work/api")" = hello ]
echo 'API: tracked'
