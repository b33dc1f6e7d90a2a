#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# quickstart.sh: daxsync at work, in about a minute and without special hardware.
#
# Builds the project, then has an unmodified LMDB program load Unicode's
# character table into a database in emulated persistent memory: each commit is
# made durable in user space instead of by the kernel's msync. A second run
# loses its power half-way; LMDB opens what survived, and every acknowledged
# commit is checked.
set -eu

cd "${0%/*}/.."

fail() {
	echo "quickstart: $*" >&2
	exit 1
}

sh tests/packages.sh quickstart || fail 'something that is needed could not be installed'

mkdir -p build
log=build/quickstart.log
echo 'building ...'
if ! { cmake --preset release && cmake --build build/release --parallel "$(nproc)"; } >"$log" 2>&1; then
	tail -n 40 "$log" >&2
	fail "the build failed; all of its output is in $log"
fi
daxsync=build/release/bin/daxsync
lmdb_unicode=build/release/bin/examples/lmdb_unicode
table=/usr/share/unicode/UnicodeData.txt
for file in "$daxsync" "$lmdb_unicode" "$table"; do
	[ -r "$file" ] || fail "$file is missing"
done

[ -w /dev/shm ] || fail 'the emulation needs a writable /dev/shm'
scratch=$(mktemp -d /dev/shm/daxsync-quickstart.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' HUP INT TERM
mkdir "$scratch/verified" "$scratch/timed" "$scratch/cut" "$scratch/survived" "$scratch/images"

# Loads the table into $scratch/$1 under the shim; the output goes to $scratch/$1.*
load() { # NAME OPTION...
	name=$1
	shift
	"$daxsync" run --emulate --stats="$scratch/$name.json" "$@" -- \
		"$lmdb_unicode" load "$scratch/$name" "$table" >"$scratch/$name.out" 2>"$scratch/$name.err"
}

check() { # NAME N: sets $found
	found=$("$lmdb_unicode" check "$scratch/$1" "$table" "$2" 2>&1) || fail "the database in $1 is not right: $found"
}

explain() { # NAME: what the program said
	tail -n 5 "$scratch/$1.err" >&2
}

stat_of() { # JQ_FILTER
	jq -r "$1" "$scratch/verified.json"
}

nr_lines=$(wc -l <"$table")
echo "1. LMDB stores the $nr_lines lines of $table, 100 in each durable commit"
status=0
load verified --verify || status=$?
[ "$status" -ne 120 ] || fail 'the verifier found pages that a sync had missed'
[ "$status" -eq 0 ] || {
	explain verified
	fail "the load ended with status $status"
}
check verified "$nr_lines"
data='.mappings[] | select(.path | endswith("/data.mdb"))'
echo "   mode $(stat_of "$data | .mode"), engine $(stat_of "$data | .engine"): $(stat_of "$data | .reason")"
[ "$(stat_of "$data | .mode")" = emulated ] || fail 'the database was not served in user space'
nr_commits=$(grep -c '^committed [1-9]' "$scratch/verified.out")
nr_fences=$(stat_of .fences)
missed=$(stat_of .missed_pages)
echo "   $nr_commits commits, $(stat_of .syncs) syncs: $(stat_of .pages_flushed) pages flushed in all;" \
	"the map has $(stat_of "$data | .bytes / 4096 | floor")"
echo "   after each sync the verifier compared memory with what is durable:" \
	"$(stat_of .verified_pages) pages compared, $missed missed"
[ "$missed" = 0 ] || fail 'pages were missed'

start=$(date +%s%N)
load timed || fail 'the load without the verifier failed'
end=$(date +%s%N)
echo "   without the verifier: $((nr_commits * 1000000000 / (end - start))) commits a second" \
	'(emulated memory: not comparable with a disk)'

cut_at=$((nr_fences / 2))
echo "2. The same again, and the power fails at fence $cut_at of $nr_fences"
status=0
load cut --powercut="$cut_at:1" --image-dir="$scratch/images" || status=$?
[ "$status" -eq 137 ] || {
	explain cut
	fail "the power cut did not happen (status $status)"
}
acknowledged=$(sed -n 's/^committed //p' "$scratch/cut.out" | tail -n 1)
echo "   killed when $acknowledged lines were committed; now LMDB opens what was durable"
set -- "$scratch"/images/data.mdb.*
[ -f "$1" ] || fail 'nothing survived the power cut'
mv "$1" "$scratch/survived/data.mdb"
check survived "$acknowledged"
mdb_stat "$scratch/survived" >/dev/null || fail 'mdb_stat cannot read what survived'
echo "   $found"
echo 'every committed key survived'
