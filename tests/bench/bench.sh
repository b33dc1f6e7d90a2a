#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# bench.sh [OPTION...] BUILD: what stores and syncs of a mapped file cost with daxsync and without, for many workloads, on
# tmpfs as emulated persistent memory.
# bench.sh -s FILE.json: what was measured before, once more.
#
#   -q         each workload for one round, nothing judged: it all still runs
#   -b         only the workloads of the bars
#   -c CELLS   only these: WORKLOAD:PAGES:SIZE:STEP:THREADS (workloads.c), separated by spaces
#   -w WAYS    only these (default: all)
#   -r REPEATS turns (5)
#   -n ROUNDS  of a workload (default: by its pages)
#   -e ENGINE  of daxsync (auto)
#   -o FILE    the measurements as JSON (bench.json)
#
# Ways: oracle, the program that knows what it has stored to and flushes that with libpmem2; native, the kernel's msync;
# tracker, mprotect for each page and a bitmap; blind, which flushes all (only for a few workloads, as it does not depend on
# them); daxsync as it is; and daxsync with each of its fixed policies. All run in turns, workload by workload; a ratio is
# made of two of one turn, and the figure is the median of the turns, with the lowest and the highest.
#
# Exit status: 0; 1 if something was not measured; 77 if something is missing.
set -eu
bench=$(cd "${0%/*}" && pwd)
# shellcheck source=tests/bench/lib.sh
. "$bench/lib.sh"

quick='' bars='' cells='' ways='' repeats=5 rounds=0 engine=auto out=bench.json
while getopts qbc:w:r:n:e:o:s: option; do
	case $option in
	q) quick=1 repeats=1 rounds=1 ;;
	b) bars=1 ;;
	c) cells=$OPTARG ;;
	w) ways=$OPTARG ;;
	r) repeats=$OPTARG ;;
	n) rounds=$OPTARG ;;
	e) engine=$OPTARG ;;
	o) out=$OPTARG ;;
	s) summary=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))

need jq jq

report() {
	table results_table "$1"
	echo
	table 'bars_table(bars)' "$1"
}

if [ -n "${summary:-}" ]; then
	report "$summary"
	exit
fi
[ $# -eq 1 ] || fail 'usage: bench.sh [-qb] [-c CELLS] [-w WAYS] [-r REPEATS] [-n ROUNDS] [-e ENGINE] [-o FILE] BUILD | -s FILE'
build=$(cd "$1" && pwd)
program=$build/bin/tests/bench_workloads
daxsync=$build/bin/daxsync

policies=$("$daxsync" run --help | sed -n 's/^  --policy=//p' | tr '|' ' ')
fixed=
for policy in $policies; do
	case $policy in
	auto | adaptive | kernel) ;; # on tmpfs the kernel's msync flushes nothing, and is no match
	*) fixed="$fixed $policy" ;;
	esac
done
[ -n "$fixed" ] || fail 'daxsync names no policies'

bar_cells='hot:1:16M:in:1 hot:16:16M:in:1 hot:256:16M:in:1 ranges:1:16M:in:1 cold:10:16M:in:1 cold:10:16G:in:1
	hot:100:1G:in:1 hot:16:16M:in:2 own:16:16M:in:1 own:16:16M:in:2'
if [ -z "$cells" ]; then
	cells=$bar_cells
	[ -n "$bars" ] || cells="$cells
		hot:4096:1G:in:1 hot:16:1G:in:1 hot:16:16G:in:1 hot:16:16M:out:1 hot:256:1G:out:1 hot:1:16M:in:2 hot:16:16M:in:8
		cold:1:16M:in:1 cold:16:16M:in:1 cold:256:16M:in:1 cold:4096:1G:in:1 cold:16:1G:in:1 cold:256:16G:in:1
		cold:16:16M:out:1 cold:256:1G:out:1 cold:16:16M:in:2 cold:16:16M:in:8
		zipf:1:16M:in:1 zipf:16:16M:in:1 zipf:256:16M:in:1 zipf:4096:1G:in:1 zipf:256:16G:in:1
		fill:1:1G:in:1 fill:16:1G:in:1 fill:256:1G:in:1 fill:4096:1G:in:1
		append:1:1G:in:1 append:16:1G:in:1 append:256:1G:in:1 append:4096:1G:in:1
		ranges:16:16M:in:1 ranges:256:16M:in:1 ranges:4096:1G:in:1 ranges:16:16M:in:2 ranges:16:16M:in:8
		rounded:1:16M:in:1 rounded:16:16M:in:1 rounded:256:16M:in:1
		phases:1:16M:in:1 phases:16:16M:in:1 phases:256:16M:in:1
		readers:1:16M:in:1 readers:16:16M:in:1 readers:256:16M:in:1 readers:16:16M:in:2 readers:16:16M:in:8"
fi
# So many pages take seconds where each is a trap; these are more than one leaf and one group still.
[ -z "$quick" ] || cells=$(echo "$cells" | sed 's/:4096:/:300:/g; s/:256:/:70:/g')
ways=${ways:-oracle native tracker blind daxsync$fixed}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
about=$(about "$daxsync") # the load too, before this adds to it
status=0
: >"$work/raw"

# Blind flushes fill the holes of the mapping, and take as long whatever is stored to.
is_blinds() { # CELL
	case $1 in
	hot:1:16M:in:1) ;;
	hot:100:1G:in:1) [ -z "$quick" ] ;;
	*) false ;;
	esac
}

measure() { # TURN WAY CELL...
	turn=$1 way=$2
	shift 2
	case $way in
	oracle | tracker | blind) set -- "$program" "$way" "$rounds" "$@" ;;
	native) set -- "$program" msync "$rounds" "$@" ;;
	daxsync) set -- "$daxsync" run --emulate --engine="$engine" -- "$program" msync "$rounds" "$@" ;;
	*) set -- "$daxsync" run --emulate --engine="$engine" --policy="$way" -- "$program" msync "$rounds" "$@" ;;
	esac
	"$@" >"$work/out" 2>"$work/err" || {
		status=1
		echo "bench.sh: not measured: $*"
		cat "$work/err"
	} >&2
	sed "s/^/$turn	$way	/" "$work/out" >>"$work/raw"
}

cells_of() { # WAY
	for cell in $cells; do
		[ "$1" != blind ] || is_blinds "$cell" || continue
		echo "$cell"
	done
}

turn=1
while [ "$turn" -le "$repeats" ]; do
	if [ -n "$quick" ]; then
		for way in $ways; do
			# shellcheck disable=SC2046 # one word each
			measure "$turn" "$way" $(cells_of "$way")
		done
	else
		for cell in $cells; do
			for way in $ways; do
				[ "$way" != blind ] || is_blinds "$cell" || continue
				measure "$turn" "$way" "$cell"
			done
			[ ! -t 2 ] || printf '\rturn %d of %d: %-24s' "$turn" "$repeats" "$cell" >&2
		done
	fi
	turn=$((turn + 1))
done
[ ! -t 2 ] || echo >&2

[ -z "$quick" ] || out=$work/json
jq -n -R -L "$bench" --argjson about "$about" --arg engine "$engine" --arg repeats "$repeats" --arg fixed "$fixed" '
	include "bench";
	$about + {engine: $engine, repeats: ($repeats | tonumber),
	fixed_policies: ($fixed | split(" ") | map(select(. != ""))),
	results: lines | results(["store_ns", "sync_ns", "syncs_per_s", "rounds", "dropped"])}' <"$work/raw" >"$out" ||
	fail 'the measurements cannot be read'
if [ -z "$quick" ]; then
	report "$out"
	exit "$status"
fi

# What was measured is all that was to be, and can be printed.
report "$out" >"$work/report"
for way in $ways; do
	cells_of "$way" | wc -l
done | awk '{ n += $1 } END { print n }' >"$work/wanted"
[ "$(wc -l <"$work/raw")" -eq "$(cat "$work/wanted")" ] || status=1
echo "$(wc -l <"$work/raw") of $(cat "$work/wanted") were measured"
exit "$status"
