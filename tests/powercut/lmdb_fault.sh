#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# lmdb_fault.sh [CUTS [SEED [BUILD]]]: the counter-test of lmdb.sh. The library
# is made to forget one page's flush in a hundred. Then the verifier must report
# missed pages, and LMDB must find damage after power cuts. If neither happened,
# lmdb.sh would prove nothing.
set -eu

# shellcheck source=tests/clients/lib.sh
. "${0%/*}/../clients/lib.sh"
# shellcheck source=tests/powercut/lib.sh
. "${0%/*}/lib.sh"
cuts=${1:-40}
seed=${2:-$(date +%s)}
powercut_begin powercut-lmdb-fault "${3:-${0%/*}/../../build/release}"
fault=--fault=skip-flush:100

# A larger table than lmdb.sh's: most pages are left alone for long, so that
# nothing heals what was forgotten.
export CUT_LINES=8000 CUT_ROUNDS=2

sed "s/\$/ 0 $seed --verify $fault/" "$scratch/configurations" | run_cuts >"$scratch/uncut" || true
nr_configurations=$(wc -l <"$scratch/configurations")
nr_reported=$(awk '$4 > 0 { n++ } END { print n + 0 }' "$scratch/uncut")
if [ "$(outcomes ERROR "$scratch/uncut")" -gt 0 ]; then
	show ERROR "$scratch/uncut"
	fail 'runs without a cut do not end'
fi

plan "$cuts" "$seed" "$fault" <"$scratch/uncut" >"$scratch/plan"
run_cuts <"$scratch/plan" >"$scratch/results" || true
nr_wrong=$(outcomes WRONG "$scratch/results")

echo "one flush in a hundred left out, seed $seed:"
echo "  the verifier reported missed pages in $nr_reported of $nr_configurations runs"
echo "  after $cuts power cuts, $nr_wrong of the surviving files were damaged"

if [ "$(outcomes ERROR "$scratch/results")" -gt 0 ]; then
	show ERROR "$scratch/results"
	fail 'runs went wrong in another way'
fi
[ $((nr_reported * 2)) -gt "$nr_configurations" ] || fail 'the verifier does not see missing flushes'
[ "$nr_wrong" -gt 0 ] || fail 'no power cut damaged anything although flushes were left out'
