#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# security.sh: the tests that SECURITY.md names are there: each file, and each case in one of the files of its line.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin security "$@"

# The rows of the tables, with what stands in `backquotes` behind the claim one a line; the files of a row come first.
grep '^| .*`tests/' SECURITY.md | sed 's/.* | \(.*\) |$/\1/' >"$scratch/rows"
nr=0
while read -r row; do
	# shellcheck disable=SC2016 # no expansion is meant
	echo "$row" | grep -o '`[^`]*`' | tr -d '`' >"$scratch/names"
	grep '^tests/' "$scratch/names" >"$scratch/files"
	while read -r file; do
		[ -f "$file" ] || complain "$file is not there"
	done <"$scratch/files"
	grep -v '^tests/' "$scratch/names" >"$scratch/cases" || true
	while read -r case; do
		nr=$((nr + 1))
		xargs grep -qFe "$case" -- <"$scratch/files" 2>/dev/null || complain "no case \"$case\" in $(tr '\n' ' ' <"$scratch/files")"
	done <"$scratch/cases"
done <"$scratch/rows"
[ "$nr" -gt 0 ] || complain 'no case is named'
lint_end "$nr cases"
