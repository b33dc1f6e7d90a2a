#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# plot.sh FILE.json [DIRECTORY]: what bench.sh, here or in tests/guest, has measured as SVG: WORKLOAD.svg, ns a page by pages
# a sync, and WORKLOAD-threads.svg, syncs a second by threads; of the guest WORKLOAD-FILE-SYSTEM-STEP.svg. Medians, with the
# lowest and the highest turn. Needs gnuplot and jq (sh tests/packages.sh bench).
set -eu
bench=$(cd "${0%/*}" && pwd)
# shellcheck source=tests/bench/lib.sh
. "$bench/lib.sh"
file=$1
to=${2:-.}

for program in gnuplot jq; do
	command -v "$program" >/dev/null 2>&1 || {
		echo "plot.sh: $program is missing (sh tests/packages.sh bench)" >&2
		exit 77
	}
done
mkdir -p "$to"
data=$(mktemp)
trap 'rm -f "$data"' EXIT
title=$(jq -r '"\(.versions.daxsync) \(.versions.commit), \(.guest.qemu // .machine.cpu),
	Linux \(.guest.kernel // .kernel), \(.date)"' "$file" | tr -s '\n\t' ' ')
unit=$(jq -r '.unit // "ns"' "$file")

plot() { # NAME X-LABEL Y-LABEL
	[ "$(wc -l <"$data")" -gt 2 ] || return 0
	gnuplot <<-END
		set terminal svg size 900,600 noenhanced
		set output '$to/$1.svg'
		set title '$1: $title'
		set datafile missing '-'
		set logscale xy
		set xlabel '$2'
		set ylabel '$3'
		set xtics (1, 2, 4, 8, 16, 64, 256, 1024, 4096)
		set key outside
		plot for [i=1:$(head -n 1 "$data" | awk '{ print (NF - 1) / 3 }')] '$data' \
			using 1:(column(3*i-1)):(column(3*i)):(column(3*i+1)) with yerrorlines title columnhead(3*i-1)
	END
	echo "$to/$1.svg"
}

for plot in $(rows plots "$file"); do
	rows "by_pages(\"$plot\")" "$file" >"$data"
	plot "$plot" 'pages a sync' "$unit a page, stores and sync"
	rows "by_threads(\"$plot\")" "$file" >"$data"
	plot "$plot-threads" 'threads that sync one file' 'syncs a second'
done
