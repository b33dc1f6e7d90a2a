#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# lmdb.sh [CUTS [SEED [BUILD]]]: cuts the emulated power of an unmodified LMDB
# program at random fences, with all engines and policies in turn, and has LMDB
# open what survived. Every commit that was acknowledged must be there and
# right, and at most the one in flight beside it. Two runs at a time.
set -eu

# shellcheck source=tests/clients/lib.sh
. "${0%/*}/../clients/lib.sh"
# shellcheck source=tests/powercut/lib.sh
. "${0%/*}/lib.sh"
cuts=${1:-200}
seed=${2:-$(date +%s)}
powercut_begin powercut-lmdb "${3:-${0%/*}/../../build/release}"

# Without a cut, with the verifier: how many fences there are to cut at.
sed "s/\$/ 0 $seed --verify/" "$scratch/configurations" | run_cuts >"$scratch/uncut" || true
nr_configurations=$(wc -l <"$scratch/configurations")
if [ "$(outcomes uncut "$scratch/uncut")" -ne "$nr_configurations" ]; then
	show WRONG "$scratch/uncut"
	show ERROR "$scratch/uncut"
	fail 'runs without a cut do not end well'
fi
awk '$4 != 0 { print "  " $0; bad = 1 } END { exit bad }' "$scratch/uncut" || fail 'the verifier found missed pages'

plan "$cuts" "$seed" <"$scratch/uncut" >"$scratch/plan"
run_cuts <"$scratch/plan" >"$scratch/results" || true

echo "$cuts power cuts, seed $seed, $nr_configurations configurations of" \
	"$(awk '{ print $3 }' "$scratch/uncut" | sort -n | sed -n '1p; $p' | paste -s -d - -) fences:"
while read -r outcome text; do
	echo "  $(outcomes "$outcome" "$scratch/results") $text"
done <<'TEXT'
same exactly the acknowledged commits survived
further the commit in flight survived as well
torn so it did, with a torn meta page (LMDB's own limit, see examples/lmdb_unicode.c)
early cut before anything was acknowledged
uncut the program ended before the cut
WRONG an acknowledged commit was lost or damaged
ERROR the run itself went wrong
TEXT
echo "  operations acknowledged at the cut: $(acknowledged_range "$scratch/results")"

[ "$(wc -l <"$scratch/results")" -eq "$cuts" ] || fail 'some runs left no result'
if [ "$(outcomes WRONG "$scratch/results")" -gt 0 ] || [ "$(outcomes ERROR "$scratch/results")" -gt 0 ]; then
	show WRONG "$scratch/results"
	show ERROR "$scratch/results"
	fail 'a power cut was not survived'
fi
# A test that never cuts would pass as well.
[ "$(outcomes uncut "$scratch/results")" -le $((cuts / 5)) ] || fail 'too few runs were cut'
