#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# manual.sh [BUILD]: mandoc finds nothing in the manual pages; they have the commands, options, values, variables and defaults
# that the launcher's help has, and the functions and errors that the header has, no more and no less.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin manual "$@"
need mandoc mandoc
daxsync=$build/bin/daxsync
[ -x "$daxsync" ] || skip "$daxsync was not built"

same() { # WHAT: compares $scratch/wanted, from the program, with $scratch/found, from the page
	LC_ALL=C sort -u -o "$scratch/wanted" "$scratch/wanted"
	LC_ALL=C sort -u -o "$scratch/found" "$scratch/found"
	[ -s "$scratch/wanted" ] || complain "nothing to compare with $1"
	LC_ALL=C comm -23 "$scratch/wanted" "$scratch/found" | sed "s|^|$1 does not have: |" >"$scratch/lines"
	LC_ALL=C comm -13 "$scratch/wanted" "$scratch/found" | sed "s|^|$1 has, and should not: |" >>"$scratch/lines"
	while read -r line; do
		complain "$line"
	done <"$scratch/lines"
}

mandoc -Tlint doc/man/*.[137] >"$scratch/style" 2>/dev/null || true
# What the base system is called is no matter of ours, nor which manuals are installed.
grep -v "STYLE: operating system\|STYLE: referenced manual not found" "$scratch/style" >"$scratch/lines" || true
while read -r line; do
	complain "$line"
done <"$scratch/lines"

# Pages that others name are there.
sed -n 's/^\.Xr \(daxsync[^ ]*\) \([137]\).*/\1.\2/p; s/^\.It Xr \(daxsync[^ ]*\) \([137]\).*/\1.\2/p' doc/man/*.[137] |
	sort -u >"$scratch/named"
while read -r page; do
	[ -f "doc/man/$page" ] || complain "doc/man/$page is named and not there"
done <"$scratch/named"

"$daxsync" --help | sed -n 's/^  \([a-z]\{1,\}\)  .*/\1/p' >"$scratch/commands"
cp "$scratch/commands" "$scratch/wanted"
sed -n 's/^\.It Cm //p' doc/man/daxsync.1 >"$scratch/found"
same doc/man/daxsync.1
while read -r command; do
	page=doc/man/daxsync-$command.1
	[ -f "$page" ] || {
		complain "$page is missing"
		continue
	}
	"$daxsync" "$command" --help >"$scratch/help"
	sed -n 's/^  --\([a-z-]*\)=\([^ ]*\).*/.It Fl -\1 Ns = Ns Ar \2/p; s/^  --\([a-z-]*\)\( .*\)\{0,1\}$/.It Fl -\1/p
		s/^  --\([a-z-]*\)\[=\([A-Z]*\)\]$/.It Fl -\1 Ns Oo Ns = Ns Ar \2 Oc/p
		s/^        \[\(DAXSYNC_[A-Z_]*\), default \(.*\)\]/.Pq Ev \1 , default \2 ./p
		s/^        \[\(DAXSYNC_[A-Z_]*\)\]/.Pq Ev \1 ./p' "$scratch/help" >"$scratch/wanted"
	grep '^\.It Fl \|^\.Pq Ev ' "$page" >"$scratch/found" || true
	# The sentence may go on after the variable, or end with it.
	same "$page"
	sed -n 's/.*Exit status: //p' "$scratch/help" | grep -q . || complain "daxsync $command --help tells no exit status"
done <"$scratch/commands"

# "FUNCTION ERROR" of each error that the comment above a declaration names, from "Return:" on.
awk '/^\/\*\*/ { text = ""; on = 1 }
	on { text = text " " $0 }
	/\*\// { on = 0 }
	!on && !/^typedef/ && /^[a-z].*daxsync_[a-z_]*\(.*;/ {
		name = $0
		sub(/\(.*/, "", name)
		sub(/.*[ *]/, "", name)
		print name
		sub(/.*Return:/, "", text) || text = ""
		while (match(text, /-E[A-Z]+/)) {
			print name, substr(text, RSTART + 1, RLENGTH - 1)
			text = substr(text, RSTART + RLENGTH)
		}
	}' include/daxsync/*.h >"$scratch/wanted"
for page in doc/man/daxsync_*.3; do
	name=${page##*/}
	echo "${name%.3}"
	sed -n '/^\.Sh ERRORS/,$s/^\.It Bq Er //p' "$page" | grep -o 'E[A-Z]*' | sed "s/^/${name%.3} /" || true
done >"$scratch/found"
same 'doc/man/*.3'
sed -n 's/ E[A-Z]*$//; s/^daxsync_[a-z_]*$/&/p' "$scratch/wanted" >"$scratch/functions"
cp "$scratch/functions" "$scratch/wanted"
sed -n 's/^\.It Xr \(daxsync_[a-z_]*\) 3 Ta .*/\1/p' doc/man/daxsync.3 >"$scratch/found"
same doc/man/daxsync.3
lint_end "$(find doc/man -name '*.[137]' | wc -l) pages, $(wc -l <"$scratch/commands") commands"
