#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# time.sh [BUILD [CUTS [RUNS [LINES]]]]: how much faster it is to try CUTS power cuts (1000) from one record than by as many
# runs with --powercut, each with the same check. The load is LMDB's, CUTS / 2 commits of LINES lines (2). RUNS of the runs are
# made, spread evenly over the load (100); the time of the others is extrapolated, and said to be. RUNS=CUTS makes them all.
# Prints both times and their ratio, and the same without the check, which takes most of a cut's time. A command, and no test:
# a time decides nothing on a machine that does something else too.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/crashtest/lib.sh
. "${0%/*}/lib.sh"
crashtest_begin crashtest-time "$@"
cuts=${2:-1000}
runs=${3:-100}
lines=${4:-2}
lmdb_unicode=$built/bin/examples/lmdb_unicode
[ -x "$lmdb_unicode" ] || skip 'lmdb_unicode was not built (package liblmdb-dev)'
need jq jq
table=$scratch/table
# Two fences for each commit.
head -n "$((cuts * lines / 2))" /usr/share/unicode/UnicodeData.txt >"$table" 2>/dev/null || skip 'no UnicodeData.txt (package unicode-data)'

# shellcheck disable=SC2016 # for the checker's shell
check='a=$(sed -n "s/^committed //p" %o | tail -n 1); [ -z "$a" ] ||'" $lmdb_unicode check db $table \$a $lines"
now() { date +%s.%N; }
since() { awk "BEGIN { print $(now) - $1 }"; }

replay() { # CHECK KEEP: sets $replayed
	place
	rm -rf db
	mkdir db
	begin=$(now)
	# One draw of each moment, as each run has one seed.
	run 0 "$daxsync" crashtest --model=pmem --keep="$2" --cuts="$cuts" --draw=7 --json="$scratch/json" \
		--check="$1" -- "$lmdb_unicode" load db "$table" "$lines" "$((lines + 1))M"
	replayed=$(since "$begin")
}
replay true "$scratch/keep-bare"
bare_replayed=$replayed
replay "$check" "$scratch/keep"
tried=$(jq .draws "$scratch/json")

# Runs at fences that lie evenly between the first and the last.
jq -r '.cuts[] | select(.fence > 0) | .fence' "$scratch/json" >"$scratch/fences"
all=$(wc -l <"$scratch/fences")
[ "$runs" -le "$all" ] || runs=$all
spent=0 bare_spent=0
for i in $(seq "$runs"); do
	fence=$(sed -n "$((1 + (i - 1) * all / runs))p" "$scratch/fences")
	place
	rm -rf "$scratch/images"
	mkdir db "$scratch/images"
	begin=$(now)
	"$daxsync" run --emulate --policy=always-close --image-dir="$scratch/images" --powercut="$fence:7" -- \
		"$lmdb_unicode" load db "$table" "$lines" "$((lines + 1))M" >"$scratch/output" 2>"$scratch/err" || true
	cp "$scratch"/images/data.mdb.* db/data.mdb 2>/dev/null || true
	bare_spent=$(awk "BEGIN { print $bare_spent + $(since "$begin") }")
	# shellcheck disable=SC2016 # for the shell of the check
	DAXSYNC_OUTPUT=$scratch/output sh -c "$(printf %s "$check" | sed 's/%o/"$DAXSYNC_OUTPUT"/')" >"$scratch/out" ||
		fail "fence $fence: the check fails after a real cut"
	spent=$(awk "BEGIN { print $spent + $(since "$begin") }")
done
told() { # WHAT SPENT REPLAYED
	awk "BEGIN { real = $2 / $runs * $tried
		printf \"%s: %d cuts from one record %.1f s, %d runs with --powercut %.1f s%s, ratio %.1f\n\", \"$1\", $tried, $3,
			$tried, real, $runs < $tried ? \" (extrapolated from $runs)\" : \"\", real / $3 }"
}
told 'with the check' "$spent" "$replayed"
told 'without it' "$bare_spent" "$bare_replayed"
