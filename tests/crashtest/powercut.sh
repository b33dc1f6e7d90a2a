#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# powercut.sh [BUILD [CUTS [SEED]]]: what the crash test rebuilds from its record is what a power cut of the emulator leaves:
# for CUTS fences and seeds the same program runs with --powercut, and both files are the same, byte for byte. And of a file that grows: there the emulator tosses for a size by another number, so the sizes are the same unless one of
# them is the file's own.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/crashtest/lib.sh
. "${0%/*}/lib.sh"
crashtest_begin crashtest-powercut "$@"
cuts=${2:-100}
seed=${3:-1}
lmdb_unicode=$built/bin/examples/lmdb_unicode
[ -x "$lmdb_unicode" ] || skip 'lmdb_unicode was not built (package liblmdb-dev)'
table=$scratch/table
head -n 120 /usr/share/unicode/UnicodeData.txt >"$table" 2>/dev/null || skip 'no UnicodeData.txt (package unicode-data)'

recorded() { # PROGRAM...
	place
	mkdir db
	rm -rf "$scratch/keep"
	run 0 "$daxsync" crashtest --model=pmem --keep="$scratch/keep" --cut=1 --check=true -- "$@"
	moments=$("$daxsync" crashtest --replay="$scratch/keep" --model=pmem --check=true --cut=99999999 2>&1 |
		sed -n 's/.* the record has \([0-9]*\) moments/\1/p')
}

# The fence of a moment, and what a draw leaves at it.
rebuild() { # MOMENT DRAW
	rm -rf "$scratch/rebuilt"
	mkdir "$scratch/rebuilt"
	run 0 "$daxsync" crashtest --replay="$scratch/keep" --model=pmem --cut="$1" --draw="$2" --json="$scratch/json" \
		--check="cp -r . '$scratch/rebuilt/'; cp %o '$scratch/rebuilt/output'"
	fence=$(jq '.cuts[0].fence' "$scratch/json")
}

cut() { # FENCE SEED PROGRAM...
	fence=$1 at=$1:$2
	shift 2
	place
	rm -rf "$scratch/images"
	mkdir db "$scratch/images"
	status=0
	"$daxsync" run --emulate --policy=always-close --image-dir="$scratch/images" --powercut="$at" -- \
		"$@" >"$scratch/output" 2>"$scratch/err" || status=$?
	[ $status -eq 137 ] || fail "fence $fence: exit status $status of a run that is to be cut"
}

need jq jq
recorded "$lmdb_unicode" churn db "$table" 2 4 1M
same=0
for i in $(seq "$cuts"); do
	moment=$((5 + (seed * 7919 + i * 104729) % (moments - 6)))
	rebuild $moment $((seed + i))
	[ "$fence" -gt 0 ] || continue
	cut "$fence" $((seed + i)) "$lmdb_unicode" churn db "$table" 2 4 1M
	cmp "$scratch/rebuilt/db/data.mdb" "$scratch"/images/data.mdb.* ||
		fail "fence $fence, seed $((seed + i)): what is rebuilt is not what a power cut leaves"
	cmp "$scratch/rebuilt/output" "$scratch/output" || fail "fence $fence: another output"
	same=$((same + 1))
done
[ $same -ge $((cuts / 2)) ] || fail "only $same of $cuts moments were fences"
echo "$same power cuts left what was rebuilt for them"

moves=$built/bin/tests/crash_moves
[ -x "$moves" ] || skip "$moves was not built"
recorded "$moves" grows
full=0
for moment in $(seq 3 $((moments - 1))); do
	rebuild "$moment" $((seed + moment))
	[ "$fence" -gt 0 ] || continue
	cut "$fence" $((seed + moment)) "$moves" grows
	one=$(stat -c %s "$scratch/rebuilt/grows") other=$(stat -c %s "$scratch"/images/grows.*)
	cmp -n $((one < other ? one : other)) "$scratch/rebuilt/grows" "$scratch"/images/grows.* ||
		fail "fence $fence: what is rebuilt of a file that grows is not what a power cut leaves"
	own=$(($(wc -c <"$scratch/output") * 4 * 4096 + 4 * 4096))
	[ "$one" -eq "$other" ] || [ "$one" -eq $own ] || [ "$other" -eq $own ] ||
		fail "fence $fence: $one bytes are rebuilt, a power cut leaves $other"
	[ "$one" -eq $own ] || full=$((full + 1))
done
[ $full -ge 3 ] || fail "only $full moments at which a file had not its own size"
