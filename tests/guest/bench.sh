#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# bench.sh [-w] [-r RUNS] [-p "PAGES..."] BUILD KERNEL: what stores and a sync cost on DAX file systems, with the kernel's
# msync and with daxsync, measured in one guest, in turns. doc/measurements.md says what the figures mean, and what not.
#
#   -w  by the clock of this machine, in microseconds; otherwise in thousands of instructions of the guest's CPU
#   -r  how often (5): a figure is the median, and behind it how far from it the runs were
#   -p  pages that are stored to before a sync (1 16 256)
#
# Exit status: 0; 1 if something was not measured; 77 if there is no guest.
set -eu
# shellcheck source=tests/guest/lib.sh
. "${0%/*}/lib.sh"

runs=5 pages='1 16 256' unit='thousand instructions' per='1000 million instructions' deterministic=-d
while getopts wr:p: option; do
	case $option in
	w) unit=us per=second deterministic='' ;;
	r) runs=$OPTARG ;;
	p) pages=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -eq 2 ] || fail 'usage: bench.sh [-w] [-r RUNS] [-p "PAGES..."] BUILD KERNEL'
guest_begin "$@"

raw=$guest/bench.raw
status=0
# shellcheck disable=SC2086 # none or several words
sh "$here/run.sh" -t 900 $deterministic -f /usr/share/unicode/UnicodeData.txt -p "$build/bin/examples/lmdb_unicode" \
	"$build" "$kernel" "$here/jobs/bench.sh" "$runs" $pages >"$raw" || status=$?
if [ "$status" -ne 0 ]; then
	tail -n 20 "$raw"
	exit "$status"
fi

# A line is FILE-SYSTEM WAY, and what bench.c has said.
awk -v runs="$runs" -v unit="$unit" -v per="$per" '
	function sorted(key, values,	n, i, j, kept) {
		n = split(list[key], values, " ")
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && values[j - 1] + 0 > values[j] + 0; j--) {
				kept = values[j]
				values[j] = values[j - 1]
				values[j - 1] = kept
			}
		return n
	}
	function median(key,	values, n) {
		n = sorted(key, values)
		return n ? (values[int((n + 1) / 2)] + values[int(n / 2) + 1]) / 2 : 0
	}
	function spread(key,	values, n, up, down) {
		n = sorted(key, values)
		up = values[n] - median(key)
		down = median(key) - values[1]
		return up > down ? up : down
	}
	function measured(key) {
		if (split(list[key], ignored, " ") == runs)
			return 1
		missing++
		return 0
	}
	function figure(row, way,	key) {
		key = row " " way
		if (!measured(key))
			return "missing"
		return sprintf("%.1f ±%.1f (%.1f + %.1f)", median(key) / 1000, spread(key) / 1000, \
			median(key " store") / 1000, median(key " sync") / 1000)
	}
	function ratio(a, b) {
		return b ? sprintf("%.2f", a / b) : "-"
	}
	$3 == "cell" {
		row = $1 " | " $4 " | " $5 " | " $6
		if (!(row in seen)) {
			seen[row] = 1
			order[++nr] = row
		}
		list[row " " $2] = list[row " " $2] " " $7 + $8
		list[row " " $2 " store"] = list[row " " $2 " store"] " " $7
		list[row " " $2 " sync"] = list[row " " $2 " sync"] " " $8
		list[row " " $2 " traps"] = list[row " " $2 " traps"] " " $9
		list[row " " $2 " flushed"] = list[row " " $2 " flushed"] " " $10
	}
	$3 == "rate" {
		list[$1 " into holes " $2] = list[$1 " into holes " $2] " " $4
		list[$1 " over what is there " $2] = list[$1 " over what is there " $2] " " $5
	}
	$3 == "huge" && $4 == "huge" && $5 >= 0 && !(($1, $2, $5) in said) {
		said[$1, $2, $5] = 1
		huge = huge (huge ? ", " : "") $1 " " $2 " " $5
	}
	END {
		printf "Stores and a sync, %s: median ± spread of %d runs (stores + sync)\n\n", unit, runs
		print "| on | mapping | pages | | kernel | daxsync | : kernel | never-close | : kernel | traps | flushed |"
		print "|---|---|---|---|---|---|---|---|---|---|---|"
		for (i = 1; i <= nr; i++) {
			row = order[i]
			printf "| %s | %s | %s | %s | %s | %s | %.0f, %.0f | %.0f, %.0f |\n", row, figure(row, "kernel"), \
				figure(row, "daxsync"), ratio(median(row " daxsync"), median(row " kernel")), \
				figure(row, "never-close"), ratio(median(row " never-close"), median(row " kernel")), \
				median(row " daxsync traps"), median(row " never-close traps"), \
				median(row " daxsync flushed"), median(row " never-close flushed")
		}
		printf "\nMiB of the mapping `huge` that are huge pages: %s\n", huge ? huge : "the kernel does not tell"
		printf "\nLMDB, commits per %s\n\n", per
		print "| on | stores | kernel | daxsync | : kernel | never-close | : kernel |"
		print "|---|---|---|---|---|---|---|"
		nr_fs = split("ext4 xfs", fs, " ")
		nr_kinds = split("into holes,over what is there", kind, ",")
		nr_ways = split("kernel daxsync never-close", way, " ")
		for (i = 1; i <= nr_fs; i++)
			for (j = 1; j <= nr_kinds; j++) {
				row = fs[i] " " kind[j] " "
				printf "| %s | %s |", fs[i], kind[j]
				for (k = 1; k <= nr_ways; k++) {
					key = row way[k]
					if (measured(key))
						printf " %.0f ±%.0f |", median(key), spread(key)
					else
						printf " missing |"
					if (k > 1)
						printf " %s |", ratio(median(key), median(row "kernel"))
				}
				print ""
			}
		exit missing > 0 || !nr
	}' "$raw"
