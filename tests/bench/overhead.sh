#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# overhead.sh BUILD [ENGINE [ROUNDS [CALLS]]]: what calls cost under the shim that have nothing to do with any mapping, as a
# ratio to what they cost without: the median of ROUNDS pairs of runs, made in turns, with the lowest and the highest.
# Not a test: it depends on what else the machine does.
set -eu
build=$(cd "$1" && pwd)
engine=${2:-auto}
rounds=${3:-15}
calls=${4:-20000}
program=$build/bin/tests/bench_overhead
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

round=0
while [ "$round" -lt "$rounds" ]; do
	"$program" "$calls" >"$work/native"
	"$build/bin/daxsync" run --emulate --engine="$engine" -- "$program" "$calls" >"$work/shim" 2>"$work/err" || {
		cat "$work/err"
		exit 1
	}
	paste "$work/native" "$work/shim" | awk -F '\t' '{ printf "%s\t%.4f\t%s\t%s\n", $1, $4 / $2, $2, $4 }' >>"$work/all"
	round=$((round + 1))
done
printf '%-24s %8s %8s %8s %12s %12s\n' call median lowest highest 'native, ns' 'shim, ns'
cut -f 1 "$work/native" | while read -r name; do
	awk -F '\t' -v name="$name" '$1 == name { print $2 "\t" $3 "\t" $4 }' "$work/all" | sort -n |
		awk -F '\t' -v name="$name" '{ ratio[NR] = $1; native[NR] = $2; shim[NR] = $3 } END {
			middle = int((NR + 1) / 2)
			printf "%-24s %8.2f %8.2f %8.2f %12.0f %12.0f\n", name, ratio[middle], ratio[1], ratio[NR],
				native[middle], shim[middle] }'
done
