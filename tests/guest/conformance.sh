#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# conformance.sh BUILD KERNEL [-t ENGINE:PLACE[:K/N]]... [CASE...]: the conformance suite in a guest: one table, case x
# engine x memory, which is kept in BUILD/guest/KERNEL/conformance.txt, with the reasons of what was skipped below it. With
# K/N every N-th case from number K on; what is left out is an empty cell.
# Exit status: 0; 1 if a cell has failed; 77 if there is no guest.
set -eu
# shellcheck source=tests/guest/lib.sh
. "${0%/*}/lib.sh"
guest_begin "$@"
shift 2

raw=$guest/conformance.raw
table=$guest/conformance.txt
status=0
sh "$here/run.sh" -t 1200 "$build" "$kernel" "$here/jobs/conformance.sh" "$@" >"$raw" || status=$?
if [ "$status" -ne 0 ]; then
	tail -n 20 "$raw"
	exit "$status"
fi

# The first word of a line is ENGINE:PLACE; then it is PASS, FAIL or SKIP, the memory, the case, and what is said of it.
awk '
	function letter(word) { return word == "PASS" ? "+" : word == "FAIL" ? "F" : "-" }
	$1 == "columns" { nr_columns = split(substr($0, 9), name, " ") }
	{ column = $1 }
	$2 == "FAIL" && $3 == "the" { failures++; next }
	$2 == "PASS" || $2 == "FAIL" || $2 == "SKIP" {
		case_name = $4
		sub(/:$/, "", case_name)
		if (!(case_name in seen)) {
			seen[case_name] = 1
			order[++nr_cases] = case_name
		}
		cell[case_name, column] = letter($2)
		count[letter($2)]++
		if ($2 == "SKIP") {
			reason = $0
			sub(/^.* s: |^[^:]*:[^:]*: /, "", reason)
			why[case_name ": " reason] = why[case_name ": " reason] " " column
		}
	}
	END {
		print "+ passed, - skipped, F failed"
		for (i = 1; i <= nr_columns; i++) {
			bars = ""
			for (j = 1; j < i; j++)
				bars = bars " |"
			printf "%-50s%s %s\n", "", bars, name[i]
		}
		for (n = 1; n <= nr_cases; n++) {
			row = ""
			for (i = 1; i <= nr_columns; i++)
				row = row " " (((order[n], name[i]) in cell) ? cell[order[n], name[i]] : " ")
			printf "%-50s%s\n", order[n], row
		}
		print "\nskipped:"
		sort = "LC_ALL=C sort"
		for (key in why)
			print "  " key " (" substr(why[key], 2) ")" | sort
		close(sort)
		printf "\n%d cells passed, %d failed, %d skipped\n", count["+"], count["F"] + failures, count["-"]
		exit count["F"] + failures > 0 || !count["+"]
	}' "$raw" >"$table" || status=1
cat "$table"
if [ "$status" -ne 0 ]; then
	echo
	awk '$2 == "PASS" || $2 == "SKIP" { said = 0 } $2 == "FAIL" { said = 1 } said' "$raw"
fi
exit "$status"
