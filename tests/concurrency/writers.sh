#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# writers.sh BUILD ENGINE [SECONDS]: 8 writers and 2 syncers on one mapping (30 s), the same with an alias mapping, on
# memfd and with pages left open, all or some, and while every 10th trap cannot open its page and opens all of the mapping instead, at
# any moment of a sync (a quarter as long each); all with the verifier on: nothing may be missed.
set -eu
build=$1 engine=$2 seconds=${3:-30}
shorter=$(((seconds + 3) / 4))
fault=
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

run() { # POLICY ARGUMENTS...
	policy=$1
	shift
	printf '%s %s %s: ' "$engine" "$policy" "$*"
	"$build/bin/daxsync" run --emulate --verify --engine="$engine" --policy="$policy" --stats="$work/stats" \
		${fault:+--fault="$fault"} -- "$build/bin/tests/writers" "$@" 2>"$work/err" || {
		status=$?
		cat "$work/err"
		exit "$status"
	}
	jq -r '"  \(.traps) traps, \(.pages_flushed) pages flushed, \(.verified_pages) verified, \(.missed_pages) missed"' \
		"$work/stats"
	jq -e '.missed_pages == 0 and .verified_pages > 0 and .traps > 0 and .mappings[0].mode == "emulated"' \
		"$work/stats" >/dev/null
}

run always-close -s "$seconds"
run always-close -s "$shorter" -a
run always-close -s 2 -p 1
run always-close -s "$shorter" -m memfd
run never-close -s "$shorter" -a
run never-close -s 2 -p 20000
run adaptive -s "$shorter" -a
run adaptive -s 2 -p 64
fault=open-error:10,slow-scan
run always-close -s "$shorter" -p 64 -y 4
run always-close -s "$shorter" -p 64 -y 4 -a
jq -e '.all_open > 0' "$work/stats" >/dev/null
