#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# powercut.sh [BUILD [CUTS [SEED]]]: what the crash test rebuilds from its record is what a power cut of the emulator leaves:
# for CUTS fences and seeds the same program runs with --powercut, and both files are the same, byte for byte. With the time of
# both.
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

place
mkdir db
run 0 "$daxsync" crashtest --model=pmem --keep="$scratch/keep" --cut=1 --check=true -- "$lmdb_unicode" churn db "$table" 2 4 1M
moments=$("$daxsync" crashtest --replay="$scratch/keep" --model=pmem --check=true --cut=99999999 2>&1 |
	sed -n 's/.* the record has \([0-9]*\) moments/\1/p')

# The fence of a moment, and what a draw leaves at it.
rebuild() { # MOMENT DRAW
	rm -rf "$scratch/rebuilt"
	mkdir "$scratch/rebuilt"
	run 0 "$daxsync" crashtest --replay="$scratch/keep" --model=pmem --cut="$1" --draw="$2" --json="$scratch/json" \
		--check="cp -r db '$scratch/rebuilt/'; cp %o '$scratch/rebuilt/output'"
	fence=$(jq '.cuts[0].fence' "$scratch/json")
}

cut() { # FENCE SEED
	place
	rm -rf "$scratch/images"
	mkdir db "$scratch/images"
	status=0
	"$daxsync" run --emulate --policy=always-close --image-dir="$scratch/images" --powercut="$1:$2" -- \
		"$lmdb_unicode" churn db "$table" 2 4 1M >"$scratch/output" 2>"$scratch/err" || status=$?
	[ $status -eq 137 ] || fail "fence $1: exit status $status of a run that is to be cut"
}

need jq jq
same=0
for i in $(seq "$cuts"); do
	moment=$((5 + (seed * 7919 + i * 104729) % (moments - 6)))
	rebuild $moment $((seed + i))
	[ "$fence" -gt 0 ] || continue
	cut "$fence" $((seed + i))
	cmp "$scratch/rebuilt/db/data.mdb" "$scratch"/images/data.mdb.* ||
		fail "fence $fence, seed $((seed + i)): what is rebuilt is not what a power cut leaves"
	cmp "$scratch/rebuilt/output" "$scratch/output" || fail "fence $fence: another output"
	same=$((same + 1))
done
[ $same -ge $((cuts / 2)) ] || fail "only $same of $cuts moments were fences"
echo "$same power cuts left what was rebuilt for them"
