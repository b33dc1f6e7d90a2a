#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# bench.sh [OPTION...] BUILD KERNEL: what stores and a sync cost on DAX file systems, with the kernel's msync and with daxsync,
# measured in one guest, in turns. doc/measurements.md says what the figures mean, and what not.
# bench.sh -s FILE.json: what was measured before, once more.
#
#   -w            by the clock of this machine, in microseconds; otherwise in thousands of instructions of the guest's CPU
#   -r RUNS       how often (5): a figure is the median, and behind it how far from it the runs were
#   -l WORKLOADS  only these, separated by spaces (bench.c lists them; lmdb: LMDB's commits)
#   -p PAGES      how many are stored to before a sync (1 16 256)
#   -o FILE       the measurements as JSON (BUILD/guest/KERNEL/bench.json); tests/bench/plot.sh draws them
#
# Exit status: 0; 1 if something was not measured; 77 if there is no guest.
set -eu
bench=$(cd "${0%/*}/../bench" && pwd)
# shellcheck source=tests/bench/lib.sh
. "$bench/lib.sh"
# shellcheck source=tests/guest/lib.sh
. "${0%/*}/lib.sh"

runs=5 pages='1 16 256' unit=instructions deterministic=-d out=
workloads='hot cold zipf phases ranges fsync fill refill append entry lmdb'
while getopts wr:l:p:o:s: option; do
	case $option in
	w) unit=ns deterministic='' ;;
	r) runs=$OPTARG ;;
	l) workloads=$OPTARG ;;
	p) pages=$OPTARG ;;
	o) out=$OPTARG ;;
	s) summary=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
need jq jq

report() { # FILE.json
	jq -r '"\(.versions.daxsync) (\(.versions.commit)), Linux \(.guest.kernel) in \(.guest.qemu), on \(.machine.cpu), \(.date)",
		"", "Stores and a sync, \(if .unit == "ns" then "microseconds" else "thousand instructions" end):", ""' "$1"
	markdown guest_table "$1"
	jq -r '"", "LMDB, commits per \(if .unit == "ns" then "second" else "1000 million instructions" end):", ""' "$1"
	markdown commits_table "$1"
	echo
	markdown 'bars_table(guest_bars)' "$1"
}

if [ -n "${summary:-}" ]; then
	report "$summary"
	exit
fi
[ $# -eq 2 ] || fail 'usage: bench.sh [-w] [-r RUNS] [-l WORKLOADS] [-p PAGES] [-o FILE] BUILD KERNEL | -s FILE'
guest_begin "$@"

out=${out:-$guest/bench.json}
raw=$out.raw
about=$(about "$build/bin/daxsync")
status=0
# shellcheck disable=SC2086 # none or several words
sh "$here/run.sh" -t 3600 $deterministic -f /usr/share/unicode/UnicodeData.txt -p "$build/bin/examples/lmdb_unicode" \
	"$build" "$kernel" "$here/jobs/bench.sh" "$runs" "$workloads" $pages >"$raw" || status=$?
if [ "$status" -ne 0 ]; then
	tail -n 20 "$raw"
	exit "$status"
fi

jq -n -R -L "$bench" --argjson about "$about" --arg runs "$runs" --arg unit "$unit" --arg kernel "$(cat "$guest/version")" \
	--arg qemu "$(qemu-system-x86_64 --version | sed -n '1s/ emulator version / /p')" '
	include "bench";
	lines as $lines
	| def workload($is_lmdb): $lines | map(select(.cell | startswith("lmdb-") == $is_lmdb));
	$about + {guest: {kernel: $kernel, qemu: $qemu}, unit: $unit, repeats: ($runs | tonumber),
	results: workload(false)
		| results(["store_ns", "sync_ns", "traps", "pages_flushed", "kernel_syncs", "rounds", "huge_mib"]),
	commits: workload(true) | results(["commits_per_s"])}' <"$raw" >"$out" || fail 'the measurements cannot be read'
report "$out"
